//! One line of a gateway's log, whichever way it was written.

use std::io::BufRead;
use std::sync::LazyLock;

use memchr::memmem;
use serde_json::{Map, Value};

/// Longest line that is read, bytes. OpenClaw cuts texts of peers at 300 characters; a stack trace is longer.
pub const LINE_MAX: usize = 64 << 10;
/// How far from the start of a line its time may stand: `docker compose` and `journalctl` write their own words in front.
const PREFIX_MAX: usize = 160;
/// Keys of one line that are kept.
const FIELDS_MAX: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// When a line says that it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Milliseconds since 1970, UTC.
    At(i64),
    /// Milliseconds since midnight: a terminal's short form has no date.
    OfDay(i64),
    /// It does not say.
    Unsaid,
}

/// A line that is a gateway's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub stamp: Stamp,
    /// Last part of the subsystem, for example `ws`; empty if the line names none.
    pub subsystem: String,
    /// Text, up to its first `key=`.
    pub message: String,
    /// `key=value` of the text, then those of the object beside it, in their order. A key may occur twice.
    pub fields: Vec<(String, String)>,
}

/// Why a line says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Nothing in it.
    Blank,
    /// Not in any form of a gateway's log: another program's, or a stack trace.
    Foreign,
    /// Begins like a line of a gateway, and is none: cut off, or not UTF-8, or longer than [`LINE_MAX`].
    Broken(&'static str),
}

impl Line {
    /// The first value of `key`, unless it is `n/a`.
    #[must_use]
    pub fn first(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).and_then(|(_, value)| said(value))
    }

    /// The last value of `key`, unless it is `n/a`.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).and_then(|(_, value)| said(value))
    }
}

/// What a field says; `n/a` and `<none>` say nothing.
fn said(value: &str) -> Option<&str> {
    Some(value).filter(|value| !matches!(*value, "" | "n/a" | "<none>" | "unknown-ip"))
}

/// Reads one line, without its end.
///
/// # Errors
/// Why it says nothing.
pub fn read(bytes: &[u8]) -> Result<Line, Unread> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Err(Unread::Blank);
    }
    if bytes.len() > LINE_MAX {
        return Err(Unread::Broken("too long"));
    }
    let looks_like_json = bytes.first() == Some(&b'{');
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(if looks_like_json || has_time(bytes) {
            Unread::Broken("not UTF-8")
        } else {
            Unread::Foreign
        });
    };
    if looks_like_json { json(text) } else { console(text) }
}

/// Whether the line begins as those of a gateway do, as far as bytes can tell.
fn has_time(bytes: &[u8]) -> bool {
    let start = bytes.get(..PREFIX_MAX.min(bytes.len())).unwrap_or_default();
    memmem::find(start, b"T").is_some_and(|at| start.get(..at).is_some_and(|date| date.ends_with_date()))
}

trait EndsWithDate {
    fn ends_with_date(&self) -> bool;
}

impl EndsWithDate for [u8] {
    fn ends_with_date(&self) -> bool {
        let date = self.len().checked_sub(10).and_then(|from| self.get(from..));
        date.is_some_and(|date| {
            date.iter()
                .enumerate()
                .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
        })
    }
}

/// The log file's form, and the console's with `consoleStyle: "json"`.
fn json(text: &str) -> Result<Line, Unread> {
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(object) => object,
        Err(error) if error.is_eof() => return Err(Unread::Broken("cut off")),
        Err(_) => return Err(Unread::Broken("no JSON")),
    };
    let text_of = |key: &str| object.get(key).and_then(Value::as_str);
    let meta = object.get("_meta").and_then(Value::as_object);
    let time = text_of("time").or_else(|| meta.and_then(|meta| meta.get("date")).and_then(Value::as_str));
    let Some(at) = time.and_then(instant) else { return Err(Unread::Foreign) };
    let mut subsystem = text_of("subsystem").map(str::to_owned);
    let mut message = None;
    let mut beside = Vec::new();
    for argument in ["0", "1", "2", "3", "4", "5"].iter().filter_map(|key| object.get(*key)) {
        match argument {
            Value::String(text) => match named(text) {
                Some(name) if message.is_none() => subsystem = Some(name),
                _ => message = Some(text.as_str()),
            },
            Value::Object(fields) => put(&mut beside, fields.iter()),
            _ => {}
        }
    }
    if object.get("0").is_none() {
        // The console's form has its fields beside the message.
        let own =
            ["time", "level", "subsystem", "message", "hostname", "traceId", "spanId", "traceFlags", "_meta"];
        put(&mut beside, object.iter().filter(|(key, _)| !own.contains(&key.as_str())));
    }
    let Some(message) = message.or_else(|| text_of("message")) else { return Err(Unread::Foreign) };
    let (head, mut fields) = pairs(message);
    fields.extend(beside);
    fields.truncate(FIELDS_MAX);
    Ok(Line { stamp: Stamp::At(at), subsystem: short(&subsystem.unwrap_or_default()), message: head, fields })
}

/// `{"subsystem":"gateway/ws"}` as a text.
fn named(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let name = object.get("subsystem").or_else(|| object.get("module"))?;
    Some(name.as_str()?.to_owned())
}

fn put<'a>(fields: &mut Vec<(String, String)>, entries: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (key, value) in entries.take(FIELDS_MAX) {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => continue,
        };
        fields.push((key.clone(), value));
    }
}

/// The console's forms: `TIME [subsystem] text`, with or without colours.
fn console(text: &str) -> Result<Line, Unread> {
    let plain = without_colours(text);
    let (stamp, rest) = match found_instant(&plain) {
        Some((at, rest)) => (Stamp::At(at), rest),
        None => match time_of_day(&plain) {
            Some((of_day, rest)) => (Stamp::OfDay(of_day), rest),
            None => (Stamp::Unsaid, plain.as_str()),
        },
    };
    let rest = rest.trim_start();
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some((subsystem, message)) = bracketed else {
        let cut = stamp != Stamp::Unsaid && (rest.is_empty() || rest.starts_with('['));
        return Err(if cut { Unread::Broken("cut off") } else { Unread::Foreign });
    };
    if subsystem.is_empty()
        || !subsystem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:".contains(&byte))
    {
        return Err(Unread::Foreign);
    }
    // Without a time only what a gateway calls itself is its own.
    if stamp == Stamp::Unsaid && !matches!(short(subsystem).as_str(), "ws" | "gateway") {
        return Err(Unread::Foreign);
    }
    let (head, fields) = pairs(message.trim());
    Ok(Line { stamp, subsystem: short(subsystem), message: head, fields })
}

fn short(subsystem: &str) -> String {
    subsystem.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The text without `ESC [ … letter`.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        let Some(inside) = after.strip_prefix('[') else {
            rest = after;
            continue;
        };
        rest = inside
            .find(|c: char| c.is_ascii_alphabetic())
            .and_then(|end| inside.get(end + 1..))
            .unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The first instant near the start of a line, and what follows it.
fn found_instant(text: &str) -> Option<(i64, &str)> {
    let reach = text.len().min(PREFIX_MAX);
    let mut from = 0;
    while let Some(at) = text.as_bytes().get(from..reach).and_then(|part| memchr::memchr(b'T', part)) {
        let at = from + at;
        from = at + 1;
        let Some(start) = at.checked_sub(10) else { continue };
        let Some(candidate) = text.get(start..) else { continue };
        let end = candidate.find(|c: char| c.is_whitespace() || c == '[').unwrap_or(candidate.len());
        let (time, rest) = candidate.split_at(end);
        if let Some(at) = instant(time) {
            return Some((at, rest));
        }
    }
    None
}

fn instant(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `12:34:56 ` or `12:34:56.789 ` at the very start.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (time, rest) = text.split_once([' ', '['])?;
    let rest = text.get(text.len() - rest.len() - 1..)?;
    let mut parts = time.splitn(3, ':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0.0..60.0).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, reason = "below a minute")]
    let of_day = ((hours * 60 + minutes) * 60_000).checked_add((seconds * 1000.0) as i64)?;
    (fits && of_day < DAY_MS).then_some((of_day, rest))
}

/// Splits `words key=value words key=value`: a value goes on up to the next ` key=`, or is quoted.
fn pairs(text: &str) -> (String, Vec<(String, String)>) {
    let mut starts = Vec::new();
    let mut quoted_until = 0;
    for (equals, _) in text.match_indices('=') {
        if equals < quoted_until || starts.len() >= FIELDS_MAX {
            continue;
        }
        let before = text.get(..equals).unwrap_or_default();
        let key_at = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        // The character before may be several bytes long.
        let Some(key) = before.get(key_at..) else { continue };
        let apart =
            before.get(..key_at).is_none_or(|head| head.is_empty() || head.ends_with(char::is_whitespace));
        if !apart || !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        starts.push((key_at, equals));
        if let Some(rest) = text.get(equals + 1..).filter(|rest| rest.starts_with('"')) {
            quoted_until = closing_quote(rest).map_or(quoted_until, |end| equals + 1 + end);
        }
    }
    let head_end = starts.first().map_or(text.len(), |(key_at, _)| *key_at);
    let head = text.get(..head_end).unwrap_or_default().trim().to_owned();
    let mut fields = Vec::with_capacity(starts.len());
    for (at, (key_at, equals)) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(text.len(), |(next, _)| *next);
        let (Some(key), Some(value)) = (text.get(*key_at..*equals), text.get(*equals + 1..end)) else {
            continue;
        };
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        fields.push((key.to_owned(), unquoted.to_owned()));
    }
    (head, fields)
}

/// Offset behind the quote that ends a text which begins with one.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// `8-4-4-4-12` hexadecimal digits.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    static LENGTHS: LazyLock<[usize; 5]> = LazyLock::new(|| [8, 4, 4, 4, 12]);
    let mut parts = text.split('-');
    LENGTHS.iter().all(|length| {
        parts
            .next()
            .is_some_and(|part| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }) && parts.next().is_none()
}

/// Reads up to a line's end; `None` at the end of the file, else whether the line is longer than is kept.
pub(super) fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    let mut any = false;
    let mut cut = false;
    loop {
        let part = match input.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if part.is_empty() {
            return Ok(any.then_some(cut));
        }
        any = true;
        let end = memchr::memchr(b'\n', part);
        let taken = end.map_or(part.len(), |end| end + 1);
        let room = (LINE_MAX + 1).saturating_sub(line.len());
        cut |= end.unwrap_or(part.len()) > room;
        line.extend_from_slice(part.get(..end.unwrap_or(part.len()).min(room)).unwrap_or_default());
        input.consume(taken);
        if end.is_some() {
            return Ok(Some(cut));
        }
    }
}
