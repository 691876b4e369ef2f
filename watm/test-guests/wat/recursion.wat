;; Calls itself for ever, with something to come back for.
(func $deeper (param $depth i32) (result i32)
  (i32.add (i32.const 1) (call $deeper (i32.add (local.get $depth) (i32.const 1)))))
(func $work (result i32) (call $deeper (i32.const 0)))
