//! `result.json`.

use crate::record::RunResult;

/// The result as indented JSON with a newline at the end.
///
/// # Errors
/// If the result cannot be encoded; no result that [`crate::record::Tally`] gives is one of those.
pub fn text(result: &RunResult) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(result)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::record::result_schema;
    use crate::record::test_support::busy_story;

    #[test]
    fn the_text_is_the_result() {
        let result = busy_story().result();
        let text = text(&result).expect("json");
        assert!(text.starts_with("{\n  \"schema_version\": 2,\n  \"verdict\": \"violated\",\n"));
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<RunResult>(&text).expect("a result"), result);
    }

    fn reference(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name)
    }

    /// `UPDATE_SCHEMA=1` writes the file instead.
    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let generated = result_schema();
        let path = reference("result.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, format!("{generated:#}\n")).expect("written");
        }
        let committed = std::fs::read_to_string(&path).expect("docs/reference/result.schema.json");
        // As values: the order of keys depends on what other crates ask of serde_json.
        let committed: serde_json::Value = serde_json::from_str(&committed).expect("JSON");
        assert!(committed == generated, "run this test with UPDATE_SCHEMA=1 and commit the file");
    }

    #[test]
    fn the_reference_page_names_every_key() {
        let page = std::fs::read_to_string(reference("result.md")).expect("docs/reference/result.md");
        let value = serde_json::to_value(busy_story().result()).expect("json");
        for key in value.as_object().expect("an object").keys() {
            assert!(page.contains(&format!("`{key}`")), "docs/reference/result.md does not name `{key}`");
        }
    }

    /// `UPDATE_SCHEMA=1` writes the file instead.
    #[test]
    fn the_committed_schema_of_sweeps_is_the_generated_one() {
        let generated = crate::sweep::result::schema();
        let path = reference("sweep.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, format!("{generated:#}\n")).expect("written");
        }
        let committed: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON");
        assert_eq!(committed, generated, "UPDATE_SCHEMA=1 cargo test -p pairstorm-harness schema");
    }
}
