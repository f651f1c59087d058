//! What damage to the store and others who write it excuse, and what they do not.

use super::fixture::*;
use crate::history::OperationKind;
use crate::oracle::verdict::{MismatchKind, Verdict};
use crate::plan::{FaultKind, StopSignal, StoreDamage, StoreEdit};
use std::time::Duration;

const DELETED: FaultKind = FaultKind::Store(StoreDamage::Deleted);
const OVERWRITTEN: FaultKind = FaultKind::StoreBack { put_back: false };

/// Paired, and not known any more after a restart at 5 s.
fn forgotten(damaged: impl FnOnce(Case) -> Case) -> Case {
    damaged(Case::paired().attempt(100, 110, session(Case::paired().stored_token("operator"))))
        .restart(StopSignal::Sigkill, 5_000, 5_010, 5_500)
        .attempt(7_000, 7_010, pairing("not-paired", "R1"))
}

#[test]
fn a_gateway_that_wrote_over_the_damage_from_memory_has_lost_nothing() {
    // The file was whole again before it was read.
    let whole =
        forgotten(|case| case.fault(DELETED, 1_000, Some(1_001)).fault(OVERWRITTEN, 3_000, Some(3_001)));
    assert_eq!(whole.kind(), MismatchKind::FalseReject);
    // It was read while it was away, and then written over.
    let read =
        forgotten(|case| case.fault(DELETED, 1_000, Some(1_001)).fault(OVERWRITTEN, 6_000, Some(6_001)));
    assert_eq!(read.matched(), ["session", "not-paired"]);
}

#[test]
fn damage_that_was_put_back_takes_nothing_away() {
    let back = FaultKind::StoreBack { put_back: true };
    let case = |until| {
        forgotten(move |case| case.fault(DELETED, 1_000, Some(1_001)).fault(back, until, Some(until + 1)))
    };
    assert_eq!(case(3_000).kind(), MismatchKind::FalseReject);
    assert_eq!(case(6_000).matched(), ["session", "not-paired"], "read meanwhile");
}

#[test]
fn a_second_writer_excuses_nothing_before_the_store_is_read_again() {
    let writer = FaultKind::SecondWriter { every: Duration::from_millis(50), gap: Duration::ZERO };
    let approved = |profile| {
        Case::stranger()
            .with_gateway(move |gateway| gateway.profile = profile)
            .attempt(100, 110, pairing("not-paired", "R1"))
            .fault(writer, 150, Some(2_000))
            .approve("R1", 200, 210)
    };
    let article = protocol::ProfileName::Article;
    // Memory is what counts, and nobody but the gateway writes that.
    let at_once = approved(article).attempt(1_000, 1_010, pairing("not-paired", "R2"));
    assert_eq!(at_once.kind(), MismatchKind::FalseReject);
    let is_open = |case: Case| matches!(case.judge().attempts.last(), Some(Verdict::Indeterminate { .. }));
    let after = approved(article).restart(StopSignal::Sigkill, 5_000, 5_010, 5_500).attempt(
        7_000,
        7_010,
        pairing("not-paired", "R2"),
    );
    assert!(is_open(after));
    // A release reads the file again at once.
    let release = approved(protocol::ProfileName::V2026_3_13);
    assert!(is_open(release.attempt(1_000, 1_010, pairing("not-paired", "R2"))));
}

const EDITED: FaultKind = FaultKind::Edit { overwrote: false };
const OVERWROTE: FaultKind = FaultKind::Edit { overwrote: true };

/// Paired, and its entry deleted at 1 s while the gateway runs.
fn deleted(profile: protocol::ProfileName, kind: FaultKind) -> Case {
    Case::paired()
        .with_gateway(move |gateway| gateway.profile = profile)
        .done(OperationKind::Edit(StoreEdit::DropEntry), 1_000, 1_001)
        .fault(kind, 1_000, Some(1_001))
}

#[test]
fn an_edit_counts_from_the_next_reading_on_or_was_taken_back() {
    let token = Case::paired().stored_token("operator");
    let edited = || deleted(protocol::ProfileName::Article, EDITED);
    let before = edited().attempt(2_000, 2_010, pairing("not-paired", "R1"));
    assert_eq!(before.kind(), MismatchKind::FalseReject, "memory is what counts");
    for after in [session(token), pairing("not-paired", "R1")] {
        let read = edited()
            .attempt(2_000, 2_010, session(token))
            .restart(StopSignal::Sigkill, 5_000, 5_010, 5_500)
            .attempt(7_000, 7_010, after);
        assert_eq!(read.matched().len(), 2);
    }
    // It is one or the other.
    let both = edited()
        .restart(StopSignal::Sigkill, 5_000, 5_010, 5_500)
        .attempt(7_000, 7_010, session(token))
        .attempt(8_000, 8_010, pairing("not-paired", "R1"));
    assert_eq!(both.kind(), MismatchKind::FalseReject);
}

#[test]
fn an_edit_of_others_takes_nothing_from_anybody_but_by_overwriting_it() {
    let approved = |kind| {
        Case::stranger()
            .attempt(100, 110, pairing("not-paired", "R1"))
            .approve("R1", 200, 210)
            .fault(kind, 205, Some(206))
            .restart(StopSignal::Sigkill, 5_000, 5_010, 5_500)
            .attempt(7_000, 7_010, pairing("not-paired", "R2"))
    };
    assert_eq!(approved(EDITED).kind(), MismatchKind::FalseReject);
    let judged = approved(OVERWROTE).judge();
    assert!(matches!(judged.attempts.last(), Some(Verdict::Indeterminate { .. })), "{judged:?}");
}

#[test]
fn a_release_that_reads_before_every_operation_may_have_taken_an_edit_back() {
    let edited = deleted(protocol::ProfileName::V2026_3_13, EDITED);
    let token = edited.stored_token("operator");
    let judged = edited.attempt(2_000, 2_010, session(token)).judge();
    assert!(matches!(judged.attempts.last(), Some(Verdict::Indeterminate { .. })), "{judged:?}");
    // A step's edit has the store to itself.
    let step = Case::paired()
        .with_gateway(|gateway| gateway.profile = protocol::ProfileName::V2026_3_13)
        .done(OperationKind::Edit(StoreEdit::DropEntry), 1_000, 1_001)
        .attempt(2_000, 2_010, session(token));
    assert_eq!(step.kind(), MismatchKind::FalseAccept);
    // A database loses nothing.
    let sqlite = deleted(protocol::ProfileName::V2026_9_6, EDITED);
    assert_eq!(sqlite.attempt(2_000, 2_010, session(token)).kind(), MismatchKind::FalseAccept);
}
