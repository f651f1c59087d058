//! How many times the handshakes of a real OpenClaw 2026.9.6 the in-repo gateway carries on the same core.
//!
//! `cargo bench -p benches --bench gateways -- --cache DIR` starts all of them, each pinned to core 1, and drives them by turns
//! from core 0: same client, one paired device, v3 signature, 32 in flight, a connection for each handshake. What is compared
//! is the CPU time of the gateway's process, its threads and children included, by handshake: it does not depend on how fast
//! the client is, nor on what a release waits for. Nothing is taken from a round in which a handshake failed.
//!
//! `-- --hold N` holds N sessions on the in-repo gateway (`article`, which tells its sessions nothing unasked) instead and prints
//! the memory that one takes.

mod client;
mod contender;
mod load;
mod process;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use benches::cores;
use benches::rounds::Spread;
use clap::Parser as _;
use harness::clock::Clock;
use harness::gateway::openclaw::{self, Release};
use protocol::ProfileName;

use self::contender::Contender;
use self::load::{Sample, one_decimal};

const REAL: &str = "2026.9.6";

/// Hold the in-repo gateway beside a real OpenClaw 2026.9.6.
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Folder of `pairstorm openclaw install` [default: PAIRSTORM_CACHE, else ~/.cache/pairstorm]
    #[arg(long, env = "PAIRSTORM_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Leave the real one out
    #[arg(long)]
    without_real: bool,
    /// Rounds; each gateway has its turn in each
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Handshakes of an in-repo gateway in a round
    #[arg(long, default_value_t = 10_000)]
    handshakes: u64,
    /// Handshakes of the real one in a round
    #[arg(long, default_value_t = 300)]
    real_handshakes: u64,
    /// Handshakes in flight
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Hold so many sessions instead, and say what one takes
    #[arg(long, value_name = "N")]
    hold: Option<usize>,
    /// Program to use for the in-repo gateway, for example one built from another commit
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    if arguments.next().is_some_and(|first| first == contender::GATEWAY) {
        // The in-repo gateway: this program once more, as `pairstorm gateway` is `pairstorm`.
        return gateway_under_test::cli::main_from(program.into_iter().chain(arguments));
    }
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::start();
    let program = arguments.gateway.as_deref();
    let mut contenders = Vec::new();
    if !arguments.without_real && arguments.hold.is_none() {
        let launch = real(arguments)?.program().into();
        contenders.push(Contender::real(launch, ProfileName::V2026_9_6));
    }
    let in_repo: &[(ProfileName, usize)] = &[
        (ProfileName::Article, 1),
        (ProfileName::V2026_9_6, 1),
        (ProfileName::V2026_9_6, 100),
        (ProfileName::V2026_9_6, 10_000),
        (ProfileName::V2026_3_13, 1),
        (ProfileName::Article, 100),
        (ProfileName::Article, 10_000),
    ];
    let taking_part = if arguments.hold.is_some() { 1 } else { in_repo.len() };
    for &(profile, devices) in in_repo.iter().take(taking_part) {
        contenders.push(Contender::in_repo(program, profile, devices)?);
    }
    let mut running = Vec::new();
    for contender in contenders {
        note(&format!("starting {}", contender.name));
        running.push(runtime.block_on(contender.start())?);
    }
    cores::pin(0).context("client and gateway need a core each")?;
    if let Some(count) = arguments.hold {
        for gateway in &running {
            let bytes = load::hold(gateway, &clock, count, arguments.in_flight)?;
            say(&format!("{:<28} {count} sessions held, {:.2} KB each", gateway.name, bytes / 1000.0));
        }
        return Ok(());
    }
    let mut samples: Vec<Vec<Sample>> = running.iter().map(|_| Vec::new()).collect();
    // The first round pairs the device and warms up, and does not count.
    for round in 0..=arguments.rounds {
        for (gateway, samples) in running.iter().zip(&mut samples) {
            let count = if gateway.is_real { arguments.real_handshakes } else { arguments.handshakes };
            let sample = load::drive(gateway, &clock, count, arguments.in_flight)?;
            if round > 0 {
                samples.push(sample);
            }
        }
        note(&format!("round {round} of {}", arguments.rounds));
    }
    say(&format!(
        "{:<28} {:>12} {:>28} {:>26}",
        "gateway", "handshakes/s", "CPU us a handshake", "times the real one"
    ));
    let reference = running.iter().position(|gateway| gateway.is_real).and_then(|at| samples.get(at));
    let mut coverage = 0.0;
    for (gateway, samples) in running.iter().zip(&samples) {
        let series = |of: fn(&Sample) -> f64| Spread::of(&samples.iter().map(of).collect::<Vec<f64>>());
        let rate = series(|sample| sample.per_second).context("there were no rounds")?;
        let cpu = series(|sample| sample.cpu_us).context("there were no rounds")?;
        coverage = cpu.coverage;
        let times = reference.and_then(|reference| {
            let rounds = reference.iter().zip(samples);
            let ratios: Vec<f64> = rounds.map(|(real, ours)| real.cpu_us / ours.cpu_us).collect();
            Spread::of(&ratios).map(one_decimal)
        });
        say(&format!(
            "{:<28} {:>12.0} {:>28} {:>26}",
            gateway.name,
            rate.median,
            one_decimal(cpu),
            times.unwrap_or_default()
        ));
    }
    say(&format!(
        "median [interval that covers the true one with probability {coverage:.2}] of {} rounds; {} in flight; gateways on \
         core 1, client on core 0",
        arguments.rounds, arguments.in_flight
    ));
    Ok(())
}

/// The real one, or how to get it.
fn real(arguments: &Arguments) -> anyhow::Result<Release> {
    let cache = arguments.cache.clone().or_else(openclaw::default_cache);
    let release = cache.as_deref().and_then(|cache| Release::find(cache, REAL));
    release.ok_or_else(|| {
        anyhow::anyhow!(
            "OpenClaw {REAL} is not in {}: `pairstorm openclaw install {REAL}` fetches it (1.6 GB), --cache names \
             another folder, --without-real leaves it out",
            cache.unwrap_or_default().display()
        )
    })
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "a person waits for minutes")]
fn note(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stderr, reason = "errors are for people")]
fn complain(line: &str) {
    eprintln!("error: {line}");
}
