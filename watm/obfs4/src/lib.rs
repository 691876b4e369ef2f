//! obfs4 as a WebAssembly Transport Module, for both ends.
