;; Waits for fds that there are not, for ever: each answer is an error, at once.
(func $work (result i32)
  (loop $again
    (call $subscribe (i32.const 0) (i32.const 1) (i64.const 99))
    (call $subscribe (i32.const 1) (i32.const 2) (i64.const -1))
    (call $subscribe (i32.const 2) (i32.const 9) (i64.const 3))
    (call $expect (i32.const 1) (call $poll (i32.const 3)) (i32.const 0))
    (br $again))
  (i32.const 0))
