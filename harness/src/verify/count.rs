//! How often something may be seen.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A number, or a range with both ends in it: `3`, `"2..5"`, `"1.."`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// At least.
    pub min: u64,
    /// At most; `None` = no limit.
    pub max: Option<u64>,
}

impl Count {
    /// Once or oftener.
    pub const SOME: Self = Self { min: 1, max: None };
    /// Not at all.
    pub const NONE: Self = Self { min: 0, max: Some(0) };

    /// Exactly so often.
    #[must_use]
    pub const fn exactly(times: u64) -> Self {
        Self { min: times, max: Some(times) }
    }

    /// Whether so often is allowed.
    #[must_use]
    pub fn holds(self, times: u64) -> bool {
        times >= self.min && self.max.is_none_or(|max| times <= max)
    }

    /// Reads `3`, `2..5` and `1..`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse::<u64>().ok();
        let read = match text.split_once("..") {
            None => number(text).map(Self::exactly),
            Some((min, max)) if max.trim().is_empty() => number(min).map(|min| Self { min, max: None }),
            Some((min, max)) => number(min).zip(number(max)).map(|(min, max)| Self { min, max: Some(max) }),
        };
        read.filter(|count| count.max.is_none_or(|max| max >= count.min))
            .ok_or_else(|| format!("`{text}` is no count; write 3, \"2..5\" or \"1..\""))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) if max == self.min => write!(formatter, "{max}"),
            Some(max) => write!(formatter, "{}..{max}", self.min),
            None => write!(formatter, "{}..", self.min),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a count: 3, \"2..5\" or \"1..\"")]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(times) => Ok(Self::exactly(times)),
            Written::Text(text) => Self::parse(&text).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_are_written() {
        for (text, min, max) in
            [("3", 3, Some(3)), ("2..5", 2, Some(5)), ("1..", 1, None), ("0..0", 0, Some(0))]
        {
            assert_eq!(Count::parse(text), Ok(Count { min, max }), "{text}");
        }
        for text in ["", "..", "..3", "5..2", "x", "-1", "1..y"] {
            assert!(Count::parse(text).is_err(), "{text}");
        }
        assert_eq!(Count { min: 2, max: Some(5) }.to_string(), "2..5");
        assert_eq!(
            (Count::SOME.to_string(), Count::exactly(4).to_string()),
            ("1..".to_owned(), "4".to_owned())
        );
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        let range = Count { min: 2, max: Some(4) };
        assert_eq!([1, 2, 4, 5].map(|times| range.holds(times)), [false, true, true, false]);
        assert!(Count::SOME.holds(u64::MAX) && !Count::SOME.holds(0));
    }
}
