;; Yields for ever.
(func $work (result i32)
  (loop $again (drop (call $sched_yield)) (br $again))
  (i32.const 0))
