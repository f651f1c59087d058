//! Does a recorded case again, against a gateway of its own or one at an address.

mod seen;
mod send;
mod start;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::start::{start, starting_slowly};
use super::compare::{Compared, Comparison};
use super::identity::Identities;
use super::run::Ports;
use super::sequence;
use super::session::{Action, Case, NotReplayed, Reason, Seen, What};
use super::store::Store;
use super::wires::Wires;
use crate::gateway::{GatewayProcess, Launch, StateDir, TargetError};
use crate::plan::StopSignal;
use rustix::process::Signal;

/// Header that names the step of a connection for a recording proxy, which takes it out.
pub const STEP_HEADER: &str = "pairstorm-step";
/// Pauses of the recording that are longer are kept; shorter ones were the recorder's own.
const PAUSE_KEPT_MS: i64 = 200;
/// How long a gateway may take from a signal until it turns a dial away.
const TURNS_AWAY_WITHIN: Duration = Duration::from_secs(10);
/// No pause is this long: it is the step from lines before the first challenge to the gateway's clock.
const CLOCK_STARTS_MS: i64 = 100_000_000_000;
/// How long the replay looks for messages that nobody recorded, at the end.
const QUIET: Duration = Duration::from_millis(60);

/// What a case is replayed against.
#[derive(Debug, Clone)]
pub enum Against {
    /// A gateway that is started for the case.
    Own {
        /// How to start it.
        launches: Launches,
        /// `--profile`; `None` = the recorded release.
        profile: Option<String>,
        /// `--defect`.
        defect: Option<String>,
    },
    /// A gateway that is already there.
    Url {
        /// Where.
        socket: SocketAddr,
        /// `Host`.
        host: String,
    },
}

/// Which gateway is started for a case.
#[derive(Debug, Clone)]
pub enum Launches {
    /// The same for all.
    One(Launch),
    /// By the case's release.
    ByRelease(std::collections::BTreeMap<String, Launch>),
}

impl Launches {
    fn of(&self, release: &str) -> Option<&Launch> {
        match self {
            Self::One(launch) => Some(launch),
            Self::ByRelease(launches) => launches.get(release),
        }
    }

    /// Whether several may run at the same time: real ones take a second's work and half a gigabyte each.
    #[must_use]
    pub const fn are_light(&self) -> bool {
        matches!(self, Self::One(Launch::InRepo(_)))
    }
}

/// How a case is replayed.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Longest sum of recorded pauses of a case that is replayed.
    pub longest: Duration,
    /// How long an answer may be late, beyond what it took in the recording; events a third of it.
    pub patience: Duration,
    /// Send each connection's step in [`STEP_HEADER`].
    pub name_steps: bool,
}

/// What one case came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Name of the case.
    pub name: String,
    /// Release that was recorded.
    pub release: String,
    /// Steps with what was compared in them, in order.
    pub steps: Vec<StepResult>,
    /// What was not replayed.
    pub not_replayed: Vec<NotReplayed>,
    /// List entries of devices from before the recorded session, not compared.
    pub foreign: usize,
    /// Events that are no part of the handshake, not compared.
    pub events_not_compared: usize,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// Its first line in the recording.
    pub line: usize,
    /// Field by field.
    pub compared: Vec<Compared>,
    /// Two outcomes were possible; counted apart.
    pub race: bool,
}

/// Replays `case`; its gateway gets one of `ports`.
///
/// # Errors
/// [`TargetError`] when the gateway cannot be started.
pub async fn replay(
    case: &Case,
    against: &Against,
    ports: &Ports,
    manner: Manner,
) -> Result<Replayed, TargetError> {
    let mut replayed = Replayed {
        name: case.name.clone(),
        release: case.release.clone(),
        not_replayed: case.session.not_replayed.clone(),
        events_not_compared: case.session.events_not_compared.values().sum(),
        ..Replayed::default()
    };
    if case.session.timeline.is_empty() {
        return Ok(replayed);
    }
    let mut whole = |reason| {
        replayed.not_replayed.push(NotReplayed { line: 0, what: "the whole case".to_owned(), reason });
    };
    if pauses(case) > manner.longest {
        whole(Reason::TooLong);
        return Ok(replayed);
    }
    let (socket, host, own) = match against {
        Against::Url { socket, host } => (*socket, host.clone(), None),
        Against::Own { launches, profile, defect } => {
            let profile = profile.clone().unwrap_or_else(|| case.release.clone());
            if protocol::ProfileName::find(&profile).is_none() {
                whole(Reason::UnknownProfile);
                return Ok(replayed);
            }
            let Some(launch) = launches.of(&case.release) else {
                whole(Reason::NotInstalled);
                return Ok(replayed);
            };
            let state = StateDir::create()?;
            state.write("openclaw.json", format!("{:#}\n", json!({"gateway": case.config})).as_bytes())?;
            let starting = starts_up(case, 0);
            let launch = if starting { starting_slowly(launch.clone()) } else { launch.clone() };
            let (started, port) = start(&launch, &profile, defect.as_ref(), ports, &state, starting).await;
            let process = match started {
                Ok(process) => process,
                // The recorded gateway served with this configuration.
                Err(error @ TargetError::DiedAtStart { .. }) => {
                    let last = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                    let difference = Some(("the gateway starts".to_owned(), last));
                    let compared = vec![Compared { field: "start".to_owned(), difference }];
                    replayed.steps.push(StepResult {
                        name: "start".to_owned(),
                        compared,
                        ..StepResult::default()
                    });
                    return Ok(replayed);
                }
                Err(error) => return Err(error),
            };
            (SocketAddr::from(([127, 0, 0, 1], port)), format!("127.0.0.1:{port}"), Some((process, state)))
        }
    };
    let mut replay = Replay {
        case,
        identities: Identities::default(),
        present: BTreeSet::new(),
        wires: Wires::new(socket, host.clone(), case.session.connections.len()),
        steps: case
            .session
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| StepResult {
                name: step.name.clone(),
                race: case.session.races.contains(&index),
                ..StepResult::default()
            })
            .collect(),
        own,
        host,
        not_replayed: Vec::new(),
        foreign: 0,
        page: None,
        last: None,
        unreached: BTreeSet::new(),
        early: matches!(against, Against::Own { .. }) && starts_up(case, 0),
        raced: std::collections::BTreeMap::new(),
        signalled: None,
        halted: BTreeSet::new(),
        halts: false,
        store: Store::default(),
        manner,
    };
    replay.run().await;
    if let Some((mut process, _state)) = replay.own.take() {
        process.stop().await?;
    }
    replayed.steps = replay.steps.into_iter().filter(|step| !step.compared.is_empty()).collect();
    replayed.not_replayed.append(&mut replay.not_replayed);
    replayed.foreign = replay.foreign;
    Ok(replayed)
}

/// Whether the recording has answers of a start-up phase at or after this place, before the gateway is started again.
fn starts_up(case: &Case, from: usize) -> bool {
    let rest = case.session.timeline.iter().skip(from);
    rest.take_while(|entry| !matches!(entry.what, What::Act(Action::Start))).any(|entry| {
        matches!(&entry.what, What::Saw(_, Seen::Frame(frame))
            if frame.pointer("/error/details/reason").and_then(Value::as_str) == Some("startup-sidecars"))
    })
}

/// The pauses of a recording that are kept, together.
fn pauses(case: &Case) -> Duration {
    let mut total = 0_i64;
    let mut last = None;
    for entry in &case.session.timeline {
        if let Some(last) = last {
            let kept = PAUSE_KEPT_MS + 1..=CLOCK_STARTS_MS;
            total += Some(entry.at_ms - last).filter(|pause| kept.contains(pause)).unwrap_or_default();
        }
        last = Some(entry.at_ms);
    }
    Duration::from_millis(u64::try_from(total).unwrap_or_default())
}

struct Replay<'a> {
    case: &'a Case,
    identities: Identities,
    present: BTreeSet<String>,
    wires: Wires,
    steps: Vec<StepResult>,
    own: Option<(GatewayProcess, StateDir)>,
    host: String,
    not_replayed: Vec<NotReplayed>,
    foreign: usize,
    page: Option<super::session::Page>,
    /// When the last entry was dealt with, and its recorded time.
    last: Option<(Instant, i64)>,
    /// Connections that ended before the recording had done with them.
    unreached: BTreeSet<usize>,
    /// The gateway's port is open, but it may not be ready.
    early: bool,
    /// Connections of races, and whether they were accepted.
    raced: std::collections::BTreeMap<usize, bool>,
    /// The gateway was told to end.
    signalled: Option<StopSignal>,
    /// Something could not be done again: what comes after it is left out.
    halts: bool,
    /// Steps that were left out.
    halted: BTreeSet<usize>,
    store: Store,
    manner: Manner,
}

impl Replay<'_> {
    async fn run(&mut self) {
        let case = self.case;
        for (place, entry) in case.session.timeline.iter().enumerate() {
            if self.halts {
                self.leave_out(entry);
                continue;
            }
            if let Some(step) = self.steps.get_mut(entry.step)
                && step.line == 0
            {
                step.line = entry.line;
            }
            let waits = matches!(entry.what, What::Saw(..) | What::SawPage(_));
            if !waits {
                self.pace(entry.at_ms, matches!(entry.what, What::Act(_))).await;
            }
            match &entry.what {
                What::Open(index) => {
                    self.until_state_of(place, *index).await;
                    self.open(entry.step, *index).await;
                }
                What::Send(index, message) => self.send(entry.step, *index, message).await,
                What::Leave(index, how) => self.leave(*index, *how).await,
                What::Get(path) => self.page = Some(self.wires.get(path).await),
                What::Act(action) => self.act(place, entry.line, action).await,
                What::Saw(index, seen) => self.saw(entry.step, *index, seen, entry.at_ms).await,
                What::SawPage(recorded) => {
                    let live = self.page.take().unwrap_or_default();
                    let result =
                        Comparison::new(&mut self.identities, &self.present).page_only(recorded, &live);
                    self.keep(entry.step, result.compared);
                }
            }
            #[expect(clippy::disallowed_methods, reason = "the replay keeps the recording's pauses")]
            let now = Instant::now();
            self.last = Some((now, entry.at_ms));
        }
        #[expect(clippy::disallowed_methods, reason = "a bounded wait for what nobody recorded")]
        let end = Instant::now() + QUIET;
        self.wires.read_until(end).await;
        self.unasked();
    }

    /// Lists a step that comes after something that could not be done again.
    fn leave_out(&mut self, entry: &super::session::Entry) {
        let done = !matches!(entry.what, What::Saw(..) | What::SawPage(_) | What::Leave(..));
        if done
            && self.steps.get(entry.step).is_some_and(|step| step.line == 0)
            && self.halted.insert(entry.step)
        {
            let what = self.case.session.steps.get(entry.step).map(|step| step.name.clone());
            let what = what.unwrap_or_default();
            self.not_replayed.push(NotReplayed { line: entry.line, what, reason: Reason::Depends });
        }
    }

    /// Waits until the gateway is in the state in which the recorded one was dialled: ready, stopping, or gone.
    async fn until_state_of(&mut self, place: usize, index: usize) {
        if self.early
            && !starts_up(self.case, place)
            && let Some((process, _)) = &mut self.own
        {
            self.early = false;
            // That it is not ready shows in what it answers.
            drop(process.until_ready().await);
        }
        if self.signalled.is_none() {
            return;
        }
        let recorded = self.case.session.timeline.iter().skip(place).find_map(|entry| match &entry.what {
            What::Saw(conn, Seen::Answer(page)) if *conn == index => Some(page),
            _ => None,
        });
        let Some(recorded) = recorded.filter(|page| sequence::turned_away(page)) else { return };
        #[expect(clippy::disallowed_methods, reason = "a bounded wait for a gateway that stops")]
        let until = Instant::now() + TURNS_AWAY_WITHIN;
        let gone = recorded.status == 0;
        self.wires.until_turned_away(gone, until).await;
    }

    /// Keeps the pauses of the recording. A restart takes as long as it takes.
    async fn pace(&mut self, at_ms: i64, action: bool) {
        let Some((last, last_ms)) = self.last else { return };
        let pause = at_ms - last_ms;
        if pause <= PAUSE_KEPT_MS || pause > CLOCK_STARTS_MS || action {
            return;
        }
        let until = last + Duration::from_millis(u64::try_from(pause).unwrap_or_default());
        self.wires.read_until(until).await;
    }

    async fn act(&mut self, place: usize, line: usize, action: &Action) {
        if *action == Action::Unknown {
            self.halts = true;
            return;
        }
        let Some((process, state)) = &mut self.own else {
            self.halts = true;
            self.not_replayed.push(NotReplayed {
                line,
                what: format!("{action:?}"),
                reason: Reason::NeedsOwnGateway,
            });
            return;
        };
        let done = match action {
            Action::Terminate => process.signal(Signal::TERM),
            Action::Kill => process.signal(Signal::KILL),
            Action::Start => {
                let early = starts_up(self.case, place + 1);
                self.early = early;
                match process.wait_after_signal(self.signalled.unwrap_or(StopSignal::Sigterm)).await {
                    Ok(_) if early => process.start_again_early().await,
                    Ok(_) => process.start_again(|| {}).await,
                    Err(error) => Err(error),
                }
            }
            Action::Edit(edit) => self.store.edit(state, edit, &self.identities),
            Action::Unknown => Ok(()),
        };
        self.signalled = match action {
            Action::Terminate => Some(StopSignal::Sigterm),
            Action::Kill => Some(StopSignal::Sigkill),
            Action::Start => None,
            Action::Edit(_) | Action::Unknown => self.signalled,
        };
        if let Err(error) = done {
            self.halts = true;
            self.not_replayed.push(NotReplayed {
                line,
                what: format!("{action:?}: {error}"),
                reason: Reason::NeedsOwnGateway,
            });
        }
    }

    fn keep(&mut self, step: usize, compared: Vec<Compared>) {
        if let Some(step) = self.steps.get_mut(step) {
            step.compared.extend(compared);
        }
    }

    fn differ(&mut self, step: usize, field: &str, recorded: &str, live: &str) {
        let difference = Some((recorded.to_owned(), live.to_owned()));
        self.keep(step, vec![Compared { field: field.to_owned(), difference }]);
    }
}
