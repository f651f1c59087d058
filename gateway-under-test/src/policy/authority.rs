//! What a session may call and hear (article profile, section 10).

use protocol::pairing::method;
use protocol::scope::{PAIRING, READ, ROLE_NODE};
use protocol::{ErrorCode, ErrorShape};

/// `health`.
pub const HEALTH: &str = "health";
/// `status`.
pub const STATUS: &str = "status";

/// Every method served, as hello lists them.
pub const METHODS: [&str; 8] = [
    HEALTH,
    STATUS,
    method::LIST,
    method::APPROVE,
    method::REJECT,
    method::REMOVE,
    method::ROTATE,
    method::REVOKE,
];

/// Whether a session of this role with these scopes may call the method.
///
/// # Errors
/// `INVALID_REQUEST` with OpenClaw's text.
pub fn authorize(role: &str, scopes: &[String], name: &str) -> Result<(), Box<ErrorShape>> {
    let invalid = |message: String| Err(Box::new(ErrorShape::new(ErrorCode::InvalidRequest, message)));
    if name == protocol::connect::METHOD {
        return invalid("connect is only valid as the first request".to_owned());
    }
    if name == HEALTH {
        return Ok(());
    }
    if role == ROLE_NODE {
        return invalid("unauthorized role: node".to_owned());
    }
    let needed = match name {
        STATUS => READ,
        method::LIST
        | method::APPROVE
        | method::REJECT
        | method::REMOVE
        | method::ROTATE
        | method::REVOKE => PAIRING,
        unknown => return invalid(format!("unknown method: {unknown}")),
    };
    if scopes.iter().any(|scope| scope == needed) {
        Ok(())
    } else {
        invalid(format!("missing scope: {needed}"))
    }
}

/// Whether a session hears pairing events.
#[must_use]
pub fn hears_pairing(role: &str, scopes: &[String]) -> bool {
    role != ROLE_NODE && scopes.iter().any(|scope| scope == PAIRING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_calls() {
        let admin = vec!["operator.admin".to_owned()];
        let pairing = vec![PAIRING.to_owned()];
        let read = vec![READ.to_owned()];
        let rows: &[(&str, &[String], &str, &str)] = &[
            ("operator", &[], HEALTH, ""),
            ("node", &[], HEALTH, ""),
            ("operator", &read, STATUS, ""),
            ("operator", &admin, STATUS, "missing scope: operator.read"),
            ("operator", &admin, method::LIST, "missing scope: operator.pairing"),
            ("operator", &pairing, method::APPROVE, ""),
            ("node", &pairing, method::APPROVE, "unauthorized role: node"),
            ("operator", &pairing, "no.such", "unknown method: no.such"),
            ("operator", &pairing, "connect", "connect is only valid as the first request"),
        ];
        for (role, scopes, name, message) in rows {
            let said = authorize(role, scopes, name).err().map(|error| error.message).unwrap_or_default();
            assert_eq!(said, *message, "{role} {name}");
        }
        for name in METHODS {
            let all: Vec<String> = protocol::scope::ALL.map(str::to_owned).to_vec();
            assert!(authorize("operator", &all, name).is_ok(), "{name} is listed but refused");
        }
        assert!(hears_pairing("operator", &pairing));
        assert!(!hears_pairing("node", &pairing));
        assert!(!hears_pairing("operator", &read));
    }
}
