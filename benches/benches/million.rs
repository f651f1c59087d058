//! A million handshakes in one run with everything on, and what memory does meanwhile. `benches/README.md` says how it is made.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use benches::processes::{ClientProcess, Places, ServerProcess};
use benches::reference_server::HelloSize;
use benches::report::ClientReport;
use benches::usage::{Stopwatch, resident_bytes};
use clap::Parser;

const SERVER: &str = env!("CARGO_BIN_EXE_reference-server");
const ENGINE: &str = env!("CARGO_BIN_EXE_engine-client");
const MIB: f64 = 1_048_576.0;

/// One long run of the whole product.
#[derive(Debug, Parser)]
struct Arguments {
    /// Handshakes.
    #[arg(long, default_value_t = 1_000_000)]
    handshakes: u64,
    /// Handshakes at a time, and clients, which come back until the handshakes are made.
    #[arg(long, default_value_t = 1_000)]
    in_flight: u64,
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
    let server = ServerProcess::start(Path::new(SERVER), places.server, arguments.hello, &[])?;
    let words = [
        format!("--port={}", server.port),
        "closed".to_owned(),
        "--recorded".to_owned(),
        format!("--handshakes={}", arguments.handshakes),
        format!("--in-flight={}", arguments.in_flight),
    ];
    let watch = Stopwatch::start();
    let mut process = ClientProcess::start(Path::new(ENGINE), places.client, &words)?;
    writeln!(out, "{}; history, oracle, figures and files on", places.describe())?;
    writeln!(out, "second  resident MiB")?;
    let mut samples: Vec<f64> = Vec::new();
    while !process.has_ended()? {
        // A process that ends between the two looks has no memory any more.
        if let Ok(resident) = resident_bytes(process.pid()) {
            let resident = resident as f64 / MIB;
            samples.push(resident);
            writeln!(out, "{:>6.0}  {resident:>12.1}", watch.elapsed().as_secs_f64())?;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let report: ClientReport = process.answer()?;
    server.stop()?;
    let quarter = samples.len() / 4;
    let at = |place: usize| samples.get(place).copied().unwrap_or(f64::NAN);
    let max = samples.iter().copied().fold(f64::NAN, f64::max);
    writeln!(
        out,
        "{} good, {} bad, {:.0} hs/s, {:.1} us/hs; resident: {:.1} MiB after a quarter of the time, {:.1} after three, \
         {max:.1} at most",
        report.good,
        report.bad,
        report.rate(),
        report.cpu_micros(),
        at(quarter),
        at(3 * quarter),
    )?;
    ensure!(report.bad == 0, "{} handshakes did not end as they should", report.bad);
    Ok(())
}
