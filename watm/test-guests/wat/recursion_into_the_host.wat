;; Calls itself for ever, and the host from every depth, so that a host call meets the least stack there is.
(func $deeper (param $depth i32) (result i32)
  (drop (call $write (i32.const 1) (i32.const 0) (i32.const 64)))
  (drop (call $random_get (i32.const 0) (i32.const 64)))
  (call $subscribe (i32.const 0) (i32.const 1) (i64.const 99))
  (drop (call $poll (i32.const 1)))
  (i32.add (i32.const 1) (call $deeper (i32.add (local.get $depth) (i32.const 1)))))
(func $work (result i32) (call $deeper (i32.const 0)))
