;; Throws.
(tag $oops (param i32))
(func $work (result i32) (throw $oops (i32.const 1)))
