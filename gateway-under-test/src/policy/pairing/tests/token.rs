//! The token of a session.

use super::*;

#[test]
fn a_revoked_device_with_the_secret_gets_a_new_token() {
    let mut world = World::approved(&["operator.read", "operator.write"]);
    let old = world.entry().tokens["operator"].token.clone();
    let params = RevokeParams { device_id: "device".to_owned(), role: "operator".to_owned() };
    let (_, effects) = revoke(&world.rules, &Caller::owner(), &world.view(), &params, NOW).unwrap();
    world.apply(effects);
    let by_token = by_token(&ARTICLE, attempt(&["operator.read"]), &old);
    assert_eq!(world.connect(&by_token).unwrap_err().cause, "unauthorized");
    let accepted = world.connect(&attempt(&["operator.read"])).unwrap();
    assert_ne!(accepted.auth.clone().unwrap().device_token, Some(old));
    assert_eq!(accepted.auth.unwrap().scopes, ["operator.read"], "not united with the revoked one's");
}

/// Reference, section 8.8: the token stays the same over connects that ask the same or less.
#[test]
fn a_token_is_stable_over_connects() {
    for profile in checking() {
        let mut world = known_on(profile, &["operator.read", "operator.write"]);
        let mut seen = Vec::new();
        for scopes in [&["operator.read", "operator.write"][..], &["operator.read"], &[]] {
            let accepted = world.connect(&attempt_on(profile, scopes)).unwrap();
            seen.push(accepted.auth.unwrap().device_token.unwrap());
            world.now_ms += 1_000;
        }
        assert!(seen.iter().all(|token| *token == seen[0]), "{}", profile.version);
        assert_eq!(world.entry().tokens["operator"].token, seen[0], "{}", profile.version);
    }
}
