//! Elligator 2 for Curve25519.
