//! pairstorm's engine as a client process of the reference server. What it measured comes as a line of JSON.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use benches::cores;
use benches::engine::{self, Arrivals, Bare, Crowd};
use benches::report::{ClientReport, HeldReport};
use benches::usage::{Stopwatch, resident_bytes};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

/// pairstorm's engine against the reference server.
#[derive(Debug, Parser)]
struct Arguments {
    /// The core it runs on; without it any.
    #[arg(long, global = true)]
    core: Option<usize>,
    /// Port of the reference server.
    #[arg(long)]
    port: u16,
    #[command(subcommand)]
    load: Load,
}

#[derive(Debug, Subcommand)]
enum Load {
    /// So many handshakes, so many at a time.
    Closed(Closed),
    /// So many sessions held, and then handshakes beside them.
    Held(Held),
    /// Arrivals at a constant rate, with the whole product.
    Open(Open),
}

#[derive(Debug, Args)]
struct Closed {
    /// Be refused.
    #[arg(long)]
    reject: bool,
    /// Handshakes altogether.
    #[arg(long, default_value_t = 20_000)]
    handshakes: u64,
    /// Handshakes at a time.
    #[arg(long, default_value_t = 32)]
    in_flight: u64,
    /// With history, oracle, figures and files; without it nobody listens to the engine.
    #[arg(long)]
    recorded: bool,
}

#[derive(Debug, Args)]
struct Held {
    /// Sessions to hold.
    #[arg(long)]
    sessions: u64,
    /// Handshakes beside them.
    #[arg(long, default_value_t = 20_000)]
    handshakes: u64,
    /// Handshakes at a time.
    #[arg(long, default_value_t = 32)]
    in_flight: u64,
}

#[derive(Debug, Args)]
struct Open {
    /// Arrivals a second.
    #[arg(long)]
    rate: f64,
    /// For so long.
    #[arg(long)]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        cores::pin(core).with_context(|| format!("core {core}"))?;
    }
    cores::raise_descriptor_limit()?;
    match arguments.load {
        Load::Closed(closed) => closed.run(arguments.port),
        Load::Held(held) => held.run(arguments.port),
        Load::Open(open) => open.run(arguments.port),
    }
}

fn say(report: &impl Serialize) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string(report)?)?;
    Ok(())
}

impl Closed {
    fn run(&self, port: u16) -> anyhow::Result<()> {
        let in_flight = self.in_flight.min(self.handshakes).max(1);
        let crowd = Crowd {
            clients: in_flight,
            arrivals: Arrivals::Closed { in_flight, start: Duration::ZERO },
            handshakes_each: self.handshakes.div_ceil(in_flight),
            stay: false,
        };
        let plan = engine::plan(&[crowd], self.reject)?;
        let watch = Stopwatch::start();
        let (client, good, bad) = if self.recorded {
            let folder = scratch()?;
            let outcome = engine::recorded(plan, port, self.reject, folder.0.clone())?;
            let harness::record::RunResult { attempts, mismatches, indeterminate, .. } = outcome.result;
            let good = if self.reject { attempts.refused } else { attempts.session };
            // What nobody could judge was not judged at full cost.
            ("recorded", good, attempts.attempted - good + mismatches.total + indeterminate)
        } else {
            let done = Bare::start(plan, port, self.reject)?.join()?;
            let (good, bad) = done.good_and_bad(self.reject);
            ("engine", good, bad)
        };
        say(&ClientReport { client: client.to_owned(), good, bad, cost: watch.cost() })
    }
}

impl Held {
    fn run(&self, port: u16) -> anyhow::Result<()> {
        let pid = std::process::id();
        // Slow enough that the server's backlog and the client's own lateness do not come into it.
        let rate = 4_000.0;
        let arrive = Duration::from_secs_f64(self.sessions as f64 / rate);
        // Between the last arrival and the first handshake beside it memory is looked at.
        let start = arrive + Duration::from_secs(3);
        let held = Crowd {
            clients: self.sessions,
            arrivals: Arrivals::Constant { rate },
            handshakes_each: 1,
            stay: true,
        };
        let beside = Crowd {
            clients: self.in_flight,
            arrivals: Arrivals::Closed { in_flight: self.in_flight, start },
            handshakes_each: self.handshakes.div_ceil(self.in_flight),
            stay: false,
        };
        let empty = resident_bytes(pid)?;
        let plan = engine::plan(&[held, beside], false)?;
        let planned = resident_bytes(pid)?;
        let bare = Bare::start(plan, port, false)?;
        bare.wait_until(|done| done.held == self.sessions || done.refused + done.others > 0)?;
        let lost = bare.done();
        ensure!(lost.refused + lost.others == 0, "not everybody could be held: {lost:?}");
        // What is freed when a session is held is freed by now.
        std::thread::sleep(Duration::from_secs(1));
        let holding = resident_bytes(pid)?;
        let watch = Stopwatch::start();
        let early = bare.done().sessions.saturating_sub(self.sessions);
        ensure!(early == 0, "{early} handshakes had been made before their cost was looked at");
        let all = self.in_flight * self.handshakes.div_ceil(self.in_flight);
        bare.wait_until(|done| done.finished == self.in_flight)?;
        let cost = watch.cost();
        let done = bare.done();
        let beside = ClientReport {
            client: "engine".to_owned(),
            good: done.sessions - self.sessions,
            bad: all - (done.sessions - self.sessions),
            cost,
        };
        say(&HeldReport {
            sessions: self.sessions,
            held_at_end: done.held,
            resident_empty: empty,
            resident_planned: planned,
            resident_holding: holding,
            beside,
        })?;
        // The driver lets go when it has seen what it wants to see from outside.
        let _ = io::stdin().lock().read_line(&mut String::new())?;
        bare.leave()?;
        Ok(())
    }
}

impl Open {
    fn run(&self, port: u16) -> anyhow::Result<()> {
        let clients = (self.rate * self.seconds as f64) as u64;
        let arrivals = Arrivals::Constant { rate: self.rate };
        let crowd = Crowd { clients, arrivals, handshakes_each: 1, stay: false };
        let plan = engine::plan(&[crowd], false)?;
        let folder = scratch()?;
        let outcome = engine::recorded(plan, port, false, folder.0.clone())?;
        say(&outcome.result)
    }
}

/// A folder for a run's files, removed with them.
struct Scratch(PathBuf);

fn scratch() -> io::Result<Scratch> {
    let path = Path::new(&std::env::temp_dir()).join(format!("pairstorm-bench-{}", std::process::id()));
    std::fs::create_dir(&path)?;
    Ok(Scratch(path))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is a few files in the folder for such.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
