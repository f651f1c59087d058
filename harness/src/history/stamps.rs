//! Stamps in few bytes: which there are, then the first one and the distance from each to the next.
//!
//! Phases of a handshake are short, so a distance takes two or three bytes where a stamp takes six.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::observation::Stamps;
use crate::vocabulary::Nanos;

/// Stamps that an attempt may have.
const COUNT: usize = 7;

impl Stamps {
    const fn in_order(&self) -> [Option<Nanos>; COUNT] {
        [self.started, self.dialled, self.upgraded, self.challenged, self.sent, self.answered, self.ended]
    }
}

impl Serialize for Stamps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stamps = self.in_order();
        let present = stamps.iter().rev().fold(0_u8, |bits, stamp| bits << 1 | u8::from(stamp.is_some()));
        let mut tuple = serializer.serialize_tuple(1 + present.count_ones() as usize)?;
        tuple.serialize_element(&present)?;
        let mut before: Nanos = 0;
        for stamp in stamps.into_iter().flatten() {
            // A peer's stamps may stand in any order, so a distance has a sign.
            tuple.serialize_element(&stamp.wrapping_sub(before).cast_signed())?;
            before = stamp;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Stamps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(1 + COUNT, StampsVisitor)
    }
}

struct StampsVisitor;

impl<'de> Visitor<'de> for StampsVisitor {
    type Value = Stamps;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a byte that says which stamps there are, and a distance for each")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Stamps, A::Error> {
        let missing = || A::Error::custom("a stamp is missing");
        let present: u8 = sequence.next_element()?.ok_or_else(missing)?;
        if present >> COUNT != 0 {
            return Err(A::Error::custom("there is no such stamp"));
        }
        let mut before: Nanos = 0;
        let mut next = |bit: u8| -> Result<Option<Nanos>, A::Error> {
            if present & 1 << bit == 0 {
                return Ok(None);
            }
            let distance: i64 = sequence.next_element()?.ok_or_else(missing)?;
            before = before.wrapping_add(distance.cast_unsigned());
            Ok(Some(before))
        };
        Ok(Stamps {
            started: next(0)?,
            dialled: next(1)?,
            upgraded: next(2)?,
            challenged: next(3)?,
            sent: next(4)?,
            answered: next(5)?,
            ended: next(6)?,
        })
    }
}
