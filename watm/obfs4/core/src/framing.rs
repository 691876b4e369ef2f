//! Frames and packets.
