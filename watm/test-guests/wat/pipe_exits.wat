;; Exits when it is given the control pipe, as if all were well.
(func $pipe (result i32) (call $proc_exit (i32.const 0)) (i32.const 0))
