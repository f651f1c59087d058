//! How long it takes to check the history of a run, and how much memory: 1,000,000 operations on 10,000 devices, beside a tenth
//! of that, drawn from a seed. `results/2026-11-26-history-checker` says what came out.
//!
//! A device's truth is told by a little gateway of the driver's own, which knows the profile `article` as far as it is needed
//! here: operations take effect at one moment each, begin before it and end after it, overlap, are cut off by restarts and
//! then may have happened or not. On one device in a thousand one answer is then spoilt, where nothing else that went on at
//! that time can explain it. The history is written to a file and judged from there, as a run's is.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use benches::usage::Stopwatch;
use clap::Parser;
use harness::history::format::{self, End, Header};
use harness::history::{Fault, Log, Notice, Operation, OperationEnd, OperationKind, Record, RestartStamps};
use harness::observation::{
    CloseSeen, Closed, Fingerprint, Grant, GrantAuth, Observation, Outcome, Phase, Refusal, Stamps,
};
use harness::plan::identity::Identities;
use harness::plan::{FaultKind, Nanos, Overrides, Plan, StopSignal, unfold};
use harness::record::RunFacts;
use harness::run::judge::{Doubts, judge};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

const MS: Nanos = 1_000_000;
/// Between the operations of a device.
const STEP: Nanos = 1_000 * MS;
const SCENARIO: &str = r#"
name = "history"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.phones]
persona = "cli"
count = 100
path = "proxy"
scopes = ["operator.read"]
[cohort.phones.arrivals.herd]
at = "0s"
[operator.owner]
"#;

/// Checks histories of two sizes and prints what it took, as JSON.
#[derive(Debug, Parser)]
struct Arguments {
    /// Devices of the larger history; the smaller one has a tenth.
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Operations of each device.
    #[arg(long, default_value_t = 100)]
    operations: u32,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Check one history in this process.
    #[arg(long, hide = true)]
    one: bool,
    /// Spoil one device in a thousand.
    #[arg(long, hide = true)]
    planted: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one check took.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Checked {
    devices: u32,
    operations: u64,
    restarts: usize,
    history_bytes: u64,
    seconds: f64,
    operations_per_second: f64,
    peak_resident_bytes: u64,
    valid: u64,
    invalid: u64,
    unknown: u64,
    planted: usize,
    mismatches: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    seed: u64,
    checks: Vec<Checked>,
    /// Seconds of the larger history over those of the smaller one, each without violations; 10 would be linear.
    growth: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut out = io::stdout();
    if arguments.one {
        serde_json::to_writer(&mut out, &check(&arguments)?)?;
        return Ok(());
    }
    let mut checks: Vec<Checked> = Vec::new();
    for (devices, planted) in
        [(arguments.devices / 10, false), (arguments.devices, false), (arguments.devices, true)]
    {
        // In a process of its own: the peak of its memory is that of one check.
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "--one",
            &format!("--devices={devices}"),
            &format!("--operations={}", arguments.operations),
        ]);
        command.arg(format!("--seed={}", arguments.seed));
        if planted {
            command.arg("--planted");
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        checks.push(serde_json::from_slice(&output.stdout)?);
    }
    let seconds = |at: usize| checks.get(at).map_or(f64::NAN, |check| check.seconds);
    let report = Report { seed: arguments.seed, growth: seconds(1) / seconds(0), checks };
    writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

fn check(arguments: &Arguments) -> anyhow::Result<Checked> {
    let said = |errors: Vec<harness::scenario::Diagnostic>| {
        anyhow::anyhow!("{}", harness::scenario::render(&errors, false))
    };
    let scenario = harness::scenario::parse("history.toml", SCENARIO, &[]).map_err(said)?;
    let overrides = Overrides { clients: Some(u64::from(arguments.devices)), ..Overrides::default() };
    let plan = unfold(&scenario, &overrides).map_err(said)?;
    let file = tempfile()?;
    let drawn = write(&file, &plan, arguments)?;
    let log = Log::open(&file)?;
    let watch = Stopwatch::start();
    let judged = judge(&plan, &Identities::reproducible(plan.seed), &log, Doubts::default());
    let result = judged.tally.finish(&RunFacts::default());
    let seconds = watch.cost().wall_seconds;
    let bytes = std::fs::metadata(&file)?.len();
    std::fs::remove_file(&file)?;
    let devices = result.devices.context("the profile was asked")?;
    ensure!(devices.unknown == 0, "{} devices have no verdict", devices.unknown);
    let found: BTreeSet<String> = devices.listed.iter().map(|device| device.client.clone()).collect();
    let planted: BTreeSet<String> = drawn.planted.iter().map(|device| format!("phones/{device}")).collect();
    let first = devices.listed.first().map(|device| device.why.clone()).unwrap_or_default();
    ensure!(found == planted, "planted {planted:?}, found {found:?}: {first}");
    ensure!(devices.listed.iter().all(|device| device.shortest), "a sub-history is not the shortest");
    Ok(Checked {
        devices: arguments.devices,
        operations: drawn.operations,
        restarts: drawn.restarts,
        history_bytes: bytes,
        seconds,
        operations_per_second: drawn.operations as f64 / seconds,
        peak_resident_bytes: procfs::process::Process::myself()?.status()?.vmhwm.unwrap_or_default() * 1024,
        valid: devices.valid,
        invalid: devices.invalid,
        unknown: devices.unknown,
        planted: planted.len(),
        mismatches: result.mismatches.total,
    })
}

fn tempfile() -> anyhow::Result<std::path::PathBuf> {
    let name = format!("pairstorm-checker-{}.bin", std::process::id());
    Ok(std::env::temp_dir().join(name))
}

/// What was written.
#[derive(Debug, Default)]
struct Drawn {
    operations: u64,
    restarts: usize,
    planted: Vec<u32>,
}

fn write(path: &Path, plan: &Plan, arguments: &Arguments) -> anyhow::Result<Drawn> {
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    let mut bytes = Vec::new();
    let header = Header {
        scenario: plan.name.clone(),
        scenario_sha256: String::new(),
        seed: plan.seed,
        clients: arguments.devices,
        started_at: 0,
        pairstorm: "bench".to_owned(),
    };
    format::append_header(&mut bytes, &header)?;
    let ended = STEP * Nanos::from(arguments.operations + 20);
    // A restart each tenth of the run, killed and stopped by turns.
    let kills: Vec<Nanos> = (1..10).map(|tenth| ended * tenth / 10 + 333 * MS).collect();
    let mut records = 0;
    for (number, began) in kills.iter().enumerate() {
        let signal = if number % 2 == 0 { StopSignal::Sigkill } else { StopSignal::Sigterm };
        let stamps = RestartStamps {
            port_closed: Some(began + 5 * MS),
            exited: Some(began + DOWN),
            spawned: Some(began + DOWN),
            port_open: Some(began + UP),
        };
        let fault = Fault {
            name: "restart".to_owned(),
            kind: FaultKind::Restart { signal, down: Duration::ZERO },
            began: *began,
            ended: Some(began + UP),
            restart: Some(stamps),
        };
        format::append(&mut bytes, &Record::Fault(fault), None)?;
        records += 1;
    }
    let mut drawn = Drawn { restarts: kills.len(), ..Drawn::default() };
    for device in 0..arguments.devices {
        let mut life = Life::draw(device, arguments, &kills);
        if arguments.planted && device % 1_000 == 500 {
            ensure!(life.spoil(device / 1_000), "nothing to spoil on device {device}");
            drawn.planted.push(device);
        }
        drawn.operations += life.told.len() as u64;
        for told in life.told {
            for record in told.records {
                format::append(&mut bytes, &record, None)?;
                records += 1;
            }
        }
        file.write_all(&bytes)?;
        bytes.clear();
    }
    format::append_end(&mut bytes, &End { ended, records, waits: 0, waited: 0 })?;
    file.write_all(&bytes)?;
    file.flush()?;
    Ok(drawn)
}

/// From the signal until the process is gone, and until the port is open again.
const DOWN: Nanos = 20 * MS;
const UP: Nanos = 200 * MS;

/// One operation and what was recorded of it.
#[derive(Debug)]
struct Told {
    from: Nanos,
    until: Nanos,
    records: Vec<Record>,
}

/// What one device did and what became of it.
#[derive(Debug)]
struct Life {
    told: Vec<Told>,
    attempts: u32,
    rng: ChaCha8Rng,
    /// The token of the entry.
    paired: Option<u64>,
    /// The request that waits, and when it was made.
    pending: Option<(String, Nanos)>,
}

impl Life {
    fn draw(device: u32, arguments: &Arguments, kills: &[Nanos]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
        rng.set_stream(u64::from(device) + 1);
        let mut life = Self { told: Vec::new(), attempts: 0, rng, paired: None, pending: None };
        for step in 1..=arguments.operations {
            // A third overlaps its neighbours.
            let moment = STEP * Nanos::from(step) + life.rng.random_range(0..400) * MS;
            let reach = if life.rng.random_range(0..3) == 0 { 900 } else { 30 };
            let before = life.rng.random_range(1..=reach) * MS;
            let after = life.rng.random_range(1..=reach) * MS;
            life.act(device, moment, (before, after), kills);
        }
        life
    }

    fn act(&mut self, device: u32, moment: Nanos, (before, after): (Nanos, Nanos), kills: &[Nanos]) {
        let pick = self.rng.random_range(0..100);
        let is_connect = pick < 70 || (self.paired.is_none() && self.pending.is_none());
        let waiting = self.pending.clone();
        // Nobody answers a request that was not there.
        let since = waiting.as_ref().map_or(0, |(_, made)| *made);
        let from = if is_connect { moment - before } else { (moment - before).max(since) };
        let cut = kills.iter().find(|kill| from <= **kill + UP && **kill <= moment + after);
        if let Some(kill) = cut.filter(|kill| from + MS >= **kill) {
            // The gateway is gone: nobody is there to ask.
            if is_connect {
                let outcome = Outcome::ConnectionRefused;
                let stamps = Stamps { started: Some(from), ended: Some(from + MS), ..Stamps::default() };
                let is_open = from > kill + DOWN + UP / 2;
                if !is_open {
                    self.tell(device, from, from + MS, vec![], Some((stamps, outcome)));
                }
            }
            return;
        }
        // What the kill caught may have happened before it or not; nobody was told.
        let killed = cut.copied();
        let happens = killed.is_none_or(|kill| moment < kill);
        let until = moment + after;
        if is_connect {
            let outcome = happens.then(|| self.connect(device, from, moment));
            let stamps = Stamps {
                started: Some(from),
                dialled: Some(from),
                upgraded: Some(from),
                challenged: Some(from),
                sent: Some(from),
                answered: killed.is_none().then_some(until),
                ended: None,
            };
            let (stamps, outcome) = match (killed, outcome) {
                (None, Some(outcome)) => {
                    let ended = matches!(outcome, Outcome::Refused(_)).then_some(until);
                    (Stamps { ended, ..stamps }, outcome)
                }
                (kill, _) => {
                    let closed = Closed { close: CloseSeen::Abrupt, phase: Phase::Verdict };
                    (Stamps { ended: kill.map(|kill| kill + DOWN), ..stamps }, Outcome::Closed(closed))
                }
            };
            self.tell(device, from, until, vec![], Some((stamps, outcome)));
            return;
        }
        let (kind, token) = self.operate(pick, waiting, happens);
        let end = match killed {
            Some(_) => OperationEnd::Unknown,
            None => OperationEnd::Done { at: until, token },
        };
        let mut records = Vec::new();
        if let OperationKind::Approve { request_id } | OperationKind::Reject { request_id } = &kind {
            let notice =
                Notice { operator: 0, client: Some(device), request_id: request_id.clone(), at: from };
            records.push(Record::Notice(notice));
        }
        let operation =
            Operation { operator: 0, client: Some(device), kind, caller: None, invoked: from, end };
        records.push(Record::Operation(operation));
        self.tell(device, from, until, records, None);
    }

    /// What the gateway answers to a connect.
    fn connect(&mut self, device: u32, from: Nanos, moment: Nanos) -> Outcome {
        if let Some(token) = self.paired {
            return session(token);
        }
        let fresh = self.rng.next_u64();
        let (id, _) =
            self.pending.get_or_insert_with(|| (format!("{device}-{fresh:016x}"), moment.max(from)));
        refused(id.clone())
    }

    /// What an operator does next, and what it does to the device.
    fn operate(
        &mut self,
        pick: u32,
        waiting: Option<(String, Nanos)>,
        happens: bool,
    ) -> (OperationKind, Option<Fingerprint>) {
        match waiting {
            Some((request_id, _)) => {
                let rejects = pick >= 97;
                if happens {
                    self.pending = None;
                    if !rejects {
                        self.paired = Some(self.rng.next_u64());
                    }
                }
                let kind = if rejects {
                    OperationKind::Reject { request_id }
                } else {
                    OperationKind::Approve { request_id }
                };
                (kind, None)
            }
            None if pick >= 90 => {
                if happens {
                    self.paired = None;
                }
                (OperationKind::Remove, None)
            }
            None => {
                let token = self.rng.next_u64();
                if happens {
                    self.paired = Some(token);
                }
                let kind = OperationKind::Rotate { role: "operator".to_owned(), scopes: None };
                (kind, Some(Fingerprint(token)))
            }
        }
    }

    fn tell(
        &mut self,
        client: u32,
        from: Nanos,
        until: Nanos,
        mut records: Vec<Record>,
        attempt: Option<(Stamps, Outcome)>,
    ) {
        if let Some((stamps, outcome)) = attempt {
            records.push(Record::Attempt(Observation {
                client,
                attempt: self.attempts,
                ask: 0,
                step: None,
                intended: from,
                stamps,
                presented_token: None,
                outcome,
            }));
            self.attempts += 1;
        }
        self.told.push(Told { from, until, records });
    }

    /// Spoils the second of two connects that were answered alike and alone, one after the other; false if there are none.
    fn spoil(&mut self, how: u32) -> bool {
        let fresh = self.rng.next_u64();
        for at in 1..self.told.len() {
            let spans: Vec<(Nanos, Nanos)> = self.told.iter().map(|told| (told.from, told.until)).collect();
            let Some((first, second)) = spans.get(at - 1).zip(spans.get(at)) else { continue };
            let span = (first.0, second.1);
            let others = spans.iter().enumerate().filter(|(other, _)| *other != at && *other != at - 1);
            let alone = first.1 < second.0
                && !others.clone().any(|(_, other)| other.0 <= span.1 && span.0 <= other.1);
            let pair = (self.told.get(at - 1).and_then(outcome_of), self.told.get(at).and_then(outcome_of));
            let spoilt = match pair {
                (Some(Outcome::Session(_)), Some(Outcome::Session(_))) if how.is_multiple_of(3) => {
                    refused(format!("lost-{fresh:016x}"))
                }
                (Some(Outcome::Session(_)), Some(Outcome::Session(_))) if how % 3 == 1 => session(fresh),
                (Some(Outcome::Refused(_)), Some(Outcome::Refused(_))) if how % 3 == 2 => session(fresh),
                _ => continue,
            };
            if !alone {
                continue;
            }
            let record = self.told.get_mut(at).and_then(|told| told.records.last_mut());
            if let Some(Record::Attempt(attempt)) = record {
                attempt.stamps.ended = matches!(spoilt, Outcome::Refused(_)).then_some(second.1);
                attempt.outcome = spoilt;
                return true;
            }
        }
        false
    }
}

fn outcome_of(told: &Told) -> Option<&Outcome> {
    match told.records.last()? {
        Record::Attempt(attempt) => Some(&attempt.outcome),
        _ => None,
    }
}

fn session(token: u64) -> Outcome {
    let auth = GrantAuth {
        role: "operator".to_owned(),
        scopes: vec!["operator.read".to_owned()],
        token: Some(Fingerprint(token)),
    };
    Outcome::Session(Grant { protocol: 3, auth: Some(auth) })
}

fn refused(request_id: String) -> Outcome {
    Outcome::Refused(Refusal {
        code: "NOT_PAIRED".to_owned(),
        message: "pairing required".to_owned(),
        detail_code: Some("PAIRING_REQUIRED".to_owned()),
        reason: Some("not-paired".to_owned()),
        auth_reason: None,
        next_step: None,
        request_id: Some(request_id),
        close: Some(CloseSeen::Frame { code: 1008, reason: "pairing required".to_owned() }),
    })
}
