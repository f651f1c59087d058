//! Words that every step of the harness uses: what a scenario can say and a plan holds. Types and tables, no logic.
//!
//! Times are nanoseconds and count from the run's start.

pub mod addresses;
pub mod cause;
mod fault;
pub mod invariant;
pub mod limits;
pub mod persona;
mod script;
mod shard;

use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

pub use fault::{Change, FaultKind, PlannedFault, StopSignal, StoreDamage, Trigger};
use protocol::ProfileName;
pub use script::{Deed, LatencyLimit, Loss, ScriptCall, ScriptStep};
use serde::{Deserialize, Serialize};
pub use shard::{NoShard, Shard};

/// Nanoseconds since the run's start on the monotonic clock.
pub type Nanos = u64;

/// Everything a run is going to do, fixed before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the scenario.
    pub name: String,
    /// What it shows, for people.
    pub about: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The part of the scenario's clients that this run has; `None` = all.
    pub shard: Option<Shard>,
    /// Which verdicts are asked for.
    pub oracle: OracleMode,
    /// The gateway to start, or to hold a foreign one to.
    pub gateway: GatewayPlan,
    /// Cohorts in file order; [`CohortId`] indexes them.
    pub cohorts: Vec<Cohort>,
    /// Clients by cohort, then index; behind them all, in the same order, the devices that some become when they lose their
    /// key ([`PlannedClient::life`]). [`ClientId`] indexes them.
    pub clients: Vec<PlannedClient>,
    /// Operators in file order.
    pub operators: Vec<OperatorPlan>,
    /// Faults sorted by time.
    pub faults: Vec<PlannedFault>,
    /// Steps of a story, carried out one after the other; faults and steps exclude each other.
    pub steps: Vec<Step>,
    /// Invariants that the run is expected to break, and no others; `None` = none of them decides about the run.
    pub invariants: Option<Vec<invariant::Invariant>>,
    /// Pass rules beside the oracle.
    pub thresholds: Vec<Threshold>,
    /// When clients stop starting attempts and leave; `None` = when all scripts have ended.
    pub duration: Option<Duration>,
    /// How long after the end of the last fault they do so, if that is what ends the run.
    pub after_faults: Option<Duration>,
    /// Wall-clock limit of the whole run.
    pub max_time: Duration,
    /// How long one attempt may take before it counts as timed out.
    pub attempt_timeout: Duration,
    /// Largest number of attempts in progress; an arrival beyond it is dropped, with the reason.
    pub in_flight_max: usize,
    /// Factor applied to client and gateway durations (TTL, back-off, think time); 1.0 = real time.
    pub time_scale: f64,
    /// Budgets beyond which the run's numbers are not trusted (exit code 4).
    pub validity: ValidityBudget,
}

/// Position of a cohort in [`Plan::cohorts`].
pub type CohortId = u16;
/// Position of a client in [`Plan::clients`].
pub type ClientId = u32;

/// Which verdicts a scenario asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OracleMode {
    /// The oracle judges every outcome by the gateway's profile.
    Profile,
    /// Only the scenario's own expectations are judged, and nothing but the handshake is asked of the target.
    Expectations,
}

/// The gateway as the scenario wants it.
#[derive(Debug, Clone)]
pub struct GatewayPlan {
    /// Profile it is held to.
    pub profile: ProfileName,
    /// What is started.
    pub launch: LaunchPlan,
    /// Content of `openclaw.json` without the credentials, which the run adds.
    pub config: serde_json::Value,
    /// What the oracle needs to know of `config`.
    pub auth: AuthMode,
    /// `gateway.trustedProxies` as written.
    pub trusted_proxies: Vec<String>,
    /// `gateway.controlUi.allowedOrigins` as written.
    pub allowed_origins: Vec<String>,
    /// `gateway.allowRealIpFallback`.
    pub allow_real_ip_fallback: bool,
    /// Devices that are in the store before the run and are nobody's clients: they give it weight.
    pub stored_bystanders: u32,
    /// Deliberate fault of the gateway, by name.
    pub defect: Option<String>,
}

/// Which gateway a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchPlan {
    /// The one in this repository, which knows every profile.
    InRepo,
    /// A release of OpenClaw that was installed before.
    OpenClaw {
        /// Version on npm, which need not be one that a profile is called after.
        version: String,
    },
    /// Anyone's own build.
    Command {
        /// Program and arguments, in which `{port}`, `{state}` and `{config}` stand for what the run chose.
        command: Vec<String>,
        /// How it shows that it is ready.
        ready: Readiness,
    },
}

impl LaunchPlan {
    /// Whether it is the gateway of this repository.
    #[must_use]
    pub const fn is_in_repo(&self) -> bool {
        matches!(self, Self::InRepo)
    }
}

/// How a gateway that knows nothing of this harness shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It answers a `connect`, and not with `UNAVAILABLE`. Every OpenClaw does, and no other sign is as near to what clients
    /// meet.
    Handshake,
    /// A line of its output holds this text.
    Line(String),
    /// An HTTP GET of this path is answered with a status of 200 to 299.
    Http(String),
}

/// `gateway.auth.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Shared token.
    Token,
    /// Shared password.
    Password,
    /// No credential.
    None,
}

/// What all clients of a cohort have in common.
#[derive(Debug, Clone)]
pub struct Cohort {
    /// Name in the scenario file.
    pub name: String,
    /// What its clients send.
    pub connect: ConnectSpec,
    /// What they send in later steps of a script; see [`Cohort::ask`].
    pub variants: Vec<ConnectSpec>,
    /// Entry that the store holds for each client before the run.
    pub stored: Option<StoredEntry>,
    /// How arrivals were scripted; the times are in [`PlannedClient::intended`].
    pub executor: Executor,
    /// What a client does between attempts.
    pub reconnect: ReconnectPolicy,
    /// What a client does once it holds a session, if it has no script.
    pub session: SessionScript,
    /// What each client does, step by step; empty = it connects, holds its session and leaves.
    pub script: Vec<ScriptStep>,
    /// What the scenario expects beside the oracle.
    pub expect: Option<Expectation>,
}

impl Cohort {
    /// The connect that an attempt made: 0 is [`Cohort::connect`], `n` the variant `n - 1`; `None` if there is none.
    #[must_use]
    pub fn ask(&self, number: u16) -> Option<&ConnectSpec> {
        match number.checked_sub(1) {
            None => Some(&self.connect),
            Some(variant) => self.variants.get(usize::from(variant)),
        }
    }
}

/// One connect request, as all clients of a cohort make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSpec {
    /// Which official client is imitated.
    pub persona: Persona,
    /// `role`; `None` leaves the key out.
    pub role: Option<String>,
    /// `scopes`, in the order sent and signed; `None` leaves the key out.
    pub scopes: Option<Vec<String>>,
    /// `client.platform`.
    pub platform: String,
    /// `client.deviceFamily`.
    pub device_family: Option<String>,
    /// Credential presented.
    pub credential: Credential,
    /// How the gateway is reached.
    pub path: NetworkPath,
    /// `Origin` header; `None` sends none.
    pub origin: Option<Origin>,
    /// What is deliberately wrong, if anything.
    pub deviation: Deviation,
    /// Payload version that is signed.
    pub signature: SignatureVersion,
}

/// Signature payload version a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVersion {
    /// Nonce, no metadata.
    V2,
    /// Nonce and metadata.
    V3,
}

/// An official client that is imitated; ids, modes, platforms, headers and default scopes in [`persona`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Persona {
    /// `cli`/`cli`
    Cli,
    /// `openclaw-macos`/`ui`
    MacOsApp,
    /// `openclaw-ios`/`node`
    Ios,
    /// `openclaw-android`/`node`
    Android,
    /// `node-host`/`node`
    NodeHost,
    /// `openclaw-control-ui`/`webchat`, in a browser
    ControlUi,
    /// `webchat`/`webchat`, in a browser
    Webchat,
    /// `gateway-client`/`backend`
    Backend,
}

/// Credential a client presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The gateway's shared token in `auth.token`.
    SharedToken,
    /// A token that is not the gateway's, in `auth.token`.
    WrongToken,
    /// The gateway's password in `auth.password`.
    Password,
    /// A password that is not the gateway's.
    WrongPassword,
    /// The device token last received, in `auth.deviceToken`; the shared secret until there is one.
    DeviceToken,
    /// The first device token received (or stored), even after it was replaced; the shared secret until there is one.
    FirstDeviceToken,
    /// A made-up `auth.deviceToken` and nothing else.
    ForgedDeviceToken,
    /// No `auth` key.
    Missing,
}

/// How a client's connection reaches the gateway. Addresses carry meaning (ARCHITECTURE.md, "Addresses").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPath {
    /// Dialled from 127.1.0.0/16 without forwarding headers: a direct local client.
    Direct,
    /// Dialled from a proxy address with forwarding headers.
    Proxy {
        /// Peer address the gateway sees: 127.2.0.0/16 if meant as trusted, 127.3.0.0/16 if not.
        from: Ipv4Addr,
        /// `X-Forwarded-For`.
        forwarded_for: ForwardedFor,
        /// `Host` header; `None` = the address dialled, with its port.
        host: Option<String>,
    },
}

/// Content of `X-Forwarded-For`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardedFor {
    /// An address of the documentation ranges for each client ([`PlannedClient::forwarded`]).
    Own,
    /// This text for every client, for example `127.0.0.1, 203.0.113.7`.
    Fixed(String),
    /// No header.
    Absent,
}

/// `Origin` header of browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `http://` and the `Host` header sent.
    SameHost,
    /// This text.
    Fixed(String),
}

/// What is deliberately wrong with a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deviation {
    /// Nothing.
    None,
    /// No `device` object.
    NoDevice,
    /// `device.id` of another key.
    ForeignDeviceId,
    /// Signature over other bytes.
    BadSignature,
    /// Payload v1, which no profile here accepts with a nonce.
    SignatureV1,
    /// A nonce of the client's own making, correctly signed.
    WrongNonce,
    /// A nonce of spaces, correctly signed.
    BlankNonce,
    /// `signedAt` shifted by this many milliseconds, correctly signed.
    ClockSkew(i64),
    /// Protocol range.
    Protocol {
        /// `minProtocol`
        min: u32,
        /// `maxProtocol`
        max: u32,
    },
    /// An unknown key at the top of the parameters.
    UnknownKey,
    /// The first message is not JSON.
    NotJson,
    /// The first message is JSON, but no request frame.
    NotARequest,
    /// The first request is `health`.
    WrongMethod,
    /// The first message has this many bytes.
    Oversized(usize),
    /// Never answers the challenge.
    Silent,
}

/// What the store holds for a client before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Approved roles.
    pub roles: Vec<String>,
    /// Approved scopes.
    pub scopes: Vec<String>,
    /// Pinned platform and family, or a legacy entry with neither.
    pub metadata: StoredMetadata,
    /// Whether each approved role has a token, known to the client.
    pub tokens: bool,
    /// What does not stand in it at all, as in those of older builds.
    pub absent: AbsentParts,
}

/// What an entry lacks, which is not the same as holding none of it. The oracle knows no such entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AbsentParts {
    /// `role` and `roles`.
    pub roles: bool,
    /// `scopes` and `approvedScopes`.
    pub scopes: bool,
}

impl AbsentParts {
    /// Whether anything is absent.
    #[must_use]
    pub const fn any(self) -> bool {
        self.roles || self.scopes
    }
}

/// Platform and device family of a stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredMetadata {
    /// What the client claims.
    Same,
    /// Neither (a legacy entry).
    Legacy,
    /// Something else than the client claims.
    Other {
        /// Stored platform.
        platform: String,
        /// Stored family.
        device_family: Option<String>,
    },
}

/// How clients of a cohort arrive.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// Starts come from the schedule, whatever the gateway does.
    Open,
    /// At most this many clients are active; the next one starts when one has ended its script.
    Closed {
        /// Active clients.
        concurrency: u32,
        /// Pause before the next one starts.
        think: DurationRange,
    },
    /// Its clients do what the plan's steps say, when they say so.
    Steps,
}

/// A duration drawn uniformly from a range; equal ends = constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationRange {
    /// Shortest.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
}

/// What a client does after an attempt without session, or after it lost one.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconnectPolicy {
    /// Pause before the next attempt.
    pub backoff: Backoff,
    /// Attempts in a row without a session after which the client gives up; `None` = never.
    pub attempts_max: Option<u32>,
    /// Which refusals end the script at once: those that trying again cannot cure.
    pub gives_up_on_refusal: GiveUp,
    /// Whether it does what the gateway's answer says about trying again.
    pub hints: bool,
    /// After "pairing required" it waits until an operator of the run has approved it, and then this long: somebody walks
    /// over and starts it again. `None` = it tries again by itself.
    pub told: Option<DurationRange>,
}

/// Pause between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// 1 s doubling to 30 s, reset by a session; `jitter` is the share of the pause that is random (official: 0).
    Official {
        /// 0.0 to 1.0
        jitter: f64,
    },
    /// The same pause each time.
    Fixed(DurationRange),
    /// The next attempt starts at once.
    Tight,
}

/// Which refusals end a client's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// None: it tries again whatever the answer.
    Never,
    /// Every refusal but pairing required, which an operator may cure.
    UnlessPairing,
    /// Those on the list of 2026.9.6's official client, but for pairing required.
    PauseList,
    /// Every refusal.
    Always,
}

/// What a client does once it holds a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionScript {
    /// How long it stays; `None` = until the run's `duration` ends or the gateway closes.
    pub hold: Option<DurationRange>,
    /// How many further sessions it opens after leaving one by itself.
    pub reconnects: u32,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedClient {
    /// Its cohort.
    pub cohort: CohortId,
    /// Its index in the cohort.
    pub index: u32,
    /// When its first attempt is to start (open executor), or the earliest time it may (closed).
    pub intended: Nanos,
    /// Address it dials from.
    pub source: Ipv4Addr,
    /// Address a proxy forwards for it.
    pub forwarded: Option<Ipv4Addr>,
    /// Which of its device keys it has, counted from 0: whoever loses its key is another device.
    pub life: u16,
    /// The device that it becomes when it loses its key.
    pub next_life: Option<ClientId>,
}

/// A scripted operator.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorPlan {
    /// Name in the scenario file.
    pub name: String,
    /// Positions of the cohorts it serves; `None` = all.
    pub serves: Option<Vec<CohortId>>,
    /// How it learns of requests.
    pub notices: Notices,
    /// Time from noticing to deciding.
    pub think: Think,
    /// Share of devices it rejects, 0.0 to 1.0; which ones is drawn from the seed and the device.
    pub reject_share: f64,
    /// Share of devices it never answers.
    pub ignore_share: f64,
    /// Which request it approves when it has decided to approve one.
    pub approves: Approves,
    /// Decisions a second at most.
    pub rate_max: Option<f64>,
    /// How it does what it does.
    pub by: By,
    /// Which state directory its commands go to.
    pub state: OperatorState,
    /// What else it does to paired devices.
    pub upkeep: Upkeep,
}

/// Whose state directory an operator's commands go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OperatorState {
    /// That of the gateway.
    #[default]
    Gateway,
    /// That of a second gateway, which no client knows: as of somebody who types on the host what belongs into the container.
    Elsewhere,
}

impl Plan {
    /// Whether the operator of that position does what it does to another gateway than the clients' one.
    #[must_use]
    pub fn acts_elsewhere(&self, operator: u16) -> bool {
        let operator = self.operators.get(usize::from(operator));
        operator.is_some_and(|operator| operator.state == OperatorState::Elsewhere)
    }
}

/// How long somebody thinks: from a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Think {
    /// Every time of a range is as likely as another.
    Uniform(DurationRange),
    /// Most are quick and few take very long, as people are.
    LogNormal {
        /// Half think longer.
        median: Duration,
        /// One of a hundred thinks longer.
        p99: Duration,
    },
    /// Without memory: whoever has thought for long is no nearer to an end.
    Exponential {
        /// Mean.
        mean: Duration,
    },
}

/// Which request somebody approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approves {
    /// The one that it has thought about.
    Each,
    /// Whatever `devices approve --latest` of the release would.
    Latest,
}

/// How an operator does what it does. It always learns of requests through a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By calls over its session.
    Session,
    /// By the gateway's own `devices` commands, a process each, one after the other.
    CommandLine,
}

/// Things done to paired devices of the cohorts that an operator serves, a second; which ones is drawn from the seed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Upkeep {
    /// Tokens rotated.
    pub rotate: Option<f64>,
    /// Tokens revoked.
    pub revoke: Option<f64>,
    /// Devices removed.
    pub remove: Option<f64>,
}

/// How an operator learns of pending requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// By the `device.pair.requested` event.
    Event,
    /// By listing every so often.
    List(Duration),
}

/// One step of a story. It begins when the one before has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A client connects.
    Connect(StepConnect),
    /// A client leaves every session it holds.
    Leave(ClientId),
    /// Somebody who may, or may not, does something to a device.
    Act {
        /// What.
        action: Action,
        /// The client through whose held session it is done; `None` = an operator of the run's own.
        by: Option<ClientId>,
    },
    /// The entry of a device is changed in the gateway's store, behind its back.
    Edit {
        /// Whose.
        client: ClientId,
        /// How.
        edit: StoreEdit,
    },
    /// Something happens to the gateway's process.
    Fault(FaultKind),
    /// Nothing happens for this long.
    Wait(Duration),
}

/// A connect in a story.
#[derive(Debug, Clone, PartialEq)]
pub struct StepConnect {
    /// Who.
    pub client: ClientId,
    /// Which of its cohort's connects ([`Cohort::ask`]).
    pub ask: u16,
    /// Whether it stays, if it gets a session, until it is told to leave or the story ends.
    pub hold: bool,
    /// What the scenario expects of it beside the oracle.
    pub expect: Option<Expectation>,
    /// Line of the scenario file, counted from 1.
    pub line: u32,
}

/// Something that is done to a device over a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `device.pair.approve`
    Approve(Request),
    /// `device.pair.reject`
    Reject(Request),
    /// `device.pair.remove`
    Remove(ClientId),
    /// `device.token.rotate`
    Rotate {
        /// Whose token.
        client: ClientId,
        /// Role of the token.
        role: String,
        /// New scopes; `None` leaves the key out.
        scopes: Option<Vec<String>>,
        /// Whether the client is told the new token.
        give: bool,
    },
    /// `device.token.revoke`
    Revoke {
        /// Whose token.
        client: ClientId,
        /// Role of the token.
        role: String,
    },
}

/// Which pending request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The one this client was told of last; if it was told of none, one that does not exist.
    Of(ClientId),
    /// The newest that the gateway lists.
    Latest,
}

/// What somebody's editor did to the entry of one device in the gateway's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreEdit {
    /// The approved scopes became these, wherever the release keeps them.
    SetScopes(Vec<String>),
    /// The entry went.
    DropEntry,
}

/// What a scenario expects of a cohort's outcomes, beside the oracle or instead of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Word of the outcome, for example `session` or `refused` ([`crate::observation::Outcome::word`]).
    pub outcome: Option<String>,
    /// `error.code`.
    pub code: Option<String>,
    /// `error.details.code`.
    pub detail_code: Option<String>,
    /// `error.details.reason`.
    pub reason: Option<String>,
    /// Close code.
    pub close: Option<u16>,
    /// How long it may take from its intended start to its answer, or to its end without one.
    pub latency: Option<LatencyLimit>,
    /// Which attempts of a client are meant, counted from 0; `None` = all.
    pub attempts: Option<Range<u32>>,
    /// What the diagnosis of each client is to say, after the run. It is about all attempts of a client.
    pub cause: Option<cause::ExpectedCause>,
}

/// A pass rule on a measured figure, for example `approval_to_session.p99 < 6s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Path of the metric as in the scenario file.
    pub metric: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// Limit in the metric's own unit: microseconds for latencies, a count for counts, a share for shares.
    pub limit: f64,
    /// The rule as written, for the report.
    pub text: String,
}

/// Comparison of a measured figure with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Its sign in a scenario.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// Limits of the generator's own error.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidityBudget {
    /// p99 of how late the generator started attempts.
    pub lag_p99_max: Duration,
    /// An attempt that is started this long after its intended start, or longer, is late.
    pub late_after: Duration,
    /// Share of started attempts that were late; 1 = any.
    pub late_share_max: f64,
    /// Share of arrivals that could not be started.
    pub dropped_share_max: f64,
    /// Share of the load's time in which the busiest reactor ran.
    pub reactor_cpu_share_max: f64,
    /// Share of the load's time in which a reactor could have run, but had no core.
    pub scheduler_delay_share_max: f64,
    /// Share of the descriptors that this process may open.
    pub descriptors_share_max: f64,
    /// Share of the reactors' time in which they waited for the disk that the history is written to.
    pub history_wait_share_max: f64,
    /// Share of verdicts that evidence did not suffice for.
    pub indeterminate_share_max: f64,
}

impl ValidityBudget {
    /// The budgets of a scenario that says nothing about them. A machine that does much else at the same time keeps within
    /// them with a load that it can carry; `scenarios/README.md` says why each is what it is.
    pub const USUAL: Self = Self {
        lag_p99_max: Duration::from_millis(100),
        late_after: Duration::from_millis(10),
        late_share_max: 1.0,
        dropped_share_max: 0.0,
        reactor_cpu_share_max: 0.9,
        scheduler_delay_share_max: 0.3,
        descriptors_share_max: 0.98,
        history_wait_share_max: 0.05,
        indeterminate_share_max: 0.02,
    };
}
