//! The `pairstorm` command.
fn main() {}
