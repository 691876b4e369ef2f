//! obfs4 beside its incumbent: whatever is true between two of Debian's obfs4proxy is held to be true with ouzel at
//! either end and at both. Where the two differ, on purpose, the test says so.
//!
//! The far ends know the protocol's outer shape (marks, MACs, the hour) and nothing of its cryptography; of what is
//! inside, obfs4proxy is the judge.

mod arguments;
mod carrying;
mod clocks;
pub(crate) mod ends;
mod frames;
mod impostors;
mod keeping;
mod matrix;
mod prober;
mod replaying;
mod shape;
mod silence;
mod tap;
