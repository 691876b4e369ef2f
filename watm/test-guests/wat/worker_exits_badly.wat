;; Exits in its worker with a code that nobody has.
(func $work (result i32) (call $proc_exit (i32.const -1)) (i32.const 0))
