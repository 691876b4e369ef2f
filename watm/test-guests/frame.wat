;; What a guest under wat/ is made of, wherever it does not say otherwise: a well-behaved module that
;; passes bytes as they are, as a dialer and as a listener. A definition is left out when the guest has
;; one of the same $name, so that a guest's file holds what is odd about it and nothing else.
;;
;; In: the host's calls, in the order init, one role, control pipe, start. The hooks are $init, $handshake,
;; $pipe and $work. $expect ends the guest by proc_exit with 1000 times the number of what was wrong, plus
;; what came instead, which the host's failure then shows.
;;
;; Memory: up to 1024 the guest's own; then this file's vectors and subscriptions; from 65536 a buffer.

(import "env" "water_dial" (func $water_dial (param i32 i32 i32 i32) (result i32)))
(import "env" "water_dial_fixed" (func $water_dial_fixed (result i32)))
(import "env" "water_accept" (func $water_accept (result i32)))
(import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
(import "wasi_snapshot_preview1" "proc_raise" (func $proc_raise (param i32) (result i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
(import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "sock_shutdown" (func $sock_shutdown (param i32 i32) (result i32)))

(memory $memory (export "memory") 4)
(data $config_name (i32.const 1024) "watm.cfg")

(global $inner (mut i32) (i32.const -1))
(global $outer (mut i32) (i32.const -1))
(global $control (mut i32) (i32.const -1))
(global $broken (mut i32) (i32.const 0))

(func $exported_init (export "watm_init_v1") (result i32) (call $init))

(func $exported_dial (export "watm_dial_v1") (param $inner i32) (result i32)
  (call $begin (local.get $inner) (call $water_dial_fixed)))

(func $exported_accept (export "watm_accept_v1") (param $inner i32) (result i32)
  (call $begin (local.get $inner) (call $water_accept)))

(func $exported_pipe (export "watm_ctrlpipe_v1") (param $control i32) (result i32)
  (global.set $control (local.get $control))
  (call $pipe))

(func $exported_start (export "watm_start_v1") (result i32) (call $work))

;; The hooks. The handshake's answer is the role's.
(func $init (result i32) (i32.const 0))
(func $handshake (param $outer i32) (result i32) (local.get $outer))
(func $pipe (result i32) (i32.const 0))
(func $work (result i32) (call $relay))

(func $begin (param $inner i32) (param $outer i32) (result i32)
  (if (i32.lt_s (local.get $outer) (i32.const 0)) (then (return (local.get $outer))))
  (global.set $inner (local.get $inner))
  (global.set $outer (local.get $outer))
  (call $handshake (local.get $outer)))

(func $expect (param $number i32) (param $got i32) (param $wanted i32)
  (if (i32.ne (local.get $got) (local.get $wanted))
    (then (call $proc_exit
      (i32.add (i32.mul (local.get $number) (i32.const 1000)) (local.get $got))))))

;; The count, or the errno negated.
(func $read (param $fd i32) (param $to i32) (param $len i32) (result i32)
  (local $errno i32)
  (i32.store (i32.const 1040) (local.get $to))
  (i32.store (i32.const 1044) (local.get $len))
  (local.set $errno (call $fd_read (local.get $fd) (i32.const 1040) (i32.const 1) (i32.const 1048)))
  (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
  (i32.load (i32.const 1048)))

(func $write (param $fd i32) (param $from i32) (param $len i32) (result i32)
  (local $errno i32)
  (i32.store (i32.const 1040) (local.get $from))
  (i32.store (i32.const 1044) (local.get $len))
  (local.set $errno (call $fd_write (local.get $fd) (i32.const 1040) (i32.const 1) (i32.const 1048)))
  (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
  (i32.load (i32.const 1048)))

;; The configuration's fd, or the errno negated.
(func $open_config (result i32)
  (local $errno i32)
  (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 8)
    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1048)))
  (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
  (i32.load (i32.const 1048)))

;; The number in the first four bytes of the configuration.
(func $configured (result i32)
  (drop (call $read (call $open_config) (i32.const 1056) (i32.const 4)))
  (i32.load (i32.const 1056)))

;; The subscription in place $at: kind 0 is a time-out of $of nanoseconds, 1 reading and 2 writing of fd $of.
(func $subscribe (param $at i32) (param $kind i32) (param $of i64)
  (local $place i32)
  (local.set $place (i32.add (i32.const 2048) (i32.mul (local.get $at) (i32.const 48))))
  (memory.fill (local.get $place) (i32.const 0) (i32.const 48))
  (i32.store8 offset=8 (local.get $place) (local.get $kind))
  (if (local.get $kind)
    (then (i32.store offset=16 (local.get $place) (i32.wrap_i64 (local.get $of))))
    (else
      (i32.store offset=16 (local.get $place) (i32.const 1))
      (i64.store offset=24 (local.get $place) (local.get $of)))))

(func $poll (param $count i32) (result i32)
  (call $poll_oneoff (i32.const 2048) (i32.const 4096) (local.get $count) (i32.const 1048)))

(func $sleep (param $nanoseconds i64)
  (call $subscribe (i32.const 0) (i32.const 0) (local.get $nanoseconds))
  (drop (call $poll (i32.const 1))))

;; Passes bytes both ways until both directions have ended, each end on to the other side.
(func $relay (result i32)
  (local $inner_open i32) (local $outer_open i32) (local $count i32)
  (drop (call $fd_fdstat_set_flags (global.get $inner) (i32.const 4)))
  (drop (call $fd_fdstat_set_flags (global.get $outer) (i32.const 4)))
  (drop (call $fd_fdstat_set_flags (global.get $control) (i32.const 4)))
  (local.set $inner_open (i32.const 1))
  (local.set $outer_open (i32.const 1))
  (loop $next
    (call $subscribe (i32.const 0) (i32.const 1) (i64.extend_i32_s (global.get $control)))
    (local.set $count (i32.const 1))
    (if (local.get $inner_open) (then
      (call $subscribe (local.get $count) (i32.const 1) (i64.extend_i32_s (global.get $inner)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))))
    (if (local.get $outer_open) (then
      (call $subscribe (local.get $count) (i32.const 1) (i64.extend_i32_s (global.get $outer)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))))
    (drop (call $poll (local.get $count)))
    (if (i32.ne (call $read (global.get $control) (i32.const 1064) (i32.const 1)) (i32.const -6))
      (then (return (i32.const -11))))
    (if (local.get $inner_open) (then
      (local.set $inner_open (call $pass (global.get $inner) (global.get $outer)))))
    (if (local.get $outer_open) (then
      (local.set $outer_open (call $pass (global.get $outer) (global.get $inner)))))
    (if (global.get $broken) (then (return (global.get $broken))))
    (br_if $next (i32.or (local.get $inner_open) (local.get $outer_open))))
  (i32.const 0))

;; Whether there may be more.
(func $pass (param $from i32) (param $to i32) (result i32)
  (local $count i32)
  (local.set $count (call $read (local.get $from) (i32.const 65536) (i32.const 65536)))
  (if (i32.eq (local.get $count) (i32.const -6)) (then (return (i32.const 1))))
  (if (i32.lt_s (local.get $count) (i32.const 0)) (then
    (global.set $broken (local.get $count))
    (return (i32.const 0))))
  (if (i32.eqz (local.get $count)) (then
    (drop (call $sock_shutdown (local.get $to) (i32.const 2)))
    (return (i32.const 0))))
  (if (i32.ne (call $write (local.get $to) (i32.const 65536) (local.get $count)) (local.get $count))
    (then (global.set $broken (i32.const -29))))
  (i32.const 1))
