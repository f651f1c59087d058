//! An operator at work, before a gateway that a test plays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::desk::{Desk, DeskContext, identity};
use crate::clock::Clock;
use crate::engine::{Feed, Told};
use crate::gateway::TargetAddress;
use crate::plan::identity::Identities;
use crate::plan::{Approves, DurationRange};
use crate::record::test_support::Story;

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const LIST: &str = "device.pair.list";
const APPROVE: &str = "device.pair.approve";

struct Gateway {
    socket: WebSocketStream<TcpStream>,
}

impl Gateway {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut gateway = Self { socket: tokio_tungstenite::accept_async(stream).await.unwrap() };
        let nonce = json!({"nonce": "n", "ts": 1});
        gateway.say(&json!({"type": "event", "event": "connect.challenge", "payload": nonce})).await;
        let (id, method, _) = gateway.asked().await;
        assert_eq!(method, "connect");
        let hello = json!({"type": "hello-ok", "protocol": 3});
        gateway.say(&json!({"type": "res", "id": id, "ok": true, "payload": hello})).await;
        gateway
    }

    async fn say(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next request: its id, method and parameters.
    async fn asked(&mut self) -> (Value, String, Value) {
        let message = self.socket.next().await.unwrap().unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        (frame["id"].clone(), frame["method"].as_str().unwrap().to_owned(), frame["params"].clone())
    }

    /// Says that it cannot, now.
    async fn cannot(&mut self, id: &Value) {
        let error = json!({"code": "UNAVAILABLE", "message": "device store unavailable", "retryable": true});
        self.say(&json!({"type": "res", "id": id, "ok": false, "error": error})).await;
    }

    /// Lists the device as one that waits, or as paired.
    async fn list(&mut self, id: &Value, paired: bool) {
        let device = json!({
            "requestId": "r1", "deviceId": "d1", "publicKey": "k", "roles": [], "scopes": [], "silent": false,
            "isRepair": false, "ts": 1, "tokens": [], "createdAtMs": 1, "approvedAtMs": 1
        });
        let (pending, paired) = if paired { (vec![], vec![device]) } else { (vec![device], vec![]) };
        let list = json!({"pending": pending, "paired": paired});
        self.say(&json!({"type": "res", "id": id, "ok": true, "payload": list})).await;
    }
}

/// What an operator of one phone needs, at a gateway that listens there.
fn context(listener: &TcpListener, approves: Approves) -> DeskContext {
    let mut story = Story::new(&[("phones", 1)]);
    story.plan.time_scale = 0.01;
    story.plan.operators[0].approves = approves;
    story.plan.cohorts[0].reconnect.told = Some(DurationRange { min: Duration::ZERO, max: Duration::ZERO });
    DeskContext {
        plan: Arc::new(story.plan),
        clock: Clock::start(),
        target: TargetAddress::own(listener.local_addr().unwrap().port()),
        secret: "s".to_owned(),
        feed: Feed::new().0,
        told: Told::default(),
        devices: Arc::new(HashMap::from([("d1".to_owned(), 0)])),
        command_line: None,
    }
}

/// The operator, and the gateway after its connect.
async fn at_work(listener: &TcpListener, context: DeskContext) -> (Desk, Gateway) {
    let identity = identity(&Identities::reproducible(1), "owner", 0, &context.target).unwrap();
    let (desk, gateway) = tokio::join!(Desk::open(context, 0, identity), Gateway::accept(listener));
    (desk.unwrap(), gateway)
}

/// Lets an operator work before a gateway that answers the listing of this number, and the first approval, that it cannot;
/// what it was asked until it had been asked to approve twice.
async fn asked_of_a_gateway_that_cannot(approves: Approves, listing: usize) -> Vec<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (desk, mut gateway) = at_work(&listener, context(&listener, approves)).await;
    let (_stop, stopped) = watch::channel(false);
    let plays = async {
        let mut methods: Vec<String> = Vec::new();
        loop {
            let (id, method, params) = gateway.asked().await;
            let before = methods.iter().filter(|earlier| **earlier == method).count();
            methods.push(method);
            match (methods.last().map(String::as_str), before) {
                (Some(LIST), before) if before == listing => gateway.cannot(&id).await,
                (Some(LIST), _) => gateway.list(&id, false).await,
                (Some(APPROVE), 0) => {
                    assert_eq!(params["requestId"], "r1");
                    gateway.cannot(&id).await;
                }
                _ => return methods,
            }
        }
    };
    tokio::select! {
        methods = tokio::time::timeout(PATIENCE, plays) => methods.expect("it approves again"),
        _ = desk.work(stopped) => panic!("it left"),
    }
}

#[tokio::test]
async fn what_the_gateway_could_not_do_is_looked_for_and_asked_for_again() {
    let methods = asked_of_a_gateway_that_cannot(Approves::Each, 0).await;
    assert_eq!(methods, [LIST, LIST, APPROVE, LIST, APPROVE]);
}

#[tokio::test]
async fn whoever_approves_the_latest_does_not_forget_it_when_its_list_does_not_come() {
    let methods = asked_of_a_gateway_that_cannot(Approves::Latest, 1).await;
    assert_eq!(methods, [LIST, LIST, LIST, APPROVE, LIST, LIST, APPROVE]);
}

#[tokio::test]
async fn who_was_approved_without_a_word_is_told_once_the_list_says_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let context = context(&listener, Approves::Each);
    let poll = mio::Poll::new().unwrap();
    let inbox = context.told.inbox(Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()));
    let (desk, mut gateway) = at_work(&listener, context).await;
    let (_stop, stopped) = watch::channel(false);
    let plays = async {
        let (id, method, _) = gateway.asked().await;
        assert_eq!(method, LIST);
        gateway.list(&id, false).await;
        assert_eq!(gateway.asked().await.1, APPROVE);
        // It approves, and is killed before it says so.
        drop(gateway);
        let mut gateway = Gateway::accept(&listener).await;
        let (id, method, _) = gateway.asked().await;
        assert_eq!(method, LIST);
        assert_eq!(inbox.take(), [], "nobody knows yet");
        gateway.list(&id, true).await;
        loop {
            match inbox.take().as_slice() {
                [] => tokio::task::yield_now().await,
                [(client, _)] => return *client,
                more => panic!("{more:?}"),
            }
        }
    };
    let told = tokio::select! {
        client = tokio::time::timeout(PATIENCE, plays) => client.expect("it is told"),
        _ = desk.work(stopped) => panic!("it left"),
    };
    assert_eq!(told, 0);
}
