//! What an approval makes of an entry.

use super::super::super::entry::TokenEntry;
use super::super::token;
use super::*;

#[test]
fn approval_unites_and_voids_older_tokens() {
    let mut world = World::approved(&["operator.write"]);
    let first = world.entry().tokens["operator"].token.clone();
    world.entry().tokens.insert("x".to_owned(), world_token("x"));
    let node = DeviceAttempt { role: "node".to_owned(), ..attempt(&["operator.read"]) };
    world.refused(&node);
    world.approve();
    let entry = world.entry().clone();
    assert_eq!(entry.roles.as_deref(), Some(strings(&["operator", "node"]).as_slice()));
    assert_eq!(entry.scopes(), ["operator.write", "operator.read"]);
    assert_eq!(entry.approved_scopes.as_deref(), Some(entry.scopes()));
    assert_eq!(entry.tokens["operator"].token, first, "its role was not asked");
    assert_eq!(entry.tokens["node"].scopes, [""; 0]);
    world.refused(&attempt(&["operator.admin"]));
    world.approve();
    let token = world.entry().tokens["operator"].clone();
    assert_ne!(token.token, first);
    assert_eq!(token.scopes, ["operator.admin", "operator.read", "operator.write"]);
    assert_eq!((token.created_at_ms, token.rotated_at_ms), (NOW, Some(NOW)));
}

fn world_token(role: &str) -> TokenEntry {
    token::issue(role, Vec::new(), None, NOW, &mut Counter(900))
}

/// Cases b01 and b05 of 9.6: a token that the entry lost comes back with all that is asked, and one that is there keeps its
/// scopes.
#[test]
fn an_approval_gives_each_role_what_it_lacks() {
    let read = attempt_on(&V2026_9_6, &["operator.read"]);
    let scopes = |world: &mut World| world.entry().tokens["operator"].scopes.clone();
    let mut world = known_on(&V2026_9_6, &["operator.read"]);
    assert_eq!(scopes(&mut world), ["operator.read"]);
    world.entry().tokens.clear();
    assert_eq!(world.refused(&read).0, PairingReason::RoleUpgrade);
    world.approve();
    assert_eq!(scopes(&mut world), ["operator.read"]);
    assert!(world.connect(&read).is_ok());

    let approvals = attempt_on(&V2026_9_6, &["operator.approvals"]);
    assert_eq!(world.refused(&approvals).0, PairingReason::ScopeUpgrade);
    world.approve();
    assert_eq!(scopes(&mut world), ["operator.approvals", "operator.read"]);
}
