;; Does not come out of taking the control pipe.
(func $pipe (result i32) (loop $again (br $again)) (i32.const 0))
