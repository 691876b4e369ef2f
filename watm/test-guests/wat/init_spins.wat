;; Does not come out of its initialisation.
(func $init (result i32) (loop $again (br $again)) (i32.const 0))
