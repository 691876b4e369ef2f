;; Writes to its control pipe, ends it, moves a file over it, closes it; then its two connections end well.
(func $work (result i32)
  (call $expect (i32.const 1) (call $write (global.get $control) (i32.const 0) (i32.const 4)) (i32.const -8))
  (call $expect (i32.const 2) (call $sock_shutdown (global.get $control) (i32.const 2)) (i32.const 57))
  (call $expect (i32.const 3) (call $fd_renumber (i32.const 0) (global.get $control)) (i32.const 0))
  (call $expect (i32.const 4) (call $read (global.get $control) (i32.const 0) (i32.const 4)) (i32.const 0))
  (call $expect (i32.const 5) (call $fd_close (global.get $control)) (i32.const 0))
  (i32.const 0))
