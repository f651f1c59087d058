//! `[fault.NAME]` and `[[step]]`.

use serde_json::Value;

use super::super::fault::{SIGNALS, store_words};
use super::client::{connect, expect, personas};
use super::profiles;
use super::values::{
    count, duration, either, key, list, or_variable, range, required, share, signed_duration, table, text,
    truth, words,
};

fn signals() -> Value {
    words(SIGNALS.map(|(name, _)| name))
}

fn change_of_store(who: &'static str, about: &'static str) -> Value {
    table(
        "",
        &[
            required(who, text(), about),
            key("entry", words(["drop"]), "Its entry goes."),
            key("scopes", list(text()), "Its scopes become these."),
        ],
    )
}

pub(super) fn fault() -> Value {
    let stall = table(
        "",
        &[
            required("of", duration(), "How long it stands still."),
            required("every", duration(), "How often."),
        ],
    );
    let network = either([
        words(["partition"]),
        table(
            "",
            &[key("delay", duration(), "Added to each packet."), key("loss", share(), "Share that is lost.")],
        ),
    ]);
    let damages = store_words();
    or_variable(table(
        "",
        &[
            key("restart", signals(), "The gateway is stopped so and started again."),
            key("down", duration(), "Of a restart: from the exit to the start. Default: \"200ms\"."),
            key("token", words(["changed"]), "Of a restart: it comes back with another shared token."),
            key("profile", profiles(), "Of a restart: it comes back as another release."),
            key("reload", truth(), "SIGHUP: the store is read again."),
            key("pause", duration(), "The process is stopped so long."),
            key("stall", stall, "A slow event loop; with `for`."),
            key("store", words(damages.iter().map(|(name, _)| *name)), "Damage to the store."),
            key(
                "edit",
                change_of_store("cohort", "Whose entries."),
                "The store is changed behind the gateway's back.",
            ),
            key("second_gateway", truth(), "A second gateway on the same files."),
            key("cpu", share(), "Share of a core that is left to it."),
            key("memory", text(), "Memory that is left to it, for example \"64MiB\"."),
            key("network", network, "What passes, and how."),
            key("clock", signed_duration(), "Clients' clocks are off."),
            key("for", duration(), "How long what is altered stays so. Default: until the run's end."),
            key("at", duration(), "Once; with `every` or `during`: from when on."),
            key("every", duration(), "Again and again; with `times` or `until`."),
            key("until", duration(), "End of `every`."),
            key("times", count(1, 100_000), "How often."),
            key("within", range(), "At instants drawn from the seed."),
            key("during", words(["approval"]), "In the middle of approvals."),
            key("after", range(), "Of `during`: so long after an approval was sent. Default: 0."),
        ],
    ))
}

pub(super) fn step() -> Value {
    let rotate = table(
        "",
        &[
            required("client", text(), "Whose token."),
            key("role", text(), "Default: that of the cohort."),
            key("scopes", list(text()), "The new token's. Default: as before."),
            key("give", truth(), "The client is told the new token. Default: false."),
        ],
    );
    let revoke = table(
        "",
        &[required("client", text(), "Whose token."), key("role", text(), "Default: that of the cohort.")],
    );
    let mut keys = vec![
        key("connect", text(), "The client connects: \"phone\" (the first of its cohort) or \"phone/3\"."),
        key("persona", personas(), "What this connect has that its cohort's has not."),
        key("hold", truth(), "It stays, if it gets a session. Default: it leaves at once."),
        key("expect", expect(), "Instead of the cohort's."),
        key("drop", text(), "The client leaves every session that it holds."),
        key("approve", text(), "The request of this client, or the \"latest\"."),
        key("reject", text(), "The request of this client, or the \"latest\"."),
        key("remove", text(), "This device is removed."),
        key("rotate", either([text(), rotate]), "Its token is rotated."),
        key("revoke", either([text(), revoke]), "Its token is revoked."),
        key("as", text(), "Who does it: this client, through the session that it holds."),
        key(
            "edit",
            change_of_store("client", "Whose entry."),
            "The store is changed behind the gateway's back.",
        ),
        key("restart", signals(), "The gateway is stopped so and started again."),
        key("down", duration(), "Of a restart: from the exit to the start. Default: \"200ms\"."),
        key("reload", truth(), "SIGHUP: the store is read again."),
        key("wait", duration(), "Nothing happens so long."),
    ];
    keys.extend(connect());
    or_variable(table("", &keys))
}
