//! What a held session costs in memory, and what a handshake costs while sessions are held. `benches/README.md` says how it is
//! made.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use benches::processes::{Places, ServerProcess, client};
use benches::reference_server::HelloSize;
use benches::report::{HeldReport, JsonFile};
use benches::rounds::Spread;
use clap::Parser;
use serde::Serialize;

const SERVER: &str = env!("CARGO_BIN_EXE_reference-server");
const ENGINE: &str = env!("CARGO_BIN_EXE_engine-client");

/// Sessions held by the engine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds; in each, every number of sessions has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Sessions to hold. Client and server need a descriptor each for every one.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000,10000,19000")]
    sessions: Vec<u64>,
    /// Lengths of hello-ok.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "1k,15.6k")]
    hello: Vec<HelloSize>,
    /// Handshakes beside the held sessions, 32 at a time.
    #[arg(long, default_value_t = 20_000)]
    handshakes: u64,
    /// Where the figures go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    hello: &'static str,
    sessions: u64,
    rounds: usize,
    /// Sessions that were lost while handshakes went on, and handshakes that did not end as they should.
    bad: u64,
    /// Resident bytes a session beyond what the process had with its plan.
    bytes_a_session: Spread,
    /// … beyond what it had before the plan.
    bytes_a_session_with_plan: Spread,
    cpu_micros: Spread,
    /// CPU a handshake to that of the same round with the fewest sessions.
    ratio_to_fewest: Spread,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let json = arguments.json.as_deref().map(JsonFile::create).transpose()?;
    let places = Places::choose()?;
    let mut out = io::stdout();
    writeln!(out, "{}; {} rounds, medians", places.describe(), arguments.rounds)?;
    writeln!(
        out,
        "{:<6} {:>8} {:>10} {:>10} {:>7} {:>15} {:>8} {:>15} {:>4}",
        "hello", "sessions", "B/session", "with plan", "us/hs", "min..max", "x fewest", "interval", "bad"
    )?;
    let mut rows = Vec::new();
    for &hello in &arguments.hello {
        let mut turns: Vec<Vec<HeldReport>> = arguments.sessions.iter().map(|_| Vec::new()).collect();
        for round in 0..arguments.rounds {
            // Each round begins with another number, so that none always follows the same.
            for place in (0..arguments.sessions.len()).cycle().skip(round).take(arguments.sessions.len()) {
                let (Some(sessions), Some(reports)) = (arguments.sessions.get(place), turns.get_mut(place))
                else {
                    continue;
                };
                reports.push(turn(&arguments, places, hello, *sessions)?);
            }
        }
        let fewest: Vec<f64> = turns.first().map(|reports| cpu(reports)).unwrap_or_default();
        for (sessions, reports) in arguments.sessions.iter().zip(&turns) {
            let row = row(hello, *sessions, reports, &fewest).context("there were no rounds")?;
            print(&mut out, &row)?;
            rows.push(row);
        }
    }
    if let Some(coverage) = rows.first().map(|row| row.ratio_to_fewest.coverage) {
        writeln!(out, "the interval covers the true median with probability {coverage:.2}")?;
    }
    let bad: u64 = rows.iter().map(|row| row.bad).sum();
    if let Some(json) = json {
        json.write(&rows)?;
    }
    ensure!(bad == 0, "{bad} sessions or handshakes did not go as they should");
    Ok(())
}

/// A server of its own for each turn: what it did before is not in its way.
fn turn(
    arguments: &Arguments,
    places: Places,
    hello: HelloSize,
    sessions: u64,
) -> anyhow::Result<HeldReport> {
    let server = ServerProcess::start(Path::new(SERVER), places.server, hello, &[])?;
    let words = [
        format!("--port={}", server.port),
        "held".to_owned(),
        format!("--sessions={sessions}"),
        format!("--handshakes={}", arguments.handshakes),
    ];
    let report = client(Path::new(ENGINE), places.client, &words)?;
    server.stop()?;
    Ok(report)
}

fn cpu(reports: &[HeldReport]) -> Vec<f64> {
    reports.iter().map(|report| report.beside.cpu_micros()).collect()
}

fn row(hello: HelloSize, sessions: u64, reports: &[HeldReport], fewest: &[f64]) -> Option<Row> {
    let bytes = |from: fn(&HeldReport) -> u64| {
        let a_session = |report: &HeldReport| {
            report.resident_holding.saturating_sub(from(report)) as f64 / report.sessions as f64
        };
        Spread::of(&reports.iter().map(a_session).collect::<Vec<f64>>())
    };
    let own = cpu(reports);
    Some(Row {
        hello: hello.name(),
        sessions,
        rounds: reports.len(),
        bad: reports
            .iter()
            .map(|report| report.beside.bad + report.sessions.abs_diff(report.held_at_end))
            .sum(),
        bytes_a_session: bytes(|report| report.resident_planned)?,
        bytes_a_session_with_plan: bytes(|report| report.resident_empty)?,
        cpu_micros: Spread::of(&own)?,
        ratio_to_fewest: Spread::of(
            &own.iter().zip(fewest).map(|(own, few)| own / few).collect::<Vec<f64>>(),
        )?,
    })
}

fn print(out: &mut impl io::Write, row: &Row) -> io::Result<()> {
    writeln!(
        out,
        "{:<6} {:>8} {:>10.0} {:>10.0} {:>7.1} {:>15} {:>8.3} {:>15} {:>4}",
        row.hello,
        row.sessions,
        row.bytes_a_session.median,
        row.bytes_a_session_with_plan.median,
        row.cpu_micros.median,
        format!("{:.1}..{:.1}", row.cpu_micros.min, row.cpu_micros.max),
        row.ratio_to_fewest.median,
        format!("{:.3}..{:.3}", row.ratio_to_fewest.low, row.ratio_to_fewest.high),
        row.bad,
    )
}
