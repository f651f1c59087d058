//! The gateway's own `devices` command, a process each time: what people type.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::process::{GatewayCommand, Launch, die_with_parent};
use super::program::Program;

/// Largest part of a command's output that is read, bytes.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// A command that takes longer is ended. That of 2026.9.6 takes seconds to start on a busy machine.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

/// How the `devices` command of a running gateway is started. It finds the gateway and its secret in the state directory.
#[derive(Debug, Clone)]
pub struct CommandLine {
    kind: Kind,
    port: u16,
    state_dir: PathBuf,
}

#[derive(Debug, Clone)]
enum Kind {
    InRepo(GatewayCommand),
    Program(Program, Vec<OsString>),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It exited with 0.
    Done {
        /// Its standard output.
        stdout: String,
    },
    /// It exited with another code.
    Failed {
        /// All it printed.
        text: String,
    },
    /// It could not be started, was ended by a signal, or took too long: nobody knows what it did.
    Unknown,
}

impl CommandLine {
    pub(super) fn of(launch: &Launch, port: u16, state_dir: &Path) -> Option<Self> {
        let kind = match launch {
            Launch::InRepo(command) => Kind::InRepo(command.clone()),
            Launch::Program(program) => Kind::Program(program.clone(), program.devices.clone()?),
        };
        Some(Self { kind, port, state_dir: state_dir.to_owned() })
    }

    /// Runs `devices` with a verb and its arguments.
    pub async fn devices(&self, arguments: &[String]) -> Said {
        let mut process = self.command(arguments);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        die_with_parent(&mut process);
        let Ok(mut child) = process.spawn() else { return Said::Unknown };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = tokio::time::timeout(COMMAND_WITHIN, async {
            let (stdout, stderr) = tokio::join!(text(stdout), text(stderr));
            (child.wait().await, stdout, stderr)
        });
        match ended.await {
            Ok((Ok(status), stdout, _)) if status.success() => Said::Done { stdout },
            Ok((Ok(status), stdout, stderr)) if status.code().is_some() => {
                Said::Failed { text: format!("{stdout}{stderr}") }
            }
            _ => Said::Unknown,
        }
    }

    fn command(&self, arguments: &[String]) -> Command {
        match &self.kind {
            Kind::InRepo(gateway) => {
                let mut command = Command::new(&gateway.program);
                command.args(&gateway.prefix).args(["devices", "--state-dir"]).arg(&self.state_dir);
                command.args(arguments);
                command
            }
            Kind::Program(program, devices) => {
                let all: Vec<OsString> =
                    devices.iter().cloned().chain(arguments.iter().map(OsString::from)).collect();
                program.command_with(&all, self.port, &self.state_dir)
            }
        }
    }
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What could be read until it failed is what there is.
        let _ = stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Readiness;

    fn shell(script: &str) -> CommandLine {
        let words = ["true".to_owned()];
        let program = Program { program: "sh".into(), ..Program::own_build(&words, Readiness::Handshake) };
        let devices = vec!["-c".into(), script.into()];
        CommandLine { kind: Kind::Program(program, devices), port: 1, state_dir: "/s".into() }
    }

    #[tokio::test]
    async fn what_a_command_says_is_told_from_how_it_ended() {
        let arguments = ["approve".to_owned(), "r1".to_owned()];
        let said = shell("echo $0 $1 $OPENCLAW_STATE_DIR").devices(&arguments).await;
        assert_eq!(said, Said::Done { stdout: "approve r1 /s\n".to_owned() });
        let said = shell("echo out; echo no >&2; exit 1").devices(&arguments).await;
        assert_eq!(said, Said::Failed { text: "out\nno\n".to_owned() });
        assert_eq!(shell("kill -9 $$").devices(&arguments).await, Said::Unknown);
        // It is ended by what it can no longer write.
        let said = shell("head -c 200000 /dev/zero | tr '\\0' x").devices(&[]).await;
        assert!(matches!(&said, Said::Failed { text } if text.len() as u64 == OUTPUT_BYTES_MAX), "{said:?}");
    }

    #[test]
    fn only_a_gateway_whose_commands_are_known_has_any() {
        let launch = Launch::Program(Program::own_build(&["x".to_owned()], Readiness::Handshake));
        assert!(CommandLine::of(&launch, 1, Path::new("/s")).is_none());
        let launch = Launch::InRepo(GatewayCommand { program: "g".into(), prefix: vec!["gateway".into()] });
        let line = CommandLine::of(&launch, 1, Path::new("/s")).unwrap();
        let command = line.command(&["approve".to_owned(), "r1".to_owned()]);
        let arguments: Vec<_> = command.as_std().get_args().map(|it| it.to_string_lossy()).collect();
        assert_eq!(arguments, ["gateway", "devices", "--state-dir", "/s", "approve", "r1"]);
    }
}
