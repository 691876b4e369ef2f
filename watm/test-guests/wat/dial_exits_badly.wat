;; Exits in its handshake.
(func $handshake (param $outer i32) (result i32) (call $proc_exit (i32.const 7)) (local.get $outer))
