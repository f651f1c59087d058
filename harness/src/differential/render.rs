//! A book as a scenario file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::tale::{Book, IN_REPO, Keys, Path, Tale, Value};
use crate::vocabulary::addresses;

/// The text of a scenario that tells the book's tales in their order. `about` says what it shows.
#[must_use]
pub fn render(book: &Book, name: &str, about: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, book, name, about);
    text
}

fn write(text: &mut String, book: &Book, name: &str, about: &str) -> std::fmt::Result {
    writeln!(text, "name     = {}", quoted(name))?;
    writeln!(text, "about    = {}", quoted(about))?;
    // TOML numbers have 63 bits; the seed only names the devices.
    writeln!(text, "seed     = {}", book.seed & (u64::MAX >> 1))?;
    writeln!(text, "max_time = \"30m\"")?;
    writeln!(text, "\n[gateway]\nprofile = {}", quoted(book.profile.as_str()))?;
    if book.launch != IN_REPO {
        writeln!(text, "launch  = {}", quoted(&book.launch))?;
    }
    writeln!(text, "\n[gateway.config.gateway]\ntrustedProxies = [\"{TRUSTED}\"]")?;
    writeln!(
        text,
        "\n[validity]                               # this is about who is let in, not about how fast"
    )?;
    writeln!(text, "lag_p99_max = \"10s\"\nscheduler_delay_share_max = 1.0")?;
    for tale in &book.tales {
        write_tale(text, tale)?;
    }
    Ok(())
}

const TRUSTED: &str = "127.2.0.1";
const UNTRUSTED: &str = "127.3.0.1";

fn write_tale(text: &mut String, tale: &Tale) -> std::fmt::Result {
    for path in paths(tale) {
        writeln!(text, "\n[path.{}]", path_name(tale, path))?;
        let own = addresses::forwarded(tale.number);
        let (from, forwarded, host) = match path {
            Path::Remote => (TRUSTED, Some(own.to_string()), None),
            Path::ForgedLeft => (TRUSTED, Some(format!("127.0.0.1, {own}")), None),
            Path::LoopbackRight => (TRUSTED, Some(format!("{own}, 127.0.0.1")), None),
            Path::Untrusted => (UNTRUSTED, Some(own.to_string()), None),
            Path::Headerless => (TRUSTED, None, None),
            Path::ForeignHost => (UNTRUSTED, None, Some("gw.example.com")),
        };
        writeln!(text, "from = {}", quoted(from))?;
        if let Some(forwarded) = forwarded {
            writeln!(text, "forwarded_for = {}", quoted(&forwarded))?;
        }
        if let Some(host) = host {
            writeln!(text, "host = {}", quoted(host))?;
        }
    }
    writeln!(text, "\n[cohort.{}]", cohort_name(tale))?;
    write_keys(text, tale, &tale.cohort)?;
    for step in &tale.moves {
        writeln!(text, "\n[[step]]")?;
        write_keys(text, tale, &step.0)?;
    }
    Ok(())
}

fn write_keys(text: &mut String, tale: &Tale, keys: &Keys) -> std::fmt::Result {
    keys.iter().try_for_each(|(key, value)| writeln!(text, "{key} = {}", written(tale, value)))
}

fn written(tale: &Tale, value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Bare(text) => text.clone(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
        }
        Value::Client(0) => quoted(&cohort_name(tale)),
        Value::Client(index) => quoted(&format!("{}/{index}", cohort_name(tale))),
        Value::Path(path) => quoted(&path_name(tale, *path)),
        Value::Table(keys) => {
            let keys: Vec<String> =
                keys.iter().map(|(key, value)| format!("{key} = {}", written(tale, value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
    }
}

/// A basic string of TOML. JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn cohort_name(tale: &Tale) -> String {
    format!("t{}", tale.number)
}

fn path_name(tale: &Tale, path: Path) -> String {
    let word = match path {
        Path::Remote => "remote",
        Path::ForgedLeft => "forged-left",
        Path::LoopbackRight => "loopback-right",
        Path::Untrusted => "untrusted",
        Path::Headerless => "headerless",
        Path::ForeignHost => "foreign-host",
    };
    format!("t{}-{word}", tale.number)
}

fn paths(tale: &Tale) -> BTreeSet<Path> {
    let keys = tale.cohort.iter().chain(tale.moves.iter().flat_map(|step| &step.0));
    keys.filter_map(|(_, value)| match value {
        Value::Path(path) => Some(*path),
        _ => None,
    })
    .collect()
}
