//! `script` of a cohort: what each of its clients does, step by step.
//!
//! A script is a straight line, so that what a client has at each of its steps is known here: what it would send, and
//! whether it holds a session. A step that cannot be done there is an error of the file.

use protocol::ProfileName;

use super::cohort;
use super::document::{Node, Span, Value};
use super::reader::{Fields, Problem, duration_range, plain_text, truth, word};
use crate::vocabulary::{
    Cohort, ConnectSpec, Deed, DurationRange, Expectation, Loss, NetworkPath, ScriptCall, ScriptStep,
};

/// Most steps of a script: a program wrote more.
const STEPS_MAX: usize = 1_000;
/// Longest `params` of a call, bytes of JSON: a frame that a gateway takes before it looks at it.
const PARAMS_MAX: usize = 16 << 10;
const KINDS: [&str; 7] = ["connect", "hold", "think", "call", "change", "drop", "lose"];
/// How a call may end.
pub(super) const CALL_OUTCOMES: [(&str, &str); 3] =
    [("ok", "ok"), ("refused", "refused"), ("no_answer", "no_answer")];

/// How far a script has been read, and what its client has there.
struct Reading<'c> {
    cohort: &'c mut Cohort,
    paths: &'c [(String, NetworkPath)],
    release: ProfileName,
    /// What its next connect asks.
    now: ConnectSpec,
    /// Whether it holds a session; `None` behind an error, because one slip must not cause two.
    connected: Option<bool>,
    /// The step that stays until the run's end.
    endless: bool,
    /// A change or a loss that no connect has shown yet: its word, and where it stands.
    unseen: Option<(&'static str, Span)>,
}

/// Reads the script of a cohort. What it connects with beside the cohort's own request becomes a variant of the cohort.
pub(super) fn read(
    fields: &Fields<'_>,
    cohort: &mut Cohort,
    paths: &[(String, NetworkPath)],
    release: ProfileName,
) {
    let Some(entry) = fields.entry("script") else { return };
    let sink = fields.sink;
    let items = match &entry.node.value {
        Value::Array(items) if !items.is_empty() => items.as_slice(),
        Value::Broken => return,
        _ => {
            let help = "a list of steps, for example script = [{ connect = true }, { hold = \"2s\" }]";
            let message = format!("`script` is {}, wanted a list of steps", entry.node.value.kind());
            sink.report("type", &entry.node.span, message, Some(help.to_owned()));
            return;
        }
    };
    if let Some(beyond) = items.get(STEPS_MAX) {
        sink.report("limit", &beyond.span, format!("more than {STEPS_MAX} steps in a script"), None);
    }
    let now = cohort.connect.clone();
    let mut reading =
        Reading { cohort, paths, release, now, connected: Some(false), endless: false, unseen: None };
    for (number, item) in (1..).zip(items.iter().take(STEPS_MAX)) {
        let Value::Table(table) = &item.value else {
            if !matches!(item.value, Value::Broken) {
                let help = Some("one table for each step, for example { connect = true }".to_owned());
                let message = format!("step {number} of the script is {}", item.value.kind());
                sink.report("type", &item.span, message, help);
            }
            continue;
        };
        // An inline table stands where it begins, a `[[…script]]` at its name.
        let at = table.entries.first().map_or_else(|| item.span.clone(), |entry| entry.at.clone());
        let step = Fields::new(table, format!("{}.script step {number}", fields.name), at.clone(), sink);
        let deed = reading.deed(&step);
        let expect = reading.expectation(&step, deed.as_ref());
        step.finish();
        if deed.is_none() {
            reading.connected = None;
        }
        if let Some(mut deed) = deed {
            if let Deed::Connect { refused, .. } = &mut deed {
                *refused = expect.as_ref().is_some_and(expects_no_session);
                reading.connected = Some(!*refused);
            }
            reading.cohort.script.push(ScriptStep { deed, expect, line: sink.line(&at) });
        }
    }
    if let Some((word, at)) = reading.unseen {
        let help = Some("let it connect afterwards, or remove the step".to_owned());
        sink.report(
            "conflict",
            &at,
            format!("no connect comes after this `{word}` that could show it"),
            help,
        );
    }
}

/// Whether only an attempt without a session can be meant.
fn expects_no_session(expect: &Expectation) -> bool {
    match expect.outcome.as_deref() {
        Some(outcome) => outcome != "session",
        None => {
            [&expect.code, &expect.detail_code, &expect.reason].iter().any(|text| text.is_some())
                || expect.close.is_some()
        }
    }
}

impl Reading<'_> {
    fn deed(&mut self, step: &Fields<'_>) -> Option<Deed> {
        let (kind, entry) = step.one_of(&KINDS, "something to do")?;
        if std::mem::take(&mut self.endless) {
            self.connected = None;
            let help = Some("remove it, or say how long the step before holds".to_owned());
            step.sink.report("conflict", &entry.at, "the step before holds until the end of the run", help);
        }
        match kind {
            "connect" => {
                if self.connected == Some(true) {
                    let help = Some("put { drop = true } before it".to_owned());
                    step.sink.report("conflict", &entry.at, "the client holds a session already", help);
                }
                let spec = match &entry.node.value {
                    Value::Table(_) => {
                        let keys = step.sub_table(entry)?;
                        let spec = cohort::other_connect(&keys, self.now.clone(), self.paths, self.release);
                        keys.finish();
                        spec
                    }
                    _ => {
                        yes(step, "connect")?;
                        self.now.clone()
                    }
                };
                self.unseen = None;
                Some(Deed::Connect { ask: cohort::ask(self.cohort, spec)?, refused: false })
            }
            "hold" => {
                self.needs_session(step, "hold", &entry.at);
                let hold = step.read("hold", hold)?;
                self.endless |= hold.is_none();
                Some(Deed::Hold(hold))
            }
            "think" => step.read("think", duration_range).map(Deed::Think),
            "call" => {
                self.needs_session(step, "call", &entry.at);
                call(step, &entry.node).map(Deed::Call)
            }
            "change" => {
                let keys = step.table("change")?;
                if keys.entries().is_empty() {
                    let help = Some("for example { change = { scopes = [\"operator.read\"] } }".to_owned());
                    step.sink.report("missing-key", &entry.at, "a change of nothing", help);
                }
                let changed = cohort::other_connect(&keys, self.now.clone(), self.paths, self.release);
                keys.finish();
                self.now = changed;
                self.unseen = Some(("change", entry.at.clone()));
                Some(Deed::Change)
            }
            "drop" => {
                self.needs_session(step, "drop", &entry.at);
                self.connected = Some(false);
                yes(step, "drop")?;
                Some(Deed::Drop)
            }
            _ => {
                let words = [Loss::Key, Loss::Token, Loss::Both].map(|loss| (loss.word(), loss));
                let loss = step.read("lose", word(&words))?;
                if loss.key() && self.connected == Some(true) {
                    let help = Some("put { drop = true } before it".to_owned());
                    let message = "a client that holds a session goes on being the device that took it";
                    step.sink.report("conflict", &entry.at, message, help);
                }
                self.unseen = Some(("lose", entry.at.clone()));
                Some(Deed::Lose(loss))
            }
        }
    }

    fn needs_session(&mut self, step: &Fields<'_>, what: &str, at: &Span) {
        if self.connected == Some(false) {
            self.connected = None;
            let help = Some("put { connect = true } before it".to_owned());
            step.sink.report("conflict", at, format!("`{what}`: the client holds no session here"), help);
        }
    }

    fn expectation(&self, step: &Fields<'_>, deed: Option<&Deed>) -> Option<Expectation> {
        let entry = step.entry("expect")?;
        match deed? {
            Deed::Connect { .. } => {
                if let Value::Text(_) = &entry.node.value {
                    return step.read("expect", cohort::outcome_alone);
                }
                step.sub_table(entry).map(cohort::expectation_of_one)
            }
            Deed::Call(_) => {
                if let Value::Text(_) = &entry.node.value {
                    let outcome = step.read("expect", word(&CALL_OUTCOMES))?;
                    return Some(Expectation { outcome: Some(outcome.to_owned()), ..Expectation::default() });
                }
                step.sub_table(entry).map(call_expectation)
            }
            other => {
                let help = Some("only a step that connects or calls has an outcome".to_owned());
                let message = format!("`expect` does not go with `{}`", other.word());
                step.sink.report("conflict", &entry.at, message, help);
                None
            }
        }
    }
}

/// A key that only says that something happens.
fn yes(step: &Fields<'_>, key: &'static str) -> Option<()> {
    if step.read(key, truth)? {
        return Some(());
    }
    let help = Some(format!("write `{key} = true`, or remove the step"));
    step.sink.report("value", &step.span(key), "a step that does nothing", help);
    None
}

/// `"2s..5s"`, or `"until-end"`.
fn hold(node: &Node) -> Result<Option<DurationRange>, Problem> {
    match &node.value {
        Value::Text(text) if text == "until-end" => Ok(None),
        _ => duration_range(node).map(Some),
    }
}

/// `"status"`, or `{ method = "…", params = { … } }`.
fn call(step: &Fields<'_>, node: &Node) -> Option<ScriptCall> {
    if !matches!(node.value, Value::Table(_)) {
        return step.read("call", plain_text).map(|method| ScriptCall { method, params: None });
    }
    let keys = step.table("call")?;
    let method = keys.required("method", "for example \"status\"", plain_text);
    let params = keys.read("params", params);
    keys.finish();
    method.map(|method| ScriptCall { method, params })
}

fn params(node: &Node) -> Result<serde_json::Value, Problem> {
    let problem = |code, message: String| Problem { code, message, help: None };
    let params = node.value.to_json().ok_or_else(|| problem("type", "this is no JSON".to_owned()))?;
    let length = params.to_string().len();
    if length > PARAMS_MAX {
        return Err(problem("limit", format!("{length} bytes, more than {PARAMS_MAX}")));
    }
    Ok(params)
}

fn call_expectation(fields: Fields<'_>) -> Expectation {
    let expectation = Expectation {
        outcome: fields.read("outcome", word(&CALL_OUTCOMES)).map(str::to_owned),
        code: fields.read("code", plain_text),
        detail_code: fields.read("detail_code", plain_text),
        latency: fields.read("latency", cohort::latency),
        ..Expectation::default()
    };
    let error = ["code", "detail_code"].into_iter().find(|key| fields.entry(key).is_some());
    if let (Some(outcome), Some(key)) = (expectation.outcome.as_deref(), error)
        && outcome != "refused"
    {
        let help = Some("only outcome = \"refused\" has `code` and `detail_code`".to_owned());
        let message = format!("an outcome `{outcome}` carries no error");
        fields.sink.report("conflict", &fields.span(key), message, help);
    }
    if fields.entries().is_empty() {
        let help = Some("for example expect = \"ok\"".to_owned());
        fields.sink.report("missing-key", &fields.at, format!("`{}` expects nothing", fields.name), help);
    }
    fields.finish();
    expectation
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::{Scenario, parse, render};
    use crate::vocabulary::{Comparison, Credential, LatencyLimit};

    fn file(script: &str) -> String {
        format!(
            "name = \"x\"\nduration = \"9s\"\n[cohort.phones]\npersona = \"cli\"\ncount = 3\narrivals.constant.rate = \"10/s\"\n\
             scopes = [\"operator.read\"]\nscript = [\n{script}\n]\n"
        )
    }

    fn accept(script: &str) -> Scenario {
        parse("x.toml", &file(script), &[])
            .unwrap_or_else(|diagnostics| panic!("{}", render(&diagnostics, false)))
    }

    fn refuse(script: &str) -> String {
        match parse("x.toml", &file(script), &[]) {
            Ok(_) => panic!("accepted: {script}"),
            Err(diagnostics) => render(&diagnostics, false),
        }
    }

    #[test]
    fn a_script_is_read_step_by_step_and_each_connect_asks_what_it_would_there() {
        let scenario = accept(
            r#"{ connect = true },
               { call = "status", expect = "ok" },
               { call = { method = "device.pair.reject", params = { requestId = "none" } }, expect = { code = "FORBIDDEN" } },
               { hold = "2s..5s" },
               { drop = true },
               { change = { scopes = ["operator.write"] } },
               { connect = { credential = "device-token" }, expect = { outcome = "refused", reason = "scope-upgrade", latency = "< 2s" } },
               { lose = "both" },
               { think = "1s" },
               { connect = true, expect = "session" },
               { hold = "until-end" }"#,
        );
        let cohort = &scenario.cohorts[0].cohort;
        let deeds: Vec<&Deed> = cohort.script.iter().map(|step| &step.deed).collect();
        let seconds =
            |min, max| DurationRange { min: Duration::from_secs(min), max: Duration::from_secs(max) };
        let call = |method: &str, params| Deed::Call(ScriptCall { method: method.to_owned(), params });
        assert_eq!(
            deeds,
            [
                &Deed::Connect { ask: 0, refused: false },
                &call("status", None),
                &call("device.pair.reject", Some(serde_json::json!({"requestId": "none"}))),
                &Deed::Hold(Some(seconds(2, 5))),
                &Deed::Drop,
                &Deed::Change,
                &Deed::Connect { ask: 1, refused: true },
                &Deed::Lose(Loss::Both),
                &Deed::Think(seconds(1, 1)),
                &Deed::Connect { ask: 2, refused: false },
                &Deed::Hold(None),
            ]
        );
        assert_eq!(
            cohort.script.iter().map(|step| step.line).collect::<Vec<_>>(),
            (9..20).collect::<Vec<_>>()
        );
        let [by_token, wider] = cohort.variants.as_slice() else { panic!("{:?}", cohort.variants) };
        // What stands at one connect is that connect's; a change is for good.
        let write = Some(vec!["operator.write".to_owned()]);
        assert_eq!((by_token.credential, &by_token.scopes), (Credential::DeviceToken, &write));
        assert_eq!((wider.credential, &wider.scopes), (Credential::SharedToken, &write));
        let latency = LatencyLimit { comparison: Comparison::Less, limit: Duration::from_secs(2) };
        assert_eq!(cohort.script[6].expect.as_ref().unwrap().latency, Some(latency));
        assert_eq!(cohort.lives(), 2);
    }

    #[test]
    fn steps_may_also_stand_one_below_the_other() {
        let text = format!(
            "{}\n[[cohort.phones.script]]\nconnect = true\n[[cohort.phones.script]]\nhold = \"1s\"\n",
            file("").replace("script = [\n\n]\n", "")
        );
        let scenario = parse("x.toml", &text, &[]).unwrap();
        assert_eq!(
            scenario.cohorts[0].cohort.script.iter().map(|step| step.line).collect::<Vec<_>>(),
            [10, 12]
        );
    }

    #[test]
    fn what_cannot_be_done_at_a_step_is_an_error_where_it_stands() {
        insta::assert_snapshot!(refuse(
            r#"{ hold = "1s" },
{ connect = true },
{ connect = true },
{ lose = "key" },
{ drop = true, expect = "ok" },
{ call = "status" },
{ lose = "token" }"#
        ));
    }

    #[test]
    fn slips_in_a_step_name_what_was_meant() {
        insta::assert_snapshot!(refuse(
            r#"{ conect = true },
{ connect = false },
{ connect = true, hold = "1s" },
{ call = "status", expect = "okay" },
{ call = { methd = "status" } },
{ call = "status", expect = { outcome = "ok", code = "FORBIDDEN" } },
{ change = { scope = [] } },
{ hold = "until-end" },
{ drop = true },
{ connect = true, expect = { latency = "2s", attempts = 0 } },
{ lose = "keys" },
"drop""#
        ));
    }

    #[test]
    fn a_script_says_all_that_a_session_would() {
        let text = file("{ connect = true }") + "session.hold = \"1s\"\n";
        let text = render(&parse("x.toml", &text, &[]).unwrap_err(), false);
        assert!(text.contains("`session` beside a `script`"), "{text}");
        let endless = file("{ connect = true }, { hold = \"until-end\" }").replace("duration = \"9s\"\n", "");
        let text = render(&parse("x.toml", &endless, &[]).unwrap_err(), false);
        assert!(text.contains("`until-end` of a run without `duration` never comes"), "{text}");
    }
}
