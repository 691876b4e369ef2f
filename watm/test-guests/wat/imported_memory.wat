;; Wants the host's memory for its own.
(import "env" "memory" (memory $memory 4))
(export "memory" (memory $memory))
