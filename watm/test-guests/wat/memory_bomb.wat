;; Grows its memory for ever and writes on all of it.
(func $work (result i32)
  (loop $again
    (drop (memory.grow (i32.const 1)))
    (drop (memory.grow (i32.const 1000)))
    (memory.fill (i32.const 65536) (i32.const 1) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
    (br $again))
  (i32.const 0))
