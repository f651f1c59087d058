//! Every block of commands in the pages, and every example of `--help`, is run, in a folder that looks like the checkout.
//!
//! What stands behind the fence of a block says what is to be done with it:
//!
//! | fence | means |
//! |---|---|
//! | `sh` | each line is run, one after the other, with those of the page's earlier blocks before it; it must end with exit code 0, or with the one that it says in a comment, `# exit code 1` |
//! | `sh no-run: REASON` | it cannot be run here; the test lists it |
//! | `text` | behind a block that is run: what its commands say, some lines of it, whatever the numbers; `text exact`: numbers, too |
//! | `toml file: NAME` | a file that the commands behind it are about |

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::help;
use crate::output;
use crate::page::{Block, Page, pages};
use crate::shell::Checkout;

/// What only somebody with more than a checkout can run; the rest of `--help` is run.
const NOT_RUN: [(&str, &str); 2] = [
    (
        "pairstorm run scenarios/smoke.toml",
        "2,000 clients, more than a busy machine carries; .ci/run does it",
    ),
    ("pairstorm probe ", "asks a gateway that is not there; cli/tests/e2e/probe.rs starts them"),
];

/// A block, and what is to be done with it.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Run { line: usize, commands: Vec<Command> },
    NotRun { line: usize, reason: String },
    Shown { line: usize, text: String, exact: bool },
    File { name: String, text: String },
}

/// A line that somebody types.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    text: String,
    code: i32,
}

impl Command {
    fn of(text: &str) -> Self {
        let said = text.rsplit_once("# exit code ").map(|(_, code)| code.trim());
        let code =
            said.map_or(0, |code| code.parse().unwrap_or_else(|_| panic!("`{text}`: which exit code?")));
        Self { text: text.to_owned(), code }
    }
}

/// The parts of a page; an error says what is wrong with a block.
fn parts(page: &Page) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for block in &page.blocks {
        let wrong = |what: &str| Err(format!("line {}: {what}", block.line));
        let info = block.info.as_deref().unwrap_or_default();
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        match (language, rest.split_once(": ").unwrap_or((rest, ""))) {
            ("sh", ("", "")) => parts.push(Part::Run { line: block.line, commands: commands(block) }),
            ("sh", ("no-run", reason)) if !reason.is_empty() => {
                parts.push(Part::NotRun { line: block.line, reason: reason.to_owned() });
            }
            ("sh" | "bash" | "shell" | "console", _) => return wrong("write ```sh, or ```sh no-run: REASON"),
            ("toml", ("file", name)) if !name.is_empty() => {
                parts.push(Part::File { name: name.to_owned(), text: block.code.clone() });
            }
            ("text", (how @ ("" | "exact"), "")) => {
                let exact = how == "exact";
                parts.push(Part::Shown { line: block.line, text: block.code.clone(), exact });
            }
            ("", _) if block.code.lines().any(is_typed) => {
                return wrong("a block of commands begins with ```sh, so that it is run");
            }
            _ => {}
        }
    }
    Ok(parts)
}

fn is_typed(line: &str) -> bool {
    ["pairstorm ", "cargo ", "$ pairstorm ", "$ cargo "].iter().any(|beginning| line.starts_with(beginning))
}

/// The lines of a block, joined where one goes on in the next.
fn commands(block: &Block) -> Vec<Command> {
    let joined = block.code.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Command::of).collect()
}

/// Runs the parts of one page; gives how many commands that were and what went otherwise than it says.
fn run(parts: &[Part]) -> (usize, Vec<String>) {
    let checkout = Checkout::new();
    let mut lines = Vec::new();
    for part in parts {
        match part {
            // Files first: no command of a page writes one that another block shows.
            Part::File { name, text } => checkout.write(name, text),
            Part::Run { commands, .. } => lines.extend(commands.iter().map(|command| command.text.clone())),
            _ => {}
        }
    }
    let mut ran = if lines.is_empty() { Vec::new() } else { checkout.type_in(&lines) }.into_iter();
    let mut faults = Vec::new();
    // Of the block before, if it was run.
    let mut said: Option<String> = None;
    for part in parts {
        match part {
            Part::Run { line, commands } => {
                let mut all = String::new();
                for command in commands {
                    let ran = ran.next().expect("each was typed");
                    if ran.code != command.code {
                        let (got, due, text) = (ran.code, command.code, &command.text);
                        let output = &ran.output;
                        faults.push(format!(
                            "line {line}: `{text}` ended with {got} instead of {due}\n{output}"
                        ));
                    }
                    all.push_str(&ran.output);
                }
                said = Some(all);
            }
            Part::NotRun { .. } => said = None,
            Part::Shown { line, text, exact } => {
                if let Some(said) = &said
                    && let Some(missing) = output::missing(text, said, *exact)
                {
                    faults.push(format!("line {line}: the commands did not say `{missing}`, but\n{said}"));
                }
            }
            Part::File { .. } => {}
        }
    }
    (lines.len(), faults)
}

/// A test's own list, past the capture of what passing tests print: who reads the log of a run sees what was not run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Pages at a time: they wait more than they work.
const WORKERS: usize = 3;

#[test]
fn commands_of_the_pages_run() {
    let mut faults = Vec::new();
    let mut not_run = Vec::new();
    let mut to_run = Vec::new();
    for path in pages() {
        let name = path.display().to_string();
        match parts(&Page::read(&path)) {
            Ok(parts) => {
                for part in &parts {
                    if let Part::NotRun { line, reason } = part {
                        not_run.push(format!("  {name}:{line}: {reason}"));
                    }
                }
                to_run.push((name, parts));
            }
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((name, parts)) = to_run.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((name, run(parts)));
        }
        done
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        // All of them begin before the first is waited for.
        let workers = [(); WORKERS].map(|()| scope.spawn(worker));
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect()
    });
    let count: usize = done.iter().map(|(_, (commands, _))| commands).sum();
    for (name, (_, wrong)) in done {
        faults.extend(wrong.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    say(&format!(
        "{count} commands of pages were run, {} blocks not:\n{}",
        not_run.len(),
        not_run.join("\n")
    ));
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(count >= 15, "only {count} commands were found");
}

#[test]
fn examples_of_help_run() {
    let mut faults = Vec::new();
    let mut not_run = Vec::new();
    let mut count = 0;
    for (command, help) in help::all() {
        let mut commands = Vec::new();
        for example in help::examples(&help) {
            match NOT_RUN.iter().find(|(beginning, _)| example.starts_with(beginning)) {
                Some((_, reason)) => not_run.push(format!("  {example}: {reason}")),
                None => commands.push(Command::of(&example)),
            }
        }
        let (commands, wrong) = run(&[Part::Run { line: 0, commands }]);
        count += commands;
        faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", command.join(" "))));
    }
    say(&format!("{count} examples of --help were run, {} not:\n{}", not_run.len(), not_run.join("\n")));
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(count >= 3, "only {count} examples were found");
}

#[test]
fn a_page_that_says_something_else_is_noticed() {
    let page = |text: &str| run(&parts(&Page::of(text)).expect("well-formed"));
    let good = "```toml file: x.toml\nname = \"x\"\n```\n```sh\ngrep name \\\n  x.toml\nfalse # exit code 1\n```\n\
                ```text exact\nname = \"x\"\n```\n```sh no-run: no reason\nfalse\n```\n```text\nanything\n```\n";
    assert_eq!(page(good), (2, Vec::new()));
    for (from, to, expected) in [
        ("# exit code 1", "", "`false` ended with 1 instead of 0"),
        ("# exit code 1", "# exit code 2", "ended with 1 instead of 2"),
        ("exact\nname = \"x\"", "exact\nname = \"y\"", "the commands did not say `name = \"y\"`"),
        ("sh no-run: no reason", "sh", "`false` ended with 1 instead of 0"),
        ("x.toml\nname", "y.toml\nname", "ended with 2 instead of 0"),
    ] {
        assert!(good.contains(from));
        let (_, faults) = page(&good.replacen(from, to, 1));
        assert!(faults.first().is_some_and(|fault| fault.contains(expected)), "{to}: {faults:#?}");
    }
}

#[test]
fn a_block_that_nobody_would_run_is_noticed() {
    for text in
        ["```\npairstorm run x\n```\n", "    cargo test\n", "```sh no-run:\nx\n```\n", "```bash\nx\n```\n"]
    {
        assert!(parts(&Page::of(text)).is_err(), "{text}");
    }
    assert_eq!(parts(&Page::of("    PASS\n")), Ok(Vec::new()));
}
