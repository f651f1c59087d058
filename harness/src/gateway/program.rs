//! Gateways that know nothing of this harness: a release of OpenClaw, or anyone's own build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::plan::Readiness;

/// How such a gateway is started. In arguments and values of the environment `{port}`, `{state}` and `{config}` stand for
/// the port, the state directory and the path of `openclaw.json`.
#[derive(Debug, Clone)]
pub struct Program {
    /// For people, for example `OpenClaw 2026.9.6`.
    pub name: String,
    /// What is run; looked for in `PATH` if it names no folder.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment beside what it inherits.
    pub environment: Vec<(&'static str, String)>,
    /// Whether it inherits this process's environment, or nothing but `PATH`.
    pub inherits: bool,
    /// How it shows that it is ready.
    pub ready: Readiness,
    /// Arguments in front of a verb of its `devices` command; `None` = nobody knows whether it has one.
    pub devices: Option<Vec<OsString>>,
}

/// Variables with credentials and settings that would win over those of the run's `openclaw.json`.
const NOT_INHERITED: [&str; 10] = [
    "OPENCLAW_GATEWAY_TOKEN",
    "OPENCLAW_GATEWAY_PASSWORD",
    "OPENCLAW_GATEWAY_PORT",
    "OPENCLAW_PROFILE",
    "OPENCLAW_HOME",
    "CLAWDBOT_GATEWAY_TOKEN",
    "CLAWDBOT_GATEWAY_PASSWORD",
    "CLAWDBOT_GATEWAY_PORT",
    "CLAWDBOT_STATE_DIR",
    "CLAWDBOT_CONFIG_PATH",
];

impl Program {
    /// Anyone's own build, started by `command`. It inherits the environment: a build may need it.
    #[must_use]
    pub fn own_build(command: &[String], ready: Readiness) -> Self {
        let (program, arguments) =
            command.split_first().map_or((String::new(), Vec::new()), |(first, rest)| {
                (first.clone(), rest.iter().map(OsString::from).collect())
            });
        Self {
            name: format!("`{}`", command.join(" ")),
            program: program.into(),
            arguments,
            environment: vec![
                ("OPENCLAW_STATE_DIR", "{state}".to_owned()),
                ("OPENCLAW_CONFIG_PATH", "{config}".to_owned()),
            ],
            inherits: true,
            ready,
            devices: None,
        }
    }

    /// The command with everything filled in but its standard streams.
    pub(super) fn command(&self, port: u16, state: &Path) -> Command {
        self.command_with(&self.arguments, port, state)
    }

    /// The same program, in the same environment, with other arguments.
    pub(super) fn command_with(&self, arguments: &[OsString], port: u16, state: &Path) -> Command {
        let config = state.join("openclaw.json");
        let fill = |text: &str| {
            text.replace("{port}", &port.to_string())
                .replace("{state}", &state.to_string_lossy())
                .replace("{config}", &config.to_string_lossy())
        };
        let mut command = Command::new(&self.program);
        if !self.inherits {
            command.env_clear();
            if let Some(path) = std::env::var_os("PATH") {
                command.env("PATH", path);
            }
        }
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, fill(value))));
        command.args(arguments.iter().map(|argument| match argument.to_str() {
            Some(text) => OsString::from(fill(text)),
            None => argument.clone(),
        }));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_what_the_run_chose() {
        let words = ["./gateway", "--port", "{port}", "--state={state}", "{config}"].map(str::to_owned);
        let program = Program::own_build(&words, Readiness::Handshake);
        let command = program.command(18_001, Path::new("/s"));
        let command = command.as_std();
        assert_eq!(command.get_program(), "./gateway");
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert_eq!(arguments, ["--port", "18001", "--state=/s", "/s/openclaw.json"]);
        let value = |name: &str| {
            command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value.map(ToOwned::to_owned))
        };
        assert_eq!(value("OPENCLAW_STATE_DIR"), Some(Some("/s".into())));
        assert_eq!(value("OPENCLAW_GATEWAY_TOKEN"), Some(None), "the user's own token is not handed on");
    }
}
