;; Moves its sockets over each other and back: the outer one to the place of a file and to the inner one's
;; numbers, until each has the other's. Nothing may be lost by it.
(func $handshake (param $outer i32) (result i32)
  (local $spare i32)
  (local.set $spare (call $open_config))
  ;; spare <- inner, inner <- outer; then the numbers that are free again, which the next files take.
  (call $expect (i32.const 1) (call $fd_renumber (global.get $inner) (local.get $spare)) (i32.const 0))
  (call $expect (i32.const 2) (call $fd_renumber (local.get $outer) (global.get $inner)) (i32.const 8))
  (call $expect (i32.const 3) (call $open_config) (global.get $inner))
  (call $expect (i32.const 4) (call $fd_renumber (local.get $outer) (global.get $inner)) (i32.const 0))
  (call $expect (i32.const 5) (call $open_config) (local.get $outer))
  (call $expect (i32.const 6) (call $fd_renumber (local.get $spare) (local.get $outer)) (i32.const 0))
  (call $expect (i32.const 7) (call $fd_renumber (local.get $outer) (local.get $outer)) (i32.const 0))
  (call $expect (i32.const 8) (call $fd_renumber (local.get $outer) (i32.const -1)) (i32.const 8))
  (call $expect (i32.const 9) (call $fd_renumber (local.get $outer) (i32.const 0x7fffffff)) (i32.const 8))
  (local.set $spare (global.get $inner))
  (global.set $inner (local.get $outer))
  (global.set $outer (local.get $spare))
  (global.get $outer))
