//! What people run by hand: programs beside the transport itself.

pub mod compile;
pub mod demo;
pub mod inspect;
pub mod parent;
mod shown;
pub mod validate;
mod verdict;
