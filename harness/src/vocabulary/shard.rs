//! A part of a scenario's clients, so that several processes or machines can share a load.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every `of`-th client of each cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    number: u32,
    of: u32,
}

/// Most shards.
const SHARDS_MAX: u32 = 1_000;

impl Shard {
    /// Shard `number`, from 1, of so many. `None` if there is no such one.
    #[must_use]
    pub const fn new(number: u32, of: u32) -> Option<Self> {
        if number >= 1 && number <= of && of <= SHARDS_MAX { Some(Self { number, of }) } else { None }
    }

    /// Which one it is, from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Of how many.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether it has the client with this index in its cohort.
    #[must_use]
    pub const fn has(self, index: u32) -> bool {
        index % self.of == self.number - 1
    }

    /// Its part of a number that all shards share.
    #[must_use]
    pub const fn part(self, whole: u32) -> u32 {
        // The first ones take the rest.
        whole / self.of + if whole % self.of >= self.number { 1 } else { 0 }
    }

    /// Its part of a rate that all shards share.
    #[must_use]
    pub fn part_of_rate(self, rate: f64) -> f64 {
        rate / f64::from(self.of)
    }
}

impl fmt::Display for Shard {
    /// `2/4`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A text that names no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N with I from 1 to N, and N at most {SHARDS_MAX}: 2/4 is the second of four")]
pub struct NoShard;

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (number, of) = text.split_once('/').ok_or(NoShard)?;
        let number = number.parse().map_err(|_| NoShard)?;
        Self::new(number, of.parse().map_err(|_| NoShard)?).ok_or(NoShard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_in_one_shard() {
        for of in 1..7 {
            for index in 0..20 {
                let having = (1..=of).filter(|number| Shard::new(*number, of).unwrap().has(index)).count();
                assert_eq!(having, 1, "{index} of {of}");
            }
            for whole in 0..20 {
                let sum: u32 = (1..=of).map(|number| Shard::new(number, of).unwrap().part(whole)).sum();
                assert_eq!(sum, whole, "of {of}");
                // As many as it has of so many clients.
                let has = (0..whole).filter(|index| Shard::new(1, of).unwrap().has(*index)).count();
                assert_eq!(Shard::new(1, of).unwrap().part(whole) as usize, has);
            }
        }
    }

    #[test]
    fn a_shard_is_read_as_it_is_written() {
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        for wrong in ["", "2", "0/4", "5/4", "1/0", "1/1001", "-1/4", "1/4/2", "a/b"] {
            assert_eq!(wrong.parse::<Shard>(), Err(NoShard), "{wrong}");
        }
    }
}
