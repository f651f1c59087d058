//! The command line: the gateway itself, and `devices` as OpenClaw's own.
//!
//! `pairstorm gateway …` flattens [`Args`] and calls [`run`], so that both programs are the same.

mod client;
mod devices;
mod identity;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;

use crate::defect::Defect;
use crate::profile;
use crate::server::{self, Options};

/// Wrong command line (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// Serve an OpenClaw-compatible gateway, or manage the devices of one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

const EXAMPLES: &str = "\
Configuration is <STATE_DIR>/openclaw.json (JSON5, OpenClaw's keys). The least that serves:

  mkdir state && echo '{gateway: {auth: {token: \"secret\"}}}' > state/openclaw.json
  gateway-under-test --profile article --state-dir state --port 0

Once it listens it prints `listening on ws://ADDRESS:PORT`. SIGHUP reads the device store again, SIGTERM drains.
A remote client is refused with `pairing required` until somebody approves it:

  gateway-under-test devices --state-dir state list
  gateway-under-test devices --state-dir state approve --latest

Exit codes: 0 stopped by a signal; 1 port in use, state directory held, or another failure; 64 wrong command line;
78 openclaw.json or a store file cannot be used (it is left as it is).";

#[derive(Debug, clap::Args)]
struct Serve {
    /// Whose behaviour to show: article, 2026.2.19, 2026.2.21, 2026.2.22, 2026.3.13 or 2026.9.6
    #[arg(long, value_name = "NAME", required = true)]
    profile: Option<String>,
    /// Directory of openclaw.json and the device store; made if missing
    #[arg(long, value_name = "DIR", required = true)]
    state_dir: Option<PathBuf>,
    /// Port to listen on, 0 = a free one [default: gateway.port of openclaw.json, else 18789]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, value_name = "NAME", help = defect_help())]
    defect: Option<String>,
    /// Factor on the gateway's durations (request TTL, handshake timeout, tick), never on times on the wire
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    time_scale: f64,
    /// Worker threads; one is what OpenClaw has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// How long the open port answers that the gateway is starting, milliseconds, scaled (2026.9.6)
    #[arg(long, value_name = "MS", default_value_t = server::DEFAULT_STARTUP_MS)]
    startup_ms: u64,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List, approve, reject and remove devices; rotate and revoke their tokens
    Devices(devices::Args),
}

#[derive(Debug, clap::Parser)]
#[command(name = "gateway-under-test", version, about = "An OpenClaw-compatible gateway for handshake tests")]
struct Program {
    #[command(flatten)]
    args: Args,
}

/// Parses a command line, program name first, and runs it.
#[must_use]
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Program::try_parse_from(args) {
        Ok(program) => run(program.args),
        Err(error) => {
            // Help and version are no errors and go to standard output.
            let _ = error.print();
            if error.use_stderr() { EXIT_USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

/// Runs a parsed command line; gives the exit code.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    match args.command {
        Some(Command::Devices(devices)) => devices::run(&devices),
        None => serve(args.serve),
    }
}

fn serve(args: Serve) -> ExitCode {
    let options = match options(args) {
        Ok(options) => options,
        Err(message) => return complain(&message, EXIT_USAGE),
    };
    match server::serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), error.exit_code()),
    }
}

fn options(args: Serve) -> Result<Options, String> {
    let name = args.profile.unwrap_or_default();
    let profile = profile::find(&name)
        .ok_or_else(|| format!("unknown profile `{name}`; known: {}", profile::names()))?;
    let defect = args
        .defect
        .map(|name| {
            Defect::find(&name).ok_or_else(|| format!("unknown defect `{name}`; known: {}", Defect::names()))
        })
        .transpose()?;
    if !(args.time_scale.is_finite() && args.time_scale > 0.0) {
        return Err(format!("--time-scale must be a number above 0, not {}", args.time_scale));
    }
    Ok(Options {
        profile,
        state_dir: args.state_dir.unwrap_or_default(),
        bind: args.bind,
        port: args.port,
        defect,
        time_scale: args.time_scale,
        threads: usize::from(args.threads),
        startup_ms: args.startup_ms,
    })
}

fn defect_help() -> String {
    format!("Deliberate fault, to show that a check catches it: {}", Defect::names())
}

fn complain(message: &str, code: u8) -> ExitCode {
    // If standard error is closed, the exit code has to do.
    let _ = writeln!(std::io::stderr().lock(), "error: {message}");
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Program::try_parse_from(line.split(' ').map(OsString::from)).map(|program| program.args)
    }

    #[test]
    fn the_command_is_consistent() {
        use clap::CommandFactory as _;
        Program::command().debug_assert();
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let said = |line: &str| options(parse(line).unwrap().serve).unwrap_err();
        insta::assert_snapshot!(said("g --profile 2026.1.1 --state-dir s"), @"unknown profile `2026.1.1`; known: article, 2026.2.19, 2026.2.21, 2026.2.22, 2026.3.13, 2026.9.6");
        let defects = said("g --profile article --state-dir s --defect x");
        assert_eq!(defects, format!("unknown defect `x`; known: {}", Defect::names()));
        insta::assert_snapshot!(said("g --profile article --state-dir s --time-scale 0"), @"--time-scale must be a number above 0, not 0");
    }

    #[test]
    fn help_names_every_profile_and_defect() {
        use clap::CommandFactory as _;
        let help = Program::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for name in
            Defect::ALL.iter().map(|defect| defect.name()).chain(profile::ALL.iter().map(|p| p.name.as_str()))
        {
            assert!(help.contains(name), "{name} is not in --help");
        }
    }

    #[test]
    fn devices_needs_no_profile() {
        assert!(parse("g devices --state-dir s list").is_ok());
        assert!(parse("g --state-dir s").is_err());
    }
}
