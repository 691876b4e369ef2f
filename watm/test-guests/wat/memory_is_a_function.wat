;; Exports a function where its memory should be.
(memory $memory 4)
(func $odd (export "memory"))
