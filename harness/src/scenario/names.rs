//! Suggestions for misspelt names.

/// The known name nearest to a misspelt one, if one is near enough to be meant.
pub(super) fn suggestion<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // `_` and `-`, upper and lower case are the commonest slips and cost nothing.
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let wanted = plain(name);
    // Distance grows with the product of the lengths; nobody mistypes a name of a thousand letters.
    if wanted.len() > 100 {
        return None;
    }
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(wanted.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The names in backquotes, with commas.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// "did you mean … ? Allowed: …" for a name outside a closed list.
pub(super) fn allowed(name: &str, known: &[&str]) -> String {
    match suggestion(name, known) {
        Some(near) => format!("did you mean `{near}`? Allowed: {}", list(known)),
        None => format!("allowed: {}", list(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(suggestion("cuont", &["count", "persona"]), Some("count"));
        assert_eq!(suggestion("attempt-timeout", &["attempt_timeout"]), Some("attempt_timeout"));
        assert_eq!(suggestion("bananas", &["count", "persona"]), None);
        assert_eq!(suggestion("", &["count"]), None);
    }
}
