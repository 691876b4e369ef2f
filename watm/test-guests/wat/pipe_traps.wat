;; Traps when it is given the control pipe.
(func $pipe (result i32) unreachable)
