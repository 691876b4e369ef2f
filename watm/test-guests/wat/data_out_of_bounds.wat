;; Has data where its memory has ended.
(data (i32.const 262140) "beyond the end")
