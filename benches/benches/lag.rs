//! How late the engine is at a share of its own highest rate. `benches/README.md` says how it is made.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use benches::processes::{Places, ServerProcess, client};
use benches::reference_server::HelloSize;
use benches::report::ClientReport;
use clap::Parser;
use serde_json::Value;

const SERVER: &str = env!("CARGO_BIN_EXE_reference-server");
const ENGINE: &str = env!("CARGO_BIN_EXE_engine-client");

/// The generator's own lateness.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Share of the highest rate.
    #[arg(long, default_value_t = 0.7)]
    share: f64,
    /// Seconds of constant arrivals.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Length of hello-ok.
    #[arg(long, value_enum, default_value = "1k")]
    hello: HelloSize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let places = Places::choose()?;
    let mut out = io::stdout();
    writeln!(out, "{}; lag: from the intended start to the actual one", places.describe())?;
    writeln!(out, "round  highest hs/s  offered hs/s  attempts  dropped    p50 us    p99 us    max us")?;
    for round in 1..=arguments.rounds {
        let server = ServerProcess::start(Path::new(SERVER), places.server, arguments.hello, &[])?;
        let port = format!("--port={}", server.port);
        let words = [
            port.clone(),
            "closed".to_owned(),
            "--in-flight=256".to_owned(),
            "--handshakes=40000".to_owned(),
        ];
        let highest = client::<ClientReport>(Path::new(ENGINE), places.client, &words)?.rate();
        let rate = (highest * arguments.share).floor();
        let words =
            [port, "open".to_owned(), format!("--rate={rate}"), format!("--seconds={}", arguments.seconds)];
        // The run's own result: what every run says of itself.
        let result: Value = client(Path::new(ENGINE), places.client, &words)?;
        let figure = |place: &str| {
            result
                .pointer(place)
                .and_then(Value::as_f64)
                .with_context(|| format!("the run's result lacks {place}"))
        };
        let (attempted, sessions) = (figure("/attempts/attempted")?, figure("/attempts/session")?);
        ensure!(
            attempted == sessions && attempted > 0.0,
            "{sessions} of {attempted} attempts got a session: their lateness says nothing"
        );
        writeln!(
            out,
            "{round:>5}  {highest:>12.0}  {rate:>12.0}  {:>8}  {:>7}  {:>8.0}  {:>8.0}  {:>8.0}",
            attempted,
            figure("/attempts/dropped")?,
            figure("/lag/p50")?,
            figure("/lag/p99")?,
            figure("/lag/max")?,
        )?;
        server.stop()?;
    }
    Ok(())
}
