;; Waits for the control pipe and reads nothing of what comes.
(func $work (result i32)
  (call $subscribe (i32.const 0) (i32.const 1) (i64.extend_i32_s (global.get $control)))
  (drop (call $poll (i32.const 1)))
  (i32.const -11))
