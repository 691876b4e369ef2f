;; Traps while it is instantiated.
(start $boom)
(func $boom unreachable)
