//! Instructions and allocations a handshake, counted by callgrind and DHAT and held against `results/instructions.json`: a
//! gate that a noisy machine cannot upset.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Count and compare; ends with 1 where something has changed too much. Less is a change too: a baseline that stays behind
    /// would let as much come back unseen.
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
    /// What counted, and what had compiled it.
    counted_by: String,
    /// Change that is let pass: 0.05 is 5 %.
    change_max: f64,
    /// By piece. `machine` is without its signature, which would hide what becomes of the rest.
    pieces: BTreeMap<String, Count>,
}

/// What one piece executes and allocates, a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Count {
    instructions: f64,
    /// Blocks taken from the heap.
    allocations: f64,
}

/// Hash maps are seeded anew in each process, and a compiler may inline differently around a change somewhere else: that moves
/// the counts by a percent or two.
const CHANGE_MAX: f64 = 0.05;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.task {
        Task::Repeat { workload, times } => {
            let mut piece = workload.prepare();
            (0..times).for_each(|_| piece());
            Ok(ExitCode::SUCCESS)
        }
        Task::Accept => {
            let (counted_by, pieces) = count_all()?;
            let baseline = Baseline { counted_by, change_max: CHANGE_MAX, pieces };
            let text = serde_json::to_string_pretty(&baseline)? + "\n";
            fs::write(&arguments.baseline, text).with_context(|| arguments.baseline.display().to_string())?;
            print(&baseline.pieces, &baseline)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Check => {
            let file =
                fs::read(&arguments.baseline).with_context(|| arguments.baseline.display().to_string())?;
            let baseline: Baseline = serde_json::from_slice(&file)?;
            let (counted_by, pieces) = count_all()?;
            if counted_by != baseline.counted_by {
                writeln!(io::stdout(), "counted by {counted_by}, the baseline by {}", baseline.counted_by)?;
            }
            Ok(if print(&pieces, &baseline)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

impl Count {
    /// What became of the instructions of one piece, as a share of its baseline; none where that is no count.
    fn change(self, before: Self) -> Option<f64> {
        let (count, before) = (self.instructions, before.instructions);
        (count > 0.0 && before > 0.0).then(|| count / before - 1.0)
    }

    fn fits(self, before: Self, change_max: f64) -> bool {
        // Hash maps grow at other times; half an allocation a handshake is none.
        let as_many = (self.allocations - before.allocations).abs() < 0.5;
        as_many && self.change(before).is_some_and(|change| change.abs() <= change_max)
    }
}

/// Prints the table; false where something has changed too much, or is on one side only.
fn print(pieces: &BTreeMap<String, Count>, baseline: &Baseline) -> io::Result<bool> {
    let mut out = io::stdout();
    let Baseline { counted_by, change_max, .. } = baseline;
    writeln!(out, "a handshake ({counted_by}), instructions within {:.0} %", change_max * 100.0)?;
    let mut within = true;
    let names: BTreeSet<&String> = pieces.keys().chain(baseline.pieces.keys()).collect();
    for name in names {
        let (Some(now), Some(before)) = (pieces.get(name), baseline.pieces.get(name)) else {
            within = false;
            writeln!(out, "{name:<8} is in the baseline or is counted, but not both  NOT WITHIN")?;
            continue;
        };
        let fits = now.fits(*before, *change_max);
        within &= fits;
        let change =
            now.change(*before).map_or_else(String::new, |change| format!("{:+.1} %", change * 100.0));
        let mark = if fits { "" } else { "  NOT WITHIN" };
        writeln!(
            out,
            "{name:<8} instructions {:>10.0}  baseline {:>10.0}  {change:>8}   allocations {:>5.1}  baseline {:>5.1}{mark}",
            now.instructions, before.instructions, now.allocations, before.allocations,
        )?;
    }
    if !within {
        writeln!(
            out,
            "a change that is wanted: cargo run --release --locked -p benches --bin instructions -- accept, and say why in the \
             commit"
        )?;
    }
    Ok(within)
}

fn count_all() -> anyhow::Result<(String, BTreeMap<String, Count>)> {
    let version = Command::new("valgrind")
        .arg("--version")
        .output()
        .context("valgrind is needed (apt-get install valgrind)")?;
    let compiler = Command::new("rustc").arg("--version").output().context("rustc")?;
    let said = |output: &[u8]| String::from_utf8_lossy(output).trim().to_owned();
    let counted_by = format!("callgrind, {}; {}", said(&version.stdout), said(&compiler.stdout));
    let mut counts = BTreeMap::new();
    for workload in Workload::ALL {
        counts.insert(workload.name().to_owned(), count(workload)?);
    }
    let sign: Option<Count> = counts.get(Workload::Sign.name()).copied();
    if let (Some(sign), Some(machine)) = (sign, counts.get_mut(Workload::Machine.name())) {
        machine.instructions -= sign.instructions;
    }
    Ok((counted_by, counts))
}

/// What a handshake takes: the difference of two runs, so that start and preparation fall out.
fn count(workload: Workload) -> anyhow::Result<Count> {
    let (few, many) = if workload.handshakes() == 1 { (50, 250) } else { (2, 7) };
    let each = |total: fn(Workload, u64) -> anyhow::Result<u64>| -> anyhow::Result<f64> {
        let difference = total(workload, many)?
            .checked_sub(total(workload, few)?)
            .with_context(|| format!("{} takes less when it is repeated more", workload.name()))?;
        Ok(difference as f64 / ((many - few) * workload.handshakes()) as f64)
    };
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    Ok(Count { instructions: each(instructions)?.round(), allocations: tenths(each(allocations)?) })
}

/// Blocks that a run takes from the heap, by DHAT's last words: `==7== Total:     1,234 bytes in 56 blocks`.
fn allocations(workload: Workload, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=dhat", "--dhat-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["repeat", workload.name(), &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line =
        said.lines().find(|line| line.contains(" Total: ")).with_context(|| format!("DHAT: {said}"))?;
    let blocks = line.split(" in ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    blocks.replace(',', "").parse().with_context(|| line.to_owned())
}

/// Instructions of a run.
fn instructions(workload: Workload, times: u64) -> anyhow::Result<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(counted: &[(&str, f64, f64)], before: &[(&str, f64, f64)]) -> bool {
        let map = |pieces: &[(&str, f64, f64)]| {
            let count = |instructions, allocations| Count { instructions, allocations };
            pieces.iter().map(|(name, first, second)| ((*name).to_owned(), count(*first, *second))).collect()
        };
        let baseline = Baseline { counted_by: "test".to_owned(), change_max: 0.05, pieces: map(before) };
        print(&map(counted), &baseline).unwrap()
    }

    #[test]
    fn a_change_either_way_a_missing_piece_and_no_count_at_all_are_noticed() {
        let before = [("a", 100.0, 3.0)];
        assert!(fits(&[("a", 104.0, 3.0)], &before) && fits(&[("a", 96.0, 3.1)], &before));
        for (counted, allocated) in
            [(106.0, 3.0), (94.0, 3.0), (0.0, 3.0), (-1.0, 3.0), (100.0, 4.0), (100.0, 2.0)]
        {
            assert!(!fits(&[("a", counted, allocated)], &before), "{counted} {allocated}");
        }
        assert!(!fits(&[("a", 1.0, 0.0)], &[("a", 0.0, 0.0)]));
        assert!(!fits(&[], &before));
        assert!(!fits(&[("a", 100.0, 3.0), ("b", 1.0, 1.0)], &before));
    }
}
