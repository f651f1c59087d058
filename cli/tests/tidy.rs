//! Rules about the source tree that no compiler checks (CONTRIBUTING.md, "House rules").

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that take time, randomness and bytes as arguments (ARCHITECTURE.md, "Pure and IO").
const PURE: [&str; 48] = [
    "protocol/src",
    "gateway-under-test/src/policy",
    "harness/src/client",
    "harness/src/conform/compare.rs",
    "harness/src/conform/format.rs",
    "harness/src/conform/identity.rs",
    "harness/src/conform/reconstruct",
    "harness/src/conform/recorder.rs",
    "harness/src/conform/redaction.rs",
    "harness/src/conform/session.rs",
    "harness/src/conform/signing.rs",
    "harness/src/conform/tally.rs",
    "harness/src/conform/words.rs",
    "harness/src/diagnosis",
    "harness/src/differential",
    "harness/src/history/borrowed.rs",
    "harness/src/history/format.rs",
    "harness/src/history/mod.rs",
    "harness/src/history/secret.rs",
    "harness/src/history/stamps.rs",
    "harness/src/import",
    "harness/src/observation.rs",
    "harness/src/oracle",
    "harness/src/plan",
    "harness/src/probe/address.rs",
    "harness/src/probe/budget.rs",
    "harness/src/probe/conclusion.rs",
    "harness/src/probe/configuration.rs",
    "harness/src/probe/course.rs",
    "harness/src/probe/cures.rs",
    "harness/src/probe/exit_code.rs",
    "harness/src/probe/holdings.rs",
    "harness/src/probe/http.rs",
    "harness/src/probe/identity.rs",
    "harness/src/probe/pointed.rs",
    "harness/src/probe/release.rs",
    "harness/src/probe/report.rs",
    "harness/src/probe/request.rs",
    "harness/src/probe/secret.rs",
    "harness/src/probe/seen.rs",
    "harness/src/probe/store.rs",
    "harness/src/record",
    "harness/src/scenario",
    "harness/src/shrink",
    "harness/src/sweep",
    "harness/src/verify",
    "harness/src/vocabulary",
    "harness/src/websocket",
];

/// Modules of the harness in the order in which data flows: one uses those before it, never those after it.
const ONE_WAY: [&str; 25] = [
    "vocabulary",
    "observation",
    "history",
    "scenario",
    "plan",
    "clock",
    "client",
    "websocket",
    "gateway",
    "engine",
    "conform",
    "operator",
    "nemesis",
    "story",
    "diagnosis",
    "oracle",
    "record",
    "report",
    "sweep",
    "verify",
    "shrink",
    "differential",
    "import",
    "probe",
    "run",
];

/// What a pure module must not name. Addresses (`std::net::IpAddr`) are data and fine.
const FORBIDDEN: [&str; 16] = [
    "Instant::now",
    "SystemTime::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "tokio::",
    "socket2::",
    "std::thread",
    "std::process::Command",
    "File::open",
    "File::create",
    "fs::write",
    "fs::read",
    "rand::fill",
    "SysRng",
    "new_v4",
];

/// Where a word is allowed after all: file, word.
const EXCEPTIONS: [(&str, &str); 1] = [
    // `load` reads the scenario file and hands its text to `parse`, which does everything else.
    ("harness/src/scenario/mod.rs", "File::open"),
];

/// Everything that lies at the top of the repository.
const TOP_LEVEL: [&str; 22] = [
    ".cargo",
    ".ci",
    ".config",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "cli",
    "clippy.toml",
    "deny.toml",
    "docs",
    "gateway-under-test",
    "harness",
    "protocol",
    "results",
    "rustfmt.toml",
    "scenarios",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files under `path` (or `path` itself) with this extension, sorted.
fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(files(&entry.unwrap().path(), extension));
        }
    } else if path.extension().is_some_and(|e| e == extension) {
        found.push(path.to_owned());
    }
    found.sort();
    found
}

#[test]
fn pure_modules_name_no_clock_socket_or_task() {
    let root = root();
    let mut faults = Vec::new();
    for module in PURE {
        let sources = files(&root.join(module), "rs");
        assert!(!sources.is_empty(), "{module} has no source files: was it renamed?");
        for source in sources {
            let name = source.strip_prefix(&root).unwrap().display().to_string();
            if name.ends_with("tests.rs") {
                continue;
            }
            for (number, line) in fs::read_to_string(&source).unwrap().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in FORBIDDEN {
                    if code.contains(word) && !EXCEPTIONS.contains(&(name.as_str(), word)) {
                        faults.push(format!("{name}:{}: `{word}`", number + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "a pure module does IO:\n{}", faults.join("\n"));
}

#[test]
fn data_flows_one_way() {
    let harness = root().join("harness/src");
    let mut faults = Vec::new();
    let mut modules = 0;
    for source in files(&harness, "rs") {
        let path = source.strip_prefix(&harness).unwrap();
        let module = path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let place = ONE_WAY.iter().position(|name| *name == module);
        let place = place.unwrap_or_else(|| panic!("`{module}` has no place in ONE_WAY"));
        modules |= 1_u32 << place;
        let is_test = |part: &OsStr| part.to_string_lossy().starts_with("test");
        if path.iter().any(is_test) {
            continue;
        }
        let text = fs::read_to_string(&source).unwrap();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            // Tests may look ahead; in this repository they stand last in a file, or in a file of their own, which is declared
            // in the midst of another.
            let declares = |(_, next): &(usize, &str)| next.ends_with(';');
            if line.starts_with("#[cfg(test)]") && !lines.peek().is_some_and(declares) {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if ONE_WAY.iter().position(|name| *name == used).is_some_and(|used| used > place) {
                    faults.push(format!("{}:{}: `{module}` uses `{used}`", path.display(), number + 1));
                }
            }
        }
    }
    assert_eq!(modules.count_ones() as usize, ONE_WAY.len(), "a module of ONE_WAY is gone");
    assert!(faults.is_empty(), "against the stream:\n{}", faults.join("\n"));
}

/// Where a test sleeps, or speaks of it: who looks at another process, a client that does as its gateway tells it, and this file.
const SLEEPS: [&str; 3] = ["cli/tests/shared/until.rs", "cli/tests/real/client.rs", "cli/tests/tidy.rs"];

#[test]
fn no_test_is_left_out_and_none_sleeps() {
    let root = root();
    let mut faults = Vec::new();
    let mut tests = 0;
    for source in ["benches", "cli", "gateway-under-test", "harness", "protocol"].map(|top| root.join(top)) {
        for source in files(&source, "rs") {
            let name = source.strip_prefix(&root).unwrap().display().to_string();
            let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
            tests += u32::from(is_test);
            for (number, line) in fs::read_to_string(&source).unwrap().lines().enumerate() {
                let sleeps = is_test && line.contains("sleep(") && !SLEEPS.contains(&name.as_str());
                if line.trim_start().starts_with("#[ignore") || sleeps {
                    faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(tests > 50, "only {tests} files of tests were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The part of the README between two marks, each line without its indentation.
fn transcript() -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- transcript:begin -->\n").unwrap();
    let (inside, _) = rest.split_once("<!-- transcript:end -->").unwrap();
    inside.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

#[test]
fn the_transcript_in_the_readme_is_that_of_a_kept_run() {
    let summaries = files(&root().join("results"), "txt");
    assert!(
        summaries.iter().any(|summary| fs::read_to_string(summary).unwrap().trim() == transcript().trim()),
        "no summary.txt below results/ is the README's transcript"
    );
}

/// Parts of an output, lines left out, say which kept file they are of.
#[test]
fn excerpts_in_the_readme_are_of_kept_files() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut excerpts = 0;
    for excerpt in readme.split("<!-- excerpt:begin ").skip(1) {
        let (file, rest) = excerpt.split_once(" -->\n").unwrap();
        let (shown, _) = rest.split_once("<!-- excerpt:end -->").unwrap();
        let kept = fs::read_to_string(root().join(file)).unwrap();
        let mut lines = kept.lines();
        for line in shown.lines().map(str::trim).filter(|line| !["", "…"].contains(line)) {
            assert!(lines.any(|other| other.trim() == line), "{file} does not say, in this place: {line}");
        }
        excerpts += 1;
    }
    assert_eq!(excerpts, 1, "an excerpt has lost its marks");
}

#[test]
fn nothing_lies_about_at_the_top() {
    let root = root();
    // What git tracks; where there is no git (an unpacked archive), what is there.
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output();
    let tracked: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect()
        }
        _ => fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name != "target" && name != ".git")
            .collect(),
    };
    assert!(tracked.iter().any(|path| path == "Cargo.toml"), "{tracked:?}");
    for path in tracked {
        let top = path.split('/').next().unwrap_or_default();
        assert!(TOP_LEVEL.contains(&top), "`{top}` is not on the list in cli/tests/tidy.rs");
    }
}

#[test]
fn scenarios_say_what_they_are_first() {
    let scenarios = files(&root().join("scenarios"), "toml");
    assert!(!scenarios.is_empty(), "no scenario found");
    for scenario in scenarios.into_iter().filter(|file| !harness::verify::is_expected(file)) {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&scenario).unwrap();
        // Editors read the schema from there (docs/reference/check.md).
        let depth = scenario.strip_prefix(root().join("scenarios")).unwrap().components().count() - 1;
        let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
        let schema = format!("#:schema {up}scenario.schema.json");
        assert_eq!(text.lines().next(), Some(schema.as_str()), "{name}: the first line names the schema");
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let key = |line: Option<&str>| {
            line.and_then(|line| line.split_once('=')).map(|(key, _)| key.trim().to_owned())
        };
        let (first, second) = (lines.next(), lines.next());
        assert_eq!(key(first).as_deref(), Some("name"), "{name} must begin with `name`");
        assert_eq!(key(second).as_deref(), Some("about"), "{name} must go on with `about`");
        let called = first.and_then(|line| line.split('"').nth(1)).unwrap_or_default();
        // A file in a folder of variants may carry the folder's name.
        let folder = scenario.parent().and_then(Path::file_name);
        assert!(
            [scenario.file_stem(), folder].into_iter().flatten().any(|name| name == called),
            "{name}: a scenario is found by the name of its file or folder, not as `{called}`"
        );
        let about =
            second.and_then(|line| line.split_once('=')).map(|(_, text)| text.trim().trim_matches('"'));
        // A text of several lines goes on below its opening quotes.
        let said = about.is_some_and(|text| !text.is_empty())
            || lines.next().is_some_and(|line| !line.starts_with('"'));
        assert!(said, "{name}: `about` says nothing");
    }
}
