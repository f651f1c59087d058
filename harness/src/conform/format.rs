//! A folder of recordings as it lies on the disk: `index.json` and a file of lines a case
//! (docs/reference/conform.md, "The format").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One entry of `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Release that was recorded, for example `2026.3.13`.
    pub version: String,
    /// Version of the format; absent means 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub format: u32,
    /// The `gateway` section of `openclaw.json`: an object, an object as a text, or (version 1) words.
    #[serde(default)]
    pub config: Value,
    /// What the case is about.
    #[serde(default)]
    pub description: String,
    /// Path of the file of lines, below the folder.
    pub transcript: String,
    /// Everything else that stands there; not read.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
const fn is_first(format: &u32) -> bool {
    *format == 1
}

/// `index.json`: entries by the case's name.
pub type Index = BTreeMap<String, IndexEntry>;

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A request for an upgrade, its answer, or a plain GET with its answer.
    Http,
    /// From the gateway.
    In,
    /// To the gateway.
    Out,
    /// A connection ended.
    Close,
    /// What the client's library said; nothing the gateway did.
    Error,
    /// A ping of the gateway.
    Ping,
    /// The name of a step, the text that was signed, or words.
    Note,
    /// Something done to the gateway (version 2).
    Action,
}

/// A line of a recording, as version 2 writes it; what version 1 puts elsewhere is moved here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it tells.
    pub dir: Direction,
    /// Milliseconds: since the recording began when `conn` is given, since this connection began when it is not.
    pub t_ms: u64,
    /// Connection, counted from 1; version 1 lacks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u64>,
    /// The content.
    pub data: Value,
    /// Where it stands in the file, from 1.
    #[serde(skip)]
    pub number: usize,
}

/// Longest recording that is read, bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most lines of one recording.
const LINES_MAX: usize = 200_000;

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is no JSON of this form.
    #[error("{place}: {problem}")]
    Syntax {
        /// File and line.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A version that this program does not know.
    #[error("case {case} is written in version {format} of the format; this program reads 1 and 2")]
    Version {
        /// The case.
        case: String,
        /// Its version.
        format: u32,
    },
}

/// Reads `index.json`.
///
/// # Errors
/// [`FormatError::Syntax`] or [`FormatError::Version`].
pub fn index(text: &str) -> Result<Index, FormatError> {
    let index: Index = serde_json::from_str(text).map_err(|error| FormatError::Syntax {
        place: "index.json".to_owned(),
        problem: error.to_string(),
    })?;
    for (case, entry) in &index {
        if !(1..=2).contains(&entry.format) {
            return Err(FormatError::Version { case: case.clone(), format: entry.format });
        }
    }
    Ok(index)
}

/// Reads the lines of a case. Empty lines are skipped.
///
/// # Errors
/// [`FormatError::Syntax`] with the line's number.
pub fn lines(name: &str, text: &str) -> Result<Vec<Line>, FormatError> {
    let mut lines = Vec::new();
    for (position, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let syntax =
            |problem: String| FormatError::Syntax { place: format!("{name}:{}", position + 1), problem };
        if lines.len() >= LINES_MAX {
            return Err(syntax(format!("more than {LINES_MAX} lines")));
        }
        let mut line: Line = serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?;
        line.number = position + 1;
        unwrap_connection(&mut line);
        lines.push(line);
    }
    Ok(lines)
}

/// Some recordings of version 1 were made by a proxy and carry the connection inside the data.
fn unwrap_connection(line: &mut Line) {
    let Value::Object(data) = &mut line.data else { return };
    if line.conn.is_some() {
        return;
    }
    let Some(conn) = data.get("conn").and_then(Value::as_u64) else { return };
    line.conn = Some(conn);
    data.remove("conn");
    if let Some(frame) = data.remove("frame") {
        line.data = frame;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_of_either_version_is_read() {
        let read = index(
            r#"{"v/a": {"version": "v", "config": "{}", "description": "d", "transcript": "v/a.jsonl", "outcome": []},
                "v/b": {"version": "v", "format": 2, "config": {}, "transcript": "v/b.jsonl"}}"#,
        )
        .unwrap();
        assert_eq!(read["v/a"].format, 1);
        assert_eq!(read["v/b"].format, 2);
        let error = index(r#"{"v/a": {"version": "v", "format": 3, "transcript": "x"}}"#).unwrap_err();
        assert!(error.to_string().contains("version 3"), "{error}");
    }

    #[test]
    fn a_connection_inside_the_data_is_moved_out() {
        let text = "\n{\"dir\":\"in\",\"t_ms\":3,\"data\":{\"conn\":4,\"frame\":{\"type\":\"event\"}}}\n";
        let read = lines("x", text).unwrap();
        assert_eq!(read[0].conn, Some(4));
        assert_eq!(read[0].number, 2);
        assert_eq!(read[0].data, json!({"type": "event"}));
        let error = lines("x", "{\"dir\":\"in\"").unwrap_err();
        assert!(error.to_string().starts_with("x:1:"), "{error}");
    }
}
