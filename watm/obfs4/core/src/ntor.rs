//! The key agreement.
