//! A run: gateway up, operators at their desks, clients on their way, faults as planned; then the verdicts.
//!
//! The only module that sees every step. [`gateway`] brings the target up, [`load`] runs the load, which writes its history,
//! [`early`] looks at it meanwhile, [`judge`] judges it shard by shard, [`finish`] reports, [`foreign`] treats somebody
//! else's gateway with care. [`origin`] keeps what the plan was made from, so that [`analyze`] can judge the history again. Before all of it [`preflight`] refuses what this machine cannot carry.

pub mod analyze;
mod at_rest;
pub mod differential;
pub mod early;
pub mod finish;
pub mod foreign;
pub mod gateway;
pub mod judge;
pub mod load;
pub mod origin;
pub mod preflight;
pub mod resources;
mod store_watch;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::Progress;
use crate::gateway::{Launch, TargetAddress, TargetError};
use crate::operator::DeskError;
use crate::plan::Plan;
use crate::record::RunResult;
use crate::record::exit_code::ExitCode;
pub use origin::Origin;

/// What to run and how.
pub struct RunOptions {
    /// The plan.
    pub plan: Plan,
    /// Scenario file, as typed.
    pub scenario_file: String,
    /// Lowercase hex SHA-256 of its text.
    pub scenario_sha256: String,
    /// Which gateway.
    pub target: RunTarget,
    /// Reactors; `None` = half the cores, at least one, because the gateway runs on the same machine.
    pub reactors: Option<usize>,
    /// Stop at the first mismatch.
    pub fail_fast: bool,
    /// Run folder: must not exist, or be empty.
    pub out: PathBuf,
    /// Version of pairstorm.
    pub version: String,
    /// What the plan was made from, to be kept beside the history; `None` = it is not kept, and nobody can judge the run again.
    pub origin: Option<Origin>,
}

/// Which gateway a run loads.
#[derive(Clone)]
pub enum RunTarget {
    /// One that the run starts and stops.
    Own(Launch),
    /// One that is already there.
    Foreign(ForeignTarget),
}

/// Somebody else's gateway.
#[derive(Clone)]
pub struct ForeignTarget {
    /// As typed, for the report.
    pub url: String,
    /// Where.
    pub address: TargetAddress,
    /// Its shared token or password, if the owner gave it.
    pub secret: Option<String>,
    /// Whether the scenario declares the gateway's configuration; what depends on an undeclared one is not judged.
    pub declared: bool,
    /// 32 random bytes that join the derivation of device keys, never written.
    pub identity_secret: [u8; 32],
}

/// What a run leaves behind.
pub struct RunOutcome {
    /// Content of `result.json`.
    pub result: RunResult,
    /// The summary for people.
    pub summary: String,
    /// Where the files are; `None` when there was nothing to write.
    pub folder: Option<PathBuf>,
    /// What the command returns.
    pub exit: ExitCode,
    /// Remarks for people that belong to no figure, for example what a foreign gateway was left with.
    pub remarks: Vec<String>,
}

/// Why a run has no result at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No gateway, or one that may not be loaded.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The store fixture could not be written.
    #[error("the store fixture could not be written: {0}")]
    Fixture(#[from] crate::gateway::fixture::FixtureError),
    /// This machine has too little of something.
    #[error(transparent)]
    NotEnough(#[from] preflight::NotEnough),
    /// This machine, or this user, cannot do a fault of the plan.
    #[error(transparent)]
    Unable(#[from] crate::nemesis::Unable),
    /// An operator has no session.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// A reactor failed.
    #[error(transparent)]
    Reactor(#[from] crate::engine::reactor::ReactorError),
    /// The run's folder is taken, or cannot be looked at.
    #[error(transparent)]
    Files(#[from] crate::report::files::FilesError),
    /// The history cannot be read again.
    #[error(transparent)]
    History(#[from] crate::history::OpenError),
    /// A foreign gateway could not be inspected.
    #[error("the gateway's devices could not be listed before the run: {0}")]
    Inspection(String),
    /// The plan asks for something that only a gateway of our own can give.
    #[error("{0}")]
    NotForForeign(String),
}

/// How a run shows that it goes on. Called on the run's own thread, a few times a second.
pub trait Observer {
    /// A new stage, in words.
    fn stage(&mut self, what: &str);
    /// The load goes on.
    fn progress(&mut self, progress: &Progress, clients: usize);
}

/// Runs a plan to its end, or until `interrupt` resolves.
///
/// Call it on a thread that lives as long as the run (see [`crate::gateway::GatewayProcess::start`]), inside a
/// single-threaded runtime.
///
/// # Errors
/// [`RunError`] when there is nothing to report: no gateway, no operator, no place to write. Whatever was measured
/// before a failure during the load is reported instead, with the verdict `failed`.
pub async fn run(
    options: RunOptions,
    observer: &mut dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<RunOutcome, RunError> {
    crate::report::files::check_folder(&options.out)?;
    let plan = Arc::new(options.plan.clone());
    let on_loopback = match &options.target {
        RunTarget::Own(_) => true,
        RunTarget::Foreign(foreign) => foreign.address.is_loopback_v4(),
    };
    crate::nemesis::prepare(&plan).await?;
    let warning = preflight::check(&plan, on_loopback)?;
    let mut target = gateway::Up::bring(&plan, &options.target, observer).await?;
    let visit = match &options.target {
        RunTarget::Foreign(_) if plan.oracle == crate::plan::OracleMode::Profile => {
            observer.stage("listing the gateway's devices");
            Some(foreign::Visit::begin(&plan, &target).await?)
        }
        _ => None,
    };
    let loaded = load::load(&plan, &mut target, &options, observer, interrupt).await;
    let mut remarks = match visit {
        Some(visit) => {
            observer.stage("removing what the run left on the gateway");
            visit.end().await
        }
        None => Vec::new(),
    };
    if let (Some(ready), RunTarget::Own(Launch::Program(_))) = (target.ready_after, &options.target) {
        remarks.push(format!("the gateway was ready {:.1} s after its start", ready.as_secs_f64()));
    }
    remarks.extend(warning);
    observer.stage("stopping the gateway");
    let log = target.down(&mut remarks).await;
    observer.stage("judging");
    Ok(finish::finish(&plan, &options, &target, loaded?, remarks, log))
}
