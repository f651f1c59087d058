//! JSON Schema of `result.json`.

use super::result::RunResult;

/// The schema, as `docs/reference/result.schema.json` holds it.
#[must_use]
pub fn result_schema() -> serde_json::Value {
    schemars::schema_for!(RunResult).to_value()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::record::test_support::{Story, busy_story};

    fn reference(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name)
    }

    /// `UPDATE_SCHEMA=1` writes the file instead.
    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let generated = format!("{:#}\n", result_schema());
        let path = reference("result.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &generated).expect("written");
        }
        let committed = std::fs::read_to_string(&path).expect("docs/reference/result.schema.json");
        assert!(committed == generated, "run this test with UPDATE_SCHEMA=1 and commit the file");
    }

    #[test]
    fn results_follow_the_schema() {
        let validator = jsonschema::validator_for(&result_schema()).expect("a schema");
        for story in [busy_story(), Story::new(&[])] {
            let value = serde_json::to_value(story.result()).expect("json");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
        }
    }

    #[test]
    fn the_schema_refuses_what_is_no_result() {
        let validator = jsonschema::validator_for(&result_schema()).expect("a schema");
        let mut value = serde_json::to_value(busy_story().result()).expect("json");
        value["phases"]["dial"]["p50"] = "12 ms".into();
        assert!(!validator.is_valid(&value));
        value["phases"]["dial"]["p50"] = 12.into();
        assert!(validator.is_valid(&value));
        value["mismatches"].as_object_mut().expect("an object").remove("no_answer");
        assert!(!validator.is_valid(&value));
    }

    #[test]
    fn the_reference_page_names_every_key() {
        let page = std::fs::read_to_string(reference("result.md")).expect("docs/reference/result.md");
        let value = serde_json::to_value(busy_story().result()).expect("json");
        for key in value.as_object().expect("an object").keys() {
            assert!(page.contains(&format!("`{key}`")), "docs/reference/result.md does not name `{key}`");
        }
    }
}
