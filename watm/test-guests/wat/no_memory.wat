;; Keeps its memory to itself.
(memory $memory 4)
