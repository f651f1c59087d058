//! Instructions a handshake, counted by callgrind and held against `results/instructions.json`: a gate that a noisy machine
//! cannot upset.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use benches::workload::Workload;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// Instructions a handshake of everything that is pure.
#[derive(Debug, Parser)]
struct Arguments {
    /// The baseline.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/instructions.json"))]
    baseline: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Count and compare; ends with 1 where something has grown too much.
    Check,
    /// Count and write the baseline.
    Accept,
    /// Repeat a piece; what callgrind watches.
    #[command(hide = true)]
    Repeat {
        /// The piece.
        #[arg(value_enum)]
        workload: Workload,
        /// How often.
        times: u64,
    },
}

/// The baseline's file.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    /// What counted.
    counted_by: String,
    /// Growth that is let pass: 0.05 is 5 %.
    growth_max: f64,
    /// Instructions a handshake. `machine` is without its signature, which would hide what becomes of the rest.
    instructions: BTreeMap<String, f64>,
}

/// Hash maps are seeded anew in each process, and a compiler may inline differently around a change somewhere else: that moves
/// the counts by a percent or two.
const GROWTH_MAX: f64 = 0.05;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.task {
        Task::Repeat { workload, times } => {
            let mut piece = workload.prepare();
            (0..times).for_each(|_| piece());
            Ok(ExitCode::SUCCESS)
        }
        Task::Accept => {
            let (counted_by, instructions) = count_all()?;
            let baseline = Baseline { counted_by, growth_max: GROWTH_MAX, instructions };
            let text = serde_json::to_string_pretty(&baseline)? + "\n";
            fs::write(&arguments.baseline, text).with_context(|| arguments.baseline.display().to_string())?;
            print(&baseline.instructions, &baseline)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Check => {
            let file =
                fs::read(&arguments.baseline).with_context(|| arguments.baseline.display().to_string())?;
            let baseline: Baseline = serde_json::from_slice(&file)?;
            let (_, instructions) = count_all()?;
            Ok(if print(&instructions, &baseline)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Prints the table; false where something has grown too much, or is not in the baseline.
fn print(instructions: &BTreeMap<String, f64>, baseline: &Baseline) -> io::Result<bool> {
    let mut out = io::stdout();
    writeln!(
        out,
        "instructions a handshake ({}), at most {:+.0} %",
        baseline.counted_by,
        baseline.growth_max * 100.0
    )?;
    let mut within = true;
    for (name, count) in instructions {
        let before = baseline.instructions.get(name).copied();
        let growth = before.map_or(f64::INFINITY, |before| count / before - 1.0);
        let too_much = growth > baseline.growth_max;
        within &= !too_much;
        let before = before.map_or_else(|| "none".to_owned(), |before| format!("{before:.0}"));
        let mark = if too_much { "  TOO MUCH" } else { "" };
        writeln!(out, "{name:<8} {count:>10.0}  baseline {before:>10}  {:+6.1} %{mark}", growth * 100.0)?;
    }
    if !within {
        writeln!(
            out,
            "a cost that is wanted: cargo run --release --locked -p benches --bin instructions -- accept, and say why in the commit"
        )?;
    }
    Ok(within)
}

fn count_all() -> anyhow::Result<(String, BTreeMap<String, f64>)> {
    let version = Command::new("valgrind")
        .arg("--version")
        .output()
        .context("valgrind is needed (apt-get install valgrind)")?;
    let counted_by = format!("callgrind, {}", String::from_utf8_lossy(&version.stdout).trim());
    let mut counts = BTreeMap::new();
    for workload in Workload::ALL {
        counts.insert(workload.name().to_owned(), count(workload)?);
    }
    let sign = counts.get(Workload::Sign.name()).copied().unwrap_or_default();
    if let Some(machine) = counts.get_mut(Workload::Machine.name()) {
        *machine -= sign;
    }
    Ok((counted_by, counts))
}

/// Instructions a handshake: the difference of two runs, so that start and preparation fall out.
fn count(workload: Workload) -> anyhow::Result<f64> {
    let (few, many) = if workload.handshakes() == 1 { (50, 250) } else { (2, 7) };
    let difference = total(workload, many)?.saturating_sub(total(workload, few)?);
    let handshakes = (many - few) * workload.handshakes();
    Ok((difference as f64 / handshakes as f64).round())
}

fn total(workload: Workload, times: u64) -> anyhow::Result<u64> {
    let file = std::env::temp_dir().join(format!("pairstorm-callgrind-{}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["repeat", workload.name(), &times.to_string()])
        .stdin(Stdio::null())
        .status()
        .context("valgrind")?;
    if !status.success() {
        bail!("{} under valgrind: {status}", workload.name());
    }
    let counted = instructions_in(&file).with_context(|| format!("{}: {}", workload.name(), file.display()));
    // In the folder for temporary files; the next run writes it anew.
    let _ = fs::remove_file(&file);
    counted
}

/// The sum that callgrind writes at the end of its file (or at its beginning, as older ones do).
fn instructions_in(file: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file)?;
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")))
        .and_then(|sum| sum.trim().parse().ok())
        .ok_or_else(|| anyhow!("callgrind wrote no sum"))
}
