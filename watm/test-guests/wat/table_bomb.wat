;; Grows its tables for ever.
(table $one 1 funcref)
(table $two 1 funcref)
(func $work (result i32)
  (loop $again
    (drop (table.grow $one (ref.null func) (i32.const 1)))
    (drop (table.grow $one (ref.null func) (i32.const 1000000)))
    (drop (table.grow $two (ref.null func) (i32.const 100)))
    (table.fill $one (i32.const 0) (ref.null func) (table.size $one))
    (br $again))
  (i32.const 0))
