;; Takes randomness for ever, as much at a time as it can get.
(memory $memory (export "memory") 32)
(func $work (result i32)
  (loop $again (drop (call $random_get (i32.const 65536) (i32.const 1048576))) (br $again))
  (i32.const 0))
