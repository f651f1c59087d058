//! What a tale is.

use protocol::ProfileName;

/// A value of the scenario language; names of clients and paths are the tale's own until it is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text in quotes.
    Text(String),
    /// A number, `true`, or anything else that is written without quotes.
    Bare(String),
    /// A list of texts.
    List(Vec<String>),
    /// Client number so and so of the tale.
    Client(u32),
    /// A path of the tale.
    Path(Path),
    /// An inline table.
    Table(Keys),
}

/// `launch` of the in-repo gateway.
pub const IN_REPO: &str = "in-repo";

/// Keys with their values, in the order in which they are written.
pub type Keys = Vec<(String, Value)>;

/// How a client of a tale reaches the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// Through a trusted proxy, as a remote client.
    Remote,
    /// Through a trusted proxy, with a loopback address forged in front.
    ForgedLeft,
    /// Through a trusted proxy that forwards a loopback address last.
    LoopbackRight,
    /// From a proxy that nobody trusts, with a forwarded address.
    Untrusted,
    /// From the trusted proxy's address, without a header.
    Headerless,
    /// From another loopback address, under a name that is not local.
    ForeignHost,
}

/// One step: its keys. The first says what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move(pub Keys);

/// A short story about devices of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tale {
    /// Place in the drawn sequence; names its cohort and its addresses.
    pub number: u32,
    /// Keys of its cohort, `count` included.
    pub cohort: Keys,
    /// What happens.
    pub moves: Vec<Move>,
}

/// Tales that are told to one gateway, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Seed they were drawn from.
    pub seed: u64,
    /// Whom they are told to.
    pub profile: ProfileName,
    /// How the gateway is started: `"in-repo"`, `"openclaw"`.
    pub launch: String,
    /// The tales.
    pub tales: Vec<Tale>,
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A list of texts.
    #[must_use]
    pub fn list(texts: &[&str]) -> Self {
        Self::List(texts.iter().map(|&text| text.to_owned()).collect())
    }
}

impl Move {
    /// What is done.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.first().map_or("", |(key, _)| key)
    }
}

impl Tale {
    /// How much there is to read: steps first, then keys and list items.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.moves.len(), weight(&self.cohort) + self.moves.iter().map(|it| weight(&it.0)).sum::<usize>())
    }

    /// Restarts in it.
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.moves.iter().filter(|it| it.kind() == "restart").count()
    }
}

fn weight(keys: &Keys) -> usize {
    keys.iter()
        .map(|(_, value)| match value {
            Value::List(items) => 1 + items.len(),
            Value::Table(keys) => 1 + weight(keys),
            _ => 1,
        })
        .sum()
}
