;; Has a second memory, that no host call would look into.
(memory $second (export "second") 1)
