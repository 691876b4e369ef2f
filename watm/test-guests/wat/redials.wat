;; Dials again and again, whatever the answer, for as long as it is refused.
(func $exported_dial (export "watm_dial_v1") (param $inner i32) (result i32)
  (local $outer i32)
  (loop $again
    (local.set $outer (call $water_dial_fixed))
    (br_if $again (i32.lt_s (local.get $outer) (i32.const 0))))
  (local.get $outer))
