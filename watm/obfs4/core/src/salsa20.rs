//! Salsa20, several blocks at a time.
