;; Writes to the network without end, whatever it is answered.
(func $work (result i32)
  (loop $again
    (drop (call $write (global.get $outer) (i32.const 65536) (i32.const 65536)))
    (br $again))
  (i32.const 0))
