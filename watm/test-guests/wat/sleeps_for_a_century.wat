;; Waits for a century, and for nothing else: not even for the control pipe.
(func $work (result i32)
  (call $sleep (i64.const 3155760000000000000))
  (i32.const 0))
