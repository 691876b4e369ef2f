//! The suite's own tests, with the built program: executables that misbehave in every way known to us, and the command
//! line with its exit codes and reports.
//!
//! Whatever a subject does, a run ends, every case has a verdict, and no process and no file is left.

#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "subjects are written into folders that vanish with the test"
)]

mod bad_subjects;
mod command_line;
mod stand;
mod tables;
