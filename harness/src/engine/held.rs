//! A session that is held while other things happen: read all the time, and called or left when asked.

use std::time::Duration;

use protocol::Frame;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::conversation::{Conversation, Said};
use super::ears::Listener;
use crate::history::EndedBy;
use crate::observation::CloseSeen;

/// How long a call may take. 2026.9.6 answers some after a delay of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The end by which a held session is asked for something.
#[derive(Debug, Clone)]
pub struct Held {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Call { method: String, params: serde_json::Value, answer: oneshot::Sender<Vec<u8>> },
    Leave(oneshot::Sender<()>),
}

/// A call has no answer: the session is over, or none came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call has no answer")]
pub struct NoAnswer;

impl Held {
    /// A handle and the work that keeps the session; the work ends with the session and says who ended it.
    pub fn new(conversation: Conversation) -> (Self, impl Future<Output = EndedBy>) {
        Self::listening(conversation, None)
    }

    /// The same, of a client whose session `listener` listens on.
    pub(super) fn listening(
        conversation: Conversation,
        listener: Option<Listener>,
    ) -> (Self, impl Future<Output = EndedBy>) {
        let (orders, received) = mpsc::unbounded_channel();
        (Self { orders }, keep(conversation, received, listener))
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.orders.is_closed()
    }

    /// Calls a method and waits for the bytes of its response frame.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn call(&self, method: &str, params: &impl Serialize) -> Result<Vec<u8>, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Call { method: method.to_owned(), params: json!(params), answer };
        self.orders.send(order).map_err(|_| NoAnswer)?;
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(NoAnswer),
        }
    }

    /// Leaves, and waits until that is done.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.orders.send(Order::Leave(done)).is_ok() {
            let _ = left.await;
        }
    }
}

async fn keep(
    mut conversation: Conversation,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut listener: Option<Listener>,
) -> EndedBy {
    let mut next_id = 1_u64;
    let mut waiting: Option<(String, oneshot::Sender<Vec<u8>>)> = None;
    loop {
        tokio::select! {
            said = conversation.next() => {
                let bytes = match said {
                    Said::Message(bytes) => bytes,
                    Said::Over(close) => return EndedBy::Gateway(close),
                };
                if let Some(listener) = &mut listener {
                    listener.hear(&bytes);
                }
                let is_answer = match (Frame::decode(&bytes), &waiting) {
                    (Ok(Frame::Response(response)), Some((id, _))) => response.id == id.as_str(),
                    _ => false,
                };
                if is_answer && let Some((_, answer)) = waiting.take() {
                    // Who asked may have stopped waiting.
                    let _ = answer.send(bytes);
                }
            }
            order = orders.recv() => match order {
                Some(Order::Call { method, params, answer }) => {
                    // The first request of the connection was its `connect`.
                    next_id += 1;
                    let id = next_id.to_string();
                    let text = json!({"type": "req", "id": id, "method": method, "params": params}).to_string();
                    waiting = Some((id, answer));
                    if conversation.send(&text).await.is_err() {
                        return EndedBy::Gateway(CloseSeen::Abrupt);
                    }
                }
                Some(Order::Leave(done)) => {
                    conversation.leave().await;
                    let _ = done.send(());
                    return EndedBy::Client;
                }
                // Nobody is left who could ask.
                None => {
                    conversation.leave().await;
                    return EndedBy::Client;
                }
            }
        }
    }
}
