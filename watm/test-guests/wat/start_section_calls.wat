;; Calls the host before the host has seen its exports: prints, waits a millisecond, and asks for sockets
;; that are not there yet.
(start $early)
(data (i32.const 0) "early\n")
(func $early
  (call $expect (i32.const 1) (call $write (i32.const 1) (i32.const 0) (i32.const 6)) (i32.const 6))
  (call $sleep (i64.const 1000000))
  (call $expect (i32.const 2) (call $water_accept) (i32.const -53))
  (call $expect (i32.const 3) (call $water_dial_fixed) (i32.const -43)))
