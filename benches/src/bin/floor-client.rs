//! The floor client as a process: makes its handshakes and prints what they cost as a line of JSON.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use benches::cores;
use benches::floor::{self, Settings};
use benches::reference_server::HelloSize;
use benches::report::ClientReport;
use benches::usage::Stopwatch;
use clap::Parser;

/// A client that signs nothing, reads no JSON and sends fixed bytes: what a handshake costs at least.
#[derive(Debug, Parser)]
struct Arguments {
    /// Port of the reference server.
    #[arg(long)]
    port: u16,
    /// The server's hello-ok.
    #[arg(long, value_enum, default_value = "1k")]
    hello: HelloSize,
    /// Be refused.
    #[arg(long)]
    reject: bool,
    /// Handshakes altogether.
    #[arg(long, default_value_t = 20_000)]
    handshakes: u64,
    /// Handshakes at a time.
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Source address; without it sockets are not bound.
    #[arg(long)]
    source: Option<IpAddr>,
    /// The core it runs on; without it any.
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        cores::pin(core)?;
    }
    cores::raise_descriptor_limit()?;
    let settings = Settings {
        target: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        hello: arguments.hello,
        reject: arguments.reject,
        handshakes: arguments.handshakes,
        in_flight: arguments.in_flight,
        source: arguments.source,
    };
    let watch = Stopwatch::start();
    let counts = floor::run(&settings)?;
    let cost = watch.cost();
    let report = ClientReport { client: "floor".to_owned(), good: counts.good, bad: counts.bad, cost };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}
