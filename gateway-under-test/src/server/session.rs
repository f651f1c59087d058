//! A session, from hello to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::Close;
use protocol::close::{code, reason};
use protocol::pairing::{Shutdown, event};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::Gateway;
use super::rpc::{self, Caller};
use super::sessions::{Ending, Inlet};
use super::socket::{Incoming, Socket};
use crate::profile::StopRule;

/// Requests of one session in progress at once; further ones wait in the socket.
const SERVING_MAX: usize = 256;

/// Who the session belongs to.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) caller: crate::policy::Caller,
}

/// What a session begins with.
pub(super) struct Start {
    pub(super) socket: Socket,
    pub(super) inlet: Inlet,
    /// Messages that came before hello and are served after it, in this order.
    pub(super) queued: VecDeque<Bytes>,
}

/// Serves a session until one side ends it; gives the close code for the log.
pub(super) async fn run(gateway: &Arc<Gateway>, start: Start, who: &Identity) -> u16 {
    let Start { mut socket, mut inlet, queued } = start;
    let draining = gateway.draining();
    tokio::pin!(draining);
    let outlet = inlet.outlet();
    let linger = gateway.durations.linger;
    // A session's own: one that does not read its listing must not keep it from the others. Before `serving`, whose
    // requests borrow it.
    let listing = tokio::sync::Mutex::new(());
    let listing = &listing;
    // Requests of one session are served side by side, as Node does: approvals that arrive together then share a commit
    // instead of waiting for one another's.
    let mut serving = FuturesUnordered::new();
    let serve = |message: Bytes| async move {
        let caller = Caller { who: &who.caller, listing };
        rpc::serve(gateway, caller, &message).await
    };
    for message in queued {
        serving.push(serve(message));
    }
    loop {
        tokio::select! {
            // Order matters: a session that must go is not served first.
            biased;
            () = &mut draining => {
                while let Some(text) = inlet.try_next() {
                    socket.send(text);
                }
                if let Some(text) = gateway.sessions.event(&outlet, event::SHUTDOWN, &shutdown(gateway)) {
                    socket.send(text);
                }
                socket.close(&Close::cut(code::SERVICE_RESTART, reason::SERVICE_RESTART), linger).await;
                return code::SERVICE_RESTART;
            }
            ending = outlet.ends() => {
                let close = match ending {
                    Ending::Slow => Close::cut(code::POLICY, "slow consumer"),
                    Ending::Removed => Close::cut(code::DEVICE_REMOVED, "device removed"),
                };
                socket.close(&close, linger).await;
                return close.code;
            }
            Some(text) = inlet.next(), if !socket.is_backlogged() => socket.send(text),
            // Answers are only finished while the peer takes them, so that it cannot make a heap of them.
            Some(served) = serving.next(), if !socket.is_backlogged() => {
                // Events of what was just done go out before its answer.
                while let Some(text) = inlet.try_next() {
                    socket.send(text);
                }
                if let Some(text) = served.answer {
                    socket.send(text);
                }
                // Only now: who ends its own session still gets the answer.
                if let Some((device_id, role)) = served.ended {
                    gateway.sessions.remove_device(&device_id, role.as_deref());
                }
            }
            // While backlogged it sends and does not read, and that must go on however many requests wait.
            incoming = socket.next(), if serving.len() < SERVING_MAX || socket.is_backlogged() => match incoming {
                Incoming::Message(message) => serving.push(serve(message)),
                Incoming::Close(frame) => {
                    socket.finish(linger).await;
                    return frame.map_or(1005, |(code, _)| code);
                }
                Incoming::CaughtUp => {}
                Incoming::Ended => return code::ABNORMAL,
                Incoming::TooBig => {
                    socket.close(&Close::cut(code::TOO_BIG, ""), linger).await;
                    return code::TOO_BIG;
                }
                Incoming::Broken(code) => {
                    socket.close(&Close::cut(code, ""), linger).await;
                    return code;
                }
            },
        }
    }
}

/// Payload of `shutdown`.
fn shutdown(gateway: &Gateway) -> Value {
    let reason = "gateway stopping".to_owned();
    match gateway.rules.profile.stop {
        StopRule::DropsHandshakes => json!(Shutdown { reason, restart_expected_ms: None }),
        StopRule::ClosesHandshakes { .. } => json!({"reason": reason}),
    }
}
