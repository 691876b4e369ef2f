;; Its initialisation answers with the number that is configured.
(func $init (result i32) (call $configured))
