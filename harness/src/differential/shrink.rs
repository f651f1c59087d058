//! Simpler versions of a tale.

use super::tale::{Keys, Move, Tale, Value};
use crate::shrink::Ddmin;

/// Versions of a tale that are simpler by one thing each, the boldest first: fewer steps, then fewer keys, then shorter
/// lists. Some may be no scenario any more (a step without what it does); the reader of scenarios knows.
#[must_use]
pub fn simpler(tale: &Tale) -> Vec<Tale> {
    let mut versions = Vec::new();
    let mut search = Ddmin::new(tale.moves.clone());
    while let Some(moves) = search.candidate() {
        // A tale without a step tells nothing.
        if !moves.is_empty() {
            versions.push(Tale { moves, ..tale.clone() });
        }
        search.answer(false);
    }
    for cohort in fewer(&tale.cohort) {
        versions.push(Tale { cohort, ..tale.clone() });
    }
    for (at, step) in tale.moves.iter().enumerate() {
        for keys in fewer(&step.0) {
            let mut moves = tale.moves.clone();
            if let Some(step) = moves.get_mut(at) {
                *step = Move(keys);
            }
            versions.push(Tale { moves, ..tale.clone() });
        }
    }
    versions
}

/// The keys without one of them, or with one of them simpler.
fn fewer(keys: &Keys) -> Vec<Keys> {
    let mut versions = Vec::new();
    for (at, (_, value)) in keys.iter().enumerate() {
        let mut without = keys.clone();
        without.remove(at);
        versions.push(without);
        let mut put = |value: Value| {
            let mut changed = keys.clone();
            if let Some((_, slot)) = changed.get_mut(at) {
                *slot = value;
            }
            versions.push(changed);
        };
        match value {
            Value::List(items) => {
                for item in 0..items.len() {
                    let mut items = items.clone();
                    items.remove(item);
                    put(Value::List(items));
                }
            }
            Value::Table(inner) => fewer(inner).into_iter().map(Value::Table).for_each(put),
            _ => {}
        }
    }
    versions
}
