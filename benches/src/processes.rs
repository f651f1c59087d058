//! Server and clients as processes of their own, each on its core, so that what one costs is not booked to the other.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::cores;
use crate::reference_server::HelloSize;

/// Which core is whose.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// The client's; `None` where there is only one core.
    pub client: Option<usize>,
    /// The server's.
    pub server: Option<usize>,
}

impl Places {
    /// First and second core that this process may use.
    ///
    /// # Errors
    /// When the system does not say which these are.
    pub fn choose() -> anyhow::Result<Self> {
        Ok(match cores::available()?.as_slice() {
            [client, server, ..] => Self { client: Some(*client), server: Some(*server) },
            _ => Self { client: None, server: None },
        })
    }

    /// In words.
    #[must_use]
    pub fn describe(&self) -> String {
        match (self.client, self.server) {
            (Some(client), Some(server)) => format!("client on core {client}, server on core {server}"),
            _ => "client and server share the only core: ratios say little".to_owned(),
        }
    }
}

/// A running reference server. Ends with this value.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub port: u16,
}

impl ServerProcess {
    /// Starts `program`.
    ///
    /// # Errors
    /// When it does not start or names no port.
    pub fn start(
        program: &Path,
        core: Option<usize>,
        hello: HelloSize,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--with-parent", "--hello", hello.name()]).args(more).stdout(Stdio::piped());
        command.args(core.map(|core| format!("--core={core}")));
        let mut child = command.spawn().with_context(|| program.display().to_string())?;
        let output = child.stdout.take().ok_or_else(|| anyhow!("the server has no output"))?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let port = line.trim().parse().with_context(|| format!("the server's port: `{line}`"))?;
        Ok(Self { child, output, port })
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it did not end well.
    ///
    /// # Returns
    /// What it has done, as JSON.
    pub fn stop(mut self) -> anyhow::Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server: {status}");
        }
        Ok(said)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // After `stop` there is nobody left to kill, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that says one line of JSON and ends.
///
/// # Errors
/// When it does not start, ends badly, or says something else.
pub fn client<T: DeserializeOwned>(
    program: &Path,
    core: Option<usize>,
    arguments: &[String],
) -> anyhow::Result<T> {
    ClientProcess::start(program, core, arguments)?.answer()
}

/// A client that runs while its driver does something else.
#[derive(Debug)]
pub struct ClientProcess {
    child: Child,
    /// Closing it lets a client that holds sessions go.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl ClientProcess {
    /// Starts `program`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, core: Option<usize>, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(core.map(|core| format!("--core={core}"))).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| anyhow!("the client has no output"))?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its line, and for its end.
    ///
    /// # Errors
    /// When it ends badly or says something that is no such JSON.
    pub fn answer<T: DeserializeOwned>(mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        self.input = None;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a client: {status}");
        }
        serde_json::from_str(&line).with_context(|| format!("a client said `{line}`"))
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        // After `answer` there is nobody left to kill, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
