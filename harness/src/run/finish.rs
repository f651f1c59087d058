//! Judges a load and writes what it was.

use std::time::Duration;

use super::gateway::Up;
use super::judge::{Answers, Doubts, Judged, judge};
use super::load::Loaded;
use super::origin::undeclared;
use super::{RunOptions, RunOutcome, RunTarget, resources};
use crate::history::Log;
use crate::observation::TranscriptLine;
use crate::plan::{AuthMode, ClientId, Plan};
use crate::record::Violations;
use crate::record::exit_code::ExitCode;
use crate::record::facts::{GeneratorFacts, RunFacts};
use crate::record::log_times::LogTimes;
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
    let mut facts = facts(plan, options, target, &loaded);
    facts.gateway_log =
        gateway_log.as_deref().map(|log| LogTimes::read(&String::from_utf8_lossy(log), facts.started_at));
    let doubts = Doubts { undeclared: undeclared(plan, &options.target), incomplete: facts.is_incomplete() };
    let Judged { tally, undeclared, answers, unread } = judge(plan, &target.identities, &loaded.log, doubts);
    if let Some(error) = unread {
        remarks.push(format!("the history cannot be read: {error}"));
        facts.broken.get_or_insert_with(|| format!("it cannot be read: {error}"));
    }
    if let Some(failure) = &loaded.written.failure {
        remarks.push(format!("the history is {failure}"));
    }
    if undeclared > 0 {
        remarks.push(format!(
            "{undeclared} attempts were not judged: they depend on the gateway's configuration, which the scenario \
             does not declare. Add [gateway.config.gateway] with auth.mode, trustedProxies and what else that \
             gateway has"
        ));
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
    facts.failed = facts.failed.or_else(|| no_gateway(options, &answers));
    remarks.extend(loaded.end.failed.as_ref().map(ToString::to_string));
    remarks
        .extend(facts.unclean_stops.iter().map(|stop| format!("the gateway did not end in order: {stop}")));
    let result = tally.finish(&facts);
    let exit = ExitCode::of_run(result.verdict, result.interrupted);
    let summary = report::text::summary_in(&result, false, Some(&options.out));
    let secrets: Vec<String> = loaded.secrets.iter().filter(|secret| !secret.is_empty()).cloned().collect();
    let transcript = |client: ClientId, attempt: u32| -> Option<Vec<TranscriptLine>> {
        loaded.transcripts.iter().map(|kept| kept.lines((client, attempt))).find(|lines| !lines.is_empty())
    };
    let violations = Violations::new(tally.listing(), &transcript, &secrets);
    // Before the result: where that is, everything is.
    let kept = match &options.origin {
        Some(origin) => report::files::write_origin(&options.out, &origin.with_facts(&facts)),
        None => Ok(()),
    };
    let written = kept.and_then(|()| {
        report::files::write(
            &options.out,
            &RunFiles {
                samples: tally.samples(),
                result: &result,
                facts: &facts,
                summary: &summary,
                violations: &violations,
                gateway_log: gateway_log.as_deref(),
            },
        )
    });
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

fn facts(plan: &Plan, options: &RunOptions, target: &Up, loaded: &Loaded) -> RunFacts {
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
        cores_shared: loaded
            .reactor_usage
            .shares_cores()
            .unwrap_or_else(|| target.address.socket.ip().is_loopback()),
        generator: generator(loaded),
        own_cpu: loaded.own_cpu,
        own_rss_max_bytes: resources::own().rss_max_bytes,
        gateway_cpu: loaded.gateway_usage.map(|usage| usage.cpu),
        gateway_rss_max: loaded.gateway_usage.map(|usage| usage.rss_max_bytes),
        attempts_booked: Some(loaded.attempts_booked),
        written: loaded.written.clone(),
        broken: broken(&loaded.log),
        interrupted: loaded.end.interrupted,
        max_time_hit: loaded.end.max_time_hit,
        failed: loaded.end.failed.as_ref().map(ToString::to_string),
        fail_fast_hit: loaded.end.fail_fast_hit,
        run_duration_ns: loaded.ended,
        processes: loaded.processes.clone(),
        at_rest: loaded.at_rest,
        gateway_log: None,
        unclean_stops: target.unclean_stops(),
        redactor: record::Redactor::new(loaded.secrets.iter().cloned()),
    }
}

/// Where the history breaks off, if it has no end.
pub(super) fn broken(log: &Log) -> Option<String> {
    log.end().err().map(ToString::to_string)
}

fn generator(loaded: &Loaded) -> GeneratorFacts {
    let usage = &loaded.reactor_usage;
    GeneratorFacts {
        reactors: usage.reactors(Duration::from_nanos(loaded.ended)),
        descriptors: usage.descriptors(),
        sockets: usage.sockets(),
    }
}

/// Why a foreign target is no gateway, when not one attempt was challenged.
fn no_gateway(options: &RunOptions, answers: &Answers) -> Option<String> {
    let RunTarget::Foreign(foreign) = &options.target else { return None };
    if answers.challenged {
        return None;
    }
    Some(format!(
        "no gateway answered at {}: of {} attempts none was challenged; the first one: {}",
        foreign.url,
        answers.started,
        answers.first()?
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::history::format::{self, End, Header};

    #[test]
    fn a_history_without_its_end_is_broken() {
        let header = Header {
            scenario: String::new(),
            scenario_sha256: String::new(),
            seed: 0,
            clients: 0,
            started_at: 0,
            pairstorm: String::new(),
        };
        let mut bytes = Vec::new();
        format::append_header(&mut bytes, &header).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            let log = Log::of(Arc::new(std::fs::File::open(file.path()).unwrap()), Path::new("h")).unwrap();
            RunFacts { broken: broken(&log), ..RunFacts::default() }
        };
        let cut = read(&bytes);
        assert!(cut.is_incomplete());
        let why = format!("it breaks off at byte {}: the file ends there", bytes.len());
        assert_eq!(cut.broken, Some(why));
        format::append_end(&mut bytes, &End { ended: 1, records: 0, waits: 0, waited: 0 }).unwrap();
        assert!(!read(&bytes).is_incomplete());
    }
}
