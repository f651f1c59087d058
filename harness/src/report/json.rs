//! `result.json`.

use crate::record::RunResult;

/// The result as indented JSON with a newline at the end.
///
/// # Errors
/// If the result cannot be encoded; no result that [`crate::record::assemble`] gives is one of those.
pub fn text(result: &RunResult) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(result)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::busy_story;

    #[test]
    fn the_text_is_the_result() {
        let result = busy_story().result();
        let text = text(&result).expect("json");
        assert!(text.starts_with("{\n  \"schema_version\": 1,\n  \"verdict\": \"violated\",\n"));
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<RunResult>(&text).expect("a result"), result);
    }
}
