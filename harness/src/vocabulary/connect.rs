//! What a client sends to get in: who it says it is, with what, by which way, and what is wrong with it.

use std::net::Ipv4Addr;

/// One connect request, as all clients of a cohort make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSpec {
    /// Which official client is imitated.
    pub persona: Persona,
    /// `role`; `None` leaves the key out.
    pub role: Option<String>,
    /// `scopes`, in the order sent and signed; `None` leaves the key out.
    pub scopes: Option<Vec<String>>,
    /// `client.platform`.
    pub platform: String,
    /// `client.deviceFamily`.
    pub device_family: Option<String>,
    /// Credential presented.
    pub credential: Credential,
    /// How the gateway is reached.
    pub path: NetworkPath,
    /// `Origin` header; `None` sends none.
    pub origin: Option<Origin>,
    /// What is deliberately wrong, if anything.
    pub deviation: Deviation,
    /// Payload version that is signed.
    pub signature: SignatureVersion,
}

/// Signature payload version a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVersion {
    /// Nonce, no metadata.
    V2,
    /// Nonce and metadata.
    V3,
}

/// An official client that is imitated; ids, modes, platforms, headers and default scopes in [`persona`](super::persona).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Persona {
    /// `cli`/`cli`
    Cli,
    /// `openclaw-macos`/`ui`
    MacOsApp,
    /// `openclaw-ios`/`node`
    Ios,
    /// `openclaw-android`/`node`
    Android,
    /// `node-host`/`node`
    NodeHost,
    /// `openclaw-control-ui`/`webchat`, in a browser
    ControlUi,
    /// `webchat`/`webchat`, in a browser
    Webchat,
    /// `gateway-client`/`backend`
    Backend,
}

/// Credential a client presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The gateway's shared token in `auth.token`.
    SharedToken,
    /// A token that is not the gateway's, in `auth.token`.
    WrongToken,
    /// The gateway's password in `auth.password`.
    Password,
    /// A password that is not the gateway's.
    WrongPassword,
    /// The device token last received, in `auth.deviceToken`; the shared secret until there is one.
    DeviceToken,
    /// The first device token received (or stored), even after it was replaced; the shared secret until there is one.
    FirstDeviceToken,
    /// A made-up `auth.deviceToken` and nothing else.
    ForgedDeviceToken,
    /// No `auth` key.
    Missing,
}

/// How a client's connection reaches the gateway. Addresses carry meaning (ARCHITECTURE.md, "Addresses").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPath {
    /// Dialled from 127.1.0.0/16 without forwarding headers: a direct local client.
    Direct,
    /// Dialled from a proxy address with forwarding headers.
    Proxy {
        /// Peer address the gateway sees: 127.2.0.0/16 if meant as trusted, 127.3.0.0/16 if not.
        from: Ipv4Addr,
        /// `X-Forwarded-For`.
        forwarded_for: ForwardedFor,
        /// `Host` header; `None` = the address dialled, with its port.
        host: Option<String>,
    },
}

/// Content of `X-Forwarded-For`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardedFor {
    /// An address of the documentation ranges for each client ([`PlannedClient::forwarded`](super::PlannedClient::forwarded)).
    Own,
    /// This text for every client, for example `127.0.0.1, 203.0.113.7`.
    Fixed(String),
    /// No header.
    Absent,
}

/// `Origin` header of browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `http://` and the `Host` header sent.
    SameHost,
    /// This text.
    Fixed(String),
}

/// What is deliberately wrong with a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deviation {
    /// Nothing.
    None,
    /// No `device` object.
    NoDevice,
    /// `device.id` of another key.
    ForeignDeviceId,
    /// Signature over other bytes.
    BadSignature,
    /// Payload v1, which no profile here accepts with a nonce.
    SignatureV1,
    /// A nonce of the client's own making, correctly signed.
    WrongNonce,
    /// A nonce of spaces, correctly signed.
    BlankNonce,
    /// `signedAt` shifted by this many milliseconds, correctly signed.
    ClockSkew(i64),
    /// Protocol range.
    Protocol {
        /// `minProtocol`
        min: u32,
        /// `maxProtocol`
        max: u32,
    },
    /// An unknown key at the top of the parameters.
    UnknownKey,
    /// The first message is not JSON.
    NotJson,
    /// The first message is JSON, but no request frame.
    NotARequest,
    /// The first request is `health`.
    WrongMethod,
    /// The first message has this many bytes.
    Oversized(usize),
    /// Never answers the challenge.
    Silent,
}
