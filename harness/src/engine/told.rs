//! Word of approvals, from operators to clients that pause until they are told.
//!
//! Operators and clients live on different threads, and a client does not know whom to ask: so every reactor has a letter box,
//! and an operator puts its word into all of them.

use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;

use crate::plan::{ClientId, Nanos};

/// Where operators say that a client was approved. Cloned freely.
#[derive(Debug, Clone, Default)]
pub struct Told {
    boxes: Arc<Mutex<Vec<LetterBox>>>,
}

#[derive(Debug)]
struct LetterBox {
    letters: Letters,
    waker: Arc<Waker>,
}

type Letters = Arc<Mutex<Vec<(ClientId, Nanos)>>>;

/// The letter box of one reactor.
#[derive(Debug)]
pub struct Inbox {
    letters: Letters,
}

impl Told {
    /// A letter box; `waker` is woken when something comes.
    #[must_use]
    pub fn inbox(&self, waker: Arc<Waker>) -> Inbox {
        let letters = Letters::default();
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        boxes.push(LetterBox { letters: Arc::clone(&letters), waker });
        Inbox { letters }
    }

    /// The approval of a client was acknowledged at `at`.
    pub fn approved(&self, client: ClientId, at: Nanos) {
        for LetterBox { letters, waker } in self.boxes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            letters.lock().unwrap_or_else(PoisonError::into_inner).push((client, at));
            // A reactor that cannot be woken looks every tenth of a second by itself.
            let _ = waker.wake();
        }
    }
}

impl Inbox {
    /// What has come since the last look.
    #[must_use]
    pub fn take(&self) -> Vec<(ClientId, Nanos)> {
        std::mem::take(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    #[test]
    fn every_reactor_hears_of_every_approval_once() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let told = Told::default();
        let boxes = [told.inbox(Arc::clone(&waker)), told.inbox(waker)];
        told.approved(7, 5);
        for inbox in &boxes {
            assert_eq!(inbox.take(), [(7, 5)]);
            assert_eq!(inbox.take(), []);
        }
    }
}
