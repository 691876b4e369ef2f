;; Reads records of 2 + 1000 bytes as a codec does: it keeps what it has, and reads until there is nothing more before it
;; waits. What the application sends goes on in between.
(global $need (mut i32) (i32.const 2))
(global $have (mut i32) (i32.const 0))
(global $body (mut i32) (i32.const 0))
(func $drain_outer
  (local $n i32)
  (loop $more
    (local.set $n (call $read (global.get $outer)
      (i32.add (i32.add (i32.const 65536) (i32.mul (global.get $body) (i32.const 64))) (global.get $have))
      (i32.sub (global.get $need) (global.get $have))))
    (if (i32.le_s (local.get $n) (i32.const 0)) (then (return)))
    (global.set $have (i32.add (global.get $have) (local.get $n)))
    (if (i32.eq (global.get $have) (global.get $need)) (then
      (global.set $have (i32.const 0))
      (global.set $body (i32.eqz (global.get $body)))
      (global.set $need (select (i32.const 1000) (i32.const 2) (global.get $body)))))
    (br $more)))
(func $work (result i32)
  (drop (call $fd_fdstat_set_flags (global.get $inner) (i32.const 4)))
  (drop (call $fd_fdstat_set_flags (global.get $outer) (i32.const 4)))
  (loop $next
    (call $subscribe (i32.const 0) (i32.const 1) (i64.extend_i32_s (global.get $inner)))
    (call $subscribe (i32.const 1) (i32.const 1) (i64.extend_i32_s (global.get $outer)))
    (drop (call $poll (i32.const 2)))
    (drop (call $pass (global.get $inner) (global.get $outer)))
    (call $drain_outer)
    (br $next))
  (i32.const 0))
