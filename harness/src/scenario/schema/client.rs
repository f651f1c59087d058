//! `[cohort.NAME]` and what else connects.

use serde_json::{Value, json};

use super::super::cohort::{CREDENTIALS, PLAIN_DEVIATIONS};
use super::super::metric::outcome_words;
use super::super::script::CALL_OUTCOMES;
use super::crowd;
use super::values::{
    Key, count, duration, either, key, list, number, or_variable, range, rate, required, signed_duration,
    table, text, truth, words,
};
use crate::vocabulary::cause::{Cause, ExpectedCause};
use crate::vocabulary::{Loss, persona};

pub(super) fn cohort() -> Value {
    let mut keys = vec![
        key("persona", personas(), "The official client that is imitated."),
        key("count", crowd(1), "How many; of `replay` as many as its list has."),
        key("stored", stored(), "The store knows each client."),
        key("arrivals", arrivals(), "How they come: one shape. Cohorts that steps name have none."),
        key("session", session(), "What a client does with a session. Default: it leaves at once."),
        key("script", list(script_step()), "What each client does, step by step; instead of `session`."),
        key("reconnect", reconnect(), "What a client does after an attempt without a session."),
        key("expect", expect(), "What must come out."),
    ];
    keys.extend(connect());
    or_variable(table("", &keys))
}

pub(super) fn personas() -> Value {
    words(persona::NAMES.map(|(name, _)| name))
}

/// What a connect asks, in a cohort and in a step.
pub(super) fn connect() -> Vec<Key> {
    let unknown = table("", &[required("unknown", text(), "A role that no gateway knows.")]);
    let protocol = table(
        "",
        &[
            required("min", count(1, 1000), "The lowest protocol that the client speaks."),
            required("max", count(1, 1000), "The highest."),
        ],
    );
    let valued = table(
        "",
        &[
            key("clock-skew", signed_duration(), "The client's clock is off."),
            key("oversized", count(1, 16 * 1024 * 1024), "Bytes of the message."),
            key("protocol", protocol, "Versions of the protocol that it speaks."),
        ],
    );
    vec![
        key("role", either([words(["operator", "node", "absent"]), unknown]), "Default: the persona's."),
        key(
            "scopes",
            either([words(["absent"]), list(text())]),
            "In the order sent. Default: the persona's.",
        ),
        key("platform", text(), "What is claimed. Default: the persona's."),
        key("device_family", text(), "What is claimed; \"none\" claims none. Default: the persona's."),
        key(
            "credential",
            words(CREDENTIALS.map(|(name, _)| name)),
            "What is sent in `auth`. Default: \"shared-token\".",
        ),
        key("path", text(), "\"direct\" (default), or a [path.NAME]."),
        key(
            "origin",
            text(),
            "\"same-host\", \"none\" or a text. Default: browsers \"same-host\", others none.",
        ),
        key(
            "deviation",
            either([words(PLAIN_DEVIATIONS.iter().map(|(name, _)| *name)), valued]),
            "What is deliberately wrong.",
        ),
        key("signature", words(["v2", "v3"]), "Default: the release's."),
    ]
}

fn stored() -> Value {
    let metadata = either([
        words(["same", "legacy"]),
        table("", &[key("platform", text(), ""), key("device_family", text(), "")]),
    ]);
    or_variable(table(
        "",
        &[
            key("roles", either([words(["absent"]), list(text())]), "Default: what the client asks."),
            key("scopes", either([words(["absent"]), list(text())]), "Default: what the client asks."),
            key("metadata", metadata, "Platform and family in the store. Default: \"same\"."),
            key("tokens", truth(), "Whether it has a token for each role. Default: true."),
        ],
    ))
}

fn arrivals() -> Value {
    let start = || key("start", duration(), "When the shape begins. Default: 0.");
    let rate_of = |about| required("rate", rate(), about);
    or_variable(table(
        "",
        &[
            key("constant", table("", &[rate_of("Evenly spaced."), start()]), "Evenly spaced."),
            key("poisson", table("", &[rate_of("On average."), start()]), "Independently of each other."),
            key(
                "ramp",
                table(
                    "",
                    &[
                        required("from", rate(), "The rate at first."),
                        required("to", rate(), "The rate at the end."),
                        key("over", duration(), "How long it changes. Default: until all have arrived."),
                        start(),
                    ],
                ),
                "At a rate that changes evenly, then stays.",
            ),
            key(
                "stairs",
                table(
                    "",
                    &[
                        required("from", rate(), "The first rate."),
                        required("to", rate(), "The last one."),
                        required("step", rate(), "How much it changes at once."),
                        required("every", duration(), "How long each rate lasts."),
                        start(),
                    ],
                ),
                "At a rate that goes up or down in steps.",
            ),
            key(
                "spike",
                table(
                    "",
                    &[
                        required("base", rate(), "The rate before and after."),
                        required("peak", rate(), "The rate meanwhile."),
                        required("at", duration(), "When it begins."),
                        required("for", duration(), "How long it lasts."),
                        start(),
                    ],
                ),
                "At a rate that is another one for a while.",
            ),
            key(
                "herd",
                table(
                    "",
                    &[
                        key("at", duration(), "The first herd. Default: 0."),
                        key(
                            "within",
                            duration(),
                            "Each at a random instant of this window. Default: all at the same one.",
                        ),
                        key("size", crowd(1), "Several herds of so many; needs `every`."),
                        key("every", duration(), "From one herd to the next; needs `size`."),
                    ],
                ),
                "Together.",
            ),
            key(
                "replay",
                table("", &[required("file", text(), "A list beside this file, one time a line."), start()]),
                "As a recorded list has it.",
            ),
            key(
                "closed",
                table(
                    "",
                    &[
                        required("concurrency", count(1, 100_000), "How many are active at a time."),
                        key("think", range(), "Pause before the next one. Default: none."),
                        start(),
                    ],
                ),
                "When another one has ended its script.",
            ),
        ],
    ))
}

fn session() -> Value {
    let hold = either([words(["until-end"]), range()]);
    or_variable(table(
        "",
        &[
            key("hold", hold, "How long it stays. Default: it leaves at once."),
            key("reconnects", count(0, 1_000_000), "Further sessions. Default: 0."),
        ],
    ))
}

fn reconnect() -> Value {
    let policy = table(
        "",
        &[
            key(
                "official",
                table("", &[key("jitter", number(0.0, 1.0), "The share that is random. Default: 0.")]),
                "1 s doubling to 30 s.",
            ),
            key(
                "fixed",
                table("", &[required("pause", range(), "For example \"200ms..1s\".")]),
                "The same pause each time.",
            ),
            key("tight", table("", &[]), "At once."),
            key("attempts_max", count(1, 1_000_000), "In a row without a session. Default: no limit."),
            key(
                "give_up",
                words(["never", "unless-pairing", "always"]),
                "On refusals. Default: \"unless-pairing\".",
            ),
            key("hints", truth(), "Does what the answer says. Default: false."),
            key("told", range(), "Pauses until it is told of its approval, and then so long."),
        ],
    );
    either([words(["official", "hints", "paused", "exits", "tight"]), policy])
}

/// A step of a client's script.
fn script_step() -> Value {
    let asks = || {
        let mut keys =
            vec![key("persona", personas(), "Brings its own role, scopes, platform, family and origin.")];
        keys.extend(connect());
        table("", &keys)
    };
    let call = table(
        "",
        &[
            required("method", text(), "For example \"status\"."),
            key("params", json!({}), "What is sent with it."),
        ],
    );
    let of_a_call = table(
        "",
        &[
            key("outcome", words(CALL_OUTCOMES.map(|(name, _)| name)), "How the call ends."),
            key("code", text(), "Code of the refusal."),
            key("detail_code", text(), "Code in its details."),
            key("latency", latency(), "How long it may take: \"< 2s\"."),
        ],
    );
    let outcomes = words(outcome_words().iter().copied().chain(CALL_OUTCOMES.map(|(name, _)| name)));
    or_variable(table(
        "",
        &[
            key(
                "connect",
                either([truth(), asks()]),
                "It connects until it holds a session; keys: what this connect has that its cohort's has not.",
            ),
            key("hold", either([words(["until-end"]), range()]), "It keeps its session so long."),
            key("think", range(), "Nothing, so long."),
            key("call", either([text(), call]), "It calls a method over its session."),
            key("change", asks(), "What its later connects ask is another thing from here on."),
            key("drop", truth(), "It leaves its session."),
            key(
                "lose",
                words([Loss::Key, Loss::Token, Loss::Both].map(Loss::word)),
                "What it has stored goes.",
            ),
            key(
                "expect",
                either([outcomes, expect(), of_a_call]),
                "What must come out of a connect or a call.",
            ),
        ],
    ))
}

fn latency() -> Value {
    json!({ "type": "string", "pattern": r"^\s*(<=|>=|<|>)|\{", "examples": ["< 2s"] })
}

pub(super) fn expect() -> Value {
    let attempts = either([
        count(0, u32::MAX - 1),
        json!({ "type": "string", "pattern": r"^\s*[0-9]+\s*\.\.\s*[0-9]*\s*$|\{" }),
    ]);
    or_variable(table(
        "",
        &[
            key("outcome", words(outcome_words().iter().copied()), "How the attempt ends."),
            key("code", text(), "Code of the refusal."),
            key("detail_code", text(), "Code in its details."),
            key("reason", text(), "Reason in its details."),
            key("close", count(1000, 4999), "Close code."),
            key("latency", latency(), "From when it was to start until its answer: \"< 2s\"."),
            key("attempts", attempts, "Which attempts, counted from 0: 0, \"0..2\", \"1..\". Default: all."),
            key(
                "cause",
                words(std::iter::once(ExpectedCause::NOTHING).chain(Cause::ALL.map(Cause::as_str))),
                "Of a cohort: what the diagnosis of each client says; \"none\": nobody is in trouble at the end.",
            ),
            key(
                "label",
                words(std::iter::once(ExpectedCause::NOTHING).chain(Cause::ALL.map(Cause::as_str))),
                "Of a cohort: the cause that is really there, where the diagnosis is not held to it: `diagnose --score` counts it.",
            ),
        ],
    ))
}
