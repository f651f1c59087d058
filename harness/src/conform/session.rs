//! A recorded case as something that can be done again: connections, steps, and one sequence of what was done and what
//! was seen.

use std::net::IpAddr;

use serde_json::Value;

use super::signing::Signing;

/// A case, ready to be replayed.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name in the index.
    pub name: String,
    /// Release that was recorded.
    pub release: String,
    /// The `gateway` section of `openclaw.json`.
    pub config: Value,
    /// What was done and seen.
    pub session: Session,
}

/// What was done and seen, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session {
    /// Connections, in the order of their requests.
    pub connections: Vec<Connection>,
    /// Steps: a connect, a call, a GET, an action.
    pub steps: Vec<Step>,
    /// What was done and seen.
    pub timeline: Vec<Entry>,
    /// What cannot be done again.
    pub not_replayed: Vec<NotReplayed>,
    /// Steps (indices) that were under way while a decision on their own device was: either of two answers is right.
    pub races: std::collections::BTreeSet<usize>,
    /// Events that have nothing to do with the handshake, by name.
    pub events_not_compared: std::collections::BTreeMap<String, usize>,
}

/// One connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Connection {
    /// Path and query of the request.
    pub path: String,
    /// `host:port` that was dialled in the recording; replaced in headers by where the replay dials.
    pub authority: String,
    /// Headers beside those of every upgrade.
    pub headers: Vec<(String, String)>,
    /// Address that was dialled from; `None` = any loopback address.
    pub from: Option<IpAddr>,
    /// Nonce of the challenge.
    pub nonce: Option<String>,
    /// Time of the challenge, milliseconds.
    pub challenged_at: Option<i64>,
}

/// A step: what differences are reported under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name: the recording's, with what was done.
    pub name: String,
}

/// Something that was done or seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Line of the recording, from 1.
    pub line: usize,
    /// Milliseconds on the recording's clock.
    pub at_ms: i64,
    /// Index into [`Session::steps`].
    pub step: usize,
    /// What.
    pub what: What,
}

/// See [`Entry`].
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A connection was asked for.
    Open(usize),
    /// A message was sent on a connection.
    Send(usize, Outgoing),
    /// The client left.
    Leave(usize, Leaving),
    /// A plain GET of a path.
    Get(String),
    /// Something was done to the gateway.
    Act(Action),
    /// A connection gave something.
    Saw(usize, Seen),
    /// The answer to the last GET.
    SawPage(Page),
}

/// How a client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// With a close frame.
    Close(u16),
    /// By ending TCP.
    Drop,
}

/// Done to the gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// Started again on the same state directory, after it has ended.
    Start,
    /// A file of the store was changed.
    Edit(Edit),
    /// Something that is not known exactly enough; what comes after it may depend on it.
    Unknown,
}

/// A hand edit of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The scopes of a device were set; its tokens were not touched.
    Scopes {
        /// Recorded id.
        device: String,
        /// The new scopes.
        scopes: Vec<String>,
    },
    /// The entry of a device was deleted.
    Drop {
        /// Recorded id.
        device: String,
    },
    /// The entry that a device had before its first edit was written again, changed (JSON stores only).
    Rewrite {
        /// Recorded id.
        device: String,
        /// Keys that the entry lacks then.
        without: Vec<String>,
        /// Its scopes then, if they are others.
        scopes: Option<Vec<String>>,
    },
    /// The file of paired devices was changed as a whole (JSON stores only).
    File(FileEdit),
    /// A file of paired devices was laid down that no gateway of this release reads.
    Stray,
}

/// What was done to `devices/paired.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileEdit {
    /// Its second half was cut off.
    Truncate,
    /// `{}` was written.
    EmptyObject,
    /// All its bytes were taken out.
    Empty,
    /// It was deleted.
    Delete,
    /// It was given the content from before the first of these.
    Restore,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A frame.
    Frame(Value),
    /// A connect whose device is signed anew. `binary` = as a binary frame.
    Connect {
        /// The recorded frame.
        frame: Value,
        /// How it was signed.
        signing: Signing,
        /// As a binary frame.
        binary: bool,
    },
    /// A text that is no frame.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// What a connection gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Answer to the upgrade.
    Answer(Page),
    /// A frame.
    Frame(Value),
    /// The gateway ended it.
    Close {
        /// Code; 1006 = without a close frame.
        code: u16,
        /// Reason.
        reason: String,
    },
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Status.
    pub status: u16,
    /// `content-type`, if there was one.
    pub content_type: Option<String>,
    /// `sec-websocket-protocol`, if there was one.
    pub subprotocol: Option<String>,
    /// Body, if it was recorded.
    pub body: Option<String>,
}

/// What cannot be replayed, and why. Never counted as agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReplayed {
    /// Line of the recording; 0 = the whole case.
    pub line: usize,
    /// What it is.
    pub what: String,
    /// Why it cannot be done again.
    pub reason: Reason,
}

/// Why something cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The recording holds nothing that was sent.
    NothingRecorded,
    /// It cannot be told which connection it belongs to.
    UnknownConnection,
    /// The bytes that were sent are not in the recording.
    UnknownBytes,
    /// A command line was run; it is no session.
    CommandLine,
    /// The recording says in words what was done, and not exactly enough.
    Words,
    /// It needs a gateway of the replay's own: signals and store edits.
    NeedsOwnGateway,
    /// It takes longer than was allowed.
    TooLong,
    /// An answer that was abridged in the recording.
    Abridged,
    /// The release's profile is not known.
    UnknownProfile,
    /// It comes after something that could not be done again.
    Depends,
    /// The release is not installed.
    NotInstalled,
    /// The device was paired in an earlier session, which is not in the recording.
    EarlierSession,
}

impl Reason {
    /// Short text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingRecorded => "nothing that was sent is in the recording",
            Self::UnknownConnection => "no telling which connection it belongs to",
            Self::UnknownBytes => "the bytes that were sent are not in the recording",
            Self::CommandLine => "an official command line was run, not a session",
            Self::Words => "described in words, not exactly enough to be done again",
            Self::NeedsOwnGateway => "needs a gateway that the replay starts itself",
            Self::TooLong => "takes longer than --longest",
            Self::Abridged => "abridged in the recording",
            Self::UnknownProfile => "no profile of this release",
            Self::Depends => "comes after something that was not replayed",
            Self::NotInstalled => "its release is not installed (pairstorm openclaw install)",
            Self::EarlierSession => "was paired before the recording begins, nothing says how",
        }
    }
}
