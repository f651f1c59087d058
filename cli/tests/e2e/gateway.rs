//! A gateway that somebody else runs: started by hand, and not by a run.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::binary;

/// A gateway on a free port; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
}

impl Gateway {
    /// Starts one on a state directory, with more arguments, and waits until it listens.
    pub(crate) fn start(profile: &str, state: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["gateway", "--profile", profile, "--port", "0", "--state-dir"])
            .arg(state)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let url = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .expect("it listens");
        Self { child, url }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
