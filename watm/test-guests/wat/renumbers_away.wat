;; Moves the network's socket over the application's, which is gone by that, and returns it.
(func $handshake (param $outer i32) (result i32)
  (call $expect (i32.const 1) (call $fd_renumber (local.get $outer) (global.get $inner)) (i32.const 0))
  (global.get $inner))
(func $work (result i32) (i32.const 0))
