//! Runs commands as somebody types them in a checkout, with the binary under test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::page::root;

/// No page takes longer; it takes seconds on an idle machine.
const WITHIN: Duration = Duration::from_secs(420);

/// In place of cargo: what it would build is there, and started.
const CARGO: &str = "#!/bin/sh
[ \"$1\" = run ] || { echo \"here only cargo run works, not cargo $1\"; exit 97; }
shift
while [ $# -gt 0 ]; do
    case \"$1\" in
    --) shift; exec pairstorm \"$@\" ;;
    --release | --locked) shift ;;
    *) echo \"here cargo run knows no $1\"; exit 97 ;;
    esac
done
exec pairstorm
";

/// A scratch folder.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A finished command.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Everything, for assertion messages.
    pub(crate) said: String,
}

/// Runs `pairstorm` in `folder` to its end.
pub(crate) fn pairstorm(folder: &Path, arguments: &[&str]) -> Finished {
    let output = Command::new(env!("CARGO_BIN_EXE_pairstorm"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let Output { status, stdout, stderr } = output;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let said = format!("{status}\n--- stdout\n{stdout}\n--- stderr\n{}", String::from_utf8_lossy(&stderr));
    Finished { code: status.code(), stdout, said }
}

/// A folder that looks like the checkout, in which a run may leave its files.
pub(crate) struct Checkout {
    folder: tempfile::TempDir,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) output: String,
}

impl Checkout {
    pub(crate) fn new() -> Self {
        let folder = scratch();
        let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to).expect("a link");
        for name in
            entries(&root()).iter().filter(|name| !["target", ".git", "results"].contains(&name.as_str()))
        {
            link(&root().join(name), &folder.path().join("checkout").join(name).parent_made());
        }
        let results = folder.path().join("checkout/results").made();
        for name in entries(&root().join("results")).iter().filter(|name| *name != "runs") {
            link(&root().join("results").join(name), &results.join(name));
        }
        let bin = folder.path().join("bin").made();
        link(Path::new(env!("CARGO_BIN_EXE_pairstorm")), &bin.join("pairstorm"));
        fs::write(bin.join("cargo"), CARGO).expect("a file");
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).expect("executable");
        let _ = folder.path().join("home").made();
        Self { folder }
    }

    /// Puts a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("checkout").join(name), text).expect("a file");
    }

    /// Types lines into one shell, one after the other, and gives what each did. What a line left in the background ends
    /// with the last.
    pub(crate) fn type_in(&self, lines: &[String]) -> Vec<Ran> {
        let mut script = String::new();
        for (number, line) in lines.iter().enumerate() {
            script.push_str(&format!("{{ {line}\n}} >../output.{number} 2>&1\necho $? >../code.{number}\n"));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash")
            .args(["--norc", "-c", &script])
            .current_dir(self.folder.path().join("checkout"))
            .env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()))
            // Nothing that a page says may touch the home of who runs the tests.
            .env("HOME", self.folder.path().join("home"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            // A syntax error is the shell's own; all else goes to the files above.
            .stderr(fs::File::create(self.folder.path().join("shell")).expect("a file"))
            .process_group(0)
            .spawn()
            .expect("bash");
        let group = format!("-{}", shell.id());
        let kill = move || {
            let kill = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = kill;
        };
        let (done, watched) = std::sync::mpsc::channel::<()>();
        let hung = std::thread::scope(|scope| {
            let watchdog = scope.spawn(move || {
                // Either it is done, or it is not within the time: the group ends.
                let hung = watched.recv_timeout(WITHIN).is_err();
                kill();
                hung
            });
            shell.wait().expect("bash ends");
            let _ = done.send(());
            watchdog.join().expect("the watchdog ends")
        });
        let read = |name: String| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let ran = |number: usize| {
            let code = read(format!("code.{number}"));
            let shell = read("shell".to_owned());
            let line = &lines[number];
            Ran {
                code: code
                    .trim()
                    .parse()
                    .unwrap_or_else(|_| panic!("`{line}` did not end (hung: {hung})\n{shell}")),
                output: read(format!("output.{number}")),
            }
        };
        (0..lines.len()).map(ran).collect()
    }
}

/// Names in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

trait Made: Sized {
    /// The folder, made.
    fn made(self) -> Self;
    /// The path, its folder made.
    fn parent_made(self) -> Self;
}

impl Made for std::path::PathBuf {
    fn made(self) -> Self {
        fs::create_dir_all(&self).expect("a folder");
        self
    }

    fn parent_made(self) -> Self {
        fs::create_dir_all(self.parent().expect("a folder")).expect("a folder");
        self
    }
}

#[test]
fn a_shell_in_a_checkout() {
    let checkout = Checkout::new();
    checkout.write("here.txt", "text\n");
    let lines = ["cat here.txt", "X=3; false", "exit $X"].map(str::to_owned);
    let ran = checkout.type_in(&lines[..2]);
    assert_eq!((ran[0].code, ran[0].output.as_str(), ran[1].code), (0, "text\n", 1));
    let lines = [
        "test -f scenarios/README.md -a ! -e results/runs",
        "cargo run --release -- --version",
        "cargo test",
    ];
    let ran = checkout.type_in(&lines.map(str::to_owned));
    assert_eq!(ran.iter().map(|ran| ran.code).collect::<Vec<_>>(), [0, 0, 97]);
    assert!(ran[1].output.starts_with("pairstorm "), "{}", ran[1].output);
}
