//! What is written can be read, up to where it breaks off.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::format::{self, Damage, End, Header};
use super::writer::{self, BUFFERS_WAITING, Sink};
use super::*;
use crate::observation::{
    Closed, DropReason, Grant, GrantAuth, Outcome, Phase, Refusal, ScriptPlace, Stamps,
};
use crate::vocabulary::{FaultKind, StopSignal};

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,24}"
}

fn time() -> impl Strategy<Value = Option<Nanos>> {
    option::of(prop_oneof![any::<Nanos>(), 0..10_000_000_000_u64])
}

prop_compose! {
    fn stamps()(
        started in time(), dialled in time(), upgraded in time(), challenged in time(), sent in time(), answered in time(),
        ended in time(),
    ) -> Stamps {
        Stamps { started, dialled, upgraded, challenged, sent, answered, ended }
    }
}

fn token() -> impl Strategy<Value = Option<Fingerprint>> {
    option::of(any::<u64>().prop_map(Fingerprint))
}

fn close() -> impl Strategy<Value = CloseSeen> {
    prop_oneof![
        Just(CloseSeen::Abrupt),
        (any::<u16>(), text()).prop_map(|(code, reason)| CloseSeen::Frame { code, reason })
    ]
}

prop_compose! {
    fn refusal()(
        code in text(), message in text(), detail_code in option::of(text()), reason in option::of(text()),
        auth_reason in option::of(text()), next_step in option::of(text()), request_id in option::of(text()),
        close in option::of(close()),
    ) -> Refusal {
        Refusal { code, message, detail_code, reason, auth_reason, next_step, request_id, close }
    }
}

prop_compose! {
    fn grant()(
        protocol in any::<u32>(), auth in option::of((text(), vec(text(), 0..4), token())),
    ) -> Grant {
        Grant { protocol, auth: auth.map(|(role, scopes, token)| GrantAuth { role, scopes, token }) }
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    proptest::sample::select(vec![
        Phase::Dial,
        Phase::Upgrade,
        Phase::Challenge,
        Phase::Verdict,
        Phase::Close,
    ])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let drops =
        vec![DropReason::InFlightLimit, DropReason::Descriptors, DropReason::Ports, DropReason::RunEnded];
    prop_oneof![
        grant().prop_map(Outcome::Session),
        refusal().prop_map(Outcome::Refused),
        (any::<u16>(), text()).prop_map(|(status, body)| Outcome::UpgradeRefused { status, body }),
        (close(), phase()).prop_map(|(close, phase)| Outcome::Closed(Closed { close, phase })),
        phase().prop_map(|phase| Outcome::TimedOut { phase }),
        Just(Outcome::ConnectionRefused),
        text().prop_map(|error| Outcome::Unreachable { error }),
        text().prop_map(|what| Outcome::NotAGateway { what }),
        proptest::sample::select(drops).prop_map(Outcome::Dropped),
    ]
}

fn place() -> impl Strategy<Value = ScriptPlace> {
    (any::<u16>(), any::<bool>()).prop_map(|(step, last)| ScriptPlace { step, last })
}

prop_compose! {
    fn call()(
        client in any::<ClientId>(), attempt in any::<u32>(), step in any::<u16>(), sent in any::<Nanos>(), at in any::<Nanos>(),
        refusal in option::of((text(), text(), option::of(text()))), answered in any::<bool>(),
    ) -> Call {
        let end = match refusal {
            Some((code, message, detail_code)) => CallEnd::Refused { at, code, message, detail_code },
            None if answered => CallEnd::Done { at },
            None => CallEnd::NoAnswer { at },
        };
        Call { client, attempt, step, sent, end }
    }
}

prop_compose! {
    fn attempt()(
        client in any::<ClientId>(), attempt in any::<u32>(), ask in any::<u16>(), step in option::of(place()),
        intended in any::<Nanos>(), stamps in stamps(), presented_token in token(), outcome in outcome(),
    ) -> Observation {
        Observation { client, attempt, ask, step, intended, stamps, presented_token, outcome }
    }
}

fn operation_kind() -> impl Strategy<Value = OperationKind> {
    prop_oneof![
        text().prop_map(|request_id| OperationKind::Approve { request_id }),
        text().prop_map(|request_id| OperationKind::Reject { request_id }),
        Just(OperationKind::Remove),
        (text(), option::of(vec(text(), 0..3)))
            .prop_map(|(role, scopes)| OperationKind::Rotate { role, scopes }),
        Just(OperationKind::Edit(StoreEdit::DropEntry)),
        vec(text(), 0..3).prop_map(|scopes| OperationKind::Edit(StoreEdit::SetScopes(scopes))),
        text().prop_map(|role| OperationKind::Revoke { role }),
    ]
}

fn operation_end() -> impl Strategy<Value = OperationEnd> {
    prop_oneof![
        (any::<Nanos>(), token()).prop_map(|(at, token)| OperationEnd::Done { at, token }),
        (any::<Nanos>(), text(), text()).prop_map(|(at, code, message)| OperationEnd::Refused {
            at,
            code,
            message
        }),
        Just(OperationEnd::Unknown),
    ]
}

prop_compose! {
    fn operation()(
        operator in any::<u16>(), client in option::of(any::<ClientId>()), kind in operation_kind(),
        caller in option::of((any::<ClientId>(), any::<u32>())), invoked in any::<Nanos>(), end in operation_end(),
    ) -> Operation {
        let caller = caller.map(|(client, attempt)| Caller { client, attempt });
        Operation { operator, client, kind, caller, invoked, end }
    }
}

fn fault_kind() -> impl Strategy<Value = FaultKind> {
    let signal = proptest::sample::select(vec![StopSignal::Sigterm, StopSignal::Sigkill]);
    prop_oneof![
        (signal, any::<Duration>()).prop_map(|(signal, down)| FaultKind::Restart { signal, down }),
        Just(FaultKind::Reload),
        any::<Duration>().prop_map(FaultKind::Pause),
    ]
}

prop_compose! {
    fn fault()(
        name in text(), kind in fault_kind(), began in any::<Nanos>(), ended in time(),
        restart in option::of((time(), time(), time(), time())),
    ) -> Fault {
        let restart = restart.map(|(port_closed, exited, spawned, port_open)| {
            RestartStamps { port_closed, exited, spawned, port_open }
        });
        Fault { name, kind, began, ended, restart }
    }
}

fn record() -> impl Strategy<Value = Record> {
    let by = prop_oneof![Just(EndedBy::Client), close().prop_map(EndedBy::Gateway)];
    let event = proptest::sample::select(vec![HeardEvent::Requested, HeardEvent::Resolved]);
    prop_oneof![
        4 => attempt().prop_map(Record::Attempt),
        1 => (any::<ClientId>(), any::<u32>(), any::<Nanos>(), by)
            .prop_map(|(client, attempt, at, by)| Record::SessionEnd(SessionEnd { client, attempt, at, by })),
        1 => (any::<u16>(), option::of(any::<ClientId>()), text(), any::<Nanos>()).prop_map(
            |(operator, client, request_id, at)| Record::Notice(Notice { operator, client, request_id, at })
        ),
        1 => operation().prop_map(Record::Operation),
        1 => fault().prop_map(Record::Fault),
        1 => (any::<ClientId>(), any::<u32>(), event, any::<Nanos>())
            .prop_map(|(client, attempt, event, at)| Record::Overheard(Overheard { client, attempt, event, at })),
        1 => call().prop_map(Record::Call),
    ]
}

fn header() -> Header {
    Header {
        scenario: "smoke".to_owned(),
        scenario_sha256: "00ff".repeat(16),
        seed: 42,
        clients: 3,
        started_at: 1_795_000_000_000_000_000,
        pairstorm: "0.1.0".to_owned(),
    }
}

/// A file of these records, as the writer writes it, and where each record ends in it.
fn file(records: &[Record], ended: Option<Nanos>) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    format::append_header(&mut bytes, &header()).unwrap();
    let mut ends = vec![bytes.len()];
    for record in records {
        format::append(&mut bytes, record, None).unwrap();
        ends.push(bytes.len());
    }
    if let Some(ended) = ended {
        let end = End { ended, records: records.len() as u64, waits: 0, waited: 0 };
        format::append_end(&mut bytes, &end).unwrap();
    }
    (bytes, ends)
}

fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    Reader::new(bytes, Path::new("history.bin")).unwrap()
}

/// What a file holds, and how it ends.
fn read(bytes: &[u8]) -> (Vec<Record>, Result<End, Break>) {
    let mut reader = reader(bytes);
    let records: Vec<Record> = reader.by_ref().collect();
    (records, reader.end().unwrap().clone())
}

fn attempt_of(client: ClientId, number: u32, outcome: Outcome) -> Record {
    Record::Attempt(Observation {
        client,
        attempt: number,
        ask: 0,
        step: None,
        intended: 1_000,
        stamps: Stamps { started: Some(1_010 + u64::from(number)), ..Stamps::default() },
        presented_token: None,
        outcome,
    })
}

fn few() -> Vec<Record> {
    vec![
        attempt_of(0, 0, Outcome::ConnectionRefused),
        Record::Notice(Notice { operator: 0, client: Some(1), request_id: "r".to_owned(), at: 7 }),
        attempt_of(1, 0, Outcome::Unreachable { error: "no route".to_owned() }),
        Record::SessionEnd(SessionEnd { client: 1, attempt: 0, at: 9_000, by: EndedBy::Client }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back_as_they_went(records in vec(record(), 0..12), ended in any::<Nanos>()) {
        let (bytes, _) = file(&records, Some(ended));
        let (read, end) = read(&bytes);
        prop_assert_eq!(read, records);
        prop_assert_eq!(end.unwrap().ended, ended);
    }

    #[test]
    fn a_borrowed_attempt_is_the_same_bytes(attempt in attempt()) {
        let (mut owned, mut borrowed) = (Vec::new(), Vec::new());
        let scopes: Vec<&str> = match &attempt.outcome {
            Outcome::Session(Grant { auth: Some(auth), .. }) => auth.scopes.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let view = borrow(&attempt, &scopes);
        format::append(&mut owned, &Record::Attempt(attempt.clone()), None).unwrap();
        format::append_attempt(&mut borrowed, &view, None).unwrap();
        prop_assert_eq!(owned, borrowed);
        prop_assert_eq!(view.to_observation(), attempt);
    }

    #[test]
    fn whatever_stands_in_a_file_the_reader_ends(
        bytes in vec(any::<u8>(), 0..200), lengths in vec(0_u32..40, 0..4),
    ) {
        let (mut file, _) = file(&few(), None);
        for length in lengths {
            file.extend_from_slice(&length.to_le_bytes());
        }
        file.extend_from_slice(&bytes);
        prop_assert!(read(&file).0.len() >= 4);
    }
}

fn borrow<'a>(attempt: &'a Observation, scopes: &'a [&'a str]) -> AttemptRef<'a> {
    fn close(close: &CloseSeen) -> CloseRef<'_> {
        match close {
            CloseSeen::Frame { code, reason } => CloseRef::Frame { code: *code, reason },
            CloseSeen::Abrupt => CloseRef::Abrupt,
        }
    }
    let outcome = match &attempt.outcome {
        Outcome::Session(grant) => OutcomeRef::Session(GrantRef {
            protocol: grant.protocol,
            auth: grant.auth.as_ref().map(|auth| GrantAuthRef {
                role: &auth.role,
                scopes,
                token: auth.token,
            }),
        }),
        Outcome::Refused(refusal) => OutcomeRef::Refused(RefusalRef {
            code: &refusal.code,
            message: &refusal.message,
            detail_code: refusal.detail_code.as_deref(),
            reason: refusal.reason.as_deref(),
            auth_reason: refusal.auth_reason.as_deref(),
            next_step: refusal.next_step.as_deref(),
            request_id: refusal.request_id.as_deref(),
            close: refusal.close.as_ref().map(close),
        }),
        Outcome::UpgradeRefused { status, body } => OutcomeRef::UpgradeRefused { status: *status, body },
        Outcome::Closed(closed) => {
            OutcomeRef::Closed(ClosedRef { close: close(&closed.close), phase: closed.phase })
        }
        Outcome::TimedOut { phase } => OutcomeRef::TimedOut { phase: *phase },
        Outcome::ConnectionRefused => OutcomeRef::ConnectionRefused,
        Outcome::Unreachable { error } => OutcomeRef::Unreachable { error },
        Outcome::NotAGateway { what } => OutcomeRef::NotAGateway { what },
        Outcome::Dropped(reason) => OutcomeRef::Dropped(*reason),
    };
    AttemptRef {
        client: attempt.client,
        attempt: attempt.attempt,
        ask: attempt.ask,
        step: attempt.step,
        intended: attempt.intended,
        stamps: attempt.stamps,
        presented_token: attempt.presented_token,
        outcome,
    }
}

#[test]
fn a_file_cut_at_any_byte_gives_the_records_before_it() {
    let records = few();
    let (bytes, ends) = file(&records, Some(10_000));
    for cut in ends[0]..bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        let (read, end) = read(&bytes[..cut]);
        assert_eq!(read, records[..whole], "cut at {cut}");
        assert_eq!(end, Err(Break { at: ends[whole] as u64, damage: Damage::CutOff }), "cut at {cut}");
    }
    // Before that there is no header, so there is no history.
    for cut in 0..ends[0] {
        assert!(Reader::new(&bytes[..cut], Path::new("history.bin")).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_bit_that_flipped_is_found() {
    let records = few();
    let (bytes, ends) = file(&records, Some(10_000));
    for position in ends[0] * 8..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[position / 8] ^= 1 << (position % 8);
        let sound = ends.iter().filter(|end| **end <= position / 8).count() - 1;
        let (read, end) = read(&bytes);
        assert_eq!(read, records[..sound], "bit {position}");
        assert_eq!(end.unwrap_err().at, ends[sound] as u64, "bit {position}");
    }
}

#[test]
fn an_end_that_counts_other_records_is_no_end() {
    let (mut bytes, _) = file(&few(), None);
    format::append_end(&mut bytes, &End { ended: 1, records: 5, waits: 0, waited: 0 }).unwrap();
    assert_eq!(read(&bytes).1.unwrap_err().damage, Damage::Missing { there: 4, promised: 5 });
}

#[test]
fn another_file_and_another_version_are_told_apart() {
    let (mut bytes, _) = file(&few(), Some(1));
    bytes[8] = 9;
    let said = Reader::new(bytes.as_slice(), Path::new("h")).unwrap_err().to_string();
    assert_eq!(said, "h is a history of version 9; this pairstorm reads version 2");
    let said = Reader::new(b"name = \"smoke\"".as_slice(), Path::new("h")).unwrap_err().to_string();
    assert_eq!(said, "h is no history of pairstorm");
}

#[test]
fn the_format_is_what_it_is_described_as() {
    // docs/reference/history.md shows these bytes. If they change, VERSION does.
    let mut bytes = Vec::new();
    let stamps = Stamps { started: Some(1_010), dialled: Some(1_300), ..Stamps::default() };
    let attempt = Observation {
        client: 300,
        attempt: 1,
        ask: 0,
        step: Some(ScriptPlace { step: 4, last: true }),
        intended: 1_000,
        stamps,
        presented_token: Some(Fingerprint(0x0102_0304_0506_0708)),
        outcome: Outcome::TimedOut { phase: Phase::Upgrade },
    };
    format::append(&mut bytes, &Record::Attempt(attempt), None).unwrap();
    assert_eq!(
        hex::encode(&bytes),
        "1a0000000b0282d9\
         01ac0201 00010401e80703e40fc40401 0807060504030201 0401"
            .replace(' ', "")
    );
}

#[test]
fn a_shard_holds_its_clients_and_what_concerns_everybody() {
    let mut records: Vec<Record> =
        (0..20).map(|n| attempt_of(n % 5, n / 5, Outcome::Dropped(DropReason::Ports))).collect();
    records.insert(7, few().remove(1));
    records.push(few().remove(3));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.bin");
    std::fs::write(&path, file(&records, Some(50)).0).unwrap();
    let log = Log::open(&path).unwrap();
    assert_eq!((log.attempts(), log.records(), log.ended(), log.shards()), (20, 22, 50, 1));
    assert_eq!(log.shared, 1);
    let shards = |attempts, shared| Log { attempts, shared, ..log.clone() }.shards();
    // Whoever is in every shard does not multiply the work: ten times the run has no more passes.
    assert_eq!([shards(500_001, 0), shards(500_001, 100_000)], [11, 11]);
    assert_eq!([shards(700_000, 360_000), shards(7_000_000, 3_600_000), shards(0, 1_000_000)], [4, 4, 1]);
    let mut whole = History { ended: 50, ..History::default() };
    records.iter().cloned().for_each(|record| whole.push(record));
    assert_eq!(log.whole().unwrap(), whole);
    let shards: Vec<History> = (0..3).map(|shard| log.shard(shard, 3).unwrap()).collect();
    for (shard, history) in (0..).zip(&shards) {
        let mine = whole.attempts.iter().filter(|attempt| attempt.client % 3 == shard).cloned();
        assert_eq!(history.attempts, mine.collect::<Vec<_>>(), "in the order in which they were written");
        assert_eq!(history.session_ends.len(), usize::from(shard == 1));
        assert_eq!((history.notices.len(), history.ended), (1, 50));
    }
}

#[test]
fn a_log_that_breaks_off_is_read_up_to_there() {
    let (mut bytes, ends) = file(&few(), None);
    bytes.truncate(ends[3] + 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.bin");
    std::fs::write(&path, bytes).unwrap();
    let log = Log::open(&path).unwrap();
    assert_eq!(
        log.end().unwrap_err().to_string(),
        format!("it breaks off at byte {}: the file ends there", ends[3])
    );
    assert_eq!((log.attempts(), log.records(), log.ended()), (2, 3, 1_010), "the latest time in it");
    assert_eq!(log.whole().unwrap().attempts.len(), 2);
}

#[test]
fn a_file_that_grows_is_read_on_and_half_a_record_waits() {
    let records = few();
    let (bytes, ends) = file(&records, Some(10_000));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.bin");
    std::fs::write(&path, &bytes[..ends[1] + 5]).unwrap();
    let mut tail = Tail::new(Arc::new(std::fs::File::open(&path).unwrap()), &path).unwrap();
    let new = tail.read_on();
    assert_eq!((new.attempts.len(), new.notices.len()), (1, 0));
    assert_eq!(tail.read_on(), History::default());
    std::fs::write(&path, &bytes[..ends[3]]).unwrap();
    let new = tail.read_on();
    assert_eq!((new.attempts.len(), new.notices.len()), (1, 1));
    let so_far = tail.so_far(99).whole().unwrap();
    assert_eq!((so_far.attempts.len(), so_far.notices.len(), so_far.ended), (2, 1, 99));
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(tail.read_on().session_ends.len(), 1, "and the end is no record");
    assert_eq!(tail.read_on(), History::default());
}

/// A sink whose bytes the test sees.
#[derive(Clone, Default)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
}

impl Sink for Memory {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.bytes.lock().unwrap();
        let room = self.room.map_or(bytes.len(), |room| room.saturating_sub(all.len()).min(bytes.len()));
        all.extend_from_slice(&bytes[..room]);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink that takes a batch only when it is told to.
struct Gate {
    memory: Memory,
    entered: Sender<()>,
    pass: Receiver<()>,
}

impl Sink for Gate {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.entered.send(()).unwrap();
        self.pass.recv().unwrap();
        self.memory.append(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn batch(intake: &Intake, record: &Record) -> writer::Batch {
    let mut batch = intake.batch();
    assert!(batch.add(|bytes| format::append(bytes, record, None)));
    batch
}

#[test]
fn who_has_records_waits_for_a_slow_disk_and_that_is_counted() {
    let (intake, outlet) = writer::channel();
    let (entered, is_in) = channel();
    let (let_pass, pass) = channel();
    let memory = Memory::default();
    let_pass.send(()).unwrap();
    let writer = outlet.start(Gate { memory: memory.clone(), entered, pass }, &header()).unwrap();
    is_in.recv().unwrap();
    let record = attempt_of(0, 0, Outcome::ConnectionRefused);
    // One is with the disk, and as many are on their way as may be.
    intake.hand_over(batch(&intake, &record));
    is_in.recv().unwrap();
    for _ in 0..BUFFERS_WAITING {
        intake.hand_over(batch(&intake, &record));
    }
    assert_eq!(intake.backpressure(), Backpressure::default());
    let waiting = {
        let intake = intake.clone();
        std::thread::Builder::new().spawn(move || intake.hand_over(batch(&intake, &record))).unwrap()
    };
    while intake.backpressure().waits == 0 {
        std::thread::yield_now();
    }
    for _ in 0..BUFFERS_WAITING + 3 {
        let_pass.send(()).unwrap();
    }
    waiting.join().unwrap();
    let written = writer.finish(5);
    assert_eq!(written.records, BUFFERS_WAITING as u64 + 2);
    assert_eq!((written.lost, written.failure), (0, None));
    assert_eq!(written.backpressure.waits, 1);
    let (records, end) = read(&memory.bytes.lock().unwrap());
    assert_eq!(records.len(), BUFFERS_WAITING + 2);
    assert_eq!(end.unwrap().waits, 1);
}

#[test]
fn a_full_disk_costs_the_records_that_follow_and_nothing_else() {
    let (intake, outlet) = writer::channel();
    let records = few();
    let (whole, ends) = file(&records, None);
    let memory = Memory { room: Some(ends[2] + 3), ..Memory::default() };
    let writer = outlet.start(memory.clone(), &header()).unwrap();
    for record in &records {
        intake.hand_over(batch(&intake, record));
    }
    let written = writer.finish(5);
    assert_eq!((written.records, written.lost), (2, 2));
    let failure = written.failure.unwrap();
    assert_eq!(failure.from, Some(1_010), "the time of the first record that is missing");
    assert_eq!(failure.to_string(), "incomplete from 0.0 s on: no storage space");
    let bytes = memory.bytes.lock().unwrap();
    assert_eq!(bytes[..], whole[..ends[2] + 3]);
    let (read, end) = read(&bytes);
    assert_eq!(read, records[..2]);
    assert_eq!(end, Err(Break { at: ends[2] as u64, damage: Damage::CutOff }));
}

#[test]
fn what_comes_after_the_end_is_lost_and_counted() {
    let (intake, outlet) = writer::channel();
    let memory = Memory::default();
    let writer = outlet.start(memory.clone(), &header()).unwrap();
    assert_eq!(writer.finish(5), Written::default());
    intake.hand_over(batch(&intake, &few()[0]));
    assert_eq!(
        read(&memory.bytes.lock().unwrap()),
        (vec![], Ok(End { ended: 5, records: 0, waits: 0, waited: 0 }))
    );
}

#[test]
fn a_record_beyond_all_bounds_has_no_frame() {
    let mut bytes = vec![1, 2, 3];
    let endless = Outcome::NotAGateway { what: "x".repeat(format::CONTENT_BYTES_MAX) };
    assert!(matches!(
        format::append(&mut bytes, &attempt_of(0, 0, endless), None),
        Err(format::EncodeError::TooLong(_))
    ));
    assert_eq!(bytes, [1, 2, 3], "what was there stays");
}
