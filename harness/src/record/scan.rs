//! Finds secret keys in any text, quoted at any level or not at all, and takes out what stands under them.

use super::redact::{REDACTED, SECRET_KEYS};

/// Replaces the values of secret keys in a text, quoted at any level or not at all. Everything else stays as it is.
pub(super) fn scan(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < text.len() {
        let Some(found) = secret_at(text, at) else {
            at += 1;
            continue;
        };
        clean.push_str(text.get(copied..found.value_from).unwrap_or_default());
        clean.push_str(&found.replacement);
        copied = found.value_to;
        // A value has at least one byte, so this ends.
        at = found.value_to.max(at + 1);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    clean
}

/// Spells out `\u0065` and the like, at any quoting level, where they stand for a printable ASCII character that needs
/// no escape, so that no key and no secret hides behind them.
pub(super) fn spelt_out(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(from) = rest.find("\\u00") {
        let hex = rest.get(from + 4..from + 6).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match hex.filter(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte)) {
            Some(byte) => {
                let start = rest.get(..from).unwrap_or_default().trim_end_matches('\\');
                plain.push_str(start);
                plain.push(char::from(byte));
                rest = rest.get(from + 6..).unwrap_or_default();
            }
            None => {
                plain.push_str(rest.get(..from + 2).unwrap_or_default());
                rest = rest.get(from + 2..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

struct Found {
    value_from: usize,
    value_to: usize,
    replacement: String,
}

/// A secret key that starts at byte `key_at`, and where its value stands.
fn secret_at(text: &str, key_at: usize) -> Option<Found> {
    let bytes = text.as_bytes();
    let after = bytes.get(key_at..)?;
    let key = SECRET_KEYS
        .iter()
        .filter(|key| after.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key.as_bytes())))
        .max_by_key(|key| key.len())?;
    let before = bytes.get(..key_at)?;
    let quote = before.last().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let backslashes = before.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count();
    let mut at = key_at + key.len();
    if let Some(quote) = quote {
        at = skip_backslashes(bytes, at);
        if bytes.get(at).copied() != Some(quote) {
            return None;
        }
        at += 1;
    } else if before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return None;
    }
    at = skip_space(bytes, at);
    if !matches!(bytes.get(at), Some(b':' | b'=')) {
        return None;
    }
    let value_from = skip_space(bytes, at + 1);
    let opening = skip_backslashes(bytes, value_from);
    let escapes = text.get(value_from..opening).unwrap_or_default();
    match bytes.get(opening).copied()? {
        open @ (b'"' | b'\'') => {
            let (value_to, closed) = string_end(bytes, opening + 1, open, quoting_level(escapes.len()));
            let mark = char::from(open);
            let end = if closed { format!("{escapes}{mark}") } else { String::new() };
            Some(Found { value_from, value_to, replacement: format!("{escapes}{mark}{REDACTED}{end}") })
        }
        b'{' | b'[' => {
            let value_to = container_end(bytes, opening, quoting_level(backslashes));
            Some(Found { value_from, value_to, replacement: quoted(quote, backslashes) })
        }
        _ => {
            let value_to = bare_end(bytes, value_from);
            let word = text.get(value_from..value_to).unwrap_or_default();
            if matches!(word, "" | "null" | REDACTED) {
                return None;
            }
            let replacement = if quote.is_some() { quoted(quote, backslashes) } else { REDACTED.to_owned() };
            Some(Found { value_from, value_to, replacement })
        }
    }
}

fn quoted(quote: Option<u8>, backslashes: usize) -> String {
    let quote = quote.unwrap_or(b'"');
    let escapes = "\\".repeat(backslashes);
    let mark = char::from(quote);
    format!("{escapes}{mark}{REDACTED}{escapes}{mark}")
}

/// In how many strings a quote stands that has this many backslashes before it: 0, 1, 3, 7 … for 0, 1, 2, 3 ….
const fn quoting_level(backslashes: usize) -> u32 {
    (backslashes + 1).ilog2()
}

/// Whether a quote with this many backslashes before it ends a string that stands at this quoting level.
const fn ends_string(mut backslashes: usize, mut level: u32) -> bool {
    loop {
        if backslashes.is_multiple_of(2) {
            // Not escaped here: it ends this string, or one around it.
            return true;
        }
        if level == 0 {
            return false;
        }
        backslashes = (backslashes - 1) / 2;
        level -= 1;
    }
}

/// End of a string that starts at `from`, behind its closing quote, and whether there was one.
fn string_end(bytes: &[u8], from: usize, quote: u8, level: u32) -> (usize, bool) {
    let mut backslashes = 0;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        if *byte == b'\\' {
            backslashes += 1;
            continue;
        }
        if *byte == quote && ends_string(backslashes, level) {
            return (at + 1, true);
        }
        backslashes = 0;
    }
    (bytes.len(), false)
}

/// End of an object or array that starts at `from`, behind its last bracket, or the end of the text.
fn container_end(bytes: &[u8], from: usize, level: u32) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at = string_end(bytes, at + 1, b'"', level).0;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// End of an unquoted value.
fn bare_end(bytes: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;&\"'}])\\".contains(byte);
    bytes.iter().skip(from).position(ends).map_or(bytes.len(), |length| from + length)
}

fn skip_backslashes(bytes: &[u8], from: usize) -> usize {
    bytes.iter().skip(from).position(|byte| *byte != b'\\').map_or(bytes.len(), |length| from + length)
}

/// Skips white space, also white space that is escaped because it stands in a string.
fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        if bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
            continue;
        }
        let escaped = skip_backslashes(bytes, at);
        if escaped > at && matches!(bytes.get(escaped), Some(b'n' | b'r' | b't')) {
            at = escaped + 1;
            continue;
        }
        return at;
    }
}
