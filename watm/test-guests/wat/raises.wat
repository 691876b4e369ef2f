;; Sends itself signals.
(func $handshake (param $outer i32) (result i32)
  (local $signal i32)
  (loop $next
    (call $expect (i32.const 1) (call $proc_raise (local.get $signal)) (i32.const 52))
    (br_if $next (i32.lt_u (local.tee $signal (i32.add (local.get $signal) (i32.const 1))) (i32.const 64))))
  (local.get $outer))
