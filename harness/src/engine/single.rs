//! One attempt on a tokio socket, for those who make one at a time: operators and the cast of a story.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::attempt::{Attempt, End, Terms, Who};
use super::conversation::Conversation;
use super::dial;
use super::event_loop::{CLOSE_WITHIN, EOF_WITHIN};
use super::opening::Opening;
use super::socket;
use super::workbench::Workbench;
use crate::client::handshake::grant;
use crate::clock::nanos;
use crate::gateway::TargetAddress;
use crate::observation::{Direction, Outcome, Stamps, fingerprint};

/// What an attempt needs to know.
pub struct Single<'a> {
    /// Which attempt of which client.
    pub who: Who,
    /// Where.
    pub target: &'a TargetAddress,
    /// From which address; `None` leaves it to the kernel.
    pub source: Option<Ipv4Addr>,
    /// The upgrade request.
    pub opening: &'a Opening,
    /// What is sent first, and how much is read.
    pub terms: Terms<'a>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What an attempt leaves behind.
pub struct Ended {
    /// When things happened.
    pub stamps: Stamps,
    /// How it ended.
    pub outcome: Outcome,
    /// The session, when the outcome is one.
    pub session: Option<Conversation>,
    /// The device token that hello-ok issued; a secret.
    pub issued_token: Option<String>,
}

impl Single<'_> {
    /// Makes the attempt.
    pub async fn make(self, bench: &RefCell<Workbench>) -> Ended {
        let clock = bench.borrow().clock;
        let started = clock.now();
        let deadline = clock.instant(started + nanos(self.timeout));
        let random = bench.borrow_mut().key();
        let mut attempt = Attempt::new(self.who, started, random);
        let over = |attempt: &Attempt, outcome| Ended {
            stamps: *attempt.stamps(),
            outcome,
            session: None,
            issued_token: None,
        };
        let mut stream = match timeout_at(deadline, dial::dial(self.target.socket, self.source)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(outcome)) => {
                let outcome = attempt.fail(outcome, clock.now());
                return over(&attempt, outcome);
            }
            Err(_) => {
                let outcome = attempt.on_timeout(clock.now());
                return over(&attempt, outcome);
            }
        };
        attempt.dialled(clock.now());
        let mut out = Vec::new();
        {
            let mut bench = bench.borrow_mut();
            bench.out.clear();
            attempt.open(self.opening, &mut bench);
            std::mem::swap(&mut out, &mut bench.out);
        }
        let mut received = Vec::new();
        loop {
            let until = match attempt.stamps().answered {
                Some(answered) if attempt.awaits_close() => {
                    deadline.min(clock.instant(answered + nanos(CLOSE_WITHIN)))
                }
                _ => deadline,
            };
            match timeout_at(until, exchange(&mut stream, &mut out, &mut received)).await {
                Err(_) => {
                    let outcome = attempt.on_timeout(clock.now());
                    return over(&attempt, outcome);
                }
                Ok(Exchange::Broken(error)) => {
                    let outcome = attempt.fail(socket::broken(&error, true), clock.now());
                    return over(&attempt, outcome);
                }
                Ok(Exchange::Received { ended, unsent }) => {
                    if let Some(error) = unsent {
                        // A gateway may answer an oversized message before it was read whole; the answer is still there to
                        // be read.
                        let text = error.to_string();
                        bench.borrow_mut().note(self.who, clock.now(), Direction::Note, text.as_bytes());
                    }
                    let mut session = None;
                    let mut issued_token = None;
                    let mut accept = |hello: &crate::client::Hello<'_>, _: &Stamps| {
                        let token = hello.auth.as_ref().and_then(|auth| auth.device_token.as_deref());
                        session = Some(grant(hello, token.map(fingerprint)));
                        issued_token = token.map(str::to_owned);
                    };
                    let came = {
                        let mut bench = bench.borrow_mut();
                        bench.out.clear();
                        let came = attempt.receive(&self.terms, &mut bench, &received, ended, &mut accept);
                        out.extend_from_slice(&bench.out);
                        came
                    };
                    received.drain(..came.consumed.min(received.len()));
                    match came.end {
                        None => {}
                        Some(End::Over(outcome)) => return over(&attempt, outcome),
                        Some(End::Closing(outcome)) => {
                            finish_closing(&mut stream, &out).await;
                            return over(&attempt, outcome);
                        }
                        Some(End::Session) => {
                            let stamps = *attempt.stamps();
                            let bytes_max = self.terms.message_bytes_max;
                            let reader = attempt.into_reader();
                            let kept = Conversation::new(stream, reader, received, clock, bytes_max);
                            let outcome = session.map_or_else(
                                || Outcome::NotAGateway { what: "an acceptance without a grant".to_owned() },
                                Outcome::Session,
                            );
                            return Ended { stamps, outcome, session: Some(kept), issued_token };
                        }
                    }
                }
            }
        }
    }
}

enum Exchange {
    /// Bytes came, or the stream ended. What was to be sent before may have failed to go.
    Received { ended: bool, unsent: Option<std::io::Error> },
    /// It broke.
    Broken(std::io::Error),
}

/// Sends what is to be sent while it waits for something to come: a gateway may answer before it has read everything.
async fn exchange(stream: &mut TcpStream, out: &mut Vec<u8>, received: &mut Vec<u8>) -> Exchange {
    let (mut read, mut write) = stream.split();
    let mut unsent = None;
    loop {
        tokio::select! {
            written = write.write(out), if !out.is_empty() => match written {
                Ok(written) if written > 0 => { out.drain(..written); }
                Ok(_) => out.clear(),
                Err(error) => {
                    out.clear();
                    unsent = Some(error);
                }
            },
            came = read.read_buf(received) => return match came {
                Ok(came) => Exchange::Received { ended: came == 0, unsent },
                Err(error) => Exchange::Broken(error),
            },
        }
    }
}

/// Answers the gateway's close and lets it end the connection.
async fn finish_closing(stream: &mut TcpStream, out: &[u8]) {
    let _ = tokio::time::timeout(EOF_WITHIN, async {
        if stream.write_all(out).await.is_ok() {
            let mut rest = [0; 1024];
            while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
        }
    })
    .await;
}
