//! Where an application's bytes enter on a client.
//!
//! In: a connection from tor. Out: which bridge it wants, with which arguments, and the answer to it.
//! What can go wrong is a peer that does not speak the protocol; it is refused by the protocol's words.

pub mod socks5;
