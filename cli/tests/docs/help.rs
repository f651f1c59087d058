//! What `--help` says, of every command.

use crate::page::root;
use crate::shell::{pairstorm, scratch};

/// The help of a command, its name as the words behind `pairstorm`.
pub(crate) fn of(command: &[&str]) -> String {
    let folder = scratch();
    let finished = pairstorm(folder.path(), &[command, &["--help"]].concat());
    assert_eq!(finished.code, Some(0), "{command:?}: {}", finished.said);
    finished.stdout
}

/// The commands that a help text names, `help` itself left out.
pub(crate) fn below(help: &str) -> Vec<String> {
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let listed = commands.lines().take_while(|line| !line.is_empty());
    // A description that goes on in the next line is indented further.
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// Every command, from `pairstorm` on, and what its help says.
pub(crate) fn all() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![vec!["pairstorm".to_owned()]];
    while let Some(command) = waiting.pop() {
        let words: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
        let help = of(&words);
        for name in below(&help) {
            waiting.push([command.as_slice(), &[name]].concat());
        }
        found.push((command, help));
    }
    found.sort();
    found
}

/// The commands that a help text gives as examples, without what is said behind them.
pub(crate) fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.starts_with("pairstorm ")).map(without_remark).collect()
}

/// Behind an example stands, three spaces apart, what it is for; an exit code other than 0 among it becomes a comment.
fn without_remark(line: &str) -> String {
    let Some((command, remark)) = line.split_once("   ") else { return line.to_owned() };
    match remark.rsplit_once("exit code ") {
        Some((_, code)) => format!("{command} # exit code {code}"),
        None => command.to_owned(),
    }
}

#[test]
fn the_readme_lists_every_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a page");
    let rows: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `pairstorm "))
        .filter_map(|line| line.split(" | ").next())
        .collect();
    let mut once = rows.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), rows.len(), "a row stands there twice: {rows:#?}");
    let text = format!("`pairstorm {}", rows.join("\n`pairstorm "));
    let named = text.split("`pairstorm ").filter_map(|rest| rest.split([' ', '`']).next());
    let mut named: Vec<&str> = named.filter(|name| !name.is_empty()).collect();
    named.sort_unstable();
    named.dedup();
    let mut commands = below(&of(&[]));
    commands.sort_unstable();
    assert_eq!(named, commands);
}

#[test]
fn examples_are_found() {
    let help = "Usage: pairstorm x\n\nExamples:\n  pairstorm x a --b 'c  d'\n  pairstorm x e     what for\n  \
                pairstorm x f   what for: exit code 1\n\nExit codes:\n  0  pairstorm is happy\n";
    assert_eq!(examples(help), ["pairstorm x a --b 'c  d'", "pairstorm x e", "pairstorm x f # exit code 1"]);
}
