//! Names of the gateway behaviours that can be told apart. What each of them does is written twice, in the gateway's
//! policy and in the harness's oracle, and stands nowhere here.

/// A release of OpenClaw that was observed, or the gateway that the founding article describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProfileName {
    /// No release: what the founding article says, and where it is silent 2026.2.22.
    Article,
    /// OpenClaw 2026.2.19.
    V2026_2_19,
    /// OpenClaw 2026.2.21.
    V2026_2_21,
    /// OpenClaw 2026.2.22.
    V2026_2_22,
    /// OpenClaw 2026.3.13.
    V2026_3_13,
    /// OpenClaw 2026.9.6.
    V2026_9_6,
}

impl ProfileName {
    /// Every profile, `article` first and then by age.
    pub const ALL: [Self; 6] = [
        Self::Article,
        Self::V2026_2_19,
        Self::V2026_2_21,
        Self::V2026_2_22,
        Self::V2026_3_13,
        Self::V2026_9_6,
    ];

    /// The name in scenarios and on the command line; of a release, its version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::V2026_2_19 => "2026.2.19",
            Self::V2026_2_21 => "2026.2.21",
            Self::V2026_2_22 => "2026.2.22",
            Self::V2026_3_13 => "2026.3.13",
            Self::V2026_9_6 => "2026.9.6",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }
}

impl std::fmt::Display for ProfileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in ProfileName::ALL {
            assert_eq!(ProfileName::find(profile.as_str()), Some(profile));
        }
        assert_eq!(ProfileName::find("2026.2.20"), None);
    }
}
