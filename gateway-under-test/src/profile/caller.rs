//! Who is calling, as far as a gateway can tell.

/// Which `X-Forwarded-For` entry names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedChoice {
    /// The leftmost, whatever it is (2.19).
    Leftmost,
    /// The rightmost that is no trusted proxy; an entry that is no address makes the client unknown (article).
    RightmostUntrusted,
    /// The rightmost address that is no trusted proxy; entries that are no address are passed over (2.21 to 3.13).
    RightmostUntrustedAddress,
    /// As before, and loopback addresses are passed over too (9.6).
    RightmostUntrustedRemote,
}

/// Whether `X-Real-IP` of a trusted proxy counts without `gateway.allowRealIpFallback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealIpRule {
    /// Yes (2.19).
    Always,
    /// Only with that setting.
    WhenAllowed,
}

/// What a CIDR entry of `gateway.trustedProxies` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CidrEntries {
    /// It never matches, and nobody is told (article).
    NeverMatch,
    /// It matches IPv4 addresses (2.19 to 2.22).
    MatchV4,
    /// It matches (3.13, 9.6).
    Match,
    /// It matches whatever has the same two first bytes: no release, a defect.
    TooWide,
}

/// Who is local, and what becomes of clients whose address cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalityRule {
    /// Loopback client and a `Host` of `localhost`, 127.0.0.1, `::1` or `*.ts.net`, and no forwarding header unless from
    /// a trusted proxy; whoever cannot be attributed is remote (2.19, 2.21).
    NamedHost,
    /// Likewise with any loopback address as `Host` (2.22, 3.13, article).
    LoopbackHost,
    /// A loopback peer without forwarding headers is local, whatever its `Host`; forwarding headers that cannot be
    /// attributed are refused with HTTP 403 (9.6).
    DirectOrAttributed,
}

/// Which address of a client is kept with its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptAddress {
    /// That of every client that is not local (article).
    NotLocal,
    /// Likewise, but no loopback address, and none where an untrusted peer forwards (2.19 to 9.6).
    NotLoopback,
}

/// Whose `Origin` is looked at, and which are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginRule {
    /// Control UI and mode web chat; the `Host`'s own, default ports filled in, and loopback on loopback (article).
    BrowsersSamePort,
    /// Control UI and web chat; the `Host`'s own as it stands, and loopback on loopback (2.19 to 2.22).
    BrowsersSameHost,
    /// Also everybody who sends one; listed ones, and loopback for local clients (3.13).
    AnyoneListed,
    /// Also everybody who sends one; listed ones, a private `Host`'s own, and loopback for local clients (9.6).
    AnyonePrivateHost,
}

/// Who may connect without a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicelessRule {
    /// Any role with the shared secret; its scopes are dropped (2.19, 2.21).
    AnyRole,
    /// Operators with the shared secret; their scopes are dropped (2.22, 3.13).
    Operators,
    /// Likewise, but local command lines and helpers keep their scopes (9.6).
    OperatorsLocalKeepScopes,
}
