//! What a handshake costs other load tools and clients, side by side with the floor and with pairstorm: installs them, runs each
//! against the same server in the same rounds, and prints the table. `README.md` says how each number is made.

mod install;
mod own;
mod peer;
mod run;
mod slope;
mod table;
mod told;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use benches::cores;
use benches::reference_server::HelloSize;
use clap::{Parser, Subcommand};

use install::Tool;
use peer::Peer;
use run::{Conditions, Mode};
use table::{Report, Round, Row};

/// Runs the handshake with other load tools, with the floor client and with pairstorm, and prints what it costs each.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each is run.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Which; all without it. Ratios need floor and pairstorm.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Length of hello-ok.
    #[arg(long, value_enum, default_value = "1k")]
    hello: HelloSize,
    /// Handshakes at a time, for those that can be told.
    #[arg(long, default_value_t = 32)]
    in_flight: u32,
    /// Where tools are installed, in a folder `peers` [default: target/].
    #[arg(long, value_name = "DIR", env = "PAIRSTORM_CACHE")]
    cache: Option<PathBuf>,
    /// Writes the table to DIR/peers.txt and every run to DIR/peers.json.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Be one of the clients: started by this program itself.
    #[command(hide = true)]
    Own(own::Own),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Own(own)) = &arguments.part {
        return own::main(own);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(compare(&arguments))
}

async fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let cache = match &arguments.cache {
        Some(cache) => cache.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    };
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    // Tools run in folders of their own.
    let cache = fs::canonicalize(cache)?.join("peers");
    cores::raise_descriptor_limit()?;
    let asked: &[Peer] = if arguments.only.is_empty() { &Peer::ALL } else { &arguments.only };

    let mut rows = Vec::new();
    let mut tools = Vec::new();
    for peer in asked.iter().copied() {
        say(&format!("{}: installing, unless it is there", peer.name()));
        let installed = install::install(peer, &cache).await;
        let (version, missing) = match &installed {
            Ok(tool) => (Some(tool.version.clone()), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let expresses = peer.expresses();
        rows.push(Row {
            peer,
            version,
            missing,
            verified: None,
            refused: None,
            expresses,
            rounds: Vec::new(),
        });
        tools.push(installed.ok());
    }

    let available = cores::available()?;
    let client_core = available.first().copied().unwrap_or(0);
    let server_core = available.last().copied().unwrap_or(0);
    let conditions =
        Conditions { hello: arguments.hello, in_flight: arguments.in_flight, client_core, server_core };
    // What is started from here on runs there. The server's thread chooses another.
    cores::pin(client_core)?;

    for (row, tool) in rows.iter_mut().zip(&tools) {
        if let Some(tool) = tool {
            look(row, tool, conditions).await;
        }
    }
    for number in 1..=arguments.rounds {
        for (row, tool) in rows.iter_mut().zip(&tools) {
            if let Some(tool) = tool {
                say(&format!("round {number} of {}: {}", arguments.rounds, row.peer.name()));
                let round = round(row.peer, tool, conditions).await;
                let round = round.map_err(|error| row.add_missing(&format!("round {number}: {error:#}")));
                row.rounds.push(round.ok());
            }
        }
    }

    let report =
        Report { conditions, hello: arguments.hello.name(), shared_core: client_core == server_core, rows };
    let text = report.text();
    std::io::stdout().write_all(text.as_bytes())?;
    if let Some(out) = &arguments.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("peers.txt"), text)?;
        fs::write(out.join("peers.json"), format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    Ok(())
}

/// Finds out what a tool can do: whether its signatures hold, and whether it notices that it is refused.
async fn look(row: &mut Row, tool: &Tool, conditions: Conditions) {
    for mode in [Mode::Verify, Mode::Reject] {
        if mode == Mode::Reject && row.expresses.close_code.is_some() {
            continue;
        }
        say(&format!("{}: a look, {mode:?}", row.peer.name()));
        match run::run(row.peer, tool, row.peer.glance(), mode, conditions).await {
            Ok(run) if mode == Mode::Verify => row.verified = Some(run),
            Ok(run) => row.refused = Some(run),
            Err(error) => row.add_missing(&format!("{mode:?}: {error:#}")),
        }
    }
}

async fn round(peer: Peer, tool: &Tool, conditions: Conditions) -> anyhow::Result<Round> {
    let (short, long) = peer.lengths();
    Ok(Round {
        short: run::run(peer, tool, short, Mode::Accept, conditions).await?,
        long: run::run(peer, tool, long, Mode::Accept, conditions).await?,
    })
}

/// Says what is going on, apart from the table.
fn say(what: &str) {
    // A terminal that is gone is no reason to stop measuring.
    let _ = writeln!(std::io::stderr(), "{what}");
}
