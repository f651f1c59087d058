//! This project's two rows, each in a process of its own.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use benches::cores;
use benches::engine::{self, Arrivals, Crowd};
use benches::floor;
use benches::reference_server::HelloSize;
use benches::report::ClientReport;
use benches::usage::Stopwatch;
use clap::Args;

use super::peer::Peer;

/// What such a process is told.
#[derive(Debug, Args)]
pub(crate) struct Own {
    /// floor or pairstorm.
    #[arg(value_enum)]
    who: Peer,
    #[arg(long)]
    port: u16,
    #[arg(long, value_enum)]
    hello: HelloSize,
    #[arg(long)]
    handshakes: u64,
    #[arg(long)]
    in_flight: u32,
    #[arg(long)]
    reject: bool,
}

/// Makes the handshakes and prints what came of them.
pub(crate) fn main(own: &Own) -> anyhow::Result<()> {
    cores::raise_descriptor_limit()?;
    let watch = Stopwatch::start();
    let (good, bad) = match own.who {
        Peer::Floor => through_floor(own)?,
        Peer::Pairstorm => through_engine(own)?,
        other => anyhow::bail!("{} is no client of ours", other.name()),
    };
    let report = ClientReport { client: own.who.name().to_owned(), good, bad, cost: watch.cost() };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

fn through_floor(own: &Own) -> anyhow::Result<(u64, u64)> {
    let counts = floor::run(&floor::Settings {
        target: SocketAddr::from((Ipv4Addr::LOCALHOST, own.port)),
        hello: own.hello,
        reject: own.reject,
        handshakes: own.handshakes,
        in_flight: usize::try_from(own.in_flight)?,
        source: None,
    })?;
    // Who is refused has no session, whatever the floor client thinks of the bytes.
    Ok(if own.reject { (0, counts.good + counts.bad) } else { (counts.good, counts.bad) })
}

/// The whole product: plan, engine, history, oracle, figures and files in the folder in which this process was started.
fn through_engine(own: &Own) -> anyhow::Result<(u64, u64)> {
    let in_flight = u64::from(own.in_flight).clamp(1, own.handshakes.max(1));
    let crowd = Crowd {
        clients: in_flight,
        arrivals: Arrivals::Closed { in_flight, start: Duration::ZERO },
        handshakes_each: own.handshakes.div_ceil(in_flight),
        stay: false,
    };
    let plan = engine::plan(&[crowd], own.reject)?;
    let outcome = engine::recorded(plan, own.port, own.reject, PathBuf::from("pairstorm"))?;
    let attempts = outcome.result.attempts;
    Ok((attempts.session, attempts.attempted - attempts.session))
}
