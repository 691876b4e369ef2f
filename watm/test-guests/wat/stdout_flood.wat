;; Prints for ever, gibibytes, on both standard streams.
(func $work (result i32)
  (loop $again
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 262144)))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 262144)))
    (br $again))
  (i32.const 0))
