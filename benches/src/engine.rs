//! pairstorm's own engine as a client of the reference server: with nobody who listens to its records, or as the whole product
//! with history, oracle, figures and files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use harness::clock::Clock;
use harness::engine::{Assignment, Feed, PreparedReactor, Progress, Reactor, StopPhase, StopSwitch, Told};
use harness::gateway::TargetAddress;
use harness::plan::identity::Identities;
use harness::plan::{Overrides, Plan, unfold};
use harness::run::{ForeignTarget, Observer, RunOptions, RunOutcome, RunTarget};
use harness::scenario;
use tokio::sync::mpsc;

/// The shared token that clients present. The reference server lets everybody in.
const SECRET: &str = "secret-token-1";
/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Clients of one kind: command lines with a device that sign, are let in, and leave at once or stay.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// How many.
    pub clients: u64,
    /// How they arrive.
    pub arrivals: Arrivals,
    /// Handshakes that each makes.
    pub handshakes_each: u64,
    /// Whether they stay until they are told to leave, instead of leaving at once.
    pub stay: bool,
}

/// How a crowd arrives.
#[derive(Debug, Clone, Copy)]
pub enum Arrivals {
    /// So many at a time, from `start` on.
    Closed {
        /// At a time.
        in_flight: u64,
        /// Since the start.
        start: Duration,
    },
    /// So many a second.
    Constant {
        /// Arrivals a second.
        rate: f64,
    },
}

/// The scenario of these crowds.
///
/// `reject`: they are refused, and try again as if they had not been. No release refuses such clients, so that there the
/// scenario's expectations are judged instead.
#[must_use]
pub fn scenario(crowds: &[Crowd], reject: bool) -> String {
    let mut text = String::from(
        "name = \"bench\"\nabout = \"Made by a benchmark.\"\nmax_time = \"3h\"\nin_flight_max = 18_000\n\
         [gateway]\nprofile = \"2026.9.6\"\n",
    );
    if reject {
        text = format!("oracle = \"expectations\"\n{text}");
    }
    for (number, crowd) in (0..).zip(crowds) {
        let Crowd { clients, handshakes_each, .. } = *crowd;
        let hold = if crowd.stay { "2h" } else { "0s" };
        // Of a refusal an attempt more is a failure more; of a session it is a reconnect.
        let reconnects = if reject { 0 } else { handshakes_each - 1 };
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "[cohort.c{number}]\npersona = \"cli\"\ncount = {clients}\ndeviation = \"none\"\n\
             scopes = [\"operator.read\", \"operator.write\", \"operator.admin\", \"operator.approvals\", \"operator.pairing\"]\n\
             session = {{ hold = \"{hold}\", reconnects = {reconnects} }}\n\
             reconnect = {{ tight = {{}}, attempts_max = {handshakes_each}, give_up = \"never\" }}\n"
        );
        if reject {
            text.push_str("expect = { outcome = \"refused\", code = \"NOT_PAIRED\" }\n");
        }
        let _ = match crowd.arrivals {
            Arrivals::Closed { in_flight, start } => writeln!(
                text,
                "arrivals = {{ closed = {{ concurrency = {in_flight}, start = \"{}ms\" }} }}",
                start.as_millis()
            ),
            Arrivals::Constant { rate } => {
                writeln!(text, "arrivals = {{ constant = {{ rate = \"{rate}/s\" }} }}")
            }
        };
    }
    text
}

/// The plan of these crowds.
///
/// # Errors
/// When the scenario is none, which is a mistake here.
pub fn plan(crowds: &[Crowd], reject: bool) -> anyhow::Result<Plan> {
    let text = scenario(crowds, reject);
    scenario::parse("bench.toml", &text, &[])
        .and_then(|scenario| unfold(&scenario, &Overrides::default()))
        .map_err(|errors| anyhow!("{errors:?}\n{text}"))
}

fn target(port: u16, reject: bool) -> TargetAddress {
    let mut target = TargetAddress::own(port);
    if reject {
        "/reject".clone_into(&mut target.path);
    }
    target
}

/// An engine under way whose records nobody reads.
pub struct Bare {
    reactor: Reactor,
    progress: Arc<Progress>,
    stop: StopSwitch,
    ended: mpsc::Receiver<()>,
}

impl Bare {
    /// Starts one reactor.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(plan: Plan, port: u16, reject: bool) -> anyhow::Result<Self> {
        // With nobody at the other end a record is dropped where it was made.
        let (feed, records) = Feed::new();
        drop(records);
        let progress = Arc::clone(feed.progress());
        let (mut stop, stopped) = StopSwitch::new();
        let (alive, ended) = mpsc::channel(1);
        let assignment = Assignment {
            identities: Identities::reproducible(plan.seed),
            plan: Arc::new(plan),
            target: target(port, reject),
            secret: SECRET.to_owned(),
            clock: Clock::start(),
            feed,
            told: Told::default(),
            stop: stopped,
            reactors: 1,
            alive,
        };
        let prepared = PreparedReactor::new(assignment, 0)?;
        stop.add(prepared.waker());
        prepared.wait();
        Ok(Self { reactor: prepared.begin(Clock::start()), progress, stop, ended })
    }

    /// What it has done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        Done::of(&self.progress)
    }

    /// Waits until `enough`.
    ///
    /// # Errors
    /// When the reactor ends before.
    pub fn wait_until(&self, enough: impl Fn(&Done) -> bool) -> anyhow::Result<()> {
        while !enough(&self.done()) {
            if self.reactor.is_finished() && !enough(&self.done()) {
                return Err(anyhow!("the engine ended early: {:?}", self.done()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until all scripts have ended.
    ///
    /// # Errors
    /// When the reactor panicked.
    pub fn join(mut self) -> anyhow::Result<Done> {
        // Nothing is ever sent: this ends when the reactor's thread does.
        let _ = self.ended.blocking_recv();
        self.reactor.join()?;
        Ok(Done::of(&self.progress))
    }

    /// Lets sessions be left, and waits.
    ///
    /// # Errors
    /// When the reactor panicked.
    pub fn leave(self) -> anyhow::Result<Done> {
        self.stop.advance(StopPhase::Leaving);
        self.join()
    }
}

/// What an engine has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Attempts with a session.
    pub sessions: u64,
    /// Attempts with a refusal.
    pub refused: u64,
    /// Others.
    pub others: u64,
    /// Sessions held now.
    pub held: u64,
    /// Clients whose script has ended.
    pub finished: u64,
}

impl Done {
    fn of(progress: &Progress) -> Self {
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            sessions: get(&progress.sessions),
            refused: get(&progress.refused),
            others: get(&progress.others),
            held: get(&progress.held),
            finished: get(&progress.finished),
        }
    }

    /// Handshakes that ended as they should, and others.
    #[must_use]
    pub const fn good_and_bad(&self, reject: bool) -> (u64, u64) {
        if reject {
            (self.refused, self.sessions + self.others)
        } else {
            (self.sessions, self.refused + self.others)
        }
    }
}

/// Says nothing: a display is not what is measured.
struct Silent;

impl Observer for Silent {
    fn stage(&mut self, _: &str) {}
    fn progress(&mut self, _: &Progress, _: usize) {}
}

/// The whole product against the same server: history, oracle, figures, files in `out`.
///
/// # Errors
/// When the run could not start.
pub fn recorded(plan: Plan, port: u16, reject: bool, out: PathBuf) -> anyhow::Result<RunOutcome> {
    let target = target(port, reject);
    let options = RunOptions {
        plan,
        scenario_file: "bench.toml".to_owned(),
        scenario_sha256: String::new(),
        target: RunTarget::Foreign(ForeignTarget {
            url: format!("ws://{}", target.host),
            address: target,
            secret: Some(SECRET.to_owned()),
            declared: true,
            identity_secret: [7; 32],
        }),
        reactors: Some(1),
        fail_fast: false,
        out,
        version: "bench".to_owned(),
        origin: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(harness::run::run(options, &mut Silent, std::future::pending()))
        .context("the run could not start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_scenarios_are_well_formed() {
        let closed = Arrivals::Closed { in_flight: 32, start: Duration::from_millis(1500) };
        let crowds = [
            Crowd {
                clients: 40,
                arrivals: Arrivals::Constant { rate: 2500.5 },
                handshakes_each: 1,
                stay: true,
            },
            Crowd { clients: 32, arrivals: closed, handshakes_each: 7, stay: false },
        ];
        for reject in [false, true] {
            let plan = plan(&crowds, reject).unwrap();
            assert_eq!(plan.clients.len(), 72);
        }
    }
}
