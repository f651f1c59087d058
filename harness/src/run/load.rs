//! The load: operators, reactors and nemesis at work, and their records on their way to the disk.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};

use super::early::{self, EarlyJudge};
use super::gateway::Up;
use super::resources::{self, GatewayUsage, ReactorUsage};
use super::{Observer, RunError, RunOptions};
use super::{at_rest, store_watch};
use crate::client::DeviceKey;
use crate::clock::Clock;
use crate::engine::transcripts::Transcripts;
use crate::engine::{
    Assignment, Feed, PreparedReactor, Progress, Reactor, ReactorOutput, StopPhase, StopSwitch, Told,
};
use crate::gateway::{GatewayProcess, Launch, TargetError};
use crate::history::{Header, Log, Tail, Written};
use crate::nemesis::{self, Edits, Scene};
use crate::operator::desk::{self, DeskContext};
use crate::operator::{Desk, DeskError};
use crate::oracle::Oracle;
use crate::plan::identity::Identities;
use crate::plan::{By, ClientId, FaultKind, Nanos, OperatorState, OracleMode, Plan};
use crate::record::at_rest::AtRest;
use crate::record::store_times::ProcessMetrics;
use crate::report::files::{self, FilesError};
use crate::story::{self, OwnGateway};

/// How long attempts in progress may go on after an interrupt before they are cut.
const GRACE: Duration = Duration::from_secs(2);
/// How often the display is refreshed, and the usage of gateway and reactors sampled.
const DISPLAY_EVERY: Duration = Duration::from_millis(200);
/// When a foreign target that has challenged nobody is given up, and after how many attempts at least.
const NOBODY_AFTER: Duration = Duration::from_secs(3);
const NOBODY_ATTEMPTS: u64 = 5;

/// What a load leaves behind.
pub struct Loaded {
    /// Everything that happened, on disk.
    pub log: Log,
    /// What writing it came to.
    pub written: Written,
    /// When the load ended.
    pub ended: Nanos,
    /// The run's clock.
    pub clock: Clock,
    /// What passed in the kept attempts.
    pub transcripts: Vec<Transcripts>,
    /// Secrets to be removed from everything that is written.
    pub secrets: HashSet<String>,
    /// Attempts that the engine counted, to be compared with the history.
    pub attempts_booked: u64,
    /// Reactors that took part.
    pub reactors: usize,
    /// How it ended.
    pub end: LoadEnd,
    /// What this process used during the load.
    pub own_cpu: Duration,
    /// What the gateway used, if it is ours.
    pub gateway_usage: Option<resources::Usage>,
    /// What the reactors and this process were seen to use.
    pub reactor_usage: ReactorUsage,
    /// What each process of the gateway said of itself.
    pub processes: Vec<ProcessMetrics>,
    /// What the gateway said once everyone had gone.
    pub at_rest: Option<AtRest>,
}

/// How a load came to its end.
#[derive(Debug, Default)]
pub struct LoadEnd {
    /// A signal ended it.
    pub interrupted: bool,
    /// Its wall-clock limit ended it.
    pub max_time_hit: bool,
    /// A mismatch ended it, as asked.
    pub fail_fast_hit: bool,
    /// The gateway did not survive or come back.
    pub failed: Option<TargetError>,
}

/// Runs the load to its end.
///
/// # Errors
/// [`RunError::Desk`] when an operator cannot start, [`RunError::Reactor`] when a reactor cannot, [`RunError::Files`] and
/// [`RunError::History`] when the history cannot be begun or read again.
pub async fn load(
    plan: &Arc<Plan>,
    target: &mut Up,
    options: &RunOptions,
    observer: &mut dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<Loaded, RunError> {
    let (feed, outlet) = Feed::new();
    feed.keep_out(&target.secret);
    let progress = Arc::clone(feed.progress());
    let told = Told::default();
    let mut desks = open_desks(plan, target, &feed, &told, observer).await?;

    let edits = Edits::of(plan, &target.identities).map_err(DeskError::from)?;

    let path = options.out.join(files::HISTORY);
    let file = Arc::new(files::begin_history(&options.out)?);
    if let Some(origin) = &options.origin {
        files::write_origin(&options.out, origin)?;
    }
    let (mut stop, stopped) = StopSwitch::new();
    // Senders of `alive` live in the reactors' threads: when none is left, all have ended, however they did.
    let (alive, mut all_ended) = mpsc::channel::<()>(1);
    let count = reactor_count(options.reactors);
    observer.stage("clients");
    let mut assignment = Assignment {
        plan: Arc::clone(plan),
        identities: target.identities.clone(),
        target: target.address.clone(),
        secret: target.secret.clone(),
        clock: Clock::start(),
        feed: feed.clone(),
        told: told.clone(),
        stop: stopped,
        reactors: count,
        alive,
    };
    let prepared = prepare(&assignment, &mut stop)?;
    let own_before = resources::own();
    let mut reactor_usage = ReactorUsage::default();
    reactor_usage.begin(target.process.as_ref().and_then(GatewayProcess::pid).unwrap_or(0));
    // Everything is made; from here on time counts.
    observer.stage("load");
    let clock = Clock::start();
    let writer = outlet
        .start(Arc::clone(&file), &header(plan, options, &clock))
        .map_err(|source| FilesError::Io { path: path.clone(), source })?;
    assignment.clock = clock;
    let reactors: Vec<Reactor> = prepared.into_iter().map(|reactor| reactor.begin(clock)).collect();

    let (helpers_stop, helpers_stopped) = watch::channel(false);
    for desk in &mut desks {
        desk.start_clock(clock);
    }
    let operators = join_all(desks.into_iter().map(|desk| desk.work(helpers_stopped.clone())));
    // Only ours says anything, and only what a restart is held against is asked for.
    let is_ours = matches!(&options.target, super::RunTarget::Own(Launch::InRepo(_)));
    let restarts = plan.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Restart { .. }));
    let watched = target.process.as_ref().map(GatewayProcess::port).filter(|_| is_ours && restarts);
    let address = target.address.clone();
    let gateway_pid =
        Arc::new(AtomicU32::new(target.process.as_ref().and_then(GatewayProcess::pid).unwrap_or(0)));
    let (over, mut is_over) = watch::channel(false);
    let (failed, mut failure) = mpsc::channel::<TargetError>(1);
    // Only the story keeps its assignment, and with it the run: reactors have theirs.
    let story = (!plan.steps.is_empty()).then_some(assignment);
    let devices = match &story {
        Some(_) => Arc::new(device_ids(plan, &target.identities)?),
        None => Arc::default(),
    };
    let nemesis = async {
        match story {
            Some(assignment) => {
                let moved = |process: &GatewayProcess| {
                    gateway_pid.store(process.pid().unwrap_or(0), Ordering::Relaxed);
                };
                let own = target.process.as_mut().map(|process| OwnGateway { process, restarted: &moved });
                let (output, told) = story::tell(assignment, own, devices, helpers_stopped.clone()).await;
                if let Err(error) = told {
                    // A full channel already holds a failure.
                    let _ = failed.try_send(error);
                }
                output
            }
            None => {
                let process = target.process.as_mut();
                tend(
                    process,
                    plan,
                    &address,
                    &edits,
                    clock,
                    &feed,
                    helpers_stopped.clone(),
                    &gateway_pid,
                    &over,
                    failed,
                )
                .await;
                ReactorOutput::default()
            }
        }
    };

    let watch_until = helpers_stopped.clone();
    let is_foreign = matches!(options.target, super::RunTarget::Foreign(_));
    let mut end = LoadEnd::default();
    let mut usage = GatewayUsage::default();
    let oracle = Oracle::new(plan, &target.identities);
    let mut early = match options.fail_fast {
        true => Some(EarlyJudge::new(&oracle, Tail::new(Arc::clone(&file), &path)?)),
        false => None,
    };
    let control = async {
        let mut interrupt = std::pin::pin!(interrupt);
        let mut duration_ends = plan.duration.map(|duration| clock.instant(crate::clock::nanos(duration)));
        let mut after_faults = plan.after_faults;
        let max_time_at = clock.instant(crate::clock::nanos(plan.max_time));
        let mut cut_at = None;
        let mut display = tokio::time::interval(DISPLAY_EVERY);
        let mut judging = tokio::time::interval(early::LOOK_EVERY);
        let mut looks_for_somebody = is_foreign;
        let at = |at: Option<tokio::time::Instant>| async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        loop {
            tokio::select! {
                biased;
                _ = all_ended.recv() => break,
                Some(error) = failure.recv() => {
                    end.failed = Some(error);
                    cut_at = Some(clock.instant(clock.now()));
                }
                () = &mut interrupt, if !end.interrupted => {
                    end.interrupted = true;
                    stop.advance(StopPhase::Leaving);
                    cut_at = Some(clock.instant(clock.now() + crate::clock::nanos(GRACE)));
                }
                () = at(duration_ends) => {
                    duration_ends = None;
                    stop.advance(StopPhase::Leaving);
                }
                // It is asked for once: then the time is known.
                _ = is_over.wait_for(|over| *over), if after_faults.is_some() => {
                    let after = after_faults.take().map_or(0, crate::clock::nanos);
                    duration_ends = Some(clock.instant(clock.now().saturating_add(after)));
                }
                () = at(cut_at) => {
                    cut_at = None;
                    stop.advance(StopPhase::Cut);
                }
                () = tokio::time::sleep_until(max_time_at), if !end.max_time_hit => {
                    end.max_time_hit = true;
                    stop.advance(StopPhase::Cut);
                }
                _ = display.tick() => {
                    observer.progress(&progress, plan.arriving().count());
                    feed.flush();
                    usage.sample(gateway_pid.load(Ordering::Relaxed));
                    reactor_usage.sample(gateway_pid.load(Ordering::Relaxed));
                    if looks_for_somebody && nobody_there(&progress, clock.now()) {
                        looks_for_somebody = false;
                        stop.advance(StopPhase::Leaving);
                    }
                }
                _ = judging.tick(), if early.is_some() => {
                    if let Some(judge) = &mut early
                        && judge.look(&feed, &clock)
                    {
                        early = None;
                        end.fail_fast_hit = true;
                        stop.advance(StopPhase::Leaving);
                    }
                }
            }
        }
        helpers_stop.send_replace(true);
    };
    let watching = async {
        match watched {
            Some(port) => store_watch::watch(port, clock, watch_until).await,
            None => Vec::new(),
        }
    };
    let ((), told_to_operators, mut output, processes) = tokio::join!(control, operators, nemesis, watching);
    output.secrets.extend(told_to_operators.into_iter().flatten());
    // A fault that was under way when the last client ended is carried on to its end, and may end badly.
    if end.failed.is_none() {
        end.failed = failure.try_recv().ok();
    }
    usage.sample(gateway_pid.load(Ordering::Relaxed));
    let ended = clock.now();

    for reactor in reactors {
        let part = reactor.join()?;
        output.transcripts.extend(part.transcripts);
        output.secrets.extend(part.secrets);
    }
    // Reactors and desks took their connections with them.
    let here = target.process.as_ref().map(GatewayProcess::port).filter(|_| is_ours && end.failed.is_none());
    let at_rest = match here {
        Some(port) => at_rest::ask(port, plan, clock).await,
        None => None,
    };
    output.secrets.insert(target.secret.clone());
    output.secrets.extend(feed.changed_secret());
    observer.progress(&progress, plan.arriving().count());
    // Reactors have ended, and with them their lanes: but for what operators and nemesis had to keep, nothing is on its
    // way any more.
    feed.flush_waiting();
    let written = writer.finish(ended);
    let log = Log::of(file, &path)?;
    Ok(Loaded {
        log,
        written,
        ended,
        clock,
        transcripts: output.transcripts,
        secrets: output.secrets,
        attempts_booked: progress.attempted.load(Ordering::Relaxed),
        reactors: count,
        end,
        own_cpu: resources::own().cpu.saturating_sub(own_before.cpu),
        gateway_usage: usage.total(),
        reactor_usage,
        processes,
        at_rest,
    })
}

/// Makes the reactors and their clients, which may take a while, before the run's time begins.
///
/// # Errors
/// [`RunError::Reactor`] when the system has no thread or poll to give.
fn prepare(assignment: &Assignment, stop: &mut StopSwitch) -> Result<Vec<PreparedReactor>, RunError> {
    let mut prepared = Vec::with_capacity(assignment.reactors);
    for position in 0..assignment.reactors {
        let reactor = PreparedReactor::new(assignment.clone(), position)?;
        stop.add(reactor.waker());
        prepared.push(reactor);
    }
    for reactor in &prepared {
        reactor.wait();
    }
    Ok(prepared)
}

/// Operators are at their desks before the first client comes, or the first refusals would go unseen.
async fn open_desks(
    plan: &Arc<Plan>,
    target: &Up,
    feed: &Feed,
    told: &Told,
    observer: &mut dyn Observer,
) -> Result<Vec<Desk>, RunError> {
    if plan.oracle == OracleMode::Expectations || plan.operators.is_empty() {
        return Ok(Vec::new());
    }
    observer.stage("operators connect");
    let context = DeskContext {
        plan: Arc::clone(plan),
        clock: Clock::start(),
        target: target.address.clone(),
        secret: target.secret.clone(),
        feed: feed.clone(),
        told: told.clone(),
        devices: Arc::new(device_ids(plan, &target.identities)?),
        command_line: target.process.as_ref().and_then(GatewayProcess::command_line),
    };
    let by_command = plan.operators.iter().find(|operator| operator.by == By::CommandLine);
    if let Some(operator) = by_command.filter(|_| context.command_line.is_none()) {
        let operator = operator.name.clone();
        return Err(DeskError::NoCommandLine { operator, gateway: target.name.clone() }.into());
    }
    let mut desks = Vec::with_capacity(plan.operators.len());
    for (position, operator) in (0..).zip(&plan.operators) {
        let identity = desk::identity(&target.identities, &operator.name, position, &target.address)?;
        let mut context = context.clone();
        if operator.state == OperatorState::Elsewhere {
            context.command_line = target.elsewhere_command_line();
        }
        desks.push(Desk::open(context, position, identity).await?);
    }
    Ok(desks)
}

/// Device ids of all clients.
///
/// # Errors
/// [`RunError::Desk`] when a key cannot be derived.
pub fn device_ids(plan: &Plan, identities: &Identities) -> Result<HashMap<String, ClientId>, RunError> {
    let mut ids = HashMap::with_capacity(plan.clients.len());
    for (id, client) in (0..).zip(&plan.clients) {
        let Some(cohort) = plan.cohorts.get(usize::from(client.cohort)) else { continue };
        let key = DeviceKey::from_seed(&identities.client_key_seed(&cohort.name, client))
            .map_err(DeskError::from)?;
        ids.insert(key.device_id().to_owned(), id);
    }
    Ok(ids)
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is another thing")]
async fn tend(
    process: Option<&mut GatewayProcess>,
    plan: &Plan,
    address: &crate::gateway::TargetAddress,
    edits: &Edits,
    clock: Clock,
    feed: &Feed,
    mut stop: watch::Receiver<bool>,
    pid: &AtomicU32,
    over: &watch::Sender<bool>,
    failed: mpsc::Sender<TargetError>,
) {
    match process {
        Some(process) => {
            let scene = Scene { plan, target: address, edits, clock, feed, stop, over };
            let done = nemesis::run(process, scene, |process| {
                pid.store(process.pid().unwrap_or(0), Ordering::Relaxed);
            });
            if let Err(error) = done.await {
                // A full channel already holds a failure.
                let _ = failed.try_send(error);
            }
        }
        None => {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }
}

/// Whether a load has gone on for a while and not one attempt was challenged: then the target is no gateway, and trying
/// on to the end of the scenario helps nobody.
fn nobody_there(progress: &Progress, now: Nanos) -> bool {
    now > crate::clock::nanos(NOBODY_AFTER)
        && progress.attempted.load(Ordering::Relaxed) >= NOBODY_ATTEMPTS
        && progress.challenged.load(Ordering::Relaxed) == 0
}

/// What the history says of the run that it belongs to.
fn header(plan: &Plan, options: &RunOptions, clock: &Clock) -> Header {
    let since_epoch = clock.anchor().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Header {
        scenario: plan.name.clone(),
        scenario_sha256: options.scenario_sha256.clone(),
        seed: plan.seed,
        clients: u32::try_from(plan.clients.len()).unwrap_or(u32::MAX),
        started_at: crate::clock::nanos(since_epoch),
        pairstorm: options.version.clone(),
    }
}

/// Half the cores, at least one: the gateway needs the other half.
fn reactor_count(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2)).max(1)
}
