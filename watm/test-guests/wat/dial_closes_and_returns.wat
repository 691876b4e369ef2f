;; Closes its connections in the handshake and returns one of them.
(func $handshake (param $outer i32) (result i32)
  (call $expect (i32.const 1) (call $fd_close (global.get $inner)) (i32.const 0))
  (call $expect (i32.const 2) (call $fd_close (local.get $outer)) (i32.const 0))
  (local.get $outer))
