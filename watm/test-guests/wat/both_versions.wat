;; Says that it is of v0, and exports what v1 has.
(func $marker (export "_water_v0"))
