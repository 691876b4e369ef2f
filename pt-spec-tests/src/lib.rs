//! The conformance suite for pluggable-transport executables will live here; it knows nothing of the `ouzel` crate.
