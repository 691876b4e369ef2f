;; As a fixed dialer, names networks and addresses that are none: other networks, nothing, bytes that are
;; no text, a NUL, too long by one, in pieces, through pointers to nowhere, by absurd counts. Then it dials
;; the address that is configured.
(data (i32.const 0) "tcp" "udp" "unix" "\ff\fe" "192.0.2.1:80\00.example:80" "/run/socket")
(func $vec (param $at i32) (param $ptr i32) (param $len i32) (result i32)
  (i32.store (local.get $at) (local.get $ptr))
  (i32.store offset=4 (local.get $at) (local.get $len))
  (local.get $at))
(func $try (param $number i32) (param $network i32) (param $len i32) (param $address i32) (param $size i32) (param $wanted i32)
  (call $expect (local.get $number)
    (call $water_dial
      (call $vec (i32.const 512) (local.get $network) (local.get $len)) (i32.const 1)
      (call $vec (i32.const 520) (local.get $address) (local.get $size)) (i32.const 1))
    (local.get $wanted)))
(func $dial_fixed (export "watm_dial_fixed_v1") (param $inner i32) (result i32)
  ;; udp, unix, nothing, no text.
  (call $try (i32.const 1) (i32.const 3) (i32.const 3) (i32.const 12) (i32.const 12) (i32.const -53))
  (call $try (i32.const 2) (i32.const 6) (i32.const 4) (i32.const 36) (i32.const 11) (i32.const -53))
  (call $try (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 12) (i32.const 12) (i32.const -53))
  (call $try (i32.const 4) (i32.const 10) (i32.const 2) (i32.const 12) (i32.const 12) (i32.const -28))
  (call $try (i32.const 5) (i32.const 0) (i32.const 3) (i32.const 10) (i32.const 2) (i32.const -28))
  ;; Nothing, and a name with a NUL in it.
  (call $try (i32.const 6) (i32.const 0) (i32.const 3) (i32.const 12) (i32.const 0) (i32.const -53))
  (call $try (i32.const 7) (i32.const 0) (i32.const 3) (i32.const 12) (i32.const 24) (i32.const -53))
  ;; 257 bytes, 2^32-1 bytes, and bytes behind the end of memory.
  (call $try (i32.const 8) (i32.const 0) (i32.const 3) (i32.const 5000) (i32.const 257) (i32.const -28))
  (call $try (i32.const 9) (i32.const 5000) (i32.const 257) (i32.const 12) (i32.const 12) (i32.const -28))
  (call $try (i32.const 10) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const -1) (i32.const -28))
  (call $try (i32.const 11) (i32.const -1) (i32.const 3) (i32.const 12) (i32.const 12) (i32.const -28))
  (call $try (i32.const 12) (i32.const 0) (i32.const 3) (i32.const 262140) (i32.const 12) (i32.const -28))
  ;; Vectors that are nowhere, and 2^31 or 2^32-1 of them.
  (call $expect (i32.const 13)
    (call $water_dial (i32.const -8) (i32.const 1) (i32.const 520) (i32.const 1)) (i32.const -28))
  (call $expect (i32.const 14)
    (call $water_dial (i32.const 512) (i32.const 0x80000000) (i32.const 520) (i32.const 1)) (i32.const -28))
  (call $expect (i32.const 15)
    (call $water_dial (i32.const 512) (i32.const 1) (i32.const 520) (i32.const -1)) (i32.const -28))
  ;; The real one.
  (global.set $inner (local.get $inner))
  (global.set $outer (call $water_dial
    (call $vec (i32.const 512) (i32.const 0) (i32.const 3)) (i32.const 1)
    (call $vec (i32.const 520) (i32.const 4000)
      (call $read (call $open_config) (i32.const 4000) (i32.const 64))) (i32.const 1)))
  (global.get $outer))
