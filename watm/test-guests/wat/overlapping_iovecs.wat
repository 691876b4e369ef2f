;; Reads its configuration into vectors that lie upon each other and upon the array of vectors itself, whose
;; later entries are what was just read; then writes the same bytes many times over from vectors that overlap.
(func $init (result i32)
  (local $fd i32) (local $at i32)
  (local.set $fd (call $open_config))
  ;; Three vectors at 0: the first lies upon the third, the second upon itself and the first.
  (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 8))
  (i32.store (i32.const 8) (i32.const 4)) (i32.store (i32.const 12) (i32.const 16))
  (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 24))
  (drop (call $fd_read (local.get $fd) (i32.const 0) (i32.const 3) (i32.const 1048)))
  ;; A read whose count overwrites what it read.
  (i32.store (i32.const 512) (i32.const 520)) (i32.store (i32.const 516) (i32.const 64))
  (drop (call $fd_read (local.get $fd) (i32.const 512) (i32.const 1) (i32.const 520)))
  ;; A read of the array into the array.
  (i32.store (i32.const 512) (i32.const 512)) (i32.store (i32.const 516) (i32.const 64))
  (drop (call $fd_read (local.get $fd) (i32.const 512) (i32.const 8) (i32.const 512)))
  ;; A thousand times the same 256 KiB.
  (loop $fill
    (i32.store (i32.add (i32.const 8192) (local.get $at)) (i32.const 0))
    (i32.store (i32.add (i32.const 8196) (local.get $at)) (i32.const 262144))
    (br_if $fill (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 8000))))
  (call $expect (i32.const 1)
    (call $fd_write (i32.const 1) (i32.const 8192) (i32.const 1000) (i32.const 1048)) (i32.const 0))
  (call $expect (i32.const 2) (i32.load (i32.const 1048)) (i32.const 262144000))
  (i32.const 0))
