//! Manual pages and completions, held to what the commands say of themselves.

use std::process::{Command, Stdio};

use crate::help;
use crate::shell::{pairstorm, scratch};

/// The long options in a help text, `--help` left out.
fn options(help: &str) -> Vec<&str> {
    let (_, options) = help.split_once("\nOptions:\n").unwrap_or_default();
    let mut found = Vec::new();
    for line in options.lines().map(str::trim_start) {
        let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
        if let Some(long) = line.strip_prefix("--") {
            found.push(long.split(|c: char| c != '-' && !c.is_alphanumeric()).next().unwrap_or_default());
        }
    }
    found.retain(|option| !["help", "version", ""].contains(option));
    found
}

#[test]
fn every_command_has_a_page_with_all_its_options() {
    let folder = scratch();
    let pages = folder.path().join("new/man1");
    let finished = pairstorm(folder.path(), &["man", "--out", "new/man1"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said);
    let commands = help::all();
    let mut held = 0;
    for (command, help) in &commands {
        let name = command.join("-");
        let page = std::fs::read_to_string(pages.join(format!("{name}.1")))
            .unwrap_or_else(|error| panic!("no page for {name}: {error}"));
        // The language of manual pages wants a backslash before each of these.
        let page = page.replace("\\-", "-");
        assert!(page.contains("\n.SH NAME\n") && page.contains(&name), "{name}:\n{page}");
        for option in options(help) {
            assert!(page.contains(&format!("--{option}")), "{name} does not name --{option}:\n{page}");
            held += 1;
        }
        if help.contains("\nExit codes:\n") {
            assert!(page.contains(".nf\n") && page.contains("Exit codes:\n"), "{name}:\n{page}");
        }
    }
    assert!(held > 50, "only {held} options were looked for");
    assert_eq!(std::fs::read_dir(pages).expect("pages").count(), commands.len(), "a page that nothing has");
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let folder = scratch();
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let finished = pairstorm(folder.path(), &["man", "--out", "file"]);
    assert_eq!(finished.code, Some(3), "{}", finished.said);
    assert!(finished.said.contains("written to file"), "{}", finished.said);
}

/// Bash itself is asked, as it asks when somebody presses the tabulator key.
#[test]
fn bash_completes_commands_and_options() {
    let folder = scratch();
    let finished = pairstorm(folder.path(), &["completions", "bash"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said);
    std::fs::write(folder.path().join("pairstorm.bash"), &finished.stdout).expect("a file");
    for (words, at, expected) in [
        (vec!["pairstorm", "ana"], 1, "analyze"),
        (vec!["pairstorm", "run", "--time-s"], 2, "--time-scale"),
        (vec!["pairstorm", "openclaw", "inst"], 2, "install"),
    ] {
        let last = words.last().copied().unwrap_or_default();
        let script = format!(
            "set -e; source pairstorm.bash; COMP_WORDS=({}); COMP_CWORD={at}; _pairstorm pairstorm '{last}' ''; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" ")
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &script])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), expected, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_shell_gets_a_script_that_knows_every_command() {
    let folder = scratch();
    let commands = help::below(&help::of(&[]));
    assert!(commands.len() >= 10, "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let finished = pairstorm(folder.path(), &["completions", shell]);
        assert_eq!(finished.code, Some(0), "{}", finished.said);
        for command in &commands {
            assert!(finished.stdout.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
    let finished = pairstorm(folder.path(), &["completions", "cmd.exe"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said);
    assert!(finished.said.contains("possible values"), "{}", finished.said);
}
