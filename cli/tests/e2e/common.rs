//! Helpers of the end-to-end tests: every test starts the real binary, on a free port, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of these tests may take longer; they take seconds on an idle machine.
const WITHIN: Duration = Duration::from_secs(300);

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pairstorm"))
}

/// Root of the repository, where the shipped scenarios are.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// A shipped scenario.
pub(crate) fn scenario(name: &str) -> String {
    root().join("scenarios").join(name).display().to_string()
}

/// A finished command.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Everything it said, for assertion messages.
    pub(crate) fn said(&self) -> String {
        format!("exit code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    /// Stdout as `result.json`.
    pub(crate) fn result(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}", self.said()))
    }
}

/// Runs `pairstorm` in `folder` to its end.
pub(crate) fn pairstorm(folder: &Path, arguments: &[&str]) -> Finished {
    let child = start(folder, arguments);
    finish(child)
}

/// Starts `pairstorm` in `folder`.
pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// Waits for a command, and kills it when it hangs.
pub(crate) fn finish(child: Child) -> Finished {
    let id = child.id();
    let (done, watching) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::Builder::new()
        .spawn(move || {
            if watching.recv_timeout(WITHIN).is_err() {
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
        })
        .expect("a thread");
    let started = Instant::now();
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the command ends");
    let _ = done.send(());
    watchdog.join().expect("the watchdog ends");
    let finished = Finished {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    };
    assert!(started.elapsed() < WITHIN, "it hung: {}", finished.said());
    finished
}

/// Waits for what a process does that was started; it takes seconds on an idle machine.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    crate::until::until(what, Duration::from_secs(120), holds);
}

/// A scratch folder.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Writes a file into a folder and gives its path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// Processes whose command line mentions `needle`.
pub(crate) fn processes_with(needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("procfs").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(needle) {
            found.push(line);
        }
    }
    found
}
