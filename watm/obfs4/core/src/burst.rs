//! The shape of what goes out: padding, cuts and delays.
