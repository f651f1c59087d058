//! Stories that nobody thought of, told to a real OpenClaw, to the in-repo gateway and to the oracle: all three agree.

use std::process::Command;

use crate::runs::alone;

/// One book with one restart. Nothing is cut down, so that a release is started once whatever is found.
fn agree(version: &str) {
    let _alone = alone();
    assert!(std::env::var_os("PAIRSTORM_CACHE").is_some(), "PAIRSTORM_CACHE names no cache");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pairstorm"))
        .args(["differential", "--profile", version, "--real", "openclaw", "--seed", "1"])
        .args(["--steps", "150", "--cut-down", "0", "--out", "out"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    assert!(said.contains("told to the in-repo gateway and a real one"), "{said}");
    assert!(said.contains("; 0 could not be judged; 0 differences"), "{said}");
    let connects: usize = said.lines().nth(1).and_then(|line| line.split(' ').next()?.parse().ok()).unwrap();
    assert!(connects > 60, "a story of 150 steps has more connects: {said}");
    let book = std::fs::read_to_string(folder.path().join("out/book-1.toml")).unwrap();
    assert_eq!(book.matches("\nrestart = ").count(), 1, "{book}");
    assert!(!folder.path().join("out/book-2.toml").exists(), "one book is one start");
}

#[test]
fn all_agree_with_2026_9_6() {
    agree("2026.9.6");
}

#[test]
fn all_agree_with_2026_2_19() {
    agree("2026.2.19");
}
