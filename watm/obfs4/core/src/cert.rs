//! The `cert=` of a bridge line.
