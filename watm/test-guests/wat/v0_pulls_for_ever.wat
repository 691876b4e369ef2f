;; Of v0: asks for its configuration until it is refused, in its initialisation; and then for ever.
(module
  (import "env" "pull_config" (func $pull_config (result i32)))
  (memory (export "memory") 1)
  (global (export "_water_v0") i32 (i32.const 0))
  (func (export "_water_init") (result i32)
    (loop $again (br_if $again (i32.ge_s (call $pull_config) (i32.const 0))))
    (loop $again (br_if $again (i32.lt_s (call $pull_config) (i32.const 0))))
    (i32.const 0))
  (func (export "_water_dial") (param i32) (result i32) (i32.const -1))
  (func (export "_water_accept") (param i32) (result i32) (i32.const -1))
  (func (export "_water_cancel_with") (param i32) (result i32) (i32.const 0))
  (func (export "_water_worker") (result i32) (i32.const 0)))
