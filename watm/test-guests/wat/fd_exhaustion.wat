;; Opens its configuration until there is no fd left, closes some of them, opens them again, and goes on.
(func $handshake (param $outer i32) (result i32)
  (local $fd i32) (local $opened i32)
  (loop $again
    (local.set $fd (call $open_config))
    (if (i32.ge_s (local.get $fd) (i32.const 0)) (then
      (local.set $opened (i32.add (local.get $opened) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $opened) (i32.const 100000))))))
  ;; EMFILE, and before an absurd number was open.
  (call $expect (i32.const 1) (local.get $fd) (i32.const -33))
  (call $expect (i32.const 2) (i32.lt_u (local.get $opened) (i32.const 1000)) (i32.const 1))
  (call $expect (i32.const 3) (call $fd_close (i32.const 20)) (i32.const 0))
  (call $expect (i32.const 4) (call $open_config) (i32.const 20))
  ;; The control pipe needs one.
  (call $expect (i32.const 5) (call $fd_close (i32.const 30)) (i32.const 0))
  (local.get $outer))
