//! `sweep.json` as text: a line for each run, row and growth, since there may be thousands with a hundred figures each.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::SweepResult;

/// How deep lines are broken: the file's own keys, and what stands in its lists.
const BROKEN: usize = 2;

/// The sweep as JSON with a newline at the end.
///
/// # Errors
/// If it cannot be encoded; no [`SweepResult`] that was summed up is one of those.
pub fn text(sweep: &SweepResult) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let lines = Lines { depth: 0, broken: PrettyFormatter::new(), whole: CompactFormatter };
    sweep.serialize(&mut Serializer::with_formatter(&mut bytes, lines))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Indents what is not deep, and leaves everything deeper in its line.
struct Lines<'a> {
    depth: usize,
    broken: PrettyFormatter<'a>,
    whole: CompactFormatter,
}

/// Hands on to one of the two, by the depth that something is at once it has begun.
macro_rules! by_depth {
    ($($name:ident($($first:ident: bool)?) $(after $step:literal)? $(before $back:literal)?),+ $(,)?) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $first: bool)?) -> io::Result<()> {
            $(self.depth += $step;)?
            let written = if self.depth <= BROKEN {
                self.broken.$name(writer $(, $first)?)
            } else {
                self.whole.$name(writer $(, $first)?)
            };
            $(self.depth -= $back;)?
            written
        })+
    };
}

impl Formatter for Lines<'_> {
    by_depth!(
        begin_array() after 1,
        end_array() before 1,
        begin_object() after 1,
        end_object() before 1,
        begin_array_value(first: bool),
        end_array_value(),
        begin_object_key(first: bool),
        begin_object_value(),
        end_object_value(),
    );
}
