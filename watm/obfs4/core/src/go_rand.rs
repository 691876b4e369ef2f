//! The methods of Go's `math/rand` that the tables are made with.
