//! The handshake as a state machine without sockets, clocks or randomness.
//!
//! ```text
//! challenge awaited --challenge--> verdict awaited --hello-ok--> session
//!                                        |---------error------> close awaited --close--> refused
//! ```
//! A close in any of them ends the attempt. Times come in with each call and are kept in [`Stamps`].

use std::borrow::Cow;

use protocol::connect::{CHALLENGE_EVENT, Challenge};
use protocol::{ErrorShape, Frame};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FirstMessage, Sender};
use crate::observation::fingerprint;
use crate::observation::{CloseSeen, Closed, Grant, GrantAuth, Outcome, Phase, Refusal, Stamps};
use crate::plan::Nanos;

/// Longest text of a peer that is kept in an outcome, bytes.
const PEER_TEXT_MAX: usize = 300;

/// What the driver does next.
#[derive(Debug)]
pub enum Step {
    /// Read on.
    Wait,
    /// Send this, tell [`Handshake::sent`], read on.
    Send(FirstMessage),
    /// The attempt is over.
    Done(Outcome),
}

#[derive(Debug)]
enum State {
    Challenge,
    Verdict,
    Close(Refusal),
}

/// One attempt from the upgrade to its end.
pub struct Handshake<'a> {
    sender: Sender<'a>,
    state: State,
    stamps: Stamps,
    issued_token: Option<String>,
}

/// The part of hello-ok that matters, borrowed: the rest (method lists, snapshot) is skipped, not built.
#[derive(Deserialize)]
struct HelloView<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    protocol: u32,
    #[serde(borrow, default)]
    auth: Option<HelloAuthView<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HelloAuthView<'a> {
    #[serde(borrow, default)]
    device_token: Option<Cow<'a, str>>,
    role: String,
    scopes: Vec<String>,
}

impl<'a> Handshake<'a> {
    /// An attempt that has just been upgraded; `stamps` holds what the dial already knows.
    #[must_use]
    pub const fn new(sender: Sender<'a>, stamps: Stamps) -> Self {
        Self { sender, state: State::Challenge, stamps, issued_token: None }
    }

    /// What is awaited.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Challenge => Phase::Challenge,
            State::Verdict => Phase::Verdict,
            State::Close(_) => Phase::Close,
        }
    }

    /// Times so far.
    #[must_use]
    pub const fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// Whether this client sends its frames as binary messages.
    #[must_use]
    pub const fn sends_binary(&self) -> bool {
        self.sender.persona.binary
    }

    /// The device token that hello-ok issued; a secret.
    pub const fn take_issued_token(&mut self) -> Option<String> {
        self.issued_token.take()
    }

    /// The first message was handed to the kernel at `now`.
    pub const fn sent(&mut self, now: Nanos) {
        self.stamps.sent = Some(now);
    }

    /// A text or binary message arrived at `now`; `wall_ms` is signed as `signedAt`.
    pub fn on_message(&mut self, message: &[u8], now: Nanos, wall_ms: u64) -> Step {
        match self.state {
            State::Challenge => self.on_challenge(message, now, wall_ms),
            State::Verdict => self.on_verdict(message, now),
            // Whatever follows an error frame changes nothing; only the close is awaited.
            State::Close(_) => Step::Wait,
        }
    }

    /// The connection ended at `now`.
    pub fn on_close(&mut self, close: CloseSeen, now: Nanos) -> Outcome {
        self.stamps.ended = Some(now);
        match std::mem::replace(&mut self.state, State::Challenge) {
            State::Close(mut refusal) => {
                refusal.close = Some(close);
                Outcome::Refused(refusal)
            }
            State::Challenge => Outcome::Closed(Closed { close, phase: Phase::Challenge }),
            State::Verdict => Outcome::Closed(Closed { close, phase: Phase::Verdict }),
        }
    }

    /// The attempt's time is up at `now`.
    pub fn on_timeout(&mut self, now: Nanos) -> Outcome {
        self.stamps.ended = Some(now);
        match std::mem::replace(&mut self.state, State::Challenge) {
            State::Close(refusal) => Outcome::Refused(refusal),
            State::Challenge => Outcome::TimedOut { phase: Phase::Challenge },
            State::Verdict => Outcome::TimedOut { phase: Phase::Verdict },
        }
    }

    fn on_challenge(&mut self, message: &[u8], now: Nanos, wall_ms: u64) -> Step {
        let challenge = match Frame::decode(message) {
            Ok(Frame::Event(event)) if event.event == CHALLENGE_EVENT => {
                event.payload.and_then(|payload| serde_json::from_str::<Challenge>(payload.get()).ok())
            }
            _ => None,
        };
        let Some(challenge) = challenge else {
            return Step::Done(Outcome::NotAGateway {
                what: format!("its first message is no challenge: {}", cut(message)),
            });
        };
        self.stamps.challenged = Some(now);
        self.state = State::Verdict;
        match self.sender.first_message(&challenge.nonce, wall_ms) {
            FirstMessage::Nothing => Step::Wait,
            message => Step::Send(message),
        }
    }

    fn on_verdict(&mut self, message: &[u8], now: Nanos) -> Step {
        let response = match Frame::decode(message) {
            Ok(Frame::Response(response)) => response,
            // Events may come before the answer (ticks, presence); they are not for a handshake.
            Ok(Frame::Event(_)) => return Step::Wait,
            Ok(Frame::Request(_)) | Err(_) => {
                return Step::Done(Outcome::NotAGateway {
                    what: format!("its answer is no response: {}", cut(message)),
                });
            }
        };
        self.stamps.answered = Some(now);
        if response.ok {
            return Step::Done(self.accepted(response.payload));
        }
        let Some(error) = response.error else {
            return Step::Done(Outcome::NotAGateway { what: "a refusal without an error".to_owned() });
        };
        self.state = State::Close(refusal(error));
        Step::Wait
    }

    fn accepted(&mut self, payload: Option<&RawValue>) -> Outcome {
        let text = payload.map_or("null", RawValue::get);
        match serde_json::from_str::<HelloView<'_>>(text) {
            Ok(hello) if hello.kind == protocol::hello::TYPE => {
                let token = hello.auth.as_ref().and_then(|auth| auth.device_token.as_deref());
                self.issued_token = token.map(str::to_owned);
                Outcome::Session(Grant {
                    protocol: hello.protocol,
                    auth: hello.auth.map(|auth| GrantAuth {
                        token: auth.device_token.as_deref().map(fingerprint),
                        role: auth.role,
                        scopes: auth.scopes,
                    }),
                })
            }
            _ => Outcome::NotAGateway { what: "an acceptance that is no hello-ok".to_owned() },
        }
    }
}

fn refusal(error: ErrorShape) -> Refusal {
    let details = error.details.unwrap_or_default();
    Refusal {
        code: bounded(error.code.as_str()),
        message: bounded(&error.message),
        detail_code: details.code.map(|code| bounded(code.as_str())),
        reason: details.reason.as_deref().map(bounded),
        auth_reason: details.auth_reason.as_deref().map(bounded),
        next_step: details.recommended_next_step.as_deref().map(bounded),
        request_id: details.request_id.as_deref().map(bounded),
        close: None,
    }
}

/// A peer's text, cut so that a hostile one cannot fill our memory.
#[must_use]
pub fn bounded(text: &str) -> String {
    let mut end = text.len().min(PEER_TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = text.get(..end).unwrap_or_default();
    // The mark tells a redactor that a secret may have lost its end here.
    if end < text.len() { format!("{shown}…") } else { shown.to_owned() }
}

fn cut(message: &[u8]) -> String {
    let shown = message.get(..message.len().min(80)).unwrap_or_default();
    let mark = if shown.len() < message.len() { "…" } else { "" };
    format!("{}{mark}", String::from_utf8_lossy(shown).escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Credentials, DeviceKey};
    use crate::plan::{ConnectSpec, Credential, Deviation, NetworkPath, Persona, SignatureVersion};
    use crate::vocabulary::persona;

    const CHALLENGE: &[u8] =
        br#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n-1","ts":1795414744648}}"#;
    /// As 2026.3.13 sent it (b01-remote-not-paired-lifecycle).
    const NOT_PAIRED: &[u8] = br#"{"type":"res","id":"1","ok":false,"error":{"code":"NOT_PAIRED","message":"pairing required","details":{"code":"PAIRING_REQUIRED","requestId":"fde15cc0-7133-40cc-a976-a1eff613f9b6","reason":"not-paired"}}}"#;
    const HELLO: &[u8] = br#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3,"server":{"version":"2026.3.13","connId":"c"},"features":{"methods":[],"events":[]},"snapshot":{},"auth":{"deviceToken":"tok-en","role":"operator","scopes":["operator.read"],"issuedAtMs":1},"policy":{"maxPayload":1,"maxBufferedBytes":1,"tickIntervalMs":1}}}"#;

    fn spec(deviation: Deviation) -> ConnectSpec {
        ConnectSpec {
            persona: Persona::Cli,
            role: None,
            scopes: Some(vec!["operator.read".to_owned()]),
            platform: "linux".to_owned(),
            device_family: None,
            credential: Credential::Missing,
            path: NetworkPath::Direct,
            origin: None,
            deviation,
            signature: SignatureVersion::V3,
        }
    }

    /// Drives a machine with messages one nanosecond apart and gives its last step and the machine's stamps.
    fn drive(deviation: Deviation, messages: &[&[u8]]) -> (Step, Stamps, Option<String>, Vec<String>) {
        let (spec, key) = (spec(deviation), DeviceKey::from_seed(&[1; 32]).unwrap());
        let credentials = Credentials::default();
        let sender = Sender {
            spec: &spec,
            persona: persona::profile(Persona::Cli, protocol::ProfileName::Article),
            key: &key,
            credentials: &credentials,
        };
        let mut machine = Handshake::new(sender, Stamps::default());
        let (mut step, mut sent) = (Step::Wait, Vec::new());
        for (now, message) in (1..).zip(messages) {
            step = machine.on_message(message, now, 1_795_414_744_648);
            if let Step::Send(FirstMessage::Text(text)) = &step {
                sent.push(text.clone());
                machine.sent(now);
            }
        }
        let token = machine.take_issued_token();
        if matches!(step, Step::Wait) {
            let close = CloseSeen::Frame { code: 1008, reason: "pairing required".to_owned() };
            step = Step::Done(machine.on_close(close, 99));
        }
        (step, *machine.stamps(), token, sent)
    }

    #[test]
    fn a_session_keeps_the_token_out_of_the_outcome() {
        let (step, stamps, token, _) = drive(Deviation::None, &[CHALLENGE, HELLO]);
        let Step::Done(Outcome::Session(grant)) = step else { panic!("{step:?}") };
        assert_eq!(grant.protocol, 3);
        assert_eq!(grant.auth.unwrap().token, Some(fingerprint("tok-en")));
        assert_eq!(token.as_deref(), Some("tok-en"));
        assert_eq!((stamps.challenged, stamps.sent, stamps.answered), (Some(1), Some(1), Some(2)));
    }

    #[test]
    fn a_refusal_waits_for_its_close() {
        let (step, stamps, _, _) = drive(Deviation::None, &[CHALLENGE, NOT_PAIRED]);
        let Step::Done(Outcome::Refused(refusal)) = step else { panic!("{step:?}") };
        assert_eq!(refusal.reason.as_deref(), Some("not-paired"));
        assert_eq!(refusal.request_id.as_deref(), Some("fde15cc0-7133-40cc-a976-a1eff613f9b6"));
        assert_eq!(
            refusal.close,
            Some(CloseSeen::Frame { code: 1008, reason: "pairing required".to_owned() })
        );
        assert_eq!((stamps.answered, stamps.ended), (Some(2), Some(99)));
    }

    #[test]
    fn events_before_the_answer_are_not_for_the_handshake() {
        let tick = br#"{"type":"event","event":"tick","payload":{"ts":1},"seq":4}"#;
        let (step, _, _, _) = drive(Deviation::None, &[CHALLENGE, tick, HELLO]);
        assert!(matches!(step, Step::Done(Outcome::Session(_))), "{step:?}");
    }

    #[test]
    fn what_speaks_otherwise_is_no_gateway() {
        for messages in [
            &[&b"hello"[..]][..],
            &[HELLO],
            &[CHALLENGE, b"{}"],
            &[CHALLENGE, br#"{"type":"res","id":"1","ok":true}"#],
        ] {
            let (step, _, _, _) = drive(Deviation::None, messages);
            assert!(matches!(step, Step::Done(Outcome::NotAGateway { .. })), "{step:?}");
        }
    }

    #[test]
    fn a_close_without_an_answer_says_what_was_awaited() {
        let (step, _, _, _) = drive(Deviation::Silent, &[CHALLENGE]);
        let Step::Done(Outcome::Closed(closed)) = step else { panic!("{step:?}") };
        assert_eq!(closed.phase, Phase::Verdict);
    }

    #[test]
    fn every_deviation_sends_what_it_says() {
        let first = |deviation| drive(deviation, &[CHALLENGE]).3;
        assert!(first(Deviation::Silent).is_empty());
        assert_eq!(first(Deviation::NotJson), ["{nope"]);
        assert_eq!(first(Deviation::Oversized(70_000)).first().map(String::len), Some(70_000));
        let params = |deviation| {
            let text = first(deviation).remove(0);
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["params"].clone()
        };
        assert_eq!(params(Deviation::UnknownKey)["bogus"], true);
        assert!(params(Deviation::NoDevice)["device"].is_null());
        assert_eq!(params(Deviation::Protocol { min: 4, max: 5 })["maxProtocol"], 5);
        assert_eq!(params(Deviation::BlankNonce)["device"]["nonce"], "   ");
        assert_eq!(params(Deviation::ClockSkew(-1_000))["device"]["signedAt"], 1_795_414_743_648_u64);
        assert_eq!(params(Deviation::None)["device"]["nonce"], "n-1");
        assert_ne!(
            params(Deviation::None)["device"]["signature"],
            params(Deviation::BadSignature)["device"]["signature"]
        );
    }
}
