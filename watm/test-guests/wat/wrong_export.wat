;; Has a worker of another type than WATM says.
(func $exported_start (export "watm_start_v1") (param i64) (result i64) (local.get 0))
