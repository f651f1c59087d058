//! `[[step]]`: a story, told one step after the other.

use std::collections::BTreeSet;

use protocol::{ProfileName, scope};

use super::arrivals::Arrivals;
use super::cohort::{self, CohortSpec};
use super::document::{Node, Value};
use super::fault::{DOWN, SIGNALS};
use super::names::allowed;
use super::reader::{
    ALREADY_REPORTED, Fields, Problem, duration, plain_text, positive_duration, text, truth, word,
};
use crate::vocabulary::{
    Action, ClientId, FaultKind, NetworkPath, Persona, Request, Step, StepConnect, StoreEdit, persona,
};

/// Most steps a scenario may have: a program wrote more.
const STEPS_MAX: usize = 10_000;
const KINDS: [&str; 11] = [
    "connect", "drop", "approve", "reject", "remove", "rotate", "revoke", "edit", "restart", "reload", "wait",
];
/// The request that was made last, whoever made it.
const LATEST: &str = "latest";

/// The cohorts of the file, and what steps have made of them so far.
struct Cast<'c> {
    cohorts: &'c mut [CohortSpec],
    /// Every name in the file, those of cohorts that could not be read included.
    names: &'c [&'c str],
    paths: &'c [(String, NetworkPath)],
    /// Whose clients they are.
    release: ProfileName,
    /// Positions in `cohorts` that a step names.
    named: BTreeSet<usize>,
}

/// A client: the position of its cohort, its index there, and its place among all clients.
#[derive(Clone, Copy)]
struct Who {
    cohort: usize,
    client: ClientId,
}

/// Reads every `[[step]]`. What steps ask beside their cohort's own request becomes a variant of the cohort.
pub(super) fn read(
    scenario: &Fields<'_>,
    cohorts: &mut [CohortSpec],
    names: &[&str],
    paths: &[(String, NetworkPath)],
    release: ProfileName,
) -> Vec<Step> {
    let Some(entry) = scenario.entry("step") else { return Vec::new() };
    let sink = scenario.sink;
    let items = match &entry.node.value {
        Value::Array(items) if !items.is_empty() => items.as_slice(),
        Value::Broken => return Vec::new(),
        _ => {
            let help = Some("write [[step]], once for each step".to_owned());
            sink.report("type", &entry.node.span, "`step` is no list of steps", help);
            return Vec::new();
        }
    };
    if let Some(beyond) = items.get(STEPS_MAX) {
        sink.report("limit", &beyond.span, format!("more than {STEPS_MAX} steps"), None);
    }
    let mut cast = Cast { cohorts, names, paths, release, named: BTreeSet::new() };
    let mut steps = Vec::with_capacity(items.len().min(STEPS_MAX));
    for (number, item) in (1..).zip(items.iter().take(STEPS_MAX)) {
        let Value::Table(table) = &item.value else {
            let help = Some("write [[step]], once for each step".to_owned());
            sink.report("type", &item.span, format!("step {number} is {}", item.value.kind()), help);
            continue;
        };
        let fields = Fields::new(table, format!("step {number}"), item.span.clone(), sink);
        steps.extend(step(&fields, &mut cast));
        fields.finish();
    }
    let unused = cast.cohorts.iter().enumerate().filter(|(position, spec)| {
        matches!(spec.arrivals, Arrivals::Steps) && !cast.named.contains(position)
    });
    for (_, spec) in unused {
        let name = &spec.cohort.name;
        let at = scenario.table("cohort").map_or(0..0, |cohorts| {
            cohorts.entries().iter().find(|entry| entry.key == *name).map_or(0..0, |entry| entry.at.clone())
        });
        let help = Some("give it `arrivals`, or a step such as [[step]] connect = \"…\"".to_owned());
        let message = format!("`cohort.{name}` lacks `arrivals`, and no step names it");
        sink.report("missing-key", &at, message, help);
    }
    steps
}

fn step(fields: &Fields<'_>, cast: &mut Cast<'_>) -> Option<Step> {
    let (kind, entry) = fields.one_of(&KINDS, "something to do")?;
    if !matches!(kind, "approve" | "reject" | "remove" | "rotate" | "revoke")
        && let Some(by) = fields.entry("as")
    {
        let help =
            Some("only `approve`, `reject`, `remove`, `rotate` and `revoke` are done by somebody".to_owned());
        fields.sink.report("conflict", &by.at, format!("`as` does not go with `{kind}`"), help);
    }
    if kind != "restart"
        && let Some(down) = fields.entry("down")
    {
        let help = Some("`down` is the pause between the exit and the start of a `restart`".to_owned());
        fields.sink.report("conflict", &down.at, "`down` without `restart`", help);
    }
    if kind != "connect" {
        for key in ["hold", "expect"] {
            if let Some(entry) = fields.entry(key) {
                let help = Some("only a step that connects has a session and an outcome".to_owned());
                fields.sink.report("conflict", &entry.at, format!("`{key}` does not go with `{kind}`"), help);
            }
        }
    }
    match kind {
        "connect" => connect(fields, cast),
        "drop" => fields.read("drop", |node| who(node, cast)).map(|who| cast.named(who)).map(Step::Leave),
        "edit" => edit(fields, entry, cast),
        "restart" => {
            let down = fields.read("down", duration).unwrap_or(DOWN);
            let signal = fields.read("restart", word(&SIGNALS))?;
            Some(Step::Fault(FaultKind::Restart { signal, down }))
        }
        "reload" => match fields.read("reload", truth)? {
            true => Some(Step::Fault(FaultKind::Reload)),
            false => {
                let help = Some("write `reload = true`, or remove the step".to_owned());
                fields.sink.report("value", &entry.node.span, "a step that does nothing", help);
                None
            }
        },
        "wait" => fields.read("wait", positive_duration).map(Step::Wait),
        _ => {
            let action = action(kind, fields, entry, cast);
            let by = match fields.entry("as") {
                Some(_) => {
                    let who = fields.read("as", |node| who(node, cast))?;
                    Some(cast.named(who))
                }
                None => None,
            };
            Some(Step::Act { action: action?, by })
        }
    }
}

fn connect(fields: &Fields<'_>, cast: &mut Cast<'_>) -> Option<Step> {
    let who = fields.read("connect", |node| who(node, cast));
    let own = who.and_then(|who| cast.cohorts.get(who.cohort)).map(|spec| spec.cohort.connect.clone());
    // Of a client that could not be read, any request will do: its keys are still looked at.
    let own = own.unwrap_or_else(|| cohort::of_persona(persona::profile(Persona::Cli, cast.release)));
    let spec = cohort::other_connect(fields, own, cast.paths, cast.release);
    let hold = fields.read("hold", truth).unwrap_or(false);
    let expect = fields.table("expect").map(cohort::expectation_of_one);
    let who = who?;
    let client = cast.named(who);
    let ask = cohort::ask(&mut cast.cohorts.get_mut(who.cohort)?.cohort, spec)?;
    let line = fields
        .sink
        .line(&fields.entry("connect").map_or_else(|| fields.at.clone(), |entry| entry.at.clone()));
    Some(Step::Connect(StepConnect { client, ask, hold, expect, line }))
}

fn action(
    kind: &str,
    fields: &Fields<'_>,
    entry: &super::document::Entry,
    cast: &mut Cast<'_>,
) -> Option<Action> {
    match kind {
        "approve" => {
            fields.read("approve", |node| request(node, cast)).map(|it| Action::Approve(cast.asker(it)))
        }
        "reject" => {
            fields.read("reject", |node| request(node, cast)).map(|it| Action::Reject(cast.asker(it)))
        }
        "remove" => fields.read("remove", |node| who(node, cast)).map(|who| Action::Remove(cast.named(who))),
        "rotate" => {
            if !matches!(entry.node.value, Value::Table(_)) {
                let who = fields.read("rotate", |node| who(node, cast))?;
                let role = cast.role(who);
                return Some(Action::Rotate { client: cast.named(who), role, scopes: None, give: false });
            }
            let table = fields.table("rotate")?;
            let client = table.required("client", "whose token", |node| who(node, cast));
            let role = table.read("role", plain_text);
            let scopes = table.read("scopes", cohort::scope_list);
            let give = table.read("give", truth).unwrap_or(false);
            table.finish();
            let client = client?;
            let role = role.unwrap_or_else(|| cast.role(client));
            Some(Action::Rotate { client: cast.named(client), role, scopes, give })
        }
        _ => {
            if !matches!(entry.node.value, Value::Table(_)) {
                let who = fields.read("revoke", |node| who(node, cast))?;
                let role = cast.role(who);
                return Some(Action::Revoke { client: cast.named(who), role });
            }
            let table = fields.table("revoke")?;
            let client = table.required("client", "whose token", |node| who(node, cast));
            let role = table.read("role", plain_text);
            table.finish();
            let client = client?;
            let role = role.unwrap_or_else(|| cast.role(client));
            Some(Action::Revoke { client: cast.named(client), role })
        }
    }
}

fn edit(fields: &Fields<'_>, entry: &super::document::Entry, cast: &mut Cast<'_>) -> Option<Step> {
    let table = fields.sub_table(entry)?;
    let client = table.required("client", "whose entry", |node| who(node, cast));
    let change = store_edit(&table);
    table.finish();
    client.zip(change).map(|(client, edit)| Step::Edit { client: cast.named(client), edit })
}

/// What an `edit` changes.
pub(super) fn store_edit(table: &Fields<'_>) -> Option<StoreEdit> {
    match table.one_of(&["scopes", "entry"], "a change")? {
        ("scopes", _) => table.read("scopes", cohort::scope_list).map(StoreEdit::SetScopes),
        _ => table.read("entry", word(&[("drop", StoreEdit::DropEntry)])),
    }
}

enum Asker {
    Latest,
    Client(Who),
}

fn request(node: &Node, cast: &Cast<'_>) -> Result<Asker, Problem> {
    match &node.value {
        Value::Text(name) if name == LATEST => Ok(Asker::Latest),
        _ => who(node, cast).map(Asker::Client),
    }
}

/// `"phone"`, the first client of the cohort, or `"phone/3"`.
fn who(node: &Node, cast: &Cast<'_>) -> Result<Who, Problem> {
    let text = text(node)?;
    let (name, index) = match text.split_once('/') {
        Some((name, index)) => (name, index.parse::<u32>().ok()),
        None => (text.as_str(), Some(0)),
    };
    let Some(index) = index else {
        return Err(Problem {
            code: "value",
            message: format!("`{text}` names no client"),
            help: Some("a cohort and an index that counts from 0, for example \"phone/3\"".to_owned()),
        });
    };
    let mut before: u64 = 0;
    for (cohort, spec) in cast.cohorts.iter().enumerate() {
        if spec.cohort.name != name {
            before += u64::from(spec.count);
            continue;
        }
        if index >= spec.count {
            return Err(Problem {
                code: "reference",
                message: format!("`{name}` has no client {index}"),
                help: Some(format!("it has {}, counted from 0", spec.count)),
            });
        }
        if !matches!(spec.arrivals, Arrivals::Steps) {
            return Err(Problem {
                code: "conflict",
                message: format!("the clients of `{name}` arrive by themselves"),
                help: Some("remove its `arrivals`: its steps say when its clients connect".to_owned()),
            });
        }
        // The sum of all counts has its own limit.
        let client = ClientId::try_from(before + u64::from(index)).unwrap_or(ClientId::MAX);
        return Ok(Who { cohort, client });
    }
    if cast.names.contains(&name) {
        // The cohort has errors, which were reported; one slip must not cause two.
        return Err(Problem { code: ALREADY_REPORTED, message: String::new(), help: None });
    }
    Err(Problem {
        code: "reference",
        message: format!("there is no `[cohort.{name}]`"),
        help: Some(allowed(name, cast.names)),
    })
}

impl Cast<'_> {
    /// Notes that a step names the client.
    fn named(&mut self, who: Who) -> ClientId {
        self.named.insert(who.cohort);
        who.client
    }

    fn asker(&mut self, asker: Asker) -> Request {
        match asker {
            Asker::Latest => Request::Latest,
            Asker::Client(who) => Request::Of(self.named(who)),
        }
    }

    /// The role that the client's cohort asks for.
    fn role(&self, who: Who) -> String {
        let role = self.cohorts.get(who.cohort).and_then(|spec| spec.cohort.connect.role.clone());
        role.unwrap_or_else(|| scope::ROLE_OPERATOR.to_owned())
    }
}
