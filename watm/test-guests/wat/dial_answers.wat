;; Answers its handshake with the number that is configured: an fd that it was not given, or an errno.
(func $handshake (param $outer i32) (result i32) (call $configured))
