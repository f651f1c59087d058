//! `[gateway]`, `[path.NAME]`, `[operator.NAME]`.

use serde_json::{Value, json};

use super::values::{
    duration, either, key, list, or_variable, range, rate, required, share, table, text, truth, words,
};
use super::{crowd, profiles};

pub(super) fn gateway() -> Value {
    let ready = either([
        words(["handshake"]),
        table("", &[required("line", text(), "Part of a line that it writes.")]),
        table("", &[required("http", text(), "A path that it answers, for example \"/readyz\".")]),
    ]);
    let command = table(
        "Anyone's own build.",
        &[
            required(
                "command",
                list(text()),
                "Program and arguments; the run fills {port}, {state} and {config} in.",
            ),
            key("ready", ready, "What says that it is up. Default: \"handshake\"."),
            key("profile", profiles(), "The release that it is held to."),
        ],
    );
    let launch = either([
        json!({ "type": "string", "pattern": r"^(in-repo|openclaw|openclaw@[0-9].*)$|\{", "examples": ["in-repo", "openclaw@2026.9.6"] }),
        command,
    ]);
    let store = table(
        "",
        &[
            key("backend", words(["json"]), ""),
            key("devices", crowd(0), "Paired devices that are nobody's clients."),
        ],
    );
    or_variable(table(
        "",
        &[
            key(
                "profile",
                profiles(),
                "The release that the gateway is held to and that clients are of. Default: \"article\".",
            ),
            key("launch", launch, "What is started. Default: \"in-repo\"."),
            key("config", config(), "openclaw.json, spelt as OpenClaw spells it. The run makes credentials."),
            key("store", store, "What the store holds beside the clients' entries."),
        ],
    ))
}

/// OpenClaw's own keys are open; those that verdicts depend on are named.
fn config() -> Value {
    let texts = |about: &str| {
        let mut schema = list(text());
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(about));
        }
        schema
    };
    json!({
        "type": "object",
        "properties": {
            "gateway": {
                "type": "object",
                "properties": {
                    "trustedProxies": texts("Addresses or ranges of proxies whose headers count."),
                    "allowRealIpFallback": truth(),
                    "auth": { "type": "object", "properties": { "mode": words(["token", "password", "none"]) } },
                    "controlUi": { "type": "object", "properties": {
                        "allowedOrigins": texts("Origins that browsers may come from.") } },
                    "port": false,
                    "bind": false,
                },
            },
        },
    })
}

pub(super) fn path() -> Value {
    or_variable(table(
        "",
        &[
            key(
                "from",
                text(),
                "The proxy's address: in 127.2.0.0/16 if it is meant to be trusted, in 127.3.0.0/16 if not.",
            ),
            key("forwarded_for", text(), "\"each client its own\", or this text for all; absent: no header."),
            key("host", text(), "Host header; absent: the address dialled."),
        ],
    ))
}

pub(super) fn operator() -> Value {
    let think = either([
        range(),
        table("", &[required("mean", duration(), "Exponential, with this mean.")]),
        table(
            "",
            &[
                required("median", duration(), "Log-normal: half think longer."),
                required("p99", duration(), "One of a hundred thinks longer."),
            ],
        ),
    ]);
    let notices = either([
        words(["event"]),
        table("", &[required("list", duration(), "Looks into the list so often.")]),
    ]);
    or_variable(table(
        "",
        &[
            key("serves", list(text()), "Cohorts that it decides about. Default: everyone."),
            key("notices", notices, "How it hears of requests. Default: \"event\"."),
            key("think", think, "From noticing to deciding. Default: \"20ms..200ms\"."),
            key("approve", words(["each", "latest", "never"]), "What it approves. Default: \"each\"."),
            key("rate", rate(), "Decisions at most."),
            key(
                "by",
                words(["session", "command-line"]),
                "Over a session (default), or with the gateway's own command.",
            ),
            key(
                "state",
                words(["gateway", "elsewhere"]),
                "Whose state directory its commands go to. Default: \"gateway\".",
            ),
            key("reject_share", share(), "Share of devices that are rejected. Default: 0."),
            key("ignore_share", share(), "Share of devices that are never decided about. Default: 0."),
            key("rotate", rate(), "Rotates tokens of paired devices at this rate."),
            key("revoke", rate(), "Revokes them."),
            key("remove", rate(), "Removes paired devices."),
        ],
    ))
}
