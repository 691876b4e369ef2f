;; Has a start function that nobody can call.
(func $start (export "_start") (param i32))
