//! What an accepted connect leaves behind.

use super::*;

/// Reference, sections 8.2 and 9.1, cases b02 and r00: what an accepted connect leaves in the entry.
#[test]
fn an_accepted_connect_is_kept_as_each_release_keeps_it() {
    for profile in checking() {
        let mut world = World::on(profile, None);
        world.refused(&attempt_on(profile, &["operator.read"]));
        world.approve();
        let before = world.entry().clone();
        world.now_ms += 1_000;
        let mut again = attempt_on(profile, &["operator.read"]);
        again.client.display_name = Some("renamed".to_owned());
        // Before 3.13 another platform is written over the old one, and nobody is asked.
        let overwrites = profile.metadata == MetadataRule::Overwritten;
        if overwrites {
            again.client.platform = "darwin".to_owned();
        }
        assert!(world.connect(&again).is_ok(), "{}", profile.version);
        let after = world.entry().clone();
        let platform = if overwrites { "darwin" } else { "linux" };
        assert_eq!(after.platform.as_deref(), Some(platform), "{}", profile.version);
        if profile.refresh == RefreshRule::Nothing {
            assert_eq!(after, before, "{}", profile.version);
        } else {
            assert_eq!(after.display_name.as_deref(), Some("renamed"), "{}", profile.version);
            assert_eq!(
                (after.scopes(), after.roles()),
                (before.scopes(), before.roles()),
                "{}",
                profile.version
            );
        }
        let seen = (profile.refresh == RefreshRule::LastSeen).then_some(NOW + 1_000);
        assert_eq!(after.last_seen_at_ms, seen, "{}", profile.version);
    }
}

#[test]
fn what_must_be_durable_before_the_answer() {
    let world = World::approved(&["operator.read"]);
    let put = Change::Put(Box::new(world.entry.unwrap()));
    assert!(Effects { entry: put, ..Effects::default() }.is_durable());
    assert!(Effects { entry: Change::Drop, ..Effects::default() }.is_durable());
    assert!(Effects { pending: Change::Drop, ..Effects::default() }.is_durable());
    assert!(!Effects { touch: Some(Touch::TokenUsed), ..Effects::default() }.is_durable());
    assert!(!Effects::default().is_durable());
}
