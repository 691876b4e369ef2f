//! Curve25519 keys.
