//! The running gateway: listener, HTTP, one task a connection, methods, events, drain.
//!
//! | file | holds |
//! |---|---|
//! | `listener` | the listening socket |
//! | `preauth` | how many sockets an address has that have not said hello |
//! | `upgrade` | the upgrade, in one read and one write |
//! | `http` | plain requests, and upgrades that come in pieces |
//! | `socket` | WebSocket between two buffers |
//! | `handshake` | upgrade to session or refusal |
//! | `startup` | what is refused until the gateway is ready |
//! | `hello` | the payload of an accepted `connect` |
//! | `session` | a session's loop |
//! | `rpc` | methods |
//! | `sessions` | open sessions and broadcasts |
//! | `announce` | what sessions are told when somebody connects |
//! | [`log`], [`metrics`] | what the gateway says of itself |
//!
//! One worker thread accepts and serves all connections (`--threads`), as OpenClaw's event loop does; the store and the log
//! have a thread each. The signature check (about 30 µs) and the kernel's share are the largest costs there, and the other
//! cores are left to whoever makes the load.

mod announce;
mod handshake;
mod hello;
mod http;
mod listener;
pub mod log;
pub mod metrics;
mod preauth;
mod rpc;
mod session;
mod sessions;
mod socket;
mod startup;
mod stopping;
mod upgrade;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use protocol::pairing::event;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::announce::Announcer;
use self::log::Log;
use self::metrics::{Gauges, Metrics};
use self::preauth::Preauth;
use self::sessions::{Audience, Sessions};
use self::upgrade::Opened;
use crate::clock::{OsFresh, Stopwatch, wall_ms};
use crate::config::{self, Config, ConfigError};
use crate::defect::Defect;
use crate::policy::locality::TrustedProxies;
use crate::policy::{Fresh as _, PairingEvent, RateLimitConfig, RateLimiter, Rules};
use crate::profile::{self, Profile, RateLimitRule, Startup, StoreKind};
use crate::state_dir::{Hold, HoldError};
use crate::store::backend;
use crate::store::{Core, Load, LoadError, LoadWhen, Observer, Store, StoreError};

/// How long a peer may take to answer a close frame; also how long a stop waits for sessions.
const LINGER: Duration = Duration::from_millis(900);
/// The same, at the smallest time scale: a close frame must have a chance to get out on a busy machine.
const LINGER_MIN: Duration = Duration::from_millis(200);

/// What to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// The behaviour.
    pub profile: &'static Profile,
    /// Where configuration and store are.
    pub state_dir: PathBuf,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 = a free one, `None` = that of the configuration, else OpenClaw's 18789.
    pub port: Option<u16>,
    /// Deliberate fault.
    pub defect: Option<Defect>,
    /// Factor on every duration (not on times on the wire).
    pub time_scale: f64,
    /// Worker threads.
    pub threads: usize,
    /// How long the open port answers that the gateway is starting, milliseconds, scaled; where the profile does so.
    pub startup_ms: u64,
}

/// [`Options::startup_ms`] unless it is said otherwise: short, because nobody waits for it but who tests it.
pub const DEFAULT_STARTUP_MS: u64 = 100;

/// OpenClaw's own port.
pub const DEFAULT_PORT: u16 = 18789;

/// Why a gateway did not start or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `openclaw.json` cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It names no credential, or a mode that is not supported.
    #[error("{path}: {message}")]
    Auth {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The state directory is taken.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The store cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The last write of the store failed.
    #[error("the store was not written: {0}")]
    Flush(#[from] StoreError),
    /// Threads, signals, standard output.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl ServeError {
    /// Exit code: 78 (`EX_CONFIG`) for files that somebody has to repair, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Auth { .. } | Self::Load(LoadError::Parse { .. }) => 78,
            Self::Hold(_) | Self::Load(_) | Self::Listen { .. } | Self::Flush(_) | Self::System { .. } => 1,
        }
    }
}

/// Durations, scaled.
#[derive(Debug, Clone, Copy)]
struct Durations {
    handshake: Duration,
    tick: Duration,
    linger: Duration,
    /// From the open port until it is ready.
    startup: Duration,
    /// From SIGTERM until the port is closed.
    stop: Duration,
    /// Factor on the delays that the rate limit asks for.
    scale: f64,
}

/// Everything connections share.
#[derive(Debug)]
struct Gateway {
    rules: Arc<Rules>,
    limiter: std::sync::Mutex<RateLimiter>,
    store: Store,
    sessions: Arc<Sessions>,
    announcer: Announcer,
    preauth: Arc<Preauth>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    durations: Durations,
    /// What every hello has in common.
    hello: hello::Fixed,
    draining: watch::Sender<bool>,
    config_path: PathBuf,
    state_dir: PathBuf,
    port: u16,
    /// Whether the log says already that forwarding headers of nobody were refused.
    told_unattributable: AtomicBool,
    /// Of this process.
    boot_id: String,
    /// Says whether two gateways run by one configuration; nobody can tell the configuration from it.
    config_hash: String,
    /// Since the port is open.
    started: Stopwatch,
}

impl Gateway {
    /// While it is starting: after how many milliseconds a client may try again.
    fn starting(&self) -> Option<u64> {
        match self.rules.profile.startup {
            Startup::Refuses { retry_after_ms, .. } if self.started.elapsed() < self.durations.startup => {
                Some(retry_after_ms)
            }
            Startup::Refuses { .. } | Startup::Ready => None,
        }
    }

    fn uptime_ms(&self) -> u64 {
        self.started.elapsed_ms()
    }

    /// Whether it was told to stop.
    fn is_stopping(&self) -> bool {
        *self.draining.borrow()
    }

    /// Whether it refuses upgrades because it was told to stop.
    fn is_draining(&self) -> bool {
        self.is_stopping() && self.overstays().is_zero()
    }

    /// How long a stop is drawn out by the defect that lets upgrades through meanwhile: a moment that clients meet.
    fn overstays(&self) -> Duration {
        let drawn_out = self.rules.defect == Some(Defect::DrainAccepts);
        if drawn_out { Duration::from_millis(300) } else { Duration::ZERO }
    }

    /// A future that ends when the gateway begins to stop.
    fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut draining = self.draining.subscribe();
        async move {
            // An error means that the gateway is gone altogether.
            let _ = draining.wait_for(|draining| *draining).await;
        }
    }

    fn gauges(&self) -> Gauges {
        let snapshot = self.store.snapshot();
        Gauges {
            sessions: self.sessions.len(),
            devices: snapshot.devices(),
            pending: snapshot.pending(),
            log_dropped: self.log.dropped(),
        }
    }
}

/// What the store tells us.
struct StoreObserver {
    sessions: Arc<Sessions>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

impl Observer for StoreObserver {
    fn events(&self, events: Vec<PairingEvent>) {
        self.sessions.pairing(events);
    }

    fn committed(&self, batch: usize, seconds: f64) {
        self.metrics.committed(batch, seconds);
    }

    fn began(&self, lock: Duration, waits: &[Duration]) {
        self.metrics.began(lock, waits);
    }

    fn loaded(&self, load: &Load) {
        self.metrics.loaded(load);
    }

    fn failed(&self, error: &StoreError) {
        self.metrics.commit_failed();
        self.log.line(format_args!("[gateway] device store: {error}"));
    }
}

/// The rules of a configuration.
///
/// # Errors
/// [`ServeError::Auth`] when it names no usable credential.
pub fn rules(options: &Options, config: &Config) -> Result<Rules, ServeError> {
    let auth = config
        .auth
        .clone()
        .map_err(|message| ServeError::Auth { path: config::path(&options.state_dir), message })?;
    Ok(Rules {
        trusted_proxies: TrustedProxies::parse(options.profile, &config.trusted_proxies),
        allow_real_ip_fallback: config.allow_real_ip_fallback,
        allowed_origins: config.allowed_origins.clone(),
        host_origin_fallback: config.host_origin_fallback,
        auto_approve_local: config.auto_approve_local,
        pending_ttl_ms: u64::try_from(scaled(options.profile.pending_ttl_ms, options.time_scale).as_millis())
            .unwrap_or(u64::MAX),
        defect: options.defect,
        ..Rules::of(options.profile, auth)
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn scaled(ms: u64, scale: f64) -> Duration {
    Duration::try_from_secs_f64(Duration::from_millis(ms).as_secs_f64() * scale).unwrap_or(Duration::MAX)
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`]; nothing was served unless it is [`ServeError::Flush`].
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let system = |what: &'static str| move |source| ServeError::System { what, source };
    let options =
        &Options { profile: profile::with_defect(options.profile, options.defect), ..options.clone() };
    let config = Config::load(&options.state_dir)?;
    let rules = Arc::new(rules(options, &config)?);
    let shared = options.defect == Some(Defect::SharedStateDir);
    let mut hold = Hold::take(&options.state_dir, shared)?;
    let watch = Stopwatch::start();
    let backend = backend::open(options.profile.store, &options.state_dir)?;
    let core = Core::load(backend, Arc::clone(&rules), Box::new(wall_ms), Box::new(OsFresh))?;
    core.prepare(!shared)?;
    let load = Load { when: LoadWhen::Start, took: watch.elapsed(), devices: core.state().devices() };
    raise_open_files();
    let log = Arc::new(Log::start().map_err(system("cannot start the log's thread"))?);
    if !config.ignored.is_empty() {
        log.line(format_args!(
            "[gateway] warning: {} has keys that this gateway ignores: {}",
            config::path(&options.state_dir).display(),
            log::clean(Some(&config.ignored.join(", "))),
        ));
    }
    let ignored: Vec<String> = backend::ignored_files(options.profile.store, &options.state_dir)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if !ignored.is_empty() {
        log.line(format_args!(
            "[gateway] Legacy pairing stores require repair: {}. They are not read: there is a database already.",
            log::clean(Some(&ignored.join(", "))),
        ));
    }
    if let Some(defect) = options.defect {
        log.line(format_args!("[gateway] warning: deliberate defect `{}` is on", defect.name()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.max(1))
        .enable_all()
        .build()
        .map_err(system("cannot start the runtime"))?;
    // What accepts is a task as well: on this thread it would wake a worker for every connection, and be woken by it when one
    // ends, which costs half as much as a handshake.
    let result = runtime.block_on(async {
        let (options, log) = (options.clone(), Arc::clone(&log));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let served = run(&options, &config, rules, (core, load), log, &mut hold).await;
            // Given back, so that the directory is held until nothing runs any more.
            (served, hold)
        });
        serving.join_next().await
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    log.close();
    match result {
        Some(Ok((served, _hold))) => served,
        Some(Err(error)) => Err(ServeError::System {
            what: "the task that accepts connections ended",
            source: std::io::Error::other(error),
        }),
        None => Ok(()),
    }
}

/// Takes as many open files as the hard limit allows: every client is one.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves what there is; running out is logged where it happens.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn run(
    options: &Options,
    config: &Config,
    rules: Arc<Rules>,
    (core, load): (Core, Load),
    log: Arc<Log>,
    hold: &mut Hold,
) -> Result<(), ServeError> {
    let system = |what: &'static str| move |source| ServeError::System { what, source };
    // Before anything is printed: a signal that comes right after must not kill.
    let on = |kind| signal(kind).map_err(system("cannot listen for signals"));
    let signals = Signals {
        terminate: on(SignalKind::terminate())?,
        interrupt: on(SignalKind::interrupt())?,
        hangup: on(SignalKind::hangup())?,
    };
    let port = options.port.or(config.port).unwrap_or(DEFAULT_PORT);
    let (listener, address) = listener::bind(options.bind, port)
        .map_err(|source| ServeError::Listen { address: SocketAddr::new(options.bind, port), source })?;
    let profile = options.profile;
    let sessions = Arc::new(Sessions::new(profile, profile.max_buffered_bytes, options.defect));
    let metrics = Arc::new(Metrics::new(wall_ms()));
    metrics.loaded(&load);
    let observer = StoreObserver {
        sessions: Arc::clone(&sessions),
        metrics: Arc::clone(&metrics),
        log: Arc::clone(&log),
    };
    let store = Store::start(core, Arc::clone(&rules), observer)
        .map_err(system("cannot start the store's thread"))?;
    let durations = Durations {
        handshake: scaled(profile.handshake_timeout_ms, options.time_scale),
        tick: scaled(profile.tick_interval_ms, options.time_scale).max(Duration::from_millis(1)),
        linger: LINGER.mul_f64(options.time_scale.clamp(0.0, 1.0)).max(LINGER_MIN),
        startup: match profile.startup {
            Startup::Ready => Duration::ZERO,
            Startup::Refuses { .. } => scaled(options.startup_ms, options.time_scale),
        },
        stop: scaled(profile.stop_ms, options.time_scale),
        scale: options.time_scale,
    };
    let limits =
        config.rate_limit.or_else(|| (profile.rate_limit == RateLimitRule::Always).then(Default::default));
    let limits = limits.map(|limits| RateLimitConfig {
        window_ms: millis(scaled(limits.window_ms, options.time_scale)),
        lockout_ms: millis(scaled(limits.lockout_ms, options.time_scale)),
        ..limits
    });
    let limiter = std::sync::Mutex::new(RateLimiter::new(profile.rate_limit, limits));
    let gateway = Arc::new(Gateway {
        rules,
        limiter,
        store,
        sessions,
        announcer: Announcer::default(),
        preauth: Arc::new(Preauth::new(profile.preauth_sockets_max)),
        metrics,
        log,
        durations,
        hello: hello::Fixed::new(profile, millis(durations.tick))
            .map_err(|error| system("cannot write hello")(error.into()))?,
        draining: watch::Sender::new(false),
        config_path: config::path(&options.state_dir),
        state_dir: options.state_dir.clone(),
        port: address.port(),
        told_unattributable: AtomicBool::new(false),
        boot_id: uuid::Uuid::new_v4().to_string(),
        config_hash: format!("hmac-sha256:v1:{}", OsFresh.token()),
        started: Stopwatch::start(),
    });
    hold.announce(address, profile.name)?;
    let snapshot = gateway.store.snapshot();
    gateway.log.line(format_args!(
        "[gateway] device store loaded devices={} pending={} seconds={:.6}",
        load.devices,
        snapshot.pending(),
        load.took.as_secs_f64(),
    ));
    gateway.log.line(format_args!(
        "[gateway] listening on ws://{address} profile={} devices={} pending={}",
        profile.name,
        snapshot.devices(),
        snapshot.pending(),
    ));
    drop(snapshot);
    if durations.startup.is_zero() {
        say_listening(address).map_err(system("cannot write to standard output"))?;
    } else {
        gateway.log.line(format_args!("[gateway] starting: connects are refused until it is ready"));
    }
    accept(&gateway, &listener, address, signals).await
}

fn say_listening(address: SocketAddr) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on ws://{address}")?;
    stdout.flush()
}

/// Accepts until a signal says stop, then drains.
async fn accept(
    gateway: &Arc<Gateway>,
    listener: &TcpListener,
    address: SocketAddr,
    mut signals: Signals,
) -> Result<(), ServeError> {
    let mut tasks = JoinSet::new();
    let announcing = announce::run(gateway);
    tokio::pin!(announcing);
    let ready = tokio::time::sleep_until(gateway.started.deadline(gateway.durations.startup));
    tokio::pin!(ready);
    let mut starting = !gateway.durations.startup.is_zero();
    let mut tick = tokio::time::interval(gateway.durations.tick);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    tick.tick().await;
    loop {
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => match gateway.rules.profile.store {
                // What looks at the files by itself loses nothing by being told.
                StoreKind::JsonLoaded | StoreKind::JsonReread | StoreKind::Sqlite => {
                    let gateway = Arc::clone(gateway);
                    tasks.spawn(async move { reload(&gateway).await });
                }
            },
            () = &mut ready, if starting => {
                starting = false;
                gateway.log.line(format_args!("[gateway] ready"));
                let system = |source| ServeError::System { what: "cannot write to standard output", source };
                say_listening(address).map_err(system)?;
            }
            _ = tick.tick() => {
                gateway.sessions.broadcast(event::TICK, &json!({"ts": wall_ms()}), Audience::All);
            }
            () = &mut announcing => {}
            accepted = listener.accept() => admit(gateway, &mut tasks, accepted).await,
            Some(_) = tasks.join_next() => {}
        }
    }
    gateway.log.line(format_args!("[gateway] signal received, stopping"));
    gateway.draining.send_replace(true);
    if gateway.rules.defect == Some(Defect::PanicInDrain) {
        #[expect(clippy::panic, reason = "it is the defect")]
        {
            panic!("drained with the defect");
        }
    }
    // New connections are still answered, with 503, until the last session is gone.
    let stop = gateway.durations.stop.max(gateway.overstays());
    let within = gateway.durations.linger.max(stop + LINGER_MIN);
    let drained = tokio::time::timeout(within, async {
        let empty = async {
            tokio::join!(gateway.sessions.wait_empty(), tokio::time::sleep(stop));
        };
        tokio::pin!(empty);
        loop {
            tokio::select! {
                () = &mut empty => return,
                accepted = listener.accept() => admit(gateway, &mut tasks, accepted).await,
                Some(_) = tasks.join_next() => {}
            }
        }
    })
    .await;
    if drained.is_err() {
        gateway.log.line(format_args!(
            "[gateway] {} sessions did not answer the close frame in time",
            gateway.sessions.len()
        ));
    }
    // A task that does not yield must not hold the exit.
    if tokio::time::timeout(gateway.durations.linger, tasks.shutdown()).await.is_err() {
        gateway.log.line(format_args!("[gateway] connections that would not end were left to the exit"));
    }
    gateway.store.close().await?;
    gateway.log.line(format_args!("[gateway] stopped"));
    Ok(())
}

async fn admit(
    gateway: &Arc<Gateway>,
    tasks: &mut JoinSet<()>,
    accepted: std::io::Result<(TcpStream, SocketAddr)>,
) {
    // Finished tasks are let go even while connections come without a pause.
    while tasks.try_join_next().is_some() {}
    match accepted {
        Ok((stream, peer)) => {
            let gateway = Arc::clone(gateway);
            tasks.spawn(async move {
                let upgraded = match upgrade::open(&gateway, stream, peer.ip()).await {
                    Opened::Upgraded(upgraded) => Some(upgraded),
                    Opened::Other(stream) => http::serve(&gateway, stream, peer.ip()).await,
                    Opened::Ended => None,
                };
                if let Some(upgraded) = upgraded {
                    handshake::run(&gateway, *upgraded).await;
                }
            });
        }
        Err(error) => {
            // Out of files or memory: asking again at once would only burn the processor.
            gateway.log.line(format_args!("[gateway] cannot accept: {error}"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn reload(gateway: &Gateway) {
    let result = gateway.store.reload().await;
    gateway.metrics.reloaded(result.is_ok());
    match result {
        Ok(load) => {
            gateway.log.line(format_args!(
                "[gateway] device store reloaded devices={} pending={} seconds={:.6}",
                load.devices,
                gateway.store.snapshot().pending(),
                load.took.as_secs_f64(),
            ));
        }
        Err(error) => {
            gateway
                .log
                .line(format_args!("[gateway] error: device store not reloaded, memory kept: {error}"));
        }
    }
}

/// Where a state directory's gateway listens: what it said of itself, else what the configuration says.
#[must_use]
pub fn address_of(state_dir: &Path, config: &Config) -> SocketAddr {
    match crate::state_dir::running(state_dir) {
        Some(running) if !running.address.ip().is_unspecified() => running.address,
        Some(running) => SocketAddr::new(loopback(running.address.ip()), running.address.port()),
        None => SocketAddr::new([127, 0, 0, 1].into(), config.port.unwrap_or(DEFAULT_PORT)),
    }
}

fn loopback(unspecified: IpAddr) -> IpAddr {
    if unspecified.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() }
}
