//! Asks the in-repo gateway after a load whether what was under way has ended.

use std::time::Duration;

use crate::clock::{Clock, nanos};
use crate::gateway::metrics;
use crate::oracle::Release;
use crate::plan::Plan;
use crate::record::at_rest::AtRest;

/// How long it may take beside a handshake, which a gateway lets go on for its time whoever has gone. In most runs it takes no
/// time at all.
const BESIDE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(50);

/// Its last word, once it is at rest or the time is over; `None` if it does not answer.
pub(super) async fn ask(port: u16, plan: &Plan, clock: Clock) -> Option<AtRest> {
    let handshake =
        Duration::from_millis(Release::of(plan.gateway.profile).handshake_ms).mul_f64(plan.time_scale);
    let until = clock.now().saturating_add(nanos(handshake + BESIDE));
    loop {
        let at_rest = AtRest::parse(&metrics::read(port).await?)?;
        if !at_rest.is_busy() || clock.now() >= until {
            return Some(at_rest);
        }
        tokio::time::sleep(EVERY).await;
    }
}
