//! The gateway's process: started, watched, signalled, started again.

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::family::{self, Guard};
use super::program::Program;
use super::{CommandLine, StateDir, TargetError, readiness};
use crate::plan::StopSignal;

/// How long a gateway may take, and to stop on SIGTERM before it is killed.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Until it is ready.
    start: Duration,
    /// From SIGTERM to its end.
    stop: Duration,
}

/// A 100,000-device store takes seconds to load on a slow disk.
const IN_REPO: Patience = Patience { start: Duration::from_secs(60), stop: Duration::from_secs(10) };
/// OpenClaw takes 3 to 12 s to start on an idle machine, and minutes on one that does too much else; 2026.2.19 takes 5 s to
/// stop.
const PROGRAM: Patience = Patience { start: Duration::from_secs(420), stop: Duration::from_secs(30) };
/// Lines of its log that an error shows.
const LOG_LINES_SHOWN: usize = 12;
/// Longest part of the log that they are looked for in, bytes.
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// Which gateway is started, and how.
#[derive(Debug, Clone)]
pub enum Launch {
    /// The one of this repository: takes the arguments of [`GatewayArguments`] and says when it listens.
    InRepo(GatewayCommand),
    /// Any other.
    Program(Program),
}

impl From<GatewayCommand> for Launch {
    fn from(command: GatewayCommand) -> Self {
        Self::InRepo(command)
    }
}

impl From<Program> for Launch {
    fn from(program: Program) -> Self {
        Self::Program(program)
    }
}

impl Launch {
    /// What it is, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::InRepo(_) => "in-repo gateway",
            Self::Program(program) => &program.name,
        }
    }

    /// Whether a process that got the signal ended as such a gateway does, and not by a fault of its own.
    fn ends_in_order(&self, status: ExitStatus, signal: StopSignal) -> bool {
        /// What a shell says of a command that SIGTERM, or SIGKILL, ended.
        const TERMINATED: i32 = 143;
        const KILLED: i32 = 137;
        match (signal, self) {
            (StopSignal::Sigterm, Self::InRepo(_)) => status.success(),
            // OpenClaw ends with 0, and 2026.9.6 with 1 when it took too long. Whoever does not catch the signal is ended by it.
            (StopSignal::Sigterm, Self::Program(_)) => {
                matches!(status.code(), Some(0 | 1 | TERMINATED))
                    || status.signal() == Some(Signal::TERM.as_raw())
            }
            (StopSignal::Sigkill, _) => {
                status.signal() == Some(Signal::KILL.as_raw()) || status.code() == Some(KILLED)
            }
        }
    }

    const fn patience(&self) -> Patience {
        match self {
            Self::InRepo(_) => IN_REPO,
            Self::Program(_) => PROGRAM,
        }
    }
}

/// How to start the gateway of this repository: a program, and the arguments before those that every gateway takes.
#[derive(Debug, Clone)]
pub struct GatewayCommand {
    /// Program to run.
    pub program: PathBuf,
    /// Arguments in front, for example `gateway` when the program is `pairstorm` itself.
    pub prefix: Vec<OsString>,
}

/// What a gateway is started with, the same at every start of a run. Of these a [`Program`] is told the port only.
#[derive(Debug, Clone)]
pub struct GatewayArguments {
    /// `--profile`
    pub profile: String,
    /// `--port`, or `{port}`
    pub port: u16,
    /// `--defect`
    pub defect: Option<String>,
    /// `--time-scale`
    pub time_scale: f64,
}

/// A running gateway. Killed when dropped, and when the harness dies: by the kernel, and what it started by a guard.
#[derive(Debug)]
pub struct GatewayProcess {
    launch: Launch,
    arguments: GatewayArguments,
    state_dir: PathBuf,
    log: PathBuf,
    /// Length of the log when the program was started, bytes.
    log_from: u64,
    /// Before `child`: the guard's pipe is closed first, and the whole group is killed.
    guard: Option<Guard>,
    child: Child,
    unclean_stops: Vec<String>,
}

impl GatewayProcess {
    /// Starts a gateway and waits until it is ready.
    ///
    /// Must be called from a thread that lives as long as the run: the kernel ties the parent-death signal to the thread
    /// that started the child (prctl(2), PR_SET_PDEATHSIG).
    ///
    /// # Errors
    /// [`TargetError::Spawn`], [`TargetError::DiedAtStart`] or [`TargetError::NotListening`].
    pub async fn start(
        launch: impl Into<Launch>,
        arguments: GatewayArguments,
        state: &StateDir,
    ) -> Result<Self, TargetError> {
        let mut process = Self::spawned(launch, arguments, state)?;
        process.until_ready().await?;
        Ok(process)
    }

    /// Starts a gateway and waits until its port is open, which some releases do long before they are ready.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn start_early(
        launch: impl Into<Launch>,
        arguments: GatewayArguments,
        state: &StateDir,
    ) -> Result<Self, TargetError> {
        let mut process = Self::spawned(launch, arguments, state)?;
        process.until_open().await?;
        Ok(process)
    }

    fn spawned(
        launch: impl Into<Launch>,
        arguments: GatewayArguments,
        state: &StateDir,
    ) -> Result<Self, TargetError> {
        let launch = launch.into();
        let (state_dir, log) = (state.path().to_owned(), state.log());
        let log_from = length(&log);
        let (child, guard) = spawn(&launch, &arguments, &state_dir, &log)?;
        Ok(Self { launch, arguments, state_dir, log, log_from, guard, child, unclean_stops: Vec::new() })
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

    /// Its `devices` command; `None` when nobody knows whether it has one.
    #[must_use]
    pub fn command_line(&self) -> Option<CommandLine> {
        CommandLine::of(&self.launch, self.port(), &self.state_dir)
    }

    /// Starts the program again, with the same arguments and state, and waits until it is ready.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn start_again(&mut self, spawned: impl FnOnce()) -> Result<(), TargetError> {
        self.spawn_again()?;
        spawned();
        self.until_ready().await
    }

    /// Starts the same program a second time, on the same state directory and another port, and waits until it is ready.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn start_beside(&self, port: u16) -> Result<Self, TargetError> {
        let arguments = GatewayArguments { port, ..self.arguments.clone() };
        let log_from = length(&self.log);
        let (child, guard) = spawn(&self.launch, &arguments, &self.state_dir, &self.log)?;
        let (launch, state_dir, log) = (self.launch.clone(), self.state_dir.clone(), self.log.clone());
        let unclean_stops = Vec::new();
        let mut beside = Self { launch, arguments, state_dir, log, log_from, guard, child, unclean_stops };
        beside.until_ready().await?;
        Ok(beside)
    }

    /// The in-repo gateway shows this behaviour from its next start on.
    pub fn set_profile(&mut self, profile: &str) {
        profile.clone_into(&mut self.arguments.profile);
    }

    /// Whether the gateway is this repository's, and not in a family of processes.
    #[must_use]
    pub const fn is_in_repo(&self) -> bool {
        matches!(self.launch, Launch::InRepo(_))
    }

    /// Starts the program again and waits until its port is open.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn start_again_early(&mut self) -> Result<(), TargetError> {
        self.spawn_again()?;
        self.until_open().await
    }

    fn spawn_again(&mut self) -> Result<(), TargetError> {
        self.log_from = length(&self.log);
        (self.child, self.guard) = spawn(&self.launch, &self.arguments, &self.state_dir, &self.log)?;
        Ok(())
    }

    /// Sends a signal. Those that nobody can catch go to everything that the gateway started as well: a helper that goes on
    /// when the gateway has crashed or stands still is no crash and no standstill.
    ///
    /// # Errors
    /// [`TargetError::Signal`] when the process is gone or the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        let ended = || TargetError::Signal(std::io::Error::other("it has ended"));
        let id = self.child.id().ok_or_else(ended)?;
        let uncaught = signal == Signal::KILL || signal == Signal::STOP || signal == Signal::CONT;
        if uncaught && matches!(self.launch, Launch::Program(_)) {
            return family::signal(id, signal).map_err(TargetError::Signal);
        }
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(ended)?;
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
        TargetError::Died { status: status.to_string(), log: self.tail() }
    }

    /// Waits for the process to end after SIGTERM or SIGKILL, and kills it when it does not: a stopped or stuck gateway must not
    /// hold the run for ever. What it started has ended as well when this returns.
    ///
    /// # Errors
    /// [`TargetError::NotStopping`] when it had to be killed, [`TargetError::Signal`] when the system cannot tell.
    pub async fn wait_after_signal(&mut self, signal: StopSignal) -> Result<ExitStatus, TargetError> {
        let (leader, patience) = (self.child.id(), self.launch.patience().stop);
        if let Ok(ended) = tokio::time::timeout(patience, self.child.wait()).await {
            self.end_family(leader, patience).await;
            let status = ended.map_err(TargetError::Signal)?;
            self.note_end(status, signal);
            return Ok(status);
        }
        self.child.kill().await.map_err(TargetError::Signal)?;
        self.end_family(leader, Duration::ZERO).await;
        Err(TargetError::NotStopping { seconds: patience.as_secs(), log: self.tail() })
    }

    /// Asks the gateway to stop, and kills it when it does not.
    ///
    /// # Errors
    /// [`TargetError::Signal`] when the system cannot tell whether it ended.
    pub async fn stop(&mut self) -> Result<(), TargetError> {
        let leader = self.child.id();
        if leader.is_none() {
            return Ok(());
        }
        let patience = self.launch.patience().stop;
        // A paused process cannot drain.
        let asked = self.signal(Signal::CONT).and_then(|()| self.signal(Signal::TERM));
        if asked.is_ok()
            && let Ok(ended) = tokio::time::timeout(patience, self.child.wait()).await
        {
            self.end_family(leader, patience).await;
            self.note_end(ended.map_err(TargetError::Signal)?, StopSignal::Sigterm);
            return Ok(());
        }
        let killed = self.child.kill().await.map_err(TargetError::Signal);
        self.end_family(leader, Duration::ZERO).await;
        killed
    }

    /// Stops that ended otherwise than those of a gateway without a fault: `exit status: 101 after SIGTERM`.
    #[must_use]
    pub fn unclean_stops(&self) -> &[String] {
        &self.unclean_stops
    }

    fn note_end(&mut self, status: ExitStatus, signal: StopSignal) {
        if !self.launch.ends_in_order(status, signal) {
            self.unclean_stops.push(format!("{status} after {}", signal.name()));
        }
    }

    /// Sees to it that nothing of the group of `leader` is left, and sends the guard home.
    async fn end_family(&mut self, leader: Option<u32>, patience: Duration) {
        let Some(guard) = self.guard.take() else { return };
        if let Some(leader) = leader {
            family::end(leader, patience).await;
        }
        guard.dismiss().await;
    }

    /// Waits until the port is open.
    async fn until_open(&mut self) -> Result<(), TargetError> {
        let opens = tokio::time::timeout(self.launch.patience().start, async {
            tokio::select! {
                () = readiness::until_open(self.arguments.port) => true,
                _ = self.child.wait() => false,
            }
        });
        let opened = opens.await;
        self.started(opened).await
    }

    /// Waits until a gateway that was started early is ready.
    ///
    /// # Errors
    /// As [`GatewayProcess::start`].
    pub async fn until_ready(&mut self) -> Result<(), TargetError> {
        let log_from = self.log_from;
        let patience = self.launch.patience().start;
        let ready = match &self.launch {
            Launch::InRepo(_) => {
                let Some(stdout) = self.child.stdout.take() else { return Ok(()) };
                tokio::time::timeout(patience, until_it_says_so(stdout)).await
            }
            Launch::Program(program) => {
                let ready = readiness::until(&program.ready, self.arguments.port, &self.log, log_from);
                tokio::time::timeout(patience, async {
                    tokio::select! {
                        () = ready => true,
                        _ = self.child.wait() => false,
                    }
                })
                .await
            }
        };
        self.started(ready).await
    }

    async fn started(&mut self, ready: Result<bool, tokio::time::error::Elapsed>) -> Result<(), TargetError> {
        let patience = self.launch.patience().start;
        let leader = self.child.id();
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => {
                let status = self.wait().await?;
                self.end_family(leader, Duration::ZERO).await;
                Err(TargetError::DiedAtStart { status: status.to_string(), log: self.tail() })
            }
            Err(_) => {
                self.child.kill().await.map_err(TargetError::Signal)?;
                self.end_family(leader, Duration::ZERO).await;
                Err(TargetError::NotListening { seconds: patience.as_secs(), log: self.tail() })
            }
        }
    }

    /// The last lines of the log, for an error message, without the run's credential.
    fn tail(&self) -> String {
        let mut text = tail(&self.log);
        let config = std::fs::read(self.state_dir.join("openclaw.json")).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
        for secret in ["/gateway/auth/token", "/gateway/auth/password"] {
            let secret = config.pointer(secret).and_then(serde_json::Value::as_str);
            if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
                text = text.replace(secret, "<redacted>");
            }
        }
        text
    }
}

/// Reads what the in-repo gateway says until it listens; false when it ends before.
async fn until_it_says_so(stdout: tokio::process::ChildStdout) -> bool {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("listening on ws://") {
            return true;
        }
    }
    false
}

fn spawn(
    launch: &Launch,
    arguments: &GatewayArguments,
    state_dir: &Path,
    log: &Path,
) -> Result<(Child, Option<Guard>), TargetError> {
    let append = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(log);
    let stderr = append.map_err(|source| TargetError::State { path: log.to_owned(), source })?;
    let mut process = match launch {
        Launch::InRepo(command) => {
            let mut process = in_repo(command, arguments, state_dir);
            process.stdout(Stdio::piped());
            process
        }
        Launch::Program(program) => {
            let mut process = program.command(arguments.port, state_dir);
            let stdout = stderr.try_clone();
            process.stdout(stdout.map_err(|source| TargetError::State { path: log.to_owned(), source })?);
            process
        }
    };
    process.stdin(Stdio::null()).stderr(stderr).kill_on_drop(true);
    die_with_parent(&mut process);
    let refused = |source| TargetError::Spawn { program: process_name(launch).display().to_string(), source };
    let child = process.spawn().map_err(refused)?;
    // The in-repo gateway starts nothing.
    let leader = child.id().filter(|_| matches!(launch, Launch::Program(_)));
    let guard = leader.map(Guard::of).transpose().map_err(refused)?;
    Ok((child, guard))
}

fn process_name(launch: &Launch) -> &Path {
    match launch {
        Launch::InRepo(command) => &command.program,
        Launch::Program(program) => &program.program,
    }
}

fn in_repo(command: &GatewayCommand, arguments: &GatewayArguments, state_dir: &Path) -> Command {
    let mut process = Command::new(&command.program);
    process
        .args(&command.prefix)
        .arg("--profile")
        .arg(&arguments.profile)
        .arg("--state-dir")
        .arg(state_dir)
        .arg("--port")
        .arg(arguments.port.to_string());
    if let Some(defect) = &arguments.defect {
        process.arg("--defect").arg(defect);
    }
    if (arguments.time_scale - 1.0).abs() > f64::EPSILON {
        process.arg("--time-scale").arg(arguments.time_scale.to_string());
    }
    process
}

fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// A child never outlives the harness, even when that is killed. The child also gets a process group of its own, so that
/// Ctrl-C reaches the harness alone and the gateway is there to be measured and stopped in order.
pub(super) fn die_with_parent(process: &mut Command) {
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

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = end_of(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
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

fn end_of(log: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(log)?;
    let from = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
