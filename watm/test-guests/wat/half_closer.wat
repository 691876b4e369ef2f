;; Ends both its connections at once and reads on until both have ended.
(func $drain (param $fd i32)
  (loop $more (br_if $more
    (i32.gt_s (call $read (local.get $fd) (i32.const 65536) (i32.const 65536)) (i32.const 0)))))
(func $work (result i32)
  (call $expect (i32.const 1) (call $sock_shutdown (global.get $inner) (i32.const 2)) (i32.const 0))
  (call $expect (i32.const 2) (call $sock_shutdown (global.get $outer) (i32.const 2)) (i32.const 0))
  (call $drain (global.get $inner))
  (call $drain (global.get $outer))
  (i32.const 0))
