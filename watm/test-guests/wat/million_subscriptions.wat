;; Asks for a million things at once, for 2^27 so that their bytes count round to nothing, for -1 and for none.
(func $handshake (param $outer i32) (result i32)
  (call $expect (i32.const 1) (call $poll (i32.const 1000000)) (i32.const 28))
  (call $expect (i32.const 2) (call $poll (i32.const 0x08000000)) (i32.const 28))
  (call $expect (i32.const 3) (call $poll (i32.const 0x80000000)) (i32.const 28))
  (call $expect (i32.const 4) (call $poll (i32.const -1)) (i32.const 28))
  (call $expect (i32.const 5) (call $poll (i32.const 0)) (i32.const 28))
  (local.get $outer))
