//! Does a recorded case again, against a gateway of its own or one at an address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::compare::{Compared, Comparison};
use super::identity::Identities;
use super::run::Ports;
use super::sequence;
use super::session::{Action, Case, Leaving, NotReplayed, Outgoing, Reason, Seen, What};
use super::signing::{self, Challenge, Signing};
use super::store::Store;
use super::wires::Wires;
use crate::gateway::process::GatewayArguments;
use crate::gateway::{GatewayProcess, Launch, StateDir, TargetError};
use rustix::process::Signal;

/// Header that names the step of a connection for a recording proxy, which takes it out.
pub const STEP_HEADER: &str = "pairstorm-step";
/// Pauses of the recording that are longer are kept; shorter ones were the recorder's own.
const PAUSE_KEPT_MS: i64 = 200;
/// How long the in-repo gateway stays in its start-up phase where the recording has answers of that phase, milliseconds:
/// longer than their connects take. Whoever is the first to be answered otherwise waits until it is over.
const STARTUP_MS: u64 = 4_000;
/// How long a gateway may take from a signal until it turns a dial away.
const TURNS_AWAY_WITHIN: Duration = Duration::from_secs(10);
/// No pause is this long: it is the step from lines before the first challenge to the gateway's clock.
const CLOCK_STARTS_MS: i64 = 100_000_000_000;
/// Event that a race may or may not have.
const REQUESTED: &str = "device.pair.requested";
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
        signalled: false,
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

/// Starts a gateway on a free port. A port that another program took in between is no fault of the gateway's.
async fn start(
    launch: &Launch,
    profile: &str,
    defect: Option<&String>,
    ports: &Ports,
    state: &StateDir,
    early: bool,
) -> (Result<GatewayProcess, TargetError>, u16) {
    let mut tries = 0;
    loop {
        let port = ports.take();
        let arguments =
            GatewayArguments { profile: profile.to_owned(), port, defect: defect.cloned(), time_scale: 1.0 };
        let started = if early {
            GatewayProcess::start_early(launch.clone(), arguments, state).await
        } else {
            GatewayProcess::start(launch.clone(), arguments, state).await
        };
        tries += 1;
        match &started {
            Err(TargetError::DiedAtStart { log, .. }) if tries < 5 && log.contains("in use") => {}
            _ => return (started, port),
        }
    }
}

/// Whether the recording has answers of a start-up phase at or after this place, before the gateway is started again.
fn starts_up(case: &Case, from: usize) -> bool {
    let rest = case.session.timeline.iter().skip(from);
    rest.take_while(|entry| !matches!(entry.what, What::Act(Action::Start))).any(|entry| {
        matches!(&entry.what, What::Saw(_, Seen::Frame(frame))
            if frame.pointer("/error/details/reason").and_then(Value::as_str) == Some("startup-sidecars"))
    })
}

/// The in-repo gateway is ready at once unless it is asked to take its time; others take what they take.
fn starting_slowly(launch: Launch) -> Launch {
    match launch {
        Launch::InRepo(mut command) => {
            command.prefix.extend(["--startup-ms".into(), STARTUP_MS.to_string().into()]);
            Launch::InRepo(command)
        }
        other @ Launch::Program(_) => other,
    }
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
    signalled: bool,
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
        if !self.signalled {
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

    async fn open(&mut self, step: usize, index: usize) {
        let Some(wanted) = self.case.session.connections.get(index) else { return };
        self.identities.set_authority(&wanted.authority, &self.host);
        let mut headers: Vec<(String, String)> = wanted
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), self.identities.header(value)))
            .collect();
        if self.manner.name_steps
            && let Some(step) = self.steps.get(step)
        {
            headers.push((STEP_HEADER.to_owned(), step.name.clone()));
        }
        self.wires.open(index, wanted, &headers).await;
    }

    async fn leave(&mut self, index: usize, how: Leaving) {
        if self.wires.wires.get(index).is_some_and(super::wires::Wire::open) {
            self.wires.leave(index, how).await;
        } else {
            // It was closed already, which the end of the replay reports: the close is still in its inbox. But after a
            // refusal both sides hang up, and which of them is faster is neither's merit.
            let refused = self.refused(index);
            if let Some(wire) = self.wires.wires.get_mut(index) {
                wire.left = refused;
            }
        }
    }

    /// Whether the recording has a connection's connect refused, and nothing after it.
    fn refused(&self, index: usize) -> bool {
        let last = self.case.session.timeline.iter().rev().find_map(|entry| match &entry.what {
            What::Saw(conn, Seen::Frame(frame)) if *conn == index && frame.get("event").is_none() => {
                Some(frame)
            }
            _ => None,
        });
        last.is_some_and(|frame| frame.get("ok").and_then(Value::as_bool) == Some(false))
    }

    async fn send(&mut self, step: usize, index: usize, message: &Outgoing) {
        let message = match message {
            Outgoing::Text(text) => Message::text(text.clone()),
            Outgoing::Binary(bytes) => Message::binary(bytes.clone()),
            Outgoing::Frame(frame) => Message::text(self.translate(frame).to_string()),
            Outgoing::Connect { frame, signing, binary } => {
                let text = self.connect(index, frame, signing).to_string();
                if *binary { Message::binary(text.into_bytes()) } else { Message::text(text) }
            }
        };
        if !self.wires.send(index, message).await && self.unreached.insert(index) {
            self.differ(step, "reached", "sent", "the connection was gone before");
        }
    }

    /// A frame with the replay's names.
    fn translate(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.identities.text(text).into(),
            Value::Array(list) => list.iter().map(|value| self.translate(value)).collect(),
            Value::Object(object) => {
                object.iter().map(|(key, value)| (key.clone(), self.translate(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// A connect of the replay's device, signed as the recorded one was.
    fn connect(&mut self, index: usize, recorded: &Value, signing: &Signing) -> Value {
        let mut frame = self.translate(recorded);
        let Some(device) = recorded.pointer("/params/device").and_then(Value::as_object) else {
            return frame;
        };
        let connection = self.case.session.connections.get(index);
        let wire = self.wires.wires.get(index);
        let recorded_nonce = connection.and_then(|connection| connection.nonce.as_deref());
        let live_nonce = wire.and_then(|wire| wire.nonce.as_deref());
        let time = connection.and_then(|c| c.challenged_at).zip(wire.and_then(|wire| wire.challenged_at));
        let nonce = recorded_nonce.zip(live_nonce);
        let challenge = Challenge { nonce, time };
        let text_of = |key: &str| device.get(key).and_then(Value::as_str);
        let claimed = text_of("id").unwrap_or_default().to_ascii_lowercase();
        // The key decides who it is; the id may be a lie. A key that redaction damaged is that of its id.
        let public_key = text_of("publicKey").unwrap_or_default();
        let owner = signing::raw_key(public_key)
            .map(|raw| protocol::device_id(&raw))
            .or_else(|| public_key.contains("<host>").then(|| claimed.clone()));
        let key = owner.as_deref().and_then(|owner| self.identities.key(owner));
        let Some(target) = frame.pointer_mut("/params/device").and_then(Value::as_object_mut) else {
            return frame;
        };
        if let Some(key) = &key {
            let raw = signing::raw_key(key.public_key());
            if let Some(raw) = raw {
                target.insert("publicKey".to_owned(), signing::same_form(public_key, &raw).into());
            }
            self.present.insert(key.device_id().to_owned());
        }
        if let Some(sent) = text_of("nonce") {
            let live = match nonce {
                Some((then, now)) if then == sent => now.to_owned(),
                _ => self.identities.text(sent),
            };
            target.insert("nonce".to_owned(), live.into());
        }
        if let Some(at) = device.get("signedAt").and_then(Value::as_i64) {
            target.insert("signedAt".to_owned(), challenge.shifted(at).into());
        }
        let like = text_of("signature").unwrap_or_default();
        let (Signing::Over(text) | Signing::Wrong(text), Some(key)) = (signing, &key) else { return frame };
        let text = signing::translate(text, &self.identities, challenge);
        let Some(mut bytes) = signing::decode(&key.sign(&text)) else { return frame };
        if matches!(signing, Signing::Wrong(_))
            && let Some(first) = bytes.first_mut()
        {
            *first ^= 1;
        }
        target.insert("signature".to_owned(), signing::same_alphabet(like, &bytes).into());
        frame
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
                match process.wait_after_signal().await {
                    Ok(_) if early => process.start_again_early().await,
                    Ok(_) => process.start_again(|| {}).await,
                    Err(error) => Err(error),
                }
            }
            Action::Edit(edit) => self.store.edit(state, edit, &self.identities),
            Action::Unknown => Ok(()),
        };
        self.signalled = match action {
            Action::Terminate | Action::Kill => true,
            Action::Start => false,
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

    async fn saw(&mut self, step: usize, index: usize, recorded: &Seen, at_ms: i64) {
        if self.unreached.contains(&index) {
            return;
        }
        let event = matches!(recorded, Seen::Frame(frame) if frame.get("event").is_some());
        let race = self.case.session.races.contains(&step);
        if race && !self.race_shows(step, index, recorded) {
            return;
        }
        let took = self.last.map_or(0, |(_, last)| at_ms - last);
        let took = Duration::from_millis(u64::try_from(took).unwrap_or_default());
        #[expect(clippy::disallowed_methods, reason = "a deadline for an answer that may never come")]
        let deadline =
            Instant::now() + took + if event { self.manner.patience / 3 } else { self.manner.patience };
        let live = loop {
            if let Some(found) = self.take(index, recorded) {
                break Some(found);
            }
            let open = self.wires.wires.get(index).is_some_and(super::wires::Wire::open);
            if !open || !self.wires.arrive(deadline).await {
                break self.take(index, recorded);
            }
        };
        let Some(live) = live else {
            let got = self.instead(index);
            self.differ(step, &missing(recorded), &brief(recorded), &got);
            return;
        };
        if let (Seen::Frame(recorded), Some(wire)) = (recorded, self.wires.wires.get(index))
            && recorded.get("event").and_then(Value::as_str) == Some("connect.challenge")
            && let (Some(then), Some(now)) =
                (recorded.pointer("/payload/nonce").and_then(Value::as_str), &wire.nonce)
        {
            self.identities.pair(then, now);
        }
        if race && let (Seen::Frame(recorded), Seen::Frame(live)) = (recorded, &live) {
            let asked = self.asked(index);
            if recorded.get("event").is_none()
                && recorded.get("id") == asked.as_ref().and_then(|a| a.get("id"))
            {
                let compared = super::compare::race(asked.as_ref(), live);
                self.raced.insert(index, live.get("ok").and_then(Value::as_bool).unwrap_or_default());
                self.keep(step, vec![compared]);
                return;
            }
        }
        let method = self.method(step);
        let result =
            Comparison::new(&mut self.identities, &self.present).of_method(&method).seen(recorded, &live);
        self.foreign += result.foreign;
        self.keep(step, result.compared);
    }

    /// Whether what was recorded in a race is looked for at all: a request that may not have been made is not, and the
    /// close after a refusal only when there was one.
    fn race_shows(&mut self, step: usize, index: usize, recorded: &Seen) -> bool {
        match recorded {
            Seen::Frame(frame) if frame.get("event").and_then(Value::as_str) == Some(REQUESTED) => {
                // It may have been looked for by an earlier step as well.
                drop(self.take(index, recorded));
                false
            }
            Seen::Close { .. } => {
                let own = self.case.session.timeline.iter().any(|entry| {
                    entry.step == step && matches!(entry.what, What::Open(other) if other == index)
                });
                !own || !self.raced.get(&index).copied().unwrap_or_default()
            }
            _ => true,
        }
    }

    /// The connect that was recorded on a connection.
    fn asked(&self, index: usize) -> Option<Value> {
        self.case.session.timeline.iter().find_map(|entry| match &entry.what {
            What::Send(other, Outgoing::Connect { frame, .. }) if *other == index => Some(frame.clone()),
            _ => None,
        })
    }

    /// The method that a step called, empty when it is no call.
    fn method(&self, step: usize) -> String {
        let sent = |entry: &super::session::Entry| match &entry.what {
            What::Send(_, Outgoing::Frame(frame)) if entry.step == step => {
                frame.get("method").and_then(Value::as_str).map(str::to_owned)
            }
            _ => None,
        };
        self.case.session.timeline.iter().find_map(sent).unwrap_or_default()
    }

    /// Takes out of the inbox what answers to `recorded`.
    fn take(&mut self, index: usize, recorded: &Seen) -> Option<Seen> {
        let wanted = match recorded {
            Seen::Frame(frame) => Some(frame),
            _ => None,
        };
        let text =
            |frame: &Value, pointer: &str| frame.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let subject = wanted.and_then(|frame| {
            text(frame, "/payload/deviceId")
                .or_else(|| text(frame, "/payload/nodeId"))
                .map(|id| self.identities.text(&id))
        });
        let wire = self.wires.wires.get_mut(index)?;
        let place = wire.inbox.iter().position(|seen| match (recorded, seen) {
            (Seen::Answer(_), Seen::Answer(_)) | (Seen::Close { .. }, Seen::Close { .. }) => true,
            (Seen::Frame(recorded), Seen::Frame(live)) => match recorded.get("event") {
                Some(event) => {
                    let device = || text(live, "/payload/deviceId").or_else(|| text(live, "/payload/nodeId"));
                    Some(event) == live.get("event")
                        && (subject.is_none() || device() == subject)
                        && recorded.pointer("/payload/decision") == live.pointer("/payload/decision")
                }
                None => live.get("event").is_none() && recorded.get("id") == live.get("id"),
            },
            _ => false,
        })?;
        wire.inbox.remove(place)
    }

    /// What came on a connection instead of what was waited for.
    fn instead(&self, index: usize) -> String {
        let Some(wire) = self.wires.wires.get(index) else { return "nothing".to_owned() };
        let close = wire.inbox.iter().find(|seen| matches!(seen, Seen::Close { .. }));
        match close {
            Some(close) => brief(close),
            None if wire.open() => "nothing".to_owned(),
            None => "nothing, the connection has ended".to_owned(),
        }
    }

    /// What came and nobody recorded: answers, pairing events, and closes of connections that stayed open.
    fn unasked(&mut self) {
        let mut found = Vec::new();
        for (index, wire) in self.wires.wires.iter().enumerate() {
            let opened = self.case.session.timeline.iter().find_map(|entry| match entry.what {
                What::Open(other) if other == index => Some(entry.step),
                _ => None,
            });
            let Some(step) = opened else { continue };
            for seen in &wire.inbox {
                let explained = self.steps.get(step).is_some_and(|step| {
                    step.compared.iter().any(|field| field.field == "accepted" && field.difference.is_some())
                });
                let counts = match seen {
                    // The close that follows from an answer that differs is no difference of its own.
                    Seen::Close { .. } if explained => false,
                    Seen::Answer(_) => false,
                    Seen::Close { .. } if self.raced.contains_key(&index) => false,
                    Seen::Close { .. } => !wire.left && self.closes(index),
                    Seen::Frame(frame) if self.of_race(frame) => false,
                    Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
                        Some(event) => {
                            super::reconstruct::EVENTS_COMPARED.contains(&event)
                                && !wire.left
                                && event != "connect.challenge"
                        }
                        None => !wire.left,
                    },
                };
                if counts {
                    found.push((step, brief(seen)));
                }
            }
        }
        for (step, got) in found {
            self.differ(step, "unrecorded", "nothing more", &got);
        }
    }

    /// Whether this is a request of a device whose connect raced a decision.
    fn of_race(&self, frame: &Value) -> bool {
        frame.get("event").and_then(Value::as_str) == Some(REQUESTED)
            && self.raced.keys().any(|index| {
                let asked = self.asked(*index);
                let device =
                    asked.as_ref().and_then(|a| a.pointer("/params/device/id")).and_then(Value::as_str);
                device.map(|device| self.identities.text(device)).as_deref()
                    == frame.pointer("/payload/deviceId").and_then(Value::as_str)
            })
    }

    /// Whether a close that nobody recorded on a connection tells something: not where the recording saw its upgrade refused.
    fn closes(&self, index: usize) -> bool {
        !self.case.session.timeline.iter().any(|entry| match &entry.what {
            What::Saw(other, Seen::Close { .. }) => *other == index,
            What::Saw(other, Seen::Answer(page)) => *other == index && page.status != 101,
            _ => false,
        })
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

fn missing(recorded: &Seen) -> String {
    match recorded {
        Seen::Answer(_) => "http.status".to_owned(),
        Seen::Close { .. } => "close".to_owned(),
        Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
            Some(event) => format!("event {event}"),
            None => "answer".to_owned(),
        },
    }
}

fn brief(seen: &Seen) -> String {
    match seen {
        Seen::Answer(page) => format!("HTTP {}", page.status),
        Seen::Close { code, reason } => format!("close {code} \"{reason}\""),
        Seen::Frame(frame) => match frame.get("event").and_then(Value::as_str) {
            Some(event) => {
                let decision = frame.pointer("/payload/decision").and_then(Value::as_str);
                format!("event {event}{}", decision.map(|d| format!(" {d}")).unwrap_or_default())
            }
            None => {
                let ok = frame.get("ok").and_then(Value::as_bool) == Some(true);
                let message = frame.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
                format!("answer {}{message}", if ok { "ok" } else { "error: " })
            }
        },
    }
}
