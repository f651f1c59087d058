//! What a refused `connect` is told, and which ones are well-formed.

/// Texts of the validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaStyle {
    /// All errors, joined by `; ` (ajv; 2.19 to 3.13).
    AllErrors,
    /// One error a keyword: of several missing or unexpected keys only the first is named (9.6).
    FirstOfEachKeyword,
}

/// Names and keys that a `connect` may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// Before protocol 4; the device's nonce may be absent where v1 is accepted.
    V3,
    /// With the client ids, modes and keys of 9.6.
    V4,
}

/// How much a refusal says beside its message. Each level holds all of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DetailLevel {
    /// `requestId` and `expectedProtocol`, nothing else (2.19, 2.21).
    Ids,
    /// `code`, `reason`, `authReason`; one code for all device errors (2.22, article).
    Codes,
    /// A code a device error, `recommendedNextStep`, `canRetryWithDeviceToken`, a code for origins (3.13).
    NextSteps,
    /// Hints, what is asked and what is approved; messages with the requirement; a code for protocols (9.6).
    Hints,
}
