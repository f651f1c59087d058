//! How far a run has been told to stop, and the bells that tell it to those who sleep.

use std::sync::Arc;

use mio::Waker;
use tokio::sync::watch;

use super::feed::StopPhase;

/// Tells everybody to stop. A phase only goes forward.
#[derive(Debug)]
pub struct StopSwitch {
    phase: watch::Sender<StopPhase>,
    wakers: Vec<Arc<Waker>>,
}

impl StopSwitch {
    /// A switch that says [`StopPhase::Running`], and the end at which it is read.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<StopPhase>) {
        let (phase, seen) = watch::channel(StopPhase::Running);
        (Self { phase, wakers: Vec::new() }, seen)
    }

    /// A reactor that is to be woken.
    pub fn add(&mut self, waker: Arc<Waker>) {
        self.wakers.push(waker);
    }

    /// Goes forward to `phase`.
    pub fn advance(&self, phase: StopPhase) {
        let forward = self.phase.send_if_modified(|now| {
            let forward = *now < phase;
            if forward {
                *now = phase;
            }
            forward
        });
        if forward {
            for waker in &self.wakers {
                // A reactor that cannot be woken looks at the phase every tenth of a second by itself.
                let _ = waker.wake();
            }
        }
    }
}
