//! The client's side.

use std::hint::black_box;

use harness::client::{AuthKey, Credentials, DeviceKey, Handshake, Scratch, Sender, Step, Template};
use harness::observation::Stamps;
use harness::plan::ConnectSpec;
use harness::vocabulary::persona;
use protocol::ProfileName;

use super::Piece;
use crate::engine::{self, Arrivals, Crowd};
use crate::recorded;
use crate::reference_server::HelloSize;

const NOW_MS: u64 = 1_795_414_435_593;

fn key() -> DeviceKey {
    match DeviceKey::from_seed(&[7; 32]) {
        Ok(key) => key,
        Err(error) => unreachable!("{error}"),
    }
}

/// The request of the engine's own bench.
fn spec() -> ConnectSpec {
    let arrivals = Arrivals::Constant { rate: 1.0 };
    let crowd = Crowd { clients: 1, arrivals, handshakes_each: 1, stay: false };
    match engine::plan(&[crowd], false).map(|plan| plan.cohorts) {
        Ok(cohorts) => match cohorts.into_iter().next() {
            Some(cohort) => cohort.connect,
            None => unreachable!("the plan has a cohort"),
        },
        Err(error) => unreachable!("{error}"),
    }
}

pub(super) fn sign() -> Piece {
    let key = key();
    let text = format!(
        "v3|{}|cli|cli|operator|operator.read,operator.write,operator.admin,operator.approvals,operator.pairing|\
         {NOW_MS}|secret-token-1|21e7bad3-490e-4598-b503-d9e9b41f4c87|linux|",
        key.device_id()
    );
    Box::new(move || {
        black_box(key.sign(black_box(&text)));
    })
}

pub(super) fn machine() -> Piece {
    let (key, spec) = (key(), spec());
    let traits = persona::profile(spec.persona, ProfileName::V2026_9_6);
    let template = Template::new(&spec, traits, AuthKey::Token);
    let challenge = recorded::frames(recorded::NEW, "connect.challenge").next().unwrap_or_default();
    let hello = HelloSize::Full.message();
    let mut scratch = Scratch::default();
    Box::new(move || {
        let credentials =
            Credentials { key: AuthKey::Token, value: "secret-token-1", is_device_token: false };
        let sender =
            Sender { spec: &spec, persona: traits, key: &key, credentials, template: template.as_ref() };
        let mut handshake = Handshake::new(Stamps::default());
        let asked = handshake.on_message(&sender, black_box(challenge.as_bytes()), 1, NOW_MS, &mut scratch);
        assert!(matches!(asked, Step::Send), "no answer to the challenge");
        let answered = handshake.on_message(&sender, black_box(hello.as_bytes()), 2, NOW_MS, &mut scratch);
        assert!(matches!(answered, Step::Session(_)), "no session");
    })
}
