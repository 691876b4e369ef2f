;; Has an element where its table has ended.
(table $table 1 funcref)
(elem (i32.const 1) $relay)
