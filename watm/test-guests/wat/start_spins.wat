;; Does not come out of its start function.
(func $start (export "_start") (loop $again (br $again)))
