//! The reference server as a process: prints its port, serves until SIGTERM or SIGINT, and prints what it has done as a line of
//! JSON.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use benches::cores;
use benches::reference_server::{HelloSize, ReferenceServer, Settings};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A gateway's side of the handshake that decides nothing and costs next to nothing.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where it listens.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port, 0: any. Printed on the first line.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Length of hello-ok.
    #[arg(long, value_enum, default_value = "1k")]
    hello: HelloSize,
    /// Refuse everybody. Without it only those who ask for a path that begins with /reject.
    #[arg(long)]
    reject: bool,
    /// Verify signatures; good and bad ones are counted.
    #[arg(long)]
    verify: bool,
    /// The core it runs on; without it any.
    #[arg(long)]
    core: Option<usize>,
    /// End when the process that started it does.
    #[arg(long)]
    with_parent: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    }
    if let Some(core) = arguments.core {
        cores::pin(core).with_context(|| format!("core {core}"))?;
    }
    cores::raise_descriptor_limit()?;
    let server = ReferenceServer::bind(Settings {
        address: SocketAddr::from((arguments.bind, arguments.port)),
        hello: arguments.hello,
        reject: arguments.reject,
        verify: arguments.verify,
    })?;
    let stopper = server.stopper()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the port is known to anybody: a signal sent from then on finds its handler.
    let (mut term, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.address().port())?;
    out.flush()?;
    let serving = std::thread::Builder::new().name("server".to_owned()).spawn(move || server.serve())?;
    runtime.block_on(async {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    stopper.stop()?;
    let counts = serving.join().map_err(|_| anyhow::anyhow!("the server's thread panicked"))??;
    writeln!(out, "{}", serde_json::to_string(&counts)?)?;
    Ok(())
}
