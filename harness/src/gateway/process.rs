//! The gateway's process: started, watched, signalled, started again.

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{StateDir, TargetError};

/// How long a gateway may take until it listens. A 100,000-device store takes seconds on a slow disk.
const LISTEN_WITHIN: Duration = Duration::from_secs(60);
/// How long a gateway may take to stop on SIGTERM before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Lines of its log that an error shows.
const LOG_LINES_SHOWN: usize = 12;

/// How to start a gateway: a program, and the arguments before those that every gateway takes.
#[derive(Debug, Clone)]
pub struct GatewayCommand {
    /// Program to run.
    pub program: PathBuf,
    /// Arguments in front, for example `gateway` when the program is `pairstorm` itself.
    pub prefix: Vec<OsString>,
}

/// What a gateway is started with, the same at every start of a run.
#[derive(Debug, Clone)]
pub struct GatewayArguments {
    /// `--profile`
    pub profile: String,
    /// `--port`
    pub port: u16,
    /// `--defect`
    pub defect: Option<String>,
    /// `--time-scale`
    pub time_scale: f64,
}

/// A running gateway. Killed when dropped, and by the kernel when the harness dies.
#[derive(Debug)]
pub struct GatewayProcess {
    command: GatewayCommand,
    arguments: GatewayArguments,
    state_dir: PathBuf,
    log: PathBuf,
    child: Child,
}

impl GatewayProcess {
    /// Starts a gateway and waits until it says that it listens.
    ///
    /// Must be called from a thread that lives as long as the run: the kernel ties the parent-death signal to the thread
    /// that started the child (prctl(2), PR_SET_PDEATHSIG).
    ///
    /// # Errors
    /// [`TargetError::Spawn`], [`TargetError::DiedAtStart`] or [`TargetError::NotListening`].
    pub async fn start(
        command: GatewayCommand,
        arguments: GatewayArguments,
        state: &StateDir,
    ) -> Result<Self, TargetError> {
        let (state_dir, log) = (state.path().to_owned(), state.log());
        let child = spawn(&command, &arguments, &state_dir, &log)?;
        let mut process = Self { command, arguments, state_dir, log, child };
        process.until_listening().await?;
        Ok(process)
    }

    /// Process id; `None` once it has been waited for.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Port it was told to listen on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.arguments.port
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Starts the program again, with the same arguments and state, and waits until it listens.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn start_again(&mut self, spawned: impl FnOnce()) -> Result<(), TargetError> {
        self.child = spawn(&self.command, &self.arguments, &self.state_dir, &self.log)?;
        spawned();
        self.until_listening().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`TargetError::Signal`] when the process is gone or the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| TargetError::Signal(std::io::Error::other("it has ended")))?;
        rustix::process::kill_process(pid, signal).map_err(|error| TargetError::Signal(error.into()))
    }

    /// Waits for the process to end. Cancel safe.
    ///
    /// # Errors
    /// [`TargetError::Signal`] when the system cannot tell.
    pub async fn wait(&mut self) -> Result<ExitStatus, TargetError> {
        self.child.wait().await.map_err(TargetError::Signal)
    }

    /// The error that describes an end nobody asked for.
    #[must_use]
    pub fn died(&self, status: ExitStatus) -> TargetError {
        TargetError::Died { status: status.to_string(), log: tail(&self.log) }
    }

    /// Waits for the process to end after a signal, and kills it when it does not: a stopped or stuck gateway must not hold
    /// the run for ever.
    ///
    /// # Errors
    /// [`TargetError::NotStopping`] when it had to be killed, [`TargetError::Signal`] when the system cannot tell.
    pub async fn wait_after_signal(&mut self) -> Result<ExitStatus, TargetError> {
        if let Ok(ended) = tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            return ended.map_err(TargetError::Signal);
        }
        self.child.kill().await.map_err(TargetError::Signal)?;
        Err(TargetError::NotStopping { seconds: STOP_WITHIN.as_secs(), log: tail(&self.log) })
    }

    /// Asks the gateway to stop, and kills it when it does not.
    ///
    /// # Errors
    /// [`TargetError::Signal`] when the system cannot tell whether it ended.
    pub async fn stop(&mut self) -> Result<(), TargetError> {
        if self.child.id().is_none() {
            return Ok(());
        }
        // A paused process cannot drain.
        let asked = self.signal(Signal::CONT).and_then(|()| self.signal(Signal::TERM));
        if asked.is_ok() && tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        self.child.kill().await.map_err(TargetError::Signal)
    }

    async fn until_listening(&mut self) -> Result<(), TargetError> {
        let Some(stdout) = self.child.stdout.take() else {
            return Ok(());
        };
        let mut lines = BufReader::new(stdout).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("listening on ws://") {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(LISTEN_WITHIN, listening).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let status = self.wait().await?;
                Err(TargetError::DiedAtStart { status: status.to_string(), log: tail(&self.log) })
            }
            Err(_) => {
                self.child.kill().await.map_err(TargetError::Signal)?;
                Err(TargetError::NotListening { seconds: LISTEN_WITHIN.as_secs(), log: tail(&self.log) })
            }
        }
    }
}

fn spawn(
    command: &GatewayCommand,
    arguments: &GatewayArguments,
    state_dir: &Path,
    log: &Path,
) -> Result<Child, TargetError> {
    let stderr = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
        .map_err(|source| TargetError::State { path: log.to_owned(), source })?;
    let mut process = Command::new(&command.program);
    process
        .args(&command.prefix)
        .arg("--profile")
        .arg(&arguments.profile)
        .arg("--state-dir")
        .arg(state_dir)
        .arg("--port")
        .arg(arguments.port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true);
    if let Some(defect) = &arguments.defect {
        process.arg("--defect").arg(defect);
    }
    if (arguments.time_scale - 1.0).abs() > f64::EPSILON {
        process.arg("--time-scale").arg(arguments.time_scale.to_string());
    }
    die_with_parent(&mut process);
    process
        .spawn()
        .map_err(|source| TargetError::Spawn { program: command.program.display().to_string(), source })
}

/// A child never outlives the harness, even when that is killed. The child also gets a process group of its own, so that
/// Ctrl-C reaches the harness alone and the gateway is there to be measured and stopped in order.
fn die_with_parent(process: &mut Command) {
    process.process_group(0);
    #[expect(unsafe_code, reason = "the parent-death signal can only be set between fork and exec")]
    // SAFETY: the closure runs in the forked child before exec and makes one async-signal-safe system call; it allocates
    // nothing and touches no lock.
    unsafe {
        process.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)
        });
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
    if lines.is_empty() {
        return "  (it wrote nothing)".to_owned();
    }
    lines
        .get(from..)
        .unwrap_or_default()
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
