;; Does not come out of its instantiation.
(start $for_ever)
(func $for_ever (loop $again (br $again)))
