//! The steps of a story in words, one line each.

use std::fmt::Write as _;

use protocol::ProfileName;

use super::behaviour::range;
use super::describe::{credential, deviation, fault_text, path};
use super::{
    Action, ClientId, Cohort, ConnectSpec, Deed, Deviation, Expectation, Loss, NetworkPath, Origin, Plan,
    Request, ScriptStep, SignatureVersion, Step, StoreEdit, persona,
};
use crate::scenario::show_duration;

/// Steps that are printed; a story of more was written by a program.
const SHOWN_MAX: usize = 200;

pub(super) fn write_steps(text: &mut String, plan: &Plan) -> std::fmt::Result {
    if plan.steps.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nsteps, one after the other")?;
    for (number, step) in (1..).zip(&plan.steps).take(SHOWN_MAX) {
        writeln!(text, "{number:>5}  {}", narrate(plan, step))?;
    }
    match plan.steps.len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => writeln!(text, "       and {more} more"),
    }
}

/// What the clients of each cohort with a script do, one line a step.
pub(super) fn write_scripts(text: &mut String, plan: &Plan) -> std::fmt::Result {
    for cohort in plan.cohorts.iter().filter(|cohort| !cohort.script.is_empty()) {
        writeln!(text, "\nscript of {}, each client at its own pace", cohort.name)?;
        for (number, step) in (1..).zip(&cohort.script).take(SHOWN_MAX) {
            writeln!(text, "{number:>5}  {}", deed(cohort, step, plan.gateway.profile))?;
        }
        match cohort.script.len().saturating_sub(SHOWN_MAX) {
            0 => {}
            more => writeln!(text, "       and {more} more")?,
        }
    }
    Ok(())
}

/// One step of a script in words.
fn deed(cohort: &Cohort, step: &ScriptStep, release: ProfileName) -> String {
    let mut line = match &step.deed {
        Deed::Connect { ask, refused } => {
            let asked = cohort.ask(*ask).map(|spec| asks(spec, release)).unwrap_or_default();
            let tries = if *refused { "connects once" } else { "connects until it has a session" };
            format!("{tries} ({asked})")
        }
        Deed::Hold(None) => "stays until the end".to_owned(),
        Deed::Hold(Some(hold)) => format!("stays {}", range(*hold)),
        Deed::Think(think) => format!("thinks {}", range(*think)),
        Deed::Call(call) => format!("calls {}", call.method),
        Deed::Change => "asks for something else from here on".to_owned(),
        Deed::Drop => "leaves".to_owned(),
        Deed::Lose(Loss::Key) => "loses its key: another device from here on".to_owned(),
        Deed::Lose(Loss::Token) => "loses its device tokens".to_owned(),
        Deed::Lose(Loss::Both) => "loses its key and its tokens: another device from here on".to_owned(),
    };
    if let Some(expect) = &step.expect {
        line.push_str(&format!("; expected: {}", expected(expect)));
    }
    line
}

/// One step of the plan's in words.
#[must_use]
pub fn narrate(plan: &Plan, step: &Step) -> String {
    let name = |client: ClientId| name(plan, client);
    match step {
        Step::Connect(connect) => {
            let mut line = format!("{} connects", name(connect.client));
            let cohort = plan
                .clients
                .get(connect.client as usize)
                .and_then(|client| plan.cohorts.get(usize::from(client.cohort)));
            if let Some(spec) = cohort.and_then(|cohort| cohort.ask(connect.ask)) {
                line.push_str(&format!(" ({})", asks(spec, plan.gateway.profile)));
            }
            if connect.hold {
                line.push_str(", and stays");
            }
            if let Some(expect) = &connect.expect {
                line.push_str(&format!("; expected: {}", expected(expect)));
            }
            line
        }
        Step::Leave(client) => format!("{} leaves", name(*client)),
        Step::Act { action, by } => {
            let who = by.map_or_else(|| "an operator".to_owned(), name);
            let request = |request: &Request| match request {
                Request::Of(client) => format!("the request of {}", name(*client)),
                Request::Latest => "the newest request".to_owned(),
            };
            match action {
                Action::Approve(of) => format!("{who} approves {}", request(of)),
                Action::Reject(of) => format!("{who} rejects {}", request(of)),
                Action::Remove(client) => format!("{who} removes {}", name(*client)),
                Action::Rotate { client, role, scopes, give } => {
                    let scopes = scopes.as_ref().map_or_else(String::new, |scopes| {
                        format!(
                            " to {}",
                            if scopes.is_empty() { "no scopes".to_owned() } else { scopes.join(" ") }
                        )
                    });
                    let told = if *give { ", and tells it" } else { "" };
                    format!("{who} rotates the {role} token of {}{scopes}{told}", name(*client))
                }
                Action::Revoke { client, role } => {
                    format!("{who} revokes the {role} token of {}", name(*client))
                }
            }
        }
        Step::Edit { client, edit: StoreEdit::SetScopes(scopes) } => {
            format!("somebody edits the store: scopes of {} become [{}]", name(*client), scopes.join(" "))
        }
        Step::Edit { client, edit: StoreEdit::DropEntry } => {
            format!("somebody edits the store: the entry of {} goes", name(*client))
        }
        Step::Fault(kind) => format!("the gateway: {}", fault_text(*kind)),
        Step::Wait(pause) => format!("nothing for {}", show_duration(*pause)),
    }
}

fn name(plan: &Plan, client: ClientId) -> String {
    let planned = plan.clients.get(client as usize);
    let cohort = planned.and_then(|planned| plan.cohorts.get(usize::from(planned.cohort)));
    match (planned, cohort) {
        (Some(planned), Some(cohort)) => format!("{}/{}", cohort.name, planned.index),
        _ => format!("client {client}"),
    }
}

fn asks(spec: &ConnectSpec, release: ProfileName) -> String {
    let traits = persona::profile(spec.persona, release);
    let mut words = vec![traits.name.to_owned()];
    words.push(spec.role.as_ref().map_or_else(|| "no role".to_owned(), |role| format!("role {role}")));
    words.push(match &spec.scopes {
        None => "no scopes key".to_owned(),
        Some(scopes) => format!("[{}]", scopes.join(" ")),
    });
    words.push(credential(spec.credential).to_owned());
    if spec.platform != traits.platform || spec.device_family.as_deref() != traits.device_family {
        let family = spec.device_family.as_deref().unwrap_or("no family");
        words.push(format!("as {} {family}", spec.platform));
    }
    if spec.path != NetworkPath::Direct {
        words.push(path(&spec.path));
    }
    words.extend(match &spec.origin {
        Some(Origin::Fixed(origin)) => Some(format!("origin {origin}")),
        Some(Origin::SameHost) if !traits.browser => Some("origin same-host".to_owned()),
        None if traits.browser => Some("no origin".to_owned()),
        _ => None,
    });
    if spec.signature != traits.signature && spec.deviation != Deviation::SignatureV1 {
        words.push(match spec.signature {
            SignatureVersion::V2 => "signature v2".to_owned(),
            SignatureVersion::V3 => "signature v3".to_owned(),
        });
    }
    words.extend(deviation(&spec.deviation));
    words.join(", ")
}

fn expected(expect: &Expectation) -> String {
    let close = expect.close.map(|code| format!("close {code}"));
    let latency = expect.latency.map(|latency| latency.to_string());
    let texts = [&expect.outcome, &expect.code, &expect.detail_code, &expect.reason];
    let mut text = String::new();
    for word in texts.into_iter().flatten().chain(&close).chain(&latency) {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{word}");
    }
    text
}
