;; Has a number where its worker should be.
(global $exported_start (export "watm_start_v1") i32 (i32.const 0))
