//! The conformance suite as a program; everything is in the library, so that tests can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    pt_spec_tests::cli::main(std::env::args_os())
}
