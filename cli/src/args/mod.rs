//! What can be typed: exactly that, nothing resolved.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "the comments are the texts of --help, in which <…> and […] are placeholders and tables"
)]

mod analyze;
mod check;
mod completions;
mod conform;
mod defects;
mod diagnose;
mod differential;
mod import;
mod man;
mod merge;
mod openclaw;
mod plan;
mod probe;
mod record;
mod run;
mod shrink;
mod verify;

use std::time::Duration;

use clap::{Parser, Subcommand};
use harness::record::exit_code::ExitCode;

pub(crate) use analyze::AnalyzeArguments;
pub(crate) use check::CheckArguments;
pub(crate) use completions::CompletionsArguments;
pub(crate) use conform::ConformArguments;
pub(crate) use defects::DefectsArguments;
pub(crate) use diagnose::DiagnoseArguments;
pub(crate) use differential::DifferentialArguments;
pub(crate) use import::ImportArguments;
pub(crate) use man::ManArguments;
pub(crate) use merge::MergeArguments;
pub(crate) use openclaw::{OpenClawArguments, OpenClawCommand};
pub(crate) use plan::PlanArguments;
pub(crate) use probe::ProbeArguments;
pub(crate) use record::RecordArguments;
pub(crate) use run::{CacheArguments, RunArguments, ScenarioArguments};
pub(crate) use shrink::ShrinkArguments;
pub(crate) use verify::VerifyArguments;

/// Connection-handshake load harness for OpenClaw gateways.
///
/// Opens thousands of simulated CLI, mobile and browser clients against a gateway, judges every outcome by an oracle
/// that shares no code with the gateway, and measures how long approved devices wait and what restarts cost.
#[derive(Debug, Parser)]
#[command(
    name = "pairstorm",
    version,
    after_help = exit_codes(),
    after_long_help = format!("Start with:\n  pairstorm run scenarios/smoke.toml\n\n{}", exit_codes()),
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What each command is stands at its arguments: a comment here would hide the longer one there from `--help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArguments),
    Check(CheckArguments),
    /// Print the JSON Schema of scenario files, for editors
    ///
    /// `scenarios/scenario.schema.json` holds the same. A scenario names it in its first line, as Taplo and Even Better TOML read
    /// it: `#:schema ./scenario.schema.json`, counted from the file's folder.
    Schema,
    Verify(VerifyArguments),
    Plan(PlanArguments),
    Analyze(AnalyzeArguments),
    Merge(MergeArguments),
    Diagnose(DiagnoseArguments),
    Shrink(ShrinkArguments),
    Differential(DifferentialArguments),
    Import(ImportArguments),
    Probe(ProbeArguments),
    Record(RecordArguments),
    Conform(ConformArguments),
    #[command(name = "openclaw")]
    OpenClaw(OpenClawArguments),
    Defects(DefectsArguments),
    /// The in-repo gateway, as a process of its own (the same code as `gateway-under-test`)
    Gateway(gateway_under_test::cli::Args),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

fn exit_codes() -> String {
    format!("Exit codes:\n{}", ExitCode::help_table())
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    harness::scenario::duration(text).map_err(|error| format!("{}; {}", error.message, error.help))
}
