;; Traps in its initialisation.
(func $init (result i32) unreachable)
