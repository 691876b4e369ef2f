;; Writes to every number that an fd could have and to those that none has, but for its two connections.
(func $handshake (param $outer i32) (result i32)
  (local $fd i32)
  (local.set $fd (i32.const -2))
  (loop $next
    (if (i32.and (i32.ne (local.get $fd) (global.get $inner)) (i32.ne (local.get $fd) (local.get $outer))) (then
      (drop (call $write (local.get $fd) (i32.const 0) (i32.const 65536)))
      (drop (call $sock_shutdown (local.get $fd) (i32.const 2)))
      (drop (call $fd_fdstat_set_flags (local.get $fd) (i32.const -1)))))
    (br_if $next (i32.lt_s (local.tee $fd (i32.add (local.get $fd) (i32.const 1))) (i32.const 2000))))
  (local.get $outer))
