;; Wants a second far end, dialled and accepted; one connection has one.
(func $handshake (param $outer i32) (result i32)
  (if (i32.ge_s (call $water_dial_fixed) (i32.const 0)) (then unreachable))
  (call $expect (i32.const 1) (call $water_accept) (i32.const -53))
  (call $expect (i32.const 2) (call $water_accept) (i32.const -53))
  (local.get $outer))
