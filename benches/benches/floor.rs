//! CPU a handshake of the engine against the floor, in interleaved rounds. `benches/README.md` says how it is made.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use benches::processes::{Places, ServerProcess, client};
use benches::reference_server::HelloSize;
use benches::report::{ClientReport, JsonFile};
use benches::rounds::Spread;
use clap::{Parser, ValueEnum};
use serde::Serialize;

const SERVER: &str = env!("CARGO_BIN_EXE_reference-server");
const FLOOR: &str = env!("CARGO_BIN_EXE_floor-client");
const ENGINE: &str = env!("CARGO_BIN_EXE_engine-client");

/// The engine against the floor.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds; in each, every client has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Handshakes a turn. One at a time takes longer: there a quarter.
    #[arg(long, default_value_t = 20_000)]
    handshakes: u64,
    /// Lengths of hello-ok.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "1k,15.6k")]
    hello: Vec<HelloSize>,
    /// What is answered.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "accept,reject")]
    path: Vec<Answered>,
    /// Handshakes at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,32,512")]
    in_flight: Vec<u64>,
    /// Clients beside the floor: the engine alone, or with history, oracle, figures and files.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "engine,recorded")]
    clients: Vec<Kind>,
    /// Where the figures go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Answered {
    Accept,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Floor,
    Engine,
    Recorded,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Engine => "engine",
            Self::Recorded => "recorded",
        }
    }
}

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    hello: &'static str,
    path: &'static str,
    in_flight: u64,
    client: &'static str,
    rounds: usize,
    handshakes: u64,
    /// Handshakes that did not end as they should: more than none, and the figures are worth nothing.
    bad: u64,
    cpu_micros: Spread,
    handshakes_a_second: Spread,
    system_share: Spread,
    /// To the floor of the same round.
    ratio_to_floor: Option<Spread>,
    /// To the engine of the same round.
    ratio_to_engine: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Figures {
    places: String,
    kernel: String,
    rows: Vec<Row>,
}

/// What is the same for all turns of a row.
#[derive(Clone, Copy)]
struct Case {
    hello: HelloSize,
    path: Answered,
    in_flight: u64,
    handshakes: u64,
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let json = arguments.json.as_deref().map(JsonFile::create).transpose()?;
    let places = Places::choose()?;
    let mut out = io::stdout();
    writeln!(
        out,
        "{}; {} rounds, medians; CPU is user and system time of the client's process",
        places.describe(),
        arguments.rounds
    )?;
    writeln!(
        out,
        "{:<6} {:<7} {:>9} {:<9} {:>7} {:>15} {:>4} {:>8} {:>8} {:>15} {:>10} {:>4}",
        "hello",
        "path",
        "in flight",
        "client",
        "us/hs",
        "min..max",
        "sys",
        "hs/s",
        "x floor",
        "interval",
        "x engine",
        "bad"
    )?;
    let mut figures = Figures { places: places.describe(), kernel: kernel(), rows: Vec::new() };
    for &hello in &arguments.hello {
        let server = ServerProcess::start(Path::new(SERVER), places.server, hello, &[])?;
        for &path in &arguments.path {
            for &in_flight in &arguments.in_flight {
                let handshakes = if in_flight == 1 { arguments.handshakes / 4 } else { arguments.handshakes };
                let case = Case { hello, path, in_flight, handshakes, port: server.port };
                for row in measure(&arguments, places, case)? {
                    print(&mut out, &row)?;
                    figures.rows.push(row);
                }
            }
        }
        server.stop()?;
    }
    let bad: u64 = figures.rows.iter().map(|row| row.bad).sum();
    if let Some(json) = json {
        json.write(&figures)?;
    }
    ensure!(
        bad == 0,
        "{bad} handshakes did not end as they should: the rows that have them are worth nothing"
    );
    Ok(())
}

/// All rounds of one case.
fn measure(arguments: &Arguments, places: Places, case: Case) -> anyhow::Result<Vec<Row>> {
    let mut kinds = vec![Kind::Floor];
    kinds.extend(arguments.clients.iter().filter(|kind| **kind != Kind::Floor));
    let mut turns: Vec<(Kind, Vec<ClientReport>)> = kinds.iter().map(|kind| (*kind, Vec::new())).collect();
    for round in 0..arguments.rounds {
        // Each round begins with another client, so that none always follows the same.
        let (before, after) = turns.split_at_mut(round % kinds.len());
        for (kind, reports) in after.iter_mut().chain(before) {
            reports.push(turn(*kind, places, case)?);
        }
    }
    let cpu = |wanted: Kind| -> Option<Vec<f64>> {
        let (_, reports) = turns.iter().find(|(kind, _)| *kind == wanted)?;
        Some(reports.iter().map(ClientReport::cpu_micros).collect())
    };
    let row = |(kind, reports): &(Kind, Vec<ClientReport>)| {
        let series = |of: fn(&ClientReport) -> f64| Spread::of(&reports.iter().map(of).collect::<Vec<f64>>());
        let own: Vec<f64> = reports.iter().map(ClientReport::cpu_micros).collect();
        let against = |other: Kind| {
            let other = cpu(other).filter(|_| *kind != other && *kind != Kind::Floor)?;
            Spread::of(&own.iter().zip(&other).map(|(own, other)| own / other).collect::<Vec<f64>>())
        };
        Some(Row {
            hello: case.hello.name(),
            path: match case.path {
                Answered::Accept => "accept",
                Answered::Reject => "reject",
            },
            in_flight: case.in_flight,
            client: kind.name(),
            rounds: reports.len(),
            handshakes: case.handshakes,
            bad: reports.iter().map(|report| report.bad).sum(),
            cpu_micros: series(ClientReport::cpu_micros)?,
            handshakes_a_second: series(ClientReport::rate)?,
            system_share: series(|report| report.cost.system_share)?,
            ratio_to_floor: against(Kind::Floor),
            ratio_to_engine: against(Kind::Engine),
        })
    };
    turns.iter().map(|turns| row(turns).context("there were no rounds")).collect()
}

fn turn(kind: Kind, places: Places, case: Case) -> anyhow::Result<ClientReport> {
    let Case { hello, path, in_flight, handshakes, port } = case;
    let mut words = vec![format!("--port={port}")];
    let program = match kind {
        Kind::Floor => {
            words.push(format!("--hello={}", hello.name()));
            FLOOR
        }
        Kind::Engine => {
            words.push("closed".to_owned());
            ENGINE
        }
        Kind::Recorded => {
            words.extend(["closed".to_owned(), "--recorded".to_owned()]);
            ENGINE
        }
    };
    words.extend([format!("--handshakes={handshakes}"), format!("--in-flight={in_flight}")]);
    words.extend((path == Answered::Reject).then(|| "--reject".to_owned()));
    client(Path::new(program), places.client, &words)
}

fn print(out: &mut impl io::Write, row: &Row) -> io::Result<()> {
    let ratio =
        |spread: Option<Spread>| spread.map_or_else(String::new, |spread| format!("{:.3}", spread.median));
    let interval = row
        .ratio_to_floor
        .map_or_else(String::new, |spread| format!("{:.3}..{:.3}", spread.low, spread.high));
    writeln!(
        out,
        "{:<6} {:<7} {:>9} {:<9} {:>7.1} {:>15} {:>3.0}% {:>8.0} {:>8} {:>15} {:>10} {:>4}",
        row.hello,
        row.path,
        row.in_flight,
        row.client,
        row.cpu_micros.median,
        format!("{:.1}..{:.1}", row.cpu_micros.min, row.cpu_micros.max),
        row.system_share.median * 100.0,
        row.handshakes_a_second.median,
        ratio(row.ratio_to_floor),
        interval,
        ratio(row.ratio_to_engine),
        row.bad,
    )
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
