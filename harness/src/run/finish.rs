//! Judges a load and writes what it was.

use super::gateway::Up;
use super::load::Loaded;
use super::{RunOptions, RunOutcome, RunTarget, resources};
use crate::history::History;
use crate::observation::{Observation, TranscriptLine};
use crate::oracle::{Judgement, Oracle, Verdict};
use crate::plan::{AuthMode, ClientId, ConnectSpec, Credential, NetworkPath, OracleMode, Plan};
use crate::record::exit_code::ExitCode;
use crate::record::facts::RunFacts;
use crate::record::{Tally, Violations};
use crate::report::files::RunFiles;
use crate::{record, report};

/// Turns a load into verdicts, figures and files. Files that cannot be written are a remark and a failed run.
pub fn finish(
    plan: &Plan,
    options: &RunOptions,
    target: &Up,
    loaded: Loaded,
    mut remarks: Vec<String>,
    gateway_log: Option<Vec<u8>>,
) -> RunOutcome {
    let history = match loaded.log.whole() {
        Ok(history) => history,
        Err(error) => {
            remarks.push(format!("the history cannot be read: {error}"));
            History::default()
        }
    };
    let mut judgement = Oracle::new(plan, &target.identities).judge(&history);
    if let RunTarget::Foreign(foreign) = &options.target
        && !foreign.declared
        && plan.oracle == OracleMode::Profile
    {
        let left_out =
            without_declared_configuration(plan, &history, &mut judgement, foreign.secret.is_some());
        if left_out > 0 {
            remarks.push(format!(
                "{left_out} attempts were not judged: they depend on the gateway's configuration, which the scenario \
                 does not declare. Add [gateway.config.gateway] with auth.mode, trustedProxies and what else that \
                 gateway has"
            ));
        }
    }
    if let RunTarget::Foreign(foreign) = &options.target
        && foreign.secret.is_none()
        && plan.gateway.auth != AuthMode::None
    {
        remarks.push(
            "no --token-env or --token-file was given: clients that were to present the shared secret presented an \
             empty one"
                .to_owned(),
        );
    }
    let facts = facts(plan, options, target, &loaded, &history);
    remarks.extend(loaded.end.failed.as_ref().map(ToString::to_string));
    let mut tally = Tally::new(plan);
    tally.add(&history, &judgement);
    let result = tally.finish(&facts);
    let exit = ExitCode::of_run(result.verdict, result.interrupted);
    let summary = report::text::summary_in(&result, false, Some(&options.out));
    let secrets: Vec<String> = loaded.secrets.iter().filter(|secret| !secret.is_empty()).cloned().collect();
    let transcript = |client: ClientId, attempt: u32| -> Option<Vec<TranscriptLine>> {
        loaded.transcripts.get(&(client, attempt)).cloned()
    };
    let violations = Violations::new(tally.listing(), &transcript, &secrets);
    let written = report::files::write(
        &options.out,
        &RunFiles {
            samples: tally.samples(),
            result: &result,
            facts: &facts,
            summary: &summary,
            violations: &violations,
            gateway_log: gateway_log.as_deref(),
        },
    );
    // A full disk must not cost the figures as well: they are still printed.
    let (folder, exit) = match written {
        Ok(()) => (Some(options.out.clone()), exit),
        Err(error) => {
            remarks.push(format!("the run's files are missing: {error}"));
            (None, ExitCode::Failed)
        }
    };
    RunOutcome { result, summary, folder, exit, remarks }
}

fn facts(plan: &Plan, options: &RunOptions, target: &Up, loaded: &Loaded, history: &History) -> RunFacts {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    RunFacts {
        started_at: jiff::Timestamp::try_from(loaded.clock.anchor()).unwrap_or_default(),
        scenario_file: options.scenario_file.clone(),
        scenario_sha256: options.scenario_sha256.clone(),
        pairstorm_version: options.version.clone(),
        target: target.name.clone(),
        own_gateway: target.process.is_some(),
        profile: plan.gateway.profile.to_string(),
        reactors: u32::try_from(loaded.reactors).unwrap_or(u32::MAX),
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        cores_shared: target.address.socket.ip().is_loopback(),
        own_cpu: loaded.own_cpu,
        own_rss_max_bytes: resources::own().rss_max_bytes,
        gateway_cpu: loaded.gateway_usage.map(|usage| usage.cpu),
        gateway_rss_max: loaded.gateway_usage.map(|usage| usage.rss_max_bytes),
        attempts_booked: Some(loaded.attempts_booked),
        interrupted: loaded.end.interrupted,
        max_time_hit: loaded.end.max_time_hit,
        failed: loaded.end.failed.as_ref().map(ToString::to_string).or_else(|| no_gateway(options, history)),
        fail_fast_hit: loaded.end.fail_fast_hit,
        run_duration_ns: loaded.ended,
        redactor: record::Redactor::new(loaded.secrets.iter().cloned()),
    }
}

/// Why a foreign target is no gateway, when not one attempt was challenged.
fn no_gateway(options: &RunOptions, history: &History) -> Option<String> {
    let RunTarget::Foreign(foreign) = &options.target else { return None };
    let started: Vec<&Observation> =
        history.attempts.iter().filter(|attempt| attempt.stamps.started.is_some()).collect();
    if started.iter().any(|attempt| attempt.stamps.challenged.is_some()) {
        return None;
    }
    let example = started.first()?;
    Some(format!(
        "no gateway answered at {}: of {} attempts none was challenged; the first one: {}",
        foreign.url,
        started.len(),
        crate::operator::session::describe(&example.outcome)
    ))
}

/// A foreign gateway whose configuration the scenario does not declare may have any secret, proxies and origins: what
/// depends on them is not judged (ARCHITECTURE.md, "Gateways not ours to write to").
///
/// Gives the number of attempts concerned.
fn without_declared_configuration(
    plan: &Plan,
    history: &History,
    judgement: &mut Judgement,
    knows_secret: bool,
) -> usize {
    let mut left_out = 0;
    for (attempt, verdict) in history.attempts.iter().zip(&mut judgement.attempts) {
        let spec = plan
            .clients
            .get(attempt.client as usize)
            .and_then(|client| plan.cohorts.get(usize::from(client.cohort)))
            .map(|cohort| &cohort.connect);
        if spec.is_some_and(|spec| depends_on_configuration(spec, knows_secret)) {
            left_out += 1;
            *verdict = Verdict::Indeterminate {
                why: "it depends on the gateway's configuration, which the scenario does not declare"
                    .to_owned(),
            };
        }
    }
    left_out
}

fn depends_on_configuration(spec: &ConnectSpec, knows_secret: bool) -> bool {
    !matches!(spec.path, NetworkPath::Direct)
        || spec.origin.is_some()
        || match spec.credential {
            // The owner gave the secret that is presented.
            Credential::SharedToken | Credential::DeviceToken | Credential::FirstDeviceToken => !knows_secret,
            Credential::ForgedDeviceToken => false,
            Credential::Missing
            | Credential::WrongPassword
            | Credential::Password
            | Credential::WrongToken => true,
        }
}
