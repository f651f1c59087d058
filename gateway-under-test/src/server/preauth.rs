//! Sockets that have not said hello, counted by client address (reference, section 1).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The counts. An address is forgotten with its last socket.
#[derive(Debug)]
pub(super) struct Preauth {
    max: Option<usize>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted socket; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Option<(Arc<Preauth>, IpAddr)>,
}

impl Preauth {
    /// At most `max` sockets an address; `None` = any number.
    #[must_use]
    pub(super) fn new(max: Option<usize>) -> Self {
        Self { max, open: Mutex::default() }
    }

    /// A place for one more socket of this address, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let Some(max) = self.max else { return Some(Place { of: None }) };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&address).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        open.insert(address, count + 1);
        Some(Place { of: Some((Arc::clone(self), address)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((preauth, address)) = &self.of else { return };
        let mut open = preauth.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let preauth = Arc::new(Preauth::new(Some(2)));
        let one: IpAddr = [203, 0, 113, 1].into();
        let other: IpAddr = [203, 0, 113, 2].into();
        let first = preauth.take(one).unwrap();
        let _second = preauth.take(one).unwrap();
        assert!(preauth.take(one).is_none());
        let third = preauth.take(other).unwrap();
        drop(first);
        assert!(preauth.take(one).is_some());
        drop(third);
        assert_eq!(preauth.open.lock().unwrap().len(), 1, "an address without sockets is forgotten");
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let preauth = Arc::new(Preauth::new(None));
        let places: Vec<_> = (0..100).map(|_| preauth.take([127, 0, 0, 1].into()).unwrap()).collect();
        assert!(preauth.open.lock().unwrap().is_empty());
        drop(places);
    }
}
