//! The way into the history.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::feed::{Counted, Progress};
use crate::history::format;
use crate::history::writer::{Batch, Intake};
use crate::history::{AttemptRef, Record, Secret};

/// Takes records, which stay in their order. [`super::Feed::lane`] makes one for a thread that has many,
/// [`super::Feed::lane_at_once`] one for a thread that has few and must not wait.
#[derive(Debug)]
pub struct Lane(Way);

#[derive(Debug)]
enum Way {
    Own(Buffer),
    Shared(SharedBuffer),
}

/// What everybody goes through who has few records.
pub(super) type SharedBuffer = Arc<Mutex<Buffer>>;

/// Bytes of records that are kept for a disk that is behind, where nobody may wait for it.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// When records are handed over, and what happens when the disk is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// When there are enough of them, and at the latest when they are flushed. Waits for the disk, and that is counted
    /// ([`crate::history::Backpressure`]).
    Full,
    /// Each by itself. Does not wait: what the disk has no room for stays until the next record or flush, up to
    /// [`KEPT_BYTES_MAX`]; what comes then is lost, and counted.
    AtOnce,
}

/// Records on their way to the disk.
#[derive(Debug)]
pub(super) struct Buffer {
    pace: Pace,
    intake: Intake,
    progress: Arc<Progress>,
    batch: RefCell<Batch>,
    looks: Arc<Looks>,
    secret: Arc<OnceLock<Secret>>,
    told: Arc<AtomicU64>,
}

/// How often somebody wanted to look at the history so far.
#[derive(Debug, Default)]
pub(super) struct Looks(AtomicU64);

impl Looks {
    pub(super) fn ask(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Lane {
    pub(super) const fn own(buffer: Buffer) -> Self {
        Self(Way::Own(buffer))
    }

    pub(super) const fn shared(buffer: SharedBuffer) -> Self {
        Self(Way::Shared(buffer))
    }

    /// Counts a record and takes it.
    pub fn push(&self, record: &Record) {
        match &self.0 {
            Way::Own(buffer) => buffer.push(record),
            Way::Shared(buffer) => lock(buffer).push(record),
        }
    }

    /// Counts an attempt and takes it, without a copy of its texts.
    pub fn attempt(&self, attempt: &AttemptRef<'_>) {
        match &self.0 {
            Way::Own(buffer) => buffer.attempt(attempt),
            Way::Shared(buffer) => lock(buffer).attempt(attempt),
        }
    }

    /// Hands over what was taken. To be called when there is nothing else to do, and at least every 100 ms.
    pub fn flush(&self) {
        match &self.0 {
            Way::Own(buffer) => buffer.flush(),
            Way::Shared(buffer) => lock(buffer).flush(),
        }
    }
}

pub(super) fn lock(buffer: &SharedBuffer) -> MutexGuard<'_, Buffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buffer {
    pub(super) fn new(
        pace: Pace,
        intake: Intake,
        progress: Arc<Progress>,
        looks: Arc<Looks>,
        secret: Arc<OnceLock<Secret>>,
    ) -> Self {
        let batch = RefCell::new(intake.batch());
        Self { pace, intake, progress, batch, looks, secret, told: Arc::default() }
    }

    /// Of the looks, the last one before which this buffer handed over everything.
    pub(super) fn told(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.told)
    }

    pub(super) fn push(&self, record: &Record) {
        if let Record::Attempt(attempt) = record {
            self.progress.count(&attempt.stamps, Counted::of(&attempt.outcome));
        }
        self.take(|bytes| format::append(bytes, record, self.secret.get()));
    }

    fn attempt(&self, attempt: &AttemptRef<'_>) {
        self.progress.count(&attempt.stamps, Counted::of_borrowed(&attempt.outcome));
        self.take(|bytes| format::append_attempt(bytes, attempt, self.secret.get()));
    }

    pub(super) fn flush(&self) {
        let looks = self.looks.0.load(Ordering::Acquire);
        if !self.batch.borrow().is_empty() {
            self.hand_over();
        }
        if self.batch.borrow().is_empty() {
            self.told.store(looks, Ordering::Release);
        }
    }

    /// Hands over everything, however long the disk takes.
    pub(super) fn flush_waiting(&self) {
        let kept = self.batch.replace(Batch::default());
        if !kept.is_empty() {
            self.intake.hand_over(kept);
        }
        self.flush();
    }

    fn take(&self, append: impl FnOnce(&mut Vec<u8>) -> Result<(), format::EncodeError>) {
        let mut batch = self.batch.borrow_mut();
        if self.pace == Pace::AtOnce && batch.bytes() >= KEPT_BYTES_MAX {
            self.intake.lose(1);
            return;
        }
        if !batch.add(append) {
            self.intake.lose(1);
        }
        let is_full = self.pace == Pace::AtOnce || batch.is_full();
        drop(batch);
        if is_full {
            self.hand_over();
        }
    }

    fn hand_over(&self) {
        let full = self.batch.replace(Batch::default());
        let kept = match self.pace {
            Pace::Full => {
                self.intake.hand_over(full);
                None
            }
            Pace::AtOnce => self.intake.try_hand_over(full),
        };
        self.batch.replace(kept.unwrap_or_else(|| self.intake.batch()));
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.flush();
        // Nothing can come from here any more, whatever is asked later.
        self.told.store(u64::MAX, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;
    use crate::engine::Feed;
    use crate::history::writer::{BUFFER_BYTES, BUFFERS_WAITING, Sink};
    use crate::history::{Header, OutcomeRef, Reader, SessionEnd, Writer};
    use crate::observation::{DropReason, Observation, Stamps};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Sink for Memory {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn begin() -> (Feed, Writer, Memory) {
        let (feed, outlet) = Feed::new();
        let memory = Memory::default();
        let writer = outlet.start(memory.clone(), &header()).unwrap();
        (feed, writer, memory)
    }

    fn header() -> Header {
        Header {
            scenario: String::new(),
            scenario_sha256: String::new(),
            seed: 0,
            clients: 0,
            started_at: 0,
            pairstorm: String::new(),
        }
    }

    fn records(memory: &Memory) -> Vec<Record> {
        let bytes = memory.0.lock().unwrap().clone();
        Reader::new(bytes.as_slice(), std::path::Path::new("memory")).unwrap().collect()
    }

    fn attempt(client: u32, number: u32) -> AttemptRef<'static> {
        AttemptRef {
            client,
            attempt: number,
            ask: 0,
            step: None,
            intended: u64::from(number),
            stamps: Stamps::default(),
            presented_token: None,
            outcome: OutcomeRef::Dropped(DropReason::Ports),
        }
    }

    fn end(client: u32) -> Record {
        let by = crate::history::EndedBy::Client;
        Record::SessionEnd(SessionEnd { client, attempt: 0, at: 0, by })
    }

    #[test]
    fn records_of_many_threads_keep_the_order_of_each() {
        const EACH: u32 = 20_000;
        let (feed, writer, memory) = begin();
        let lanes: Vec<_> = (0..4)
            .map(|client| {
                let lane = feed.lane();
                std::thread::Builder::new()
                    .spawn(move || (0..EACH).for_each(|number| lane.attempt(&attempt(client, number))))
                    .unwrap()
            })
            .collect();
        for lane in lanes {
            lane.join().unwrap();
        }
        let written = writer.finish(0);
        assert_eq!((written.records, written.lost), (u64::from(4 * EACH), 0));
        assert!(memory.0.lock().unwrap().len() > 4 * BUFFER_BYTES, "each filled a buffer");
        let mut next = [0; 4];
        for record in records(&memory) {
            let Record::Attempt(attempt) = record else { panic!("an attempt") };
            assert_eq!(attempt.attempt, next[attempt.client as usize]);
            next[attempt.client as usize] += 1;
        }
        assert_eq!(next, [EACH; 4]);
        assert_eq!(feed.progress().attempted.load(Ordering::Relaxed), u64::from(4 * EACH));
    }

    #[test]
    fn records_are_handed_over_when_they_are_flushed_or_the_lane_goes() {
        let (feed, writer, memory) = begin();
        let (flushed, dropped, kept) = (feed.lane(), feed.lane(), feed.lane());
        flushed.push(&end(0));
        dropped.push(&end(1));
        kept.push(&end(2));
        flushed.flush();
        drop(dropped);
        feed.push(end(3));
        feed.settled().blocking_recv().unwrap();
        assert_eq!(records(&memory), [end(0), end(1), end(3)]);
        drop(kept);
        assert_eq!(writer.finish(0).records, 4);
    }

    #[test]
    fn a_secret_that_the_gateway_sends_back_is_not_written() {
        const SECRET: &str = "secret-of-the-run-4711";
        let (feed, writer, memory) = begin();
        feed.keep_out(SECRET);
        let said = format!("I know {SECRET} and {SECRET}!");
        let what = said.replace(SECRET, &"*".repeat(SECRET.len()));
        let cut = format!("I know {}…", SECRET.split_at(9).0);
        let lane = feed.lane();
        lane.attempt(&AttemptRef { outcome: OutcomeRef::NotAGateway { what: &said }, ..attempt(0, 0) });
        lane.attempt(&AttemptRef { outcome: OutcomeRef::NotAGateway { what: &cut }, ..attempt(0, 1) });
        drop(lane);
        assert_eq!(writer.finish(0).records, 2);
        let read = records(&memory);
        let Record::Attempt(first) = &read[0] else { panic!("an attempt") };
        assert_eq!(first.outcome, crate::observation::Outcome::NotAGateway { what });
        let Record::Attempt(second) = &read[1] else { panic!("an attempt, its checksum right") };
        let what = format!("I know {}…", "*".repeat(9));
        assert_eq!(second.outcome, crate::observation::Outcome::NotAGateway { what });
        assert!(!String::from_utf8_lossy(&memory.0.lock().unwrap()).contains(SECRET));
        assert!(!format!("{feed:?}").contains(SECRET));
    }

    #[test]
    fn few_records_go_through_one_buffer_at_once() {
        let (feed, writer, memory) = begin();
        let lane = feed.lane_at_once();
        lane.push(&end(0));
        feed.push(end(1));
        lane.push(&end(2));
        assert!(feed.look(1).is_told(), "nobody has to flush it");
        feed.settled().blocking_recv().unwrap();
        assert_eq!(records(&memory), [end(0), end(1), end(2)]);
        assert_eq!(writer.finish(0).records, 3);
    }

    #[test]
    fn who_must_not_wait_for_the_disk_keeps_what_it_has_no_room_for() {
        // Nobody writes yet: as much is on its way as may be.
        let (feed, outlet) = Feed::new();
        let count = BUFFERS_WAITING as u32 + 5;
        (0..count).for_each(|number| feed.push(end(number)));
        let look = feed.look(1);
        assert!(!look.is_told(), "some of it has not been handed over");
        let memory = Memory::default();
        let writer = outlet.start(memory.clone(), &header()).unwrap();
        feed.flush_waiting();
        assert!(look.is_told());
        let written = writer.finish(0);
        assert_eq!((written.records, written.lost), (u64::from(count), 0));
        assert_eq!(records(&memory), (0..count).map(end).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_kept_for_a_disk_that_is_behind_has_a_bound() {
        let (feed, outlet) = Feed::new();
        let long = "x".repeat(1 << 20);
        let outcome = crate::observation::Outcome::NotAGateway { what: long };
        let record = Record::Attempt(Observation { outcome, ..attempt(0, 0).to_observation() });
        (0..BUFFERS_WAITING + 6).for_each(|_| feed.push(record.clone()));
        let writer = outlet.start(Memory::default(), &header()).unwrap();
        feed.flush_waiting();
        let written = writer.finish(0);
        assert_eq!((written.records, written.lost), (BUFFERS_WAITING as u64 + 4, 2));
    }

    #[test]
    fn a_look_is_told_when_every_lane_was_flushed_after_it() {
        let (feed, _writer, _memory) = begin();
        let (one, other) = (feed.lane(), feed.lane());
        one.flush();
        let underway = feed.begin(40);
        let look = feed.look(50);
        assert_eq!(look.complete_until(), 40, "something under way may explain what ended later");
        drop(underway);
        assert!(!look.is_told());
        one.flush();
        assert!(!look.is_told());
        drop(other);
        assert!(look.is_told());
        assert_eq!(feed.look(60).complete_until(), 60);
    }
}
