//! What was planned, and where it ran: the same for every hand-made run.

use std::time::Duration;

use super::MS;
use crate::plan::{
    Approves, AuthMode, Backoff, By, Cohort, Comparison, ConnectSpec, Credential, Deviation, DurationRange,
    Executor, GatewayPlan, GiveUp, LaunchPlan, NetworkPath, Notices, OperatorPlan, OracleMode, Persona, Plan,
    PlannedClient, ReconnectPolicy, SessionScript, SignatureVersion, Think, Threshold, Upkeep,
    ValidityBudget,
};
use crate::record::facts::{Descriptors, GeneratorFacts, ReactorLoad, RunFacts, Sockets};
use crate::vocabulary::OperatorState;

pub(crate) fn threshold(text: &str, metric: &str, comparison: Comparison, limit: f64) -> Threshold {
    Threshold { metric: metric.to_owned(), comparison, limit, text: text.to_owned() }
}

pub(crate) fn generator() -> GeneratorFacts {
    GeneratorFacts {
        reactors: Some(ReactorLoad {
            cpu_share: 0.068,
            wait_share: 0.004,
            wait_mean: Duration::from_micros(31),
        }),
        descriptors: Some(Descriptors { high: 212, limit: Some(20_000) }),
        sockets: Some(Sockets { open: 417, time_wait: 35 }),
    }
}

pub(super) fn facts() -> RunFacts {
    RunFacts {
        started_at: "2026-11-23T12:00:00Z".parse().expect("a time"),
        scenario_file: "scenarios/smoke.toml".to_owned(),
        scenario_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        pairstorm_version: "0.1.0".to_owned(),
        target: "in-repo gateway at ws://127.0.0.1:18789".to_owned(),
        own_gateway: true,
        profile: "article".to_owned(),
        reactors: 1,
        cores: 2,
        cores_shared: true,
        own_cpu: Duration::from_millis(840),
        own_rss_max_bytes: 31_000_000,
        gateway_cpu: Some(Duration::from_millis(1_310)),
        gateway_rss_max: Some(24_000_000),
        run_duration_ns: 12_345 * MS,
        generator: generator(),
        ..RunFacts::default()
    }
}

pub(super) fn plan(cohorts: Vec<Cohort>, clients: Vec<PlannedClient>) -> Plan {
    let operator = |name: &str| OperatorPlan {
        name: name.to_owned(),
        serves: None,
        notices: Notices::Event,
        think: Think::Uniform(DurationRange { min: Duration::ZERO, max: Duration::ZERO }),
        reject_share: 0.0,
        ignore_share: 0.0,
        approves: Approves::Each,
        rate_max: None,
        by: By::Session,
        state: OperatorState::Gateway,
        upkeep: Upkeep::default(),
    };
    Plan {
        name: "hand-made".to_owned(),
        about: String::new(),
        seed: 7,
        shard: None,
        oracle: OracleMode::Profile,
        gateway: GatewayPlan {
            profile: protocol::ProfileName::Article,
            launch: LaunchPlan::InRepo,
            config: serde_json::Value::Null,
            auth: AuthMode::Token,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            allow_real_ip_fallback: false,
            stored_bystanders: 0,
            defect: None,
        },
        cohorts,
        clients,
        operators: vec![operator("owner"), operator("deputy")],
        faults: Vec::new(),
        steps: Vec::new(),
        invariants: None,
        thresholds: Vec::new(),
        duration: None,
        after_faults: None,
        max_time: Duration::from_secs(60),
        attempt_timeout: Duration::from_secs(10),
        in_flight_max: 100,
        time_scale: 1.0,
        validity: ValidityBudget {
            lag_p99_max: Duration::from_millis(50),
            dropped_share_max: 0.01,
            indeterminate_share_max: 0.05,
            ..ValidityBudget::USUAL
        },
    }
}

pub(super) fn cohort(name: &str) -> Cohort {
    Cohort {
        name: name.to_owned(),
        connect: ConnectSpec {
            persona: Persona::Cli,
            role: None,
            scopes: None,
            platform: "linux".to_owned(),
            device_family: None,
            credential: Credential::SharedToken,
            path: NetworkPath::Direct,
            origin: None,
            deviation: Deviation::None,
            signature: SignatureVersion::V3,
        },
        variants: Vec::new(),
        stored: None,
        executor: Executor::Open,
        reconnect: ReconnectPolicy {
            backoff: Backoff::Tight,
            attempts_max: None,
            gives_up_on_refusal: GiveUp::Never,
            hints: false,
            told: None,
        },
        session: SessionScript { hold: None, reconnects: 0 },
        script: Vec::new(),
        expect: None,
    }
}
