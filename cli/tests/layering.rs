//! The one-way street between the crates (ARCHITECTURE.md, "Crates"), read from `cargo metadata`.
//!
//! `deny.toml` holds a part of it too; this needs nothing but cargo.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails the test")]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::OnceLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

const PROTOCOL: &str = "pairstorm-protocol";
const HARNESS: &str = "pairstorm-harness";
const GATEWAY: &str = "gateway-under-test";
const CLI: &str = "pairstorm";

/// Kinds of dependencies to follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// What ends up in the library: normal and build dependencies.
    Shipped,
    /// Development dependencies of workspace members, too.
    All,
}

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Crates of other platforms were never downloaded for this build; resolving them would need a network.
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .other_options(vec!["--locked".to_owned(), "--filter-platform".to_owned(), platform])
            .exec()
            .expect("cargo metadata runs")
    })
}

fn member(name: &str) -> &'static Package {
    metadata()
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .unwrap_or_else(|| unreachable!("no workspace member `{name}`"))
}

/// Names of everything that `name` depends on, directly or not.
fn reach(name: &str, follow: Follow) -> BTreeSet<&'static str> {
    let metadata = metadata();
    let nodes: HashMap<&PackageId, _> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let names: HashMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let mut reached = BTreeSet::new();
    let mut next = VecDeque::from([&member(name).id]);
    while let Some(id) = next.pop_front() {
        for dependency in &nodes.get(id).expect("every package is a node").deps {
            let shipped = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if (shipped || follow == Follow::All) && reached.insert(&dependency.pkg) {
                next.push_back(&dependency.pkg);
            }
        }
    }
    reached.into_iter().map(|id| *names.get(id).expect("every package has a name")).collect()
}

#[test]
fn harness_and_gateway_do_not_know_each_other() {
    for (side, other) in [(HARNESS, GATEWAY), (GATEWAY, HARNESS)] {
        let reached = reach(side, Follow::All);
        assert!(reached.contains(PROTOCOL), "{side} speaks {PROTOCOL}");
        assert!(!reached.contains(other), "{side} must not depend on {other}, not even for tests");
        assert!(!reached.contains(CLI), "{side} must not depend on {CLI}");
    }
    // The search finds what is there: the binary does see both sides.
    let reached = reach(CLI, Follow::Shipped);
    assert!(reached.contains(HARNESS) && reached.contains(GATEWAY));
}

#[test]
fn protocol_stands_alone_and_does_no_io() {
    let reached = reach(PROTOCOL, Follow::All);
    for member in metadata().workspace_packages() {
        assert!(!reached.contains(member.name.as_str()), "{PROTOCOL} must not depend on {}", member.name);
    }
    let shipped = reach(PROTOCOL, Follow::Shipped);
    assert!(shipped.contains("serde_json"));
    for io in
        ["tokio", "mio", "socket2", "rustix", "hyper", "tokio-tungstenite", "rand", "getrandom", "tempfile"]
    {
        assert!(
            !shipped.contains(io),
            "{PROTOCOL} must not depend on {io}: it has no IO, clock or randomness"
        );
    }
    let direct: BTreeSet<&str> = member(PROTOCOL)
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let allowed = BTreeSet::from(["hex", "serde", "serde_json", "sha2", "thiserror"]);
    assert!(
        direct.is_subset(&allowed),
        "{direct:?}: what belongs on the wire needs no more than {allowed:?}"
    );
}

#[test]
fn each_side_has_an_ed25519_of_its_own() {
    // A library that both sides used would agree with itself, right or wrong.
    let known = BTreeSet::from(["aws-lc-rs", "ed25519-dalek", "ed25519-compact", "ring"]);
    let of = |side| reach(side, Follow::Shipped).intersection(&known).copied().collect::<BTreeSet<_>>();
    let (harness, gateway) = (of(HARNESS), of(GATEWAY));
    assert!(!harness.is_empty() && !gateway.is_empty(), "{harness:?} {gateway:?}");
    assert!(harness.is_disjoint(&gateway), "{harness:?} {gateway:?}");
}
