;; Closes everything that it has, twice, once its worker runs; and leaves.
(func $work (result i32)
  (local $fd i32)
  (loop $next
    (drop (call $fd_close (local.get $fd)))
    (call $expect (i32.const 1) (call $fd_close (local.get $fd)) (i32.const 8))
    (br_if $next (i32.lt_u (local.tee $fd (i32.add (local.get $fd) (i32.const 1))) (i32.const 6))))
  (i32.const 0))
