;; Is a dialer that dials an address of its own choice instead.
(data (i32.const 0) "tcp192.0.2.1:443")
(data (i32.const 32) "\00\00\00\00\03\00\00\00" "\03\00\00\00\0d\00\00\00")
(func $handshake (param $outer i32) (result i32)
  (call $water_dial (i32.const 32) (i32.const 1) (i32.const 40) (i32.const 1)))
