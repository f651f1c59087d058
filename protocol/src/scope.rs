//! Operator scope names (reference, sections 2.1 and 8.3). Which scope covers which is policy and stands elsewhere.

/// See status and logs.
pub const READ: &str = "operator.read";
/// Control the gateway.
pub const WRITE: &str = "operator.write";
/// Full control.
pub const ADMIN: &str = "operator.admin";
/// Answer approval prompts.
pub const APPROVALS: &str = "operator.approvals";
/// List, approve, reject, remove devices; rotate and revoke their tokens.
pub const PAIRING: &str = "operator.pairing";

/// The five scopes above.
pub const ALL: [&str; 5] = [READ, WRITE, ADMIN, APPROVALS, PAIRING];

/// The role that carries scopes.
pub const ROLE_OPERATOR: &str = "operator";
/// The role of device nodes, which carries none.
pub const ROLE_NODE: &str = "node";
