//! What can be typed: exactly that, nothing resolved.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "the comments are the texts of --help, in which <…> and […] are placeholders and tables"
)]

mod probe;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use harness::record::exit_code::ExitCode;

pub(crate) use probe::ProbeArguments;

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

/// Scenario file and what of it is overridden; common to `run` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArguments {
    /// Scenario file
    #[arg(value_name = "SCENARIO.TOML")]
    pub(crate) scenario: PathBuf,
    /// Seed of every random choice; same scenario and seed, same plan [default: the file's, or 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Scale the file to this many clients in all, cohorts in proportion
    #[arg(long, value_name = "N")]
    pub(crate) clients: Option<u64>,
    /// Give a variable of the file's [vars] another value; of a list of its [sweep], one value or several: 'NAME=[VALUE, VALUE]';
    /// may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Hold the gateway to another profile than the file's
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Launch another gateway than the file's: `in-repo`, `openclaw` (the profile's release) or `openclaw@VERSION`, which is
    /// then the profile as well
    #[arg(long, value_name = "GATEWAY")]
    pub(crate) gateway: Option<String>,
    /// Switch a deliberate fault of the in-repo gateway on, to see the oracle catch it
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Wall-clock limit of the run, for example 90s [default: the file's, or 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_time: Option<Duration>,
    /// Factor on time-outs, back-offs and think times of clients and the in-repo gateway
    #[arg(long, value_name = "FACTOR")]
    pub(crate) time_scale: Option<f64>,
    /// Only every N-th client of each cohort, from the I-th on: several processes share one load
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<harness::plan::Shard>,
}

/// Run a scenario: start a gateway, load it, judge it, report; one with [sweep] once for every combination of values
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArguments,
    /// Run folder, or that of a sweep; must not exist, or be empty [default: results/runs/<utc>-<scenario>/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Load a gateway that is already there instead of starting one
    #[arg(long, value_name = "ws://HOST:PORT/", conflicts_with = "gateway")]
    pub(crate) target: Option<String>,
    /// With --target: allow a load on this host although it is not a loopback address; may be repeated
    #[arg(long, value_name = "HOST", requires = "target")]
    pub(crate) allow_remote_target: Vec<String>,
    /// With --target: the gateway's owner agrees that the run pairs devices there, and removes them again
    #[arg(long, requires = "target")]
    pub(crate) allow_store_writes: bool,
    /// With --target: environment variable that holds the gateway's shared token or password
    #[arg(long, value_name = "VARIABLE", requires = "target", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    /// With --target: file that holds the gateway's shared token or password
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Stop at the first mismatch
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Print result.json, of a sweep sweep.json, on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads that drive clients [default: half the cores, at least one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) reactors: Option<u16>,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Where releases of OpenClaw are kept.
#[derive(Debug, Args)]
pub(crate) struct CacheArguments {
    /// Folder that releases of OpenClaw are kept in [default: pairstorm/ in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR", env = "PAIRSTORM_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}

/// Real OpenClaw gateways: fetch releases from npm, list those that are there
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct OpenClawArguments {
    #[command(subcommand)]
    pub(crate) command: OpenClawCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OpenClawCommand {
    /// Fetch releases from npm, with the node they run on, and start each once
    ///
    /// Needs `npm` on PATH, the npm registry, and about 1 GB a release. What is there already is left alone.
    Install {
        /// Exact versions on npm, for example 2026.9.6 [default: the newest release that a profile is called after]
        #[arg(value_name = "VERSION")]
        versions: Vec<String>,
        #[command(flatten)]
        cache: CacheArguments,
    },
    /// List the releases that are there
    List {
        #[command(flatten)]
        cache: CacheArguments,
    },
}

/// Judge the history of a run that is over again, and compare with what the run said
///
/// Reads `history.bin` and `run.json` in the folder, unfolds the same plan, judges every attempt, device and invariant from the
/// history alone, and prints what `pairstorm run` printed. Then it says whether `result.json` says the same. The exit code is that
/// of the run. Nothing in the folder is changed.
///
/// A run that was killed, or whose history was cut off, can be analyzed, too: what is there is judged, nothing is held against the
/// gateway, devices are unknown, and the exit code is 4 (invalid).
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run scenarios/defects/killed.toml --defect forget-approval-on-restart --out lost     exit code 1\n  \
         pairstorm analyze lost                   the same verdicts, from the history: exit code 1\n  \
         pairstorm analyze lost --out again       and the files: timelines of devices in again/checker/; exit code 1\n  \
         pairstorm analyze lost --json            for a program: `devices` says what became of each; exit code 1\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct AnalyzeArguments {
    /// Folder of a run, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER")]
    pub(crate) folder: PathBuf,
    /// Write result, summary, violations and timelines of devices here; must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say why clients of a run did not get in, what shows it, and which commands end it
///
/// Reads the history of a run as `analyze` does, puts clients in the same trouble for the same cause together, and names the first
/// cause, in the order in which one looks for it, that explains all that could be seen from outside: what clients sent and were
/// answered, what operators did, the gateway's configuration and its restarts. With its confidence, what speaks against other causes, and
/// what is missing. docs/reference/diagnosis.md lists the causes.
///
/// With --score it runs the scenarios of a folder that say which cause is to be found (`[cohort.NAME.expect] cause`), and counts how
/// often the first answer is that one.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run scenarios/loops/role.toml --out loop\n  \
         pairstorm diagnose loop                  the loop, its cause, and what ends it\n  \
         pairstorm diagnose loop --json\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct DiagnoseArguments {
    /// Folder of a run, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER", required_unless_present = "score", conflicts_with = "score")]
    pub(crate) folder: Option<PathBuf>,
    /// Run the scenarios below this folder, and count right and wrong answers; exit code 2 if fewer than 95 % are right
    #[arg(long, value_name = "FOLDER")]
    pub(crate) score: Option<PathBuf>,
    /// With --score: folder of the runs [default: results/runs/<utc>-score/]
    #[arg(long, value_name = "DIR", requires = "score")]
    pub(crate) out: Option<PathBuf>,
    /// Print the `diagnosis` of result.json on stdout, and nothing else there
    #[arg(long, conflicts_with = "score")]
    pub(crate) json: bool,
}

/// Check scenario files without running them
///
/// Names every error of every file at once, each with its line, its column and what to do. A file that extends another one is
/// checked with all it inherits, a sweep in every combination. The exit code is 0, or 64 if a file is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    pairstorm check scenarios                                            every file in the folder\n  \
    pairstorm check scenarios/first-contact.toml --set think=1s..2s      with another value of a variable\n  \
    pairstorm check scenarios/first-contact.toml --json                  for editors: docs/reference/check.md\n  \
    pairstorm schema                                                     for completion while writing")]
pub(crate) struct CheckArguments {
    /// Scenario files, or folders to search for them
    #[arg(required = true, value_name = "FILE OR FOLDER")]
    pub(crate) paths: Vec<PathBuf>,
    /// Give a variable of the files' [vars] another value; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Print what is wrong as JSON on stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run scenarios at a small size and hold each to the expected result that lies beside it
///
/// Beside NAME.toml lies NAME.expected.toml: the size (`clients`, `seed`, `set`), the verdict, and for each cohort what its attempts
/// must and may come to; of a scenario with [sweep] that for every combination. A scenario without one is an error, unless the file
/// says why it is not run: skip = "needs a real gateway". Every run starts an in-repo gateway of its own; several go on at once, and one
/// that differs and had too little of the machine is run again by itself. Ctrl-C keeps what there is.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm verify scenarios/sequence                            a folder; CI does all of scenarios/\n  \
         pairstorm verify scenarios/sequence --update                   writes what is missing or wrong: read it before you keep it\n  \
         pairstorm verify scenarios/sequence --defect accept-unpaired   a gateway with a fault: exit code 1\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct VerifyArguments {
    /// Scenario files, or folders to search for them
    #[arg(required = true, value_name = "FILE OR FOLDER")]
    pub(crate) paths: Vec<PathBuf>,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Write what was seen as what is expected, where nothing is yet or where it differs; a person must read it before it is kept
    #[arg(long, conflicts_with = "defect")]
    pub(crate) update: bool,
    /// Switch a deliberate fault of the in-repo gateway on in every run in whose profile it is one, to see the differences
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Folder of the runs, each in its own; must not exist, or be empty [default: results/runs/<utc>-verify/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Cut the scenario of a violated run down to the smallest that still shows it
///
/// Looks for the mismatch that occurred most often: the same kind in the same cohort, with the same answer due and the same one seen.
/// Leaves out cohorts, faults and operators and lowers numbers of clients, with the run's seed, defect and profile, as long as it still
/// shows, twice of two times. What is left is written as a file that extends the whole one. Ctrl-C ends the search and keeps the best so far.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run harness/tests/fixtures/shrink/herd.toml --defect forget-approval-on-restart --out failed   exit code 1\n  \
         pairstorm shrink failed --max-runs 6 --out small\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct ShrinkArguments {
    /// Folder of a violated run against the in-repo gateway, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER")]
    pub(crate) folder: PathBuf,
    /// Folder to write; must not exist, or be empty [default: results/runs/<utc>-shrink/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Runs at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) max_runs: u32,
    /// Time at most; the run that is under way is ended first
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30m")]
    pub(crate) max_time: Duration,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Read a real gateway's log, and write a scenario that does the same
///
/// Reads the log file of OpenClaw (lines of JSON), what it prints (any console style, also behind the prefixes of journalctl and
/// docker), of old and new releases, and the in-repo gateway's `gateway.log`. Several files of one gateway go together: a
/// connection that stands in two of them counts once, and the log file says more than the console.
///
/// The scenario has the log's clients, grouped by what they did, with their counts, times, approvals and restarts. It has none of
/// its addresses, names, origins and secrets. What the log does not say stands in its first lines.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm import harness/tests/fixtures/logs/2026.9.6/file.log --out loop   one that a real 2026.9.6 wrote\n  \
         pairstorm plan loop/imported.toml\n  \
         pairstorm import harness/tests/fixtures/logs/2026.2.19/console-json.log --within 20s --name short --out short\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct ImportArguments {
    /// Logs of one gateway, in any order; not compressed
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// Folder to write; must not exist, or be empty [default: results/runs/<utc>-import/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Name of the scenario and its file
    #[arg(long, value_name = "NAME", default_value = "imported", value_parser = file_name)]
    pub(crate) name: String,
    /// Hold the gateway to this profile [default: that of the release that wrote the log]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// A longer log is told faster, so that the run takes this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(crate) within: Duration,
}

/// Record what passes between any client and any gateway, for `conform`
///
/// A proxy listens, passes everything on, and writes it down without secrets. Ctrl-C ends the recording. Lines on stdin say what
/// happens: `step NAME` in front of a connection; `action terminate`, `action kill`, `action start`, `action drop-entry DEVICE`,
/// `action set-scopes DEVICE SCOPE…` when it was done to the gateway.
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct RecordArguments {
    /// Folder to write; a case of the same name is replaced, others stay
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Where clients connect; port 0 = a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// The gateway
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) to: String,
    /// Name of the case
    #[arg(long, value_name = "NAME")]
    pub(crate) case: String,
    /// Release of the gateway, for example 2026.2.22
    #[arg(long, value_name = "VERSION")]
    pub(crate) release: String,
    /// The gateway section of its openclaw.json, so that a replay can be given the same
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    pub(crate) config: Option<String>,
    /// The same, from a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// What the case is about
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// Listen on an address that is not loopback
    #[arg(long)]
    pub(crate) allow_remote_clients: bool,
    /// Allow this host although it is not a loopback address; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_remote_target: Vec<String>,
}

/// Replay recorded sessions against a gateway and compare field by field
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct ConformArguments {
    /// Folder of recordings: index.json and a file of lines a case
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Hold the in-repo gateway under this profile against the recordings [default: the recorded release's]
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub(crate) profile: Option<String>,
    /// Start another gateway: `in-repo`, `openclaw` (the recorded release of each case) or `openclaw@VERSION`; real ones run one
    /// at a time
    #[arg(long, value_name = "GATEWAY", default_value = "in-repo", conflicts_with = "target")]
    pub(crate) gateway: String,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Replay against a gateway that is already there; signals and store edits are then not replayed
    #[arg(long, value_name = "ws://HOST:PORT/")]
    pub(crate) target: Option<String>,
    /// Only cases whose name matches; * and ? as in a shell
    #[arg(long = "case", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Switch a deliberate fault of the in-repo gateway on, to see the comparison catch it
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub(crate) defect: Option<String>,
    /// Leave out cases whose recorded pauses add up to more than this
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub(crate) longest: Duration,
    /// List of known differences, `case | step | field | reason` a line; they are shown and counted, and do not
    /// fail; one that does not occur does
    #[arg(long, value_name = "FILE")]
    pub(crate) except: Option<PathBuf>,
    /// How long an answer may be late, beyond what it took in the recording; events a third of it
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3s")]
    pub(crate) patience: Duration,
    /// Name each step to a `pairstorm record` behind --target, which passes the rest on
    #[arg(long, requires = "target")]
    pub(crate) name_steps: bool,
    /// Cases at the same time, each with a gateway of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) at_once: u16,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell stories drawn from a seed to the in-repo gateway, and to a real one, and compare
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct DifferentialArguments {
    /// Whom the in-repo gateway stands in for, and what the oracle holds every gateway to
    #[arg(long, value_name = "NAME", default_value = "article")]
    pub(crate) profile: String,
    /// Seed of the stories
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Steps in all, or a few more
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub(crate) steps: usize,
    /// Switch a deliberate fault of the in-repo gateway on, to see it found
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Tell the same to a real gateway and compare: `openclaw`, the release the profile is called after, or `openclaw@VERSION`
    #[arg(long, value_name = "GATEWAY")]
    pub(crate) real: Option<String>,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Differences that are cut down to what shows them; the others are most likely the same
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) cut_down: usize,
    /// Where the scenarios are written [default: results/runs/<utc>-differential/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Show that the checks can fail: every deliberate fault of the in-repo gateway must be caught
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct DefectsArguments {
    /// Try only this defect; may be repeated
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Folder of the scenarios meant for the defects
    #[arg(long, value_name = "FOLDER", default_value = "scenarios/defects")]
    pub(crate) scenarios: PathBuf,
    /// Also run every defect against the scenarios meant for others (half an hour)
    #[arg(long)]
    pub(crate) full: bool,
    /// List the defects and what must catch them, as Markdown, and try none
    #[arg(long)]
    pub(crate) list: bool,
    /// Folder of the runs, each in its own; must not exist, or be empty [default: results/runs/<utc>-defects/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the matrix as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Print what a scenario would do: clients, arrivals, faults, sockets needed
///
/// Starts nothing. Says who arrives when, what happens to the gateway, how long it takes, and what it needs of this machine beside
/// what the machine has; of a sweep the same of every combination.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    pairstorm plan scenarios/smoke.toml\n  \
    pairstorm plan scenarios/smoke.toml --clients 20000      would it fit this machine?\n  \
    pairstorm plan scenarios/smoke.toml --shard 2/4          what the second of four processes would do\n  \
    pairstorm plan scenarios/smoke.toml --json               the same as figures")]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArguments,
    /// Print the figures as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print a script that completes commands and options in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pairstorm completions bash > pairstorm.bash     then, in ~/.bashrc: source PATH/pairstorm.bash
  pairstorm completions zsh > _pairstorm          in a folder that $fpath names
  pairstorm completions fish > pairstorm.fish     in ~/.config/fish/completions")]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages, one a command
///
/// They say what `--help` says. A page of the same name is replaced, others stay.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pairstorm man --out ~/.local/share/man/man1      then: man pairstorm-run
  pairstorm man --out pages                        then: man -l pages/pairstorm-run.1")]
pub(crate) struct ManArguments {
    /// Folder to write to; is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
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

fn file_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("up to 64 letters, digits, `-` and `_`".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    harness::scenario::duration(text).map_err(|error| format!("{}; {}", error.message, error.help))
}
