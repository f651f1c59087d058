//! The gateway as a program of its own; `pairstorm gateway` starts the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway_under_test::cli::main_from(std::env::args_os())
}
