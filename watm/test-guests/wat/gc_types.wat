;; Has objects for a collector that this host does not have.
(type $pair (struct (field i32) (field i32)))
(func $pair_up (result (ref $pair)) (struct.new $pair (i32.const 1) (i32.const 2)))
