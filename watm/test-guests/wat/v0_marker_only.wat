;; Says that it is of v0, and has nothing of it.
(module
  (memory (export "memory") 1)
  (func (export "_water_v0")))
