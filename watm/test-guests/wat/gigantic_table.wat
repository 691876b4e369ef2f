;; Wants a table of ten million elements.
(table $table 10000000 funcref)
