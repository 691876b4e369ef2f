//! The two messages of the handshake.
