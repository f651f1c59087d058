//! A state directory, and what is started on it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use protocol::ProfileName;
use serde_json::{Value, json};

use super::gateway::{Gateway, Log};
use super::{PROXY, TOKEN};

/// A state directory that goes away with the test.
pub(crate) struct State {
    dir: tempfile::TempDir,
    profile: ProfileName,
    /// A program, with its arguments, that starts the gateway.
    pub(crate) under: Vec<String>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self::with_gateway_config(&json!({"auth": {"token": TOKEN}, "trustedProxies": [PROXY]}))
    }

    /// Of a gateway that behaves as this release.
    pub(crate) fn of(profile: ProfileName) -> Self {
        Self { profile, ..Self::new() }
    }

    pub(crate) fn with_gateway_config(gateway: &Value) -> Self {
        let state =
            Self { dir: tempfile::tempdir().unwrap(), profile: ProfileName::Article, under: Vec::new() };
        state.write("openclaw.json", &json!({"gateway": gateway}).to_string());
        state
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.file(name)).unwrap()).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway-under-test"));
        command.env_remove("OPENCLAW_GATEWAY_TOKEN").env("RUST_BACKTRACE", "1");
        command
    }

    pub(crate) fn gateway_command(&self, port: u16, more: &[&str]) -> Command {
        let mut command = self.command();
        if let [program, args @ ..] = &self.under[..] {
            let gateway = command.get_program().to_owned();
            command = Command::new(program);
            command.args(args).arg(gateway).env_remove("OPENCLAW_GATEWAY_TOKEN");
        }
        command
            .args(["--profile", self.profile.as_str(), "--port", &port.to_string(), "--state-dir"])
            .arg(self.path())
            .args(more);
        command
    }

    /// Runs `devices …` to its end.
    pub(crate) fn devices(&self, args: &[&str]) -> Output {
        self.command().arg("devices").arg("--state-dir").arg(self.path()).args(args).output().unwrap()
    }

    pub(crate) fn start(&self) -> Gateway {
        self.start_with(0, &[])
    }

    /// Waits until it says that it listens.
    pub(crate) fn start_with(&self, port: u16, more: &[&str]) -> Gateway {
        let (mut gateway, mut stdout) = self.spawn(port, more);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim_end().strip_prefix("listening on ws://") else {
            panic!("no `listening on` line but {line:?}; log: {:#?}", gateway.log.wait_ended());
        };
        gateway.address = address.parse().unwrap();
        gateway
    }

    /// Waits only until its port is open.
    pub(crate) fn start_early(&self, more: &[&str]) -> Gateway {
        let (mut gateway, stdout) = self.spawn(0, more);
        // Closed, it would end the gateway.
        gateway.stdout = Some(stdout);
        let line = gateway.logged("listening on ws://");
        let address = line.split("ws://").nth(1).unwrap().split(' ').next().unwrap();
        gateway.address = address.parse().unwrap();
        gateway
    }

    fn spawn(&self, port: u16, more: &[&str]) -> (Gateway, BufReader<ChildStdout>) {
        let mut child =
            self.gateway_command(port, more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let writer = Arc::clone(&log);
        #[expect(clippy::disallowed_methods, reason = "ends with the process whose output it reads")]
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.more.notify_all();
            }
            *writer.ended.lock().unwrap() = true;
            writer.more.notify_all();
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (Gateway { address: ([127, 0, 0, 1], port).into(), child, log, stdout: None }, stdout)
    }
}
