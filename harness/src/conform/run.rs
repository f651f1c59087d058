//! A folder of recordings, replayed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;

use super::format::{self, FILE_BYTES_MAX, FormatError};
use super::reconstruct;
use super::replay::{Against, Manner, Replayed, replay};
use super::session::Case;
use crate::gateway::{TargetError, port};

/// What is replayed, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder.
    pub folder: PathBuf,
    /// Which cases: a pattern with `*` and `?` over their names; `None` = all.
    pub pattern: Option<String>,
    /// Against what.
    pub against: Against,
    /// Cases at the same time; always 1 against a URL.
    pub at_once: usize,
    /// How.
    pub manner: Manner,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum ConformError {
    /// The folder cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The gateway cannot be started.
    #[error("case {case}: {source}")]
    Gateway {
        /// The case.
        case: String,
        /// What happened.
        source: TargetError,
    },
    /// Nothing listens at the target.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// No case has such a name.
    #[error("no case of {folder} matches `{pattern}`")]
    NoCase {
        /// The folder.
        folder: String,
        /// The pattern.
        pattern: String,
    },
}

/// Reads the folder's cases.
///
/// # Errors
/// [`ConformError::Format`] or [`ConformError::NoCase`].
pub fn load(folder: &Path, pattern: Option<&str>) -> Result<Vec<Case>, ConformError> {
    let index = format::index(&read(&folder.join("index.json"))?)?;
    let mut cases = Vec::new();
    for (name, entry) in index.iter().filter(|(name, _)| pattern.is_none_or(|pattern| matches(pattern, name)))
    {
        let text = read(&folder.join(&entry.transcript))?;
        cases.push(reconstruct::case(name, entry, &format::lines(&entry.transcript, &text)?));
    }
    if cases.is_empty() {
        return Err(ConformError::NoCase {
            folder: folder.display().to_string(),
            pattern: pattern.unwrap_or("*").to_owned(),
        });
    }
    Ok(cases)
}

fn read(path: &Path) -> Result<String, FormatError> {
    let refused = |source| FormatError::Read { path: path.display().to_string(), source };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(refused)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(refused(std::io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))));
    }
    Ok(text)
}

/// Replays a folder. Results come in the order of the cases' names.
///
/// # Errors
/// [`ConformError`].
pub async fn run(options: &Options) -> Result<Vec<Replayed>, ConformError> {
    let cases = load(&options.folder, options.pattern.as_deref())?;
    let at_once = match &options.against {
        Against::Own { launches, .. } if launches.are_light() => options.at_once.max(1),
        Against::Own { .. } => 1,
        Against::Url { socket, .. } => {
            let connected = tokio::net::TcpStream::connect(socket).await;
            connected.map_err(|source| ConformError::Unreachable { address: *socket, source })?;
            1
        }
    };
    let ports = Ports::new()?;
    let ports = &ports;
    let replays = cases.iter().map(|case| async move {
        replay(case, &options.against, ports, options.manner)
            .await
            .map_err(|source| ConformError::Gateway { case: case.name.clone(), source })
    });
    let mut results: Vec<Replayed> = Vec::with_capacity(cases.len());
    let mut running = futures_util::stream::iter(replays).buffer_unordered(at_once);
    while let Some(result) = running.next().await {
        results.push(result?);
    }
    results.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(results)
}

/// The profile of this name.
#[must_use]
pub fn profile(name: &str) -> Option<protocol::ProfileName> {
    protocol::ProfileName::find(name)
}

/// All names of profiles, for a message.
#[must_use]
pub fn profiles() -> String {
    protocol::ProfileName::ALL.map(protocol::ProfileName::as_str).join(", ")
}

/// Free ports, one after the other.
#[derive(Debug)]
pub struct Ports {
    next: std::cell::Cell<u16>,
}

impl Ports {
    /// Begins where this process looks for ports.
    ///
    /// # Errors
    /// [`ConformError::Gateway`] when there is none.
    pub fn new() -> Result<Self, ConformError> {
        let failed = |source| ConformError::Gateway { case: "(any)".to_owned(), source };
        Ok(Self { next: std::cell::Cell::new(port::free().map_err(failed)?) })
    }

    /// A port that was free a moment ago and that this was not asked for before. Other programs may be faster.
    pub fn take(&self) -> u16 {
        for _ in 0..PORTS_TRIED {
            let port = self.next.get();
            self.next.set(if port >= LAST_PORT { FIRST_PORT } else { port + 1 });
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
        self.next.get()
    }
}

/// Below the range that outgoing connections draw from.
const FIRST_PORT: u16 = 18_001;
const LAST_PORT: u16 = 31_990;
/// How many ports in a row are tried.
const PORTS_TRIED: usize = 10_000;

/// `*` = anything, `?` = one character.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for symbol in pattern {
        let mut next = vec![false; name.len() + 1];
        let mut any = false;
        for place in 0..=name.len() {
            let here = reached.get(place).copied().unwrap_or_default();
            any |= here;
            let value = match symbol {
                '*' => any,
                _ if place == 0 => false,
                '?' => reached.get(place - 1).copied().unwrap_or_default(),
                letter => {
                    reached.get(place - 1).copied().unwrap_or_default()
                        && name.get(place - 1) == Some(&letter)
                }
            };
            if let Some(slot) = next.get_mut(place) {
                *slot = value;
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("2026.2.19/a0?-*", "2026.2.19/a01-happy"));
        assert!(matches("*", "anything/at-all"));
        assert!(matches("*b05*", "2026.9.6/b05-token"));
        assert!(!matches("a01", "2026.2.19/a01-happy"));
        assert!(!matches("2026.2.19/a0?-x*", "2026.2.19/a01-happy"));
    }
}
