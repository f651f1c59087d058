//! Tales from a seed. Each tale has a stream of its own, so that it stays what it is whatever is drawn around it.
//!
//! Pure chance would rarely get a device past its first refusal, so a device has a home (who it is, how it comes, what it
//! asks) from which most of its connects differ in a thing or two, and a refusal is often followed by an approval.

use protocol::{ProfileName, scope};
use rand::{Rng, RngExt as _};

use super::tale::{Book, IN_REPO, Keys, Move, Path, Tale, Value};
use crate::plan::stream;

/// Steps of one book at most: a gateway is started once for each.
const STEPS_A_BOOK: usize = 400;

/// Books with `steps` steps in all, or a few more, each with one restart.
#[must_use]
pub fn draw(seed: u64, profile: ProfileName, steps: usize) -> Vec<Book> {
    let book = |tales| Book { seed, profile, launch: IN_REPO.to_owned(), tales };
    let mut books = Vec::new();
    let mut tales: Vec<Tale> = Vec::new();
    let (mut drawn, mut in_book) = (0, 0);
    for number in 0.. {
        if drawn >= steps {
            break;
        }
        let mut tale = tale(seed, profile, number);
        if in_book == 0 {
            add_restart(seed, profile, &mut tale);
        }
        drawn += tale.moves.len();
        in_book += tale.moves.len();
        tales.push(tale);
        if in_book >= STEPS_A_BOOK {
            in_book = 0;
            books.push(book(std::mem::take(&mut tales)));
        }
    }
    if !tales.is_empty() {
        books.push(book(tales));
    }
    books
}

/// One tale.
#[must_use]
pub fn tale(seed: u64, profile: ProfileName, number: u32) -> Tale {
    let mut rng = stream(seed, "tale", profile.as_str(), number);
    let rng = &mut rng;
    let persona = one_of(rng, &PERSONAS);
    let two = chance(rng, 0.25);
    let mut cohort: Keys = vec![
        ("persona".to_owned(), Value::text(persona)),
        ("count".to_owned(), Value::Bare(if two { "2" } else { "1" }.to_owned())),
    ];
    if let Some(path) = one_of(rng, &HOMES) {
        cohort.push(("path".to_owned(), Value::Path(path)));
    }
    if chance(rng, 0.6) {
        cohort.push(("scopes".to_owned(), scopes(rng)));
    }
    if chance(rng, 0.2) {
        cohort.push(("stored".to_owned(), stored(rng)));
    }

    let mut moves = Vec::new();
    let boss = two && chance(rng, 0.5);
    if boss {
        moves.push(boss_comes(rng));
    }
    let length = rng.random_range(4..=10);
    while moves.len() < length {
        let client = if two && !boss && chance(rng, 0.35) { 1 } else { 0 };
        let by = (boss && chance(rng, 0.6)).then(|| u32::from(chance(rng, 0.8)));
        // A tale begins with somebody who connects.
        let what = if moves.len() <= usize::from(boss) { "connect" } else { one_of(rng, kinds(profile)) };
        match what {
            "connect" => {
                moves.push(connect(rng, client));
                if chance(rng, 0.45) {
                    moves.push(act("approve", Value::Client(client), by));
                }
            }
            "approve-latest" => moves.push(act("approve", Value::text("latest"), by)),
            "rotate" => moves.push(act("rotate", rotation(rng, client), by)),
            "revoke" => moves.push(act("revoke", revocation(rng, client), by)),
            "edit" => moves.push(Move(vec![("edit".to_owned(), edit(rng, client))])),
            "drop" => moves.push(Move(vec![("drop".to_owned(), Value::Client(client))])),
            "reload" => moves.push(Move(vec![("reload".to_owned(), Value::Bare("true".to_owned()))])),
            kind => moves.push(act(kind, Value::Client(client), by)),
        }
    }
    // Whatever was done shows in who gets in afterwards.
    moves.push(connect(rng, 0));
    Tale { number, cohort, moves }
}

/// Puts one restart into the middle of a tale.
fn add_restart(seed: u64, profile: ProfileName, tale: &mut Tale) {
    let mut rng = stream(seed, "tale restart", profile.as_str(), tale.number);
    let signal = if chance(&mut rng, 0.5) { "SIGTERM" } else { "SIGKILL" };
    let at = rng.random_range(1..=tale.moves.len().max(1));
    let at = at.min(tale.moves.len());
    tale.moves.insert(at, Move(vec![("restart".to_owned(), Value::text(signal))]));
}

/// Things with weights.
type Weighted<T, const N: usize> = [(u32, T); N];

const PERSONAS: Weighted<&str, 8> = [
    (35, "cli"),
    (10, "macos-app"),
    (12, "ios"),
    (8, "android"),
    (10, "node-host"),
    (12, "control-ui"),
    (6, "webchat"),
    (7, "backend"),
];

const HOMES: Weighted<Option<Path>, 4> =
    [(55, Some(Path::Remote)), (37, None), (4, Some(Path::Untrusted)), (4, Some(Path::ForgedLeft))];

const PATHS: Weighted<Option<Path>, 7> = [
    (20, None),
    (20, Some(Path::Remote)),
    (10, Some(Path::ForgedLeft)),
    (10, Some(Path::LoopbackRight)),
    (10, Some(Path::Untrusted)),
    (10, Some(Path::Headerless)),
    (10, Some(Path::ForeignHost)),
];

const KINDS: Weighted<&str, 9> = [
    (60, "connect"),
    (10, "approve"),
    (5, "reject"),
    (3, "approve-latest"),
    (8, "rotate"),
    (5, "revoke"),
    (5, "remove"),
    (6, "edit"),
    (3, "drop"),
];

/// With a reload, which only `article` has: OpenClaw reads its store again by itself, and SIGHUP ends it.
const KINDS_WITH_RELOAD: Weighted<&str, 10> = [
    (60, "connect"),
    (10, "approve"),
    (5, "reject"),
    (3, "approve-latest"),
    (8, "rotate"),
    (5, "revoke"),
    (5, "remove"),
    (6, "edit"),
    (3, "drop"),
    (5, "reload"),
];

fn kinds(profile: ProfileName) -> &'static [(u32, &'static str)] {
    if profile == ProfileName::Article { &KINDS_WITH_RELOAD } else { &KINDS }
}

const SCOPES: Weighted<&[&str], 13> = [
    (6, &[]),
    (20, &[scope::READ]),
    (10, &[scope::WRITE]),
    (14, &[scope::READ, scope::WRITE]),
    (10, &[scope::ADMIN]),
    (5, &[scope::WRITE, scope::READ]),
    (6, &[scope::ADMIN, scope::READ]),
    (6, &[scope::PAIRING]),
    (6, &[scope::APPROVALS]),
    (6, &[scope::READ, scope::APPROVALS, scope::PAIRING]),
    (3, &[scope::READ, scope::READ]),
    (3, &["operator.telescope"]),
    (3, &["node.exec"]),
];

const CREDENTIALS: Weighted<&str, 8> = [
    (45, "device-token"),
    (15, "first-device-token"),
    (10, "wrong-token"),
    (8, "forged-device-token"),
    (8, "missing"),
    (5, "password"),
    (3, "wrong-password"),
    (6, "shared-token"),
];

const ROLES: Weighted<&str, 4> = [(45, "operator"), (45, "node"), (7, "absent"), (3, "unknown")];

const PLATFORMS: Weighted<&str, 5> =
    [(25, "linux"), (20, "Linux"), (20, " darwin "), (20, "iOS 19.0.0"), (15, "macOS 15.4.0")];

const FAMILIES: Weighted<&str, 4> = [(40, "none"), (20, "iphone"), (20, "iPad"), (20, "Mac")];

const ORIGINS: Weighted<&str, 5> = [
    (30, "same-host"),
    (20, "none"),
    (20, "http://localhost:5173"),
    (20, "https://evil.example.com"),
    (10, "null"),
];

const DEVIATIONS: Weighted<&str, 11> = [
    (24, "no-device"),
    (8, "foreign-device-id"),
    (10, "bad-signature"),
    (8, "signature-v1"),
    (8, "wrong-nonce"),
    (6, "blank-nonce"),
    (6, "unknown-key"),
    (3, "not-json"),
    (3, "not-a-request"),
    (3, "wrong-method"),
    (3, "oversized"),
];

const SKEWS: Weighted<&str, 7> =
    [(10, "-3m"), (10, "3m"), (10, "-100s"), (10, "100s"), (5, "-11m"), (5, "11m"), (5, "-9m")];

const PROTOCOLS: Weighted<(u32, u32), 6> =
    [(10, (3, 3)), (10, (4, 4)), (10, (3, 4)), (5, (1, 2)), (5, (5, 9)), (5, (4, 3))];

fn connect(rng: &mut impl Rng, client: u32) -> Move {
    let mut keys: Keys = vec![("connect".to_owned(), Value::Client(client))];
    let changes = one_of(rng, &[(35, 0), (40, 1), (20, 2), (5, 3)]);
    for _ in 0..changes {
        let (key, value) = change(rng);
        match keys.iter_mut().find(|(known, _)| known == key) {
            Some((_, slot)) => *slot = value,
            None => keys.push((key.to_owned(), value)),
        }
    }
    if chance(rng, 0.1) {
        keys.push(("hold".to_owned(), Value::Bare("true".to_owned())));
    }
    Move(keys)
}

/// One thing that a connect has of its own.
fn change(rng: &mut impl Rng) -> (&'static str, Value) {
    let key = one_of(
        rng,
        &[
            (28, "scopes"),
            (24, "credential"),
            (8, "role"),
            (5, "persona"),
            (6, "platform"),
            (4, "device_family"),
            (6, "path"),
            (5, "origin"),
            (4, "signature"),
            (10, "deviation"),
        ],
    );
    let value = match key {
        "scopes" => scopes(rng),
        "credential" => Value::text(one_of(rng, &CREDENTIALS)),
        "role" => match one_of(rng, &ROLES) {
            "unknown" => Value::Table(vec![("unknown".to_owned(), Value::text("admin"))]),
            role => Value::text(role),
        },
        "persona" => Value::text(one_of(rng, &PERSONAS)),
        "platform" => Value::text(one_of(rng, &PLATFORMS)),
        "device_family" => Value::text(one_of(rng, &FAMILIES)),
        "path" => one_of(rng, &PATHS).map_or_else(|| Value::text("direct"), Value::Path),
        "origin" => Value::text(one_of(rng, &ORIGINS)),
        "signature" => Value::text(one_of(rng, &[(1, "v2"), (1, "v3")])),
        _ => deviation(rng),
    };
    (key, value)
}

fn deviation(rng: &mut impl Rng) -> Value {
    let table = |key: &str, value: Value| Value::Table(vec![(key.to_owned(), value)]);
    match rng.random_range(0..10) {
        0..=1 => table("clock-skew", Value::text(one_of(rng, &SKEWS))),
        2 => {
            let (min, max) = one_of(rng, &PROTOCOLS);
            let bare = |number: u32| Value::Bare(number.to_string());
            table(
                "protocol",
                Value::Table(vec![("min".to_owned(), bare(min)), ("max".to_owned(), bare(max))]),
            )
        }
        _ => match one_of(rng, &DEVIATIONS) {
            "oversized" => table("oversized", Value::Bare("70000".to_owned())),
            word => Value::text(word),
        },
    }
}

fn scopes(rng: &mut impl Rng) -> Value {
    if chance(rng, 0.04) {
        return Value::text("absent");
    }
    Value::list(one_of(rng, &SCOPES))
}

fn stored(rng: &mut impl Rng) -> Value {
    let mut keys: Keys = Vec::new();
    if chance(rng, 0.5) {
        keys.push(("scopes".to_owned(), Value::list(one_of(rng, &SCOPES))));
    }
    if chance(rng, 0.25) {
        let roles: &[&str] =
            one_of(rng, &[(2, &["operator"][..]), (2, &["node"]), (1, &["operator", "node"])]);
        keys.push(("roles".to_owned(), Value::list(roles)));
    }
    if chance(rng, 0.3) {
        keys.push((
            "metadata".to_owned(),
            match rng.random_range(0..2) {
                0 => Value::text("legacy"),
                _ => Value::Table(vec![("platform".to_owned(), Value::text(one_of(rng, &PLATFORMS)))]),
            },
        ));
    }
    if chance(rng, 0.3) {
        keys.push(("tokens".to_owned(), Value::Bare("false".to_owned())));
    }
    Value::Table(keys)
}

/// The second client is an operator of its own, with more or less authority, and stays.
fn boss_comes(rng: &mut impl Rng) -> Move {
    let scopes: &[&str] = one_of(
        rng,
        &[
            (4, &[scope::PAIRING][..]),
            (3, &[scope::ADMIN, scope::PAIRING]),
            (2, &[scope::READ, scope::PAIRING]),
            (1, &[scope::READ]),
        ],
    );
    Move(vec![
        ("connect".to_owned(), Value::Client(1)),
        ("persona".to_owned(), Value::text("cli")),
        ("path".to_owned(), Value::text("direct")),
        ("scopes".to_owned(), Value::list(scopes)),
        ("hold".to_owned(), Value::Bare("true".to_owned())),
    ])
}

fn act(kind: &str, whose: Value, by: Option<u32>) -> Move {
    let mut keys = vec![(kind.to_owned(), whose)];
    if let Some(by) = by {
        keys.push(("as".to_owned(), Value::Client(by)));
    }
    Move(keys)
}

fn rotation(rng: &mut impl Rng, client: u32) -> Value {
    let mut keys: Keys = vec![("client".to_owned(), Value::Client(client))];
    if chance(rng, 0.25) {
        keys.push(("role".to_owned(), Value::text(one_of(rng, &[(1, "operator"), (1, "node")]))));
    }
    if chance(rng, 0.7) {
        keys.push(("scopes".to_owned(), Value::list(one_of(rng, &SCOPES))));
    }
    if chance(rng, 0.5) {
        keys.push(("give".to_owned(), Value::Bare("true".to_owned())));
    }
    Value::Table(keys)
}

fn revocation(rng: &mut impl Rng, client: u32) -> Value {
    if chance(rng, 0.8) {
        return Value::Client(client);
    }
    let role = one_of(rng, &[(1, "operator"), (1, "node")]);
    Value::Table(vec![("client".to_owned(), Value::Client(client)), ("role".to_owned(), Value::text(role))])
}

fn edit(rng: &mut impl Rng, client: u32) -> Value {
    let client = ("client".to_owned(), Value::Client(client));
    if chance(rng, 0.3) {
        return Value::Table(vec![client, ("entry".to_owned(), Value::text("drop"))]);
    }
    Value::Table(vec![client, ("scopes".to_owned(), Value::list(one_of(rng, &SCOPES)))])
}

fn chance(rng: &mut impl Rng, share: f64) -> bool {
    rng.random_bool(share)
}

/// One of several things, by weight; the default of its kind if there are none.
fn one_of<T: Copy + Default>(rng: &mut impl Rng, things: &[(u32, T)]) -> T {
    let total: u32 = things.iter().map(|(weight, _)| weight).sum();
    let mut left = rng.random_range(0..total.max(1));
    for (weight, thing) in things {
        if left < *weight {
            return *thing;
        }
        left -= weight;
    }
    T::default()
}
