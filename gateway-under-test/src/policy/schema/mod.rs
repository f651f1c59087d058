//! Shapes of parameters, and the texts of OpenClaw's validators, formatted by the gateway: ajv up to 2026.3.13, which
//! names every error, and that of 2026.9.6, which names one missing and one unexpected key an object and says less of
//! names.
//!
//! Order of errors at one object, as ajv reports them: missing keys in the order of the schema, unexpected keys, then
//! the values in the order of the schema. Several errors are joined by `; `, repeated ones are said once. Unexpected
//! keys come sorted (`serde_json` does not keep the order in which they were written).

mod errors;
mod plain;
mod shapes;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::profile::Profile;
use errors::Errors;
use shapes::Schema;

pub(super) use plain::plain_connect;
pub use shapes::Params;

/// Holds a value to a shape.
///
/// # Errors
/// The validator's text, for example `at /client: must have required property 'mode'`.
pub fn validate(profile: &Profile, params: Params, value: &Value) -> Result<(), String> {
    let mut errors = Errors { parts: Vec::new(), count: 0, profile };
    errors.check(Schema::Object(params.fields()), value, "");
    if errors.parts.is_empty() { Ok(()) } else { Err(errors.parts.join("; ")) }
}
