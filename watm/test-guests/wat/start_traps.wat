;; Traps in its start function.
(func $start (export "_start") unreachable)
