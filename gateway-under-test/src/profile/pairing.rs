//! Whom an entry lets in, what a request holds, and what an approval or a connect writes.

/// When held scopes cover asked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeCoverage {
    /// Plain set inclusion: nothing implies anything (2.19, article).
    Inclusion,
    /// `operator.read` is covered by read, write and admin; the rest is inclusion (2.21).
    ReadImplied,
    /// Admin covers every `operator.*`, write covers read (2.22, 3.13).
    AdminCoversOperator,
    /// Likewise; write also covers talk and sessions; a scope of another role is never covered (9.6).
    OwnRoleOnly,
}

/// How stored metadata binds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRule {
    /// A stored value must be claimed again; an entry without any is refused until a load finds a request of the
    /// device waiting (article).
    PinnedLegacyRepairedByLoad,
    /// Never compared; overwritten (2.19 to 2.22).
    Overwritten,
    /// A stored value must be claimed again (3.13).
    Pinned,
    /// Likewise, but new versions of an app's system and aliases of a node's are the same (9.6).
    PinnedWithAliases,
}

/// Which roles of an entry count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleRule {
    /// The approved ones.
    Approved,
    /// The approved ones that have an unrevoked token (9.6).
    WithToken,
}

/// What an entry without roles or scopes gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareEntries {
    /// What the checks say (2.19, article, 9.6).
    Checked,
    /// With neither `roles` nor `scopes`: no check of both (2.21).
    LetIn,
    /// `approvedScopes` stands in for absent `scopes` (2.22, 3.13).
    ApprovedStandsIn,
}

/// Who is approved without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilentRule {
    /// Local clients that are not paired, and nobody else (2.19, 2.21, article).
    LocalNotPaired,
    /// Local clients that are not paired or ask for more scopes (2.22).
    LocalNotPairedOrScope,
    /// Likewise, but with an `Origin` only control UI and web chat (3.13).
    LocalNotPairedOrScopeNoBrowser,
    /// Likewise; scopes only with shared secret or none, also new roles of operators, and an app's new metadata (9.6).
    NearLocal,
}

/// Who is let in without a look at the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipPairing {
    /// Nobody (2.19, 2.21, article).
    Nobody,
    /// Operators with the shared secret who are no browser (2.22).
    SharedOperators,
    /// Local helpers of the gateway with the shared secret (3.13).
    LocalHelpers,
    /// Local helpers by any credential, and control UIs in mode `none` (9.6).
    LocalHelpersAndOpenControlUi,
}

/// What a changed ask does to a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingMerge {
    /// Nothing: the first ask stays as it is (2.19).
    Frozen,
    /// Same id; roles and scopes grow to the union, the newest ask's role and metadata stand (article).
    Union,
    /// Same id; roles and scopes grow to the union, the first ask's role stands (2.21 to 3.13).
    UnionFirstRole,
    /// Same id while the ask is covered; a wider one replaces it under a new id, the old one is resolved (9.6).
    NewIdIfWider,
}

/// From when a request's age counts, and whether the last millisecond is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingAge {
    /// From `ts`; gone when as old as the limit (article).
    FromTsExclusive,
    /// From `ts`, which the merge rule refreshes or not; gone when older than the limit (2.19 to 3.13).
    FromTs,
    /// From the latest ask, which is kept beside `ts` and not shown; gone when older than the limit (9.6).
    FromLatestAsk,
}

/// Whether a connect is judged and recorded in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionSteps {
    /// One atomic step (article).
    Atomic,
    /// Judged on the entry, then recorded: what an operator approved between the two is not looked at (2.19 to 3.13).
    JudgeThenRecord,
    /// Judged, recorded, and judged again on the live entry before it is refused (9.6).
    JudgeRecordJudge,
}

/// What an approval puts into the entry and its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalRule {
    /// A token for every asked role, with all approved scopes; none for nodes (article).
    TokenPerRoleAllScopes,
    /// A token for the request's role, with its scopes; the entry gets no `approvedScopes` (2.19).
    RequestedScopes,
    /// Likewise, with `approvedScopes` (2.21).
    RequestedScopesKept,
    /// Likewise; a request without scopes keeps the old token's, else gets the approved ones (2.22, 3.13).
    RequestedOrHeldScopes,
    /// A token for every asked role: the old token's scopes and what is new; scopes of other roles cannot be approved (9.6).
    TokenPerRoleDelta,
}

/// What an accepted connect writes into the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRule {
    /// Nothing (article).
    Nothing,
    /// Names, platform, client, role, address; asked scopes and roles join the entry's (2.19 to 2.22).
    ClientAndAccess,
    /// Likewise, but not platform and family (3.13).
    Access,
    /// Name, address and when it was last seen (9.6).
    LastSeen,
}

/// When the token of a connect is issued, and with which scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueRule {
    /// Always; a new one unites asked scopes with those of the unrevoked old one (article).
    AlwaysUnited,
    /// Always; a new one has the asked scopes (2.19 to 2.22).
    AlwaysAsked,
    /// Only within the entry's approved scopes (3.13).
    WithinApproved,
    /// Likewise, only for approved roles; admin and write hold what they imply (9.6).
    WithinApprovedRole,
}
