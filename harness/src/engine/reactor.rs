//! A reactor: one thread, one poll, a share of the clients.

use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use mio::{Poll, Waker};

use super::assignment::{Assignment, ReactorOutput};
use super::event_loop::{EventLoop, WAKE};
use super::shared::Shared;
use super::starts::Starts;
use super::told::Inbox;
use crate::clock::Clock;

/// A reactor whose clients are made, and which waits for the run to begin.
#[derive(Debug)]
pub struct PreparedReactor {
    thread: JoinHandle<std::io::Result<ReactorOutput>>,
    begin: mpsc::Sender<Clock>,
    prepared: mpsc::Receiver<()>,
    waker: Arc<Waker>,
}

/// A running reactor.
#[derive(Debug)]
pub struct Reactor {
    thread: JoinHandle<std::io::Result<ReactorOutput>>,
}

/// Why a reactor has no output.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    /// The thread or its poll could not be made.
    #[error("a reactor could not start: {0}")]
    Start(#[from] std::io::Error),
    /// The thread panicked: a defect of the harness.
    #[error("a reactor panicked; this is a defect of pairstorm")]
    Panicked,
}

impl PreparedReactor {
    /// Starts the thread of reactor `position` of `assignment.reactors`, which makes its clients: every open client whose
    /// id leaves that remainder, and every closed cohort whose position does.
    ///
    /// # Errors
    /// [`ReactorError::Start`] when the system has no thread or poll to give.
    pub fn new(assignment: Assignment, position: usize) -> Result<Self, ReactorError> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let inbox = assignment.told.inbox(Arc::clone(&waker));
        let (begin, begins) = mpsc::channel();
        let (tell, prepared) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("reactor-{position}"))
            .spawn(move || run_thread(assignment, position, poll, inbox, &tell, &begins))?;
        Ok(Self { thread, begin, prepared, waker })
    }

    /// Wakes the reactor when it is told to stop.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Waits until its clients are made. Blocks.
    pub fn wait(&self) {
        // An end without a word is the thread's own, which joining it will tell.
        let _ = self.prepared.recv();
    }

    /// Begins the run: times count from the start of `clock`.
    #[must_use]
    pub fn begin(self, clock: Clock) -> Reactor {
        let _ = self.begin.send(clock);
        Reactor { thread: self.thread }
    }
}

impl Reactor {
    /// Whether its clients have all ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for it.
    ///
    /// # Errors
    /// [`ReactorError`]
    pub fn join(self) -> Result<ReactorOutput, ReactorError> {
        Ok(self.thread.join().map_err(|_| ReactorError::Panicked)??)
    }
}

fn run_thread(
    assignment: Assignment,
    position: usize,
    poll: Poll,
    inbox: Inbox,
    prepared: &mpsc::Sender<()>,
    begins: &mpsc::Receiver<Clock>,
) -> std::io::Result<ReactorOutput> {
    let mut shared = Shared::new(&assignment);
    let starts = Starts::new(&shared, position, assignment.reactors);
    let _ = prepared.send(());
    // A run that never begins has dropped its end.
    let Ok(clock) = begins.recv() else { return Ok(ReactorOutput::default()) };
    shared.start_clock(clock);
    let shared = Rc::new(shared);
    EventLoop::new(Rc::clone(&shared), poll, starts, inbox)?.run()?;
    // The assignment, and with it the sign of life, lasts until here.
    drop(assignment);
    Ok(shared.take_output())
}
