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

use super::first_message::{Scratch, Sender};
use super::hello::{self, Hello};
use super::reconnect::Hints;
use crate::observation::{CloseSeen, Closed, Fingerprint, Grant, GrantAuth, Outcome, Phase, Refusal, Stamps};
use crate::plan::Nanos;

/// Longest text of a peer that is kept in an outcome, bytes.
const PEER_TEXT_MAX: usize = 300;

/// What the driver does next.
#[derive(Debug)]
pub enum Step<'m> {
    /// Read on.
    Wait,
    /// Send what stands in the scratch's message, tell [`Handshake::sent`], read on.
    Send,
    /// The attempt is over: a session.
    Session(Hello<'m>),
    /// The attempt is over.
    Done(Outcome),
}

#[derive(Debug)]
enum State {
    Challenge,
    Verdict,
    Close(Box<Refusal>),
}

/// One attempt from the upgrade to its end.
#[derive(Debug)]
pub struct Handshake {
    state: State,
    stamps: Stamps,
    hints: Hints,
}

/// A challenge as gateways write it, read in one pass.
#[derive(Deserialize)]
struct ChallengeFrame<'m> {
    #[serde(rename = "type")]
    kind: &'m str,
    event: &'m str,
    #[serde(borrow)]
    payload: ChallengePayload<'m>,
}

#[derive(Deserialize)]
struct ChallengePayload<'m> {
    nonce: &'m str,
    #[serde(rename = "ts")]
    _ts: u64,
}

impl Handshake {
    /// An attempt that has just been upgraded; `stamps` holds what the dial already knows.
    #[must_use]
    pub const fn new(stamps: Stamps) -> Self {
        Self {
            state: State::Challenge,
            stamps,
            hints: Hints { pause: None, retryable: None, retry_after: None },
        }
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

    /// What a refusal said about trying again.
    #[must_use]
    pub const fn hints(&self) -> Hints {
        self.hints
    }

    /// Times so far.
    #[must_use]
    pub const fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// TCP was connected at `now`.
    pub const fn dialled(&mut self, now: Nanos) {
        self.stamps.dialled = Some(now);
    }

    /// The upgrade was answered with 101 at `now`.
    pub const fn upgraded(&mut self, now: Nanos) {
        self.stamps.upgraded = Some(now);
    }

    /// The attempt ended at `now` before the handshake began.
    pub const fn ended(&mut self, now: Nanos) {
        self.stamps.ended = Some(now);
    }

    /// The first message was handed to the kernel at `now`.
    pub const fn sent(&mut self, now: Nanos) {
        self.stamps.sent = Some(now);
    }

    /// A text or binary message arrived at `now`; `wall_ms` is signed as `signedAt`.
    pub fn on_message<'m>(
        &mut self,
        sender: &Sender<'_>,
        message: &'m [u8],
        now: Nanos,
        wall_ms: u64,
        scratch: &mut Scratch,
    ) -> Step<'m> {
        match self.state {
            State::Challenge => self.on_challenge(sender, message, now, wall_ms, scratch),
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
                Outcome::Refused(*refusal)
            }
            State::Challenge => Outcome::Closed(Closed { close, phase: Phase::Challenge }),
            State::Verdict => Outcome::Closed(Closed { close, phase: Phase::Verdict }),
        }
    }

    /// The attempt's time is up at `now`.
    pub fn on_timeout(&mut self, now: Nanos) -> Outcome {
        self.stamps.ended = Some(now);
        match std::mem::replace(&mut self.state, State::Challenge) {
            State::Close(refusal) => Outcome::Refused(*refusal),
            State::Challenge => Outcome::TimedOut { phase: Phase::Challenge },
            State::Verdict => Outcome::TimedOut { phase: Phase::Verdict },
        }
    }

    fn on_challenge<'m>(
        &mut self,
        sender: &Sender<'_>,
        message: &[u8],
        now: Nanos,
        wall_ms: u64,
        scratch: &mut Scratch,
    ) -> Step<'m> {
        let Some(nonce) = nonce(message) else {
            return Step::Done(Outcome::NotAGateway {
                what: format!("its first message is no challenge: {}", cut(message)),
            });
        };
        self.stamps.challenged = Some(now);
        self.state = State::Verdict;
        scratch.message.clear();
        if sender.write_first_message(&nonce, wall_ms, scratch) { Step::Send } else { Step::Wait }
    }

    fn on_verdict<'m>(&mut self, message: &'m [u8], now: Nanos) -> Step<'m> {
        if let Some(hello) = hello::scan(message) {
            self.stamps.answered = Some(now);
            return Step::Session(hello);
        }
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
            return match hello::parse(response.payload) {
                Some(hello) => Step::Session(hello),
                None => {
                    Step::Done(Outcome::NotAGateway { what: "an acceptance that is no hello-ok".to_owned() })
                }
            };
        }
        let Some(error) = response.error else {
            return Step::Done(Outcome::NotAGateway { what: "a refusal without an error".to_owned() });
        };
        self.hints = Hints::of(&error);
        self.state = State::Close(Box::new(refusal(error)));
        Step::Wait
    }
}

/// The nonce of a challenge.
fn nonce(message: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(challenge) = serde_json::from_slice::<ChallengeFrame<'_>>(message)
        && (challenge.kind, challenge.event) == ("event", CHALLENGE_EVENT)
    {
        return Some(Cow::Borrowed(challenge.payload.nonce));
    }
    match Frame::decode(message) {
        Ok(Frame::Event(event)) if event.event == CHALLENGE_EVENT => {
            let challenge = serde_json::from_str::<Challenge>(event.payload?.get()).ok()?;
            Some(Cow::Owned(challenge.nonce))
        }
        _ => None,
    }
}

/// What hello-ok granted; `token` is the fingerprint of the token that it issued.
#[must_use]
pub fn grant(hello: &Hello<'_>, token: Option<Fingerprint>) -> Grant {
    Grant {
        protocol: hello.protocol,
        auth: hello.auth.as_ref().map(|auth| GrantAuth {
            token,
            role: (*auth.role).to_owned(),
            scopes: auth.scopes.iter().map(|scope| (**scope).to_owned()).collect(),
        }),
    }
}

/// A refusal as it is kept.
#[must_use]
pub fn refusal(error: ErrorShape) -> Refusal {
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
    use crate::observation::fingerprint;
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

    /// Drives a machine with messages one nanosecond apart; without an outcome the gateway closes in the end. Gives the
    /// outcome, the machine's stamps, the token issued and what was sent.
    fn drive(deviation: Deviation, messages: &[&[u8]]) -> (Outcome, Stamps, Option<String>, Vec<String>) {
        let (spec, key) = (spec(deviation), DeviceKey::from_seed(&[1; 32]).unwrap());
        let sender = Sender {
            spec: &spec,
            persona: persona::profile(Persona::Cli, protocol::ProfileName::Article),
            key: &key,
            credentials: Credentials::default(),
            template: None,
        };
        let mut machine = Handshake::new(Stamps::default());
        let mut scratch = Scratch::default();
        let (mut ended, mut token, mut sent) = (None, None, Vec::new());
        for (now, message) in (1..).zip(messages) {
            match machine.on_message(&sender, message, now, 1_795_414_744_648, &mut scratch) {
                Step::Wait => {}
                Step::Send => {
                    sent.push(String::from_utf8(scratch.message.clone()).unwrap());
                    machine.sent(now);
                }
                Step::Session(hello) => {
                    token =
                        hello.auth.as_ref().and_then(|auth| auth.device_token.as_deref()).map(str::to_owned);
                    ended = Some(Outcome::Session(grant(&hello, token.as_deref().map(fingerprint))));
                }
                Step::Done(outcome) => ended = Some(outcome),
            }
        }
        let close = CloseSeen::Frame { code: 1008, reason: "pairing required".to_owned() };
        let ended = ended.unwrap_or_else(|| machine.on_close(close, 99));
        (ended, *machine.stamps(), token, sent)
    }

    #[test]
    fn a_session_keeps_the_token_out_of_the_outcome() {
        let (step, stamps, token, _) = drive(Deviation::None, &[CHALLENGE, HELLO]);
        let Outcome::Session(grant) = step else { panic!("{step:?}") };
        assert_eq!(grant.protocol, 3);
        assert_eq!(grant.auth.unwrap().token, Some(fingerprint("tok-en")));
        assert_eq!(token.as_deref(), Some("tok-en"));
        assert_eq!((stamps.challenged, stamps.sent, stamps.answered), (Some(1), Some(1), Some(2)));
    }

    #[test]
    fn a_refusal_waits_for_its_close() {
        let (step, stamps, _, _) = drive(Deviation::None, &[CHALLENGE, NOT_PAIRED]);
        let Outcome::Refused(refusal) = step else { panic!("{step:?}") };
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
        assert!(matches!(step, Outcome::Session(_)), "{step:?}");
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
            assert!(matches!(step, Outcome::NotAGateway { .. }), "{step:?}");
        }
    }

    #[test]
    fn a_close_without_an_answer_says_what_was_awaited() {
        let (step, _, _, _) = drive(Deviation::Silent, &[CHALLENGE]);
        let Outcome::Closed(closed) = step else { panic!("{step:?}") };
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
