;; Its worker answers with the number that is configured.
(func $work (result i32) (call $configured))
