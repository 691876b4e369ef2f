;; Exits in its worker, having said something first.
(data (i32.const 0) "farewell")
(func $work (result i32)
  (drop (call $write (global.get $inner) (i32.const 0) (i32.const 8)))
  (call $proc_exit (i32.const 0))
  unreachable)
