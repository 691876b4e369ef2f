;; Wants memory that threads share.
(memory $memory (export "memory") 4 8 shared)
