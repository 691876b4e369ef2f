//! The box of a frame.
