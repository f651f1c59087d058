//! What is said of the gateway and its store between connections: in words, or as an action of version 2.

use serde_json::Value;

use super::Reading;
use crate::conform::format::Line;
use crate::conform::session::{Action, Edit, Outgoing, Reason, What};
use crate::conform::words;

impl Reading {
    pub(super) fn note(&mut self, line: &Line) {
        if let Some(text) = line.data.get("signedPayload").and_then(Value::as_str) {
            let good = line.data.get("signature").and_then(Value::as_str).map(|state| state == "good");
            self.signed.push((text.to_owned(), good));
            return;
        }
        if let Some(name) = line.data.get("step").and_then(Value::as_str) {
            self.restart_before(line, name);
            self.edit_before(line, name);
            self.step_name = Some(name.to_owned());
            return;
        }
        if line.data.get("cli").is_some() {
            let what = line.data.get("cli").map(ToString::to_string).unwrap_or_default();
            self.unknown(line, what, Reason::CommandLine);
            return;
        }
        let Some(text) = line.data.as_str() else { return };
        match words::edit(text, self.last_device().as_deref()) {
            words::Words::Nothing => {}
            words::Words::Edit(edit) => {
                let step = self.step(format!("edit: {text}"));
                self.push(line, step, What::Act(Action::Edit(edit)));
            }
            words::Words::Unclear => self.unknown(line, text, Reason::Words),
        }
    }

    /// Something that cannot be done again, and on which everything after it may depend.
    fn unknown(&mut self, line: &Line, what: impl Into<String>, reason: Reason) {
        let what = what.into();
        let step = self.step(what.clone());
        self.skip(line, what, reason);
        self.push(line, step, What::Act(Action::Unknown));
    }

    fn edit_before(&mut self, line: &Line, name: &str) {
        if self.own_actions {
            return;
        }
        let Some(edit) = words::edit_before(name, self.last_device().as_deref()) else { return };
        let step = self.step(format!("edit before \"{name}\""));
        self.push(line, step, What::Act(Action::Edit(edit)));
    }

    /// The device of the latest connect that was not an administrator's.
    fn last_device(&self) -> Option<String> {
        self.session.timeline.iter().rev().find_map(|entry| match &entry.what {
            What::Send(_, Outgoing::Connect { frame, .. }) => {
                frame.pointer("/params/device/id").and_then(Value::as_str).map(str::to_owned)
            }
            _ => None,
        })
    }

    /// A step that calls itself "after restart" was preceded by one.
    fn restart_before(&mut self, line: &Line, name: &str) {
        if self.own_actions || !name.to_ascii_lowercase().contains("after restart") {
            return;
        }
        let step = self.step(format!("restart before \"{name}\""));
        if !self.terminated {
            let kill = self.description.contains("sigkill");
            self.push(line, step, What::Act(if kill { Action::Kill } else { Action::Terminate }));
        }
        self.push(line, step, What::Act(Action::Start));
        self.terminated = false;
        for conn in &mut self.conns {
            conn.closed = true;
        }
    }

    pub(super) fn action(&mut self, line: &Line) {
        if let Ok(at) = i64::try_from(line.t_ms) {
            self.now = self.now.max(at);
        }
        let text = |key: &str| line.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = text("kind").unwrap_or_default();
        let device = text("deviceId");
        let action = match (kind.as_str(), device) {
            ("terminate", _) => Some(Action::Terminate),
            ("kill", _) => Some(Action::Kill),
            ("start", _) => Some(Action::Start),
            ("set-scopes", Some(device)) => {
                let scopes = line.data.get("scopes").and_then(Value::as_array);
                let scopes =
                    scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
                Some(Action::Edit(Edit::Scopes { device, scopes }))
            }
            ("drop-entry", Some(device)) => Some(Action::Edit(Edit::Drop { device })),
            _ => None,
        };
        let Some(action) = action else {
            self.skip(line, kind, Reason::Words);
            return;
        };
        let step = self.step(kind);
        self.push(line, step, What::Act(action));
    }
}
