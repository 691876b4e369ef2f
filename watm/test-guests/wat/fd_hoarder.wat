;; Opens its configuration for ever.
(func $handshake (param $outer i32) (result i32)
  (loop $again (drop (call $open_config)) (br $again))
  (local.get $outer))
