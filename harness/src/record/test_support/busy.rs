//! A run in which everything happens.

use super::{MS, Story, mismatch, refusal, refusal_for, refusal_with, session, threshold};
use crate::history::RestartStamps;
use crate::observation::{DropReason, Outcome, Phase};
use crate::oracle::MismatchKind;
use crate::plan::Comparison;

/// A run in which everything that a result can show happens at least once: 40 phones that are approved and restarted,
/// 10 tabs that are refused, mismatches, doubts, drops, and thresholds that are met and missed.
pub(crate) fn busy_story() -> Story {
    let mut story = Story::new(&[("phones", 40), ("tabs", 10)]);
    story.plan.name = "smoke".to_owned();
    story.plan.thresholds = vec![
        threshold("mismatches == 0", "mismatches", Comparison::Equal, 0.0),
        threshold("approval_to_session.p99 < 6s", "approval_to_session.p99", Comparison::Less, 6_000_000.0),
    ];
    for client in 0..40 {
        let at = 20 * u64::from(client);
        let request = format!("request-{client}");
        story.attempt(client, 0).intended(at).started(at + 1).answered(at + 9, refusal_for(&request));
        story.notice(0, client, &request, at + 11);
        story.approve(0, client, &request, at + 311, Some(at + 315));
        story.attempt(client, 1).intended(at + 1_009).started(at + 1_010).answered(at + 1_016, session());
    }
    for client in 40..50 {
        let at = 100 * u64::from(client - 40);
        let refused = refusal_with("INVALID_REQUEST", Some("AUTH_TOKEN_MISMATCH"), None);
        story.attempt(client, 0).intended(at).started(at).answered(at + 3, refused);
    }
    story.restart(
        3_000,
        RestartStamps {
            port_closed: Some(3_002 * MS),
            exited: Some(3_004 * MS),
            spawned: Some(3_104 * MS),
            port_open: Some(3_180 * MS),
        },
    );
    for client in 0..40 {
        story.session_ended_by_gateway(client, 1, 3_001);
        story.attempt(client, 2).intended(3_011).started(3_012).ended(3_013, Outcome::ConnectionRefused);
        let at = 4_000 + 10 * u64::from(client);
        story.attempt(client, 3).intended(at).started(at + 2).answered(at + 12, session());
    }
    story.attempt(40, 1).intended(5_000).started(5_000).answered(5_004, session()).verdict(mismatch(
        MismatchKind::FalseAccept,
        &["AUTH_TOKEN_MISMATCH"],
        "session",
        "the client sent a token that is not the gateway's",
    ));
    for client in 0..3 {
        story
            .attempt(client, 4)
            .intended(6_000)
            .started(6_000)
            .answered(6_004, refusal("not-paired"))
            .verdict(mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                &format!(
                    "approval of request-{client} was acknowledged at 0.3{client} s and nothing took it back"
                ),
            ));
    }
    story
        .attempt(41, 1)
        .intended(6_000)
        .started(6_000)
        .ended(6_500, Outcome::TimedOut { phase: Phase::Verdict })
        .indeterminate("the history ends before the answer");
    story.attempt(42, 1).dropped(6_000, DropReason::Descriptors);
    story.history.ended = 17_000 * MS;
    story.facts.run_duration_ns = 17_000 * MS;
    story
}
