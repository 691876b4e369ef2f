;; Calls a function of preview1 by a type that it does not have.
(import "wasi_snapshot_preview1" "fd_sync" (func $odd (param i64) (result i64)))
