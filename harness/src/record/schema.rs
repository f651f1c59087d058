//! JSON Schema of `result.json`.

use super::result::RunResult;

/// The schema, as `docs/reference/result.schema.json` holds it.
#[must_use]
pub fn result_schema() -> serde_json::Value {
    schemars::schema_for!(RunResult).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{Story, busy_story};

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
}
