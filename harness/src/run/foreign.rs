//! Somebody else's gateway: what it held before the run, what the run left on it, and taking that away again.
//!
//! Asked only with `--allow-store-writes`. The visitor is an operator of the run's own: it lists, rejects and removes what
//! belongs to the run's clients and nothing else, and removes itself last.

use std::collections::HashSet;

use protocol::Frame;
use protocol::pairing::{DeviceIdParams, PairList, RequestIdParams, method};
use serde::Serialize;

use super::RunError;
use super::gateway::Up;
use super::load::device_ids;
use crate::clock::Clock;
use crate::operator::desk;
use crate::operator::session::{Lost, OperatorIdentity, OperatorSession};
use crate::plan::Plan;

/// 32 random bytes from the system, for [`crate::plan::identity::Identities::secret`].
///
/// # Errors
/// What the system says when it gives none.
pub fn random_secret() -> Result<[u8; 32], std::io::Error> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret)
        .map_err(|_| std::io::Error::other("its random number generator does not work"))?;
    Ok(secret)
}

/// Name under which the visitor's key is derived; no operator can have it, names have no spaces.
const VISITOR: &str = "the visitor";
/// Its position: its source address must be no operator's.
const VISITOR_POSITION: u16 = 99;

/// A run's stay on a foreign gateway.
pub struct Visit {
    plan: Plan,
    clock: Clock,
    target: crate::gateway::TargetAddress,
    secret: String,
    identity: OperatorIdentity,
    ours: HashSet<String>,
    before: HashSet<String>,
}

impl Visit {
    /// Lists the gateway's devices and pending requests.
    ///
    /// # Errors
    /// [`RunError::Inspection`] when the gateway does not let the visitor list.
    pub async fn begin(plan: &Plan, target: &Up) -> Result<Self, RunError> {
        let identity = desk::identity(&target.identities, VISITOR, VISITOR_POSITION, &target.address)?;
        let mut ours: HashSet<String> = device_ids(plan, &target.identities)?.into_keys().collect();
        for (position, operator) in (0..).zip(&plan.operators) {
            let identity = desk::identity(&target.identities, &operator.name, position, &target.address)?;
            ours.insert(identity.key.device_id().to_owned());
        }
        let mut visit = Self {
            plan: plan.clone(),
            clock: Clock::start(),
            target: target.address.clone(),
            secret: target.secret.clone(),
            identity,
            ours,
            before: HashSet::new(),
        };
        let mut session = visit.session().await.map_err(RunError::Inspection)?;
        let list = list(&mut session).await.map_err(RunError::Inspection)?;
        visit.before = ids(&list).collect();
        visit.before.remove(visit.identity.key.device_id());
        session.close().await;
        Ok(visit)
    }

    /// Takes away what the run left, and says what it could not take away.
    pub async fn end(self) -> Vec<String> {
        match self.clean().await {
            Ok(remarks) => remarks,
            Err(error) => vec![format!(
                "what the run left on the gateway could not be removed ({error}); its devices are listed by `openclaw \
                 devices list`, their names begin with `pairstorm`"
            )],
        }
    }

    async fn session(&self) -> Result<OperatorSession, String> {
        OperatorSession::open(&self.plan, &self.clock, &self.target, &self.secret, &self.identity)
            .await
            .map_err(|error| error.to_string())
    }

    async fn clean(&self) -> Result<Vec<String>, String> {
        let mut session = self.session().await?;
        let after = list(&mut session).await?;
        let is_new_and_ours = |id: &String| self.ours.contains(id) && !self.before.contains(id);
        for request in after.pending.iter().filter(|request| is_new_and_ours(&request.device_id)) {
            let params = RequestIdParams { request_id: request.request_id.clone() };
            // A refusal shows in the second listing.
            call(&mut session, method::REJECT, &params).await?;
        }
        for device in after.paired.iter().filter(|device| is_new_and_ours(&device.device_id)) {
            call(&mut session, method::REMOVE, &DeviceIdParams { device_id: device.device_id.clone() })
                .await?;
        }
        let left = list(&mut session).await?;
        let own = self.identity.key.device_id().to_owned();
        let gone = call(&mut session, method::REMOVE, &DeviceIdParams { device_id: own.clone() }).await;
        session.close().await;
        let mut remarks: Vec<String> = ids(&left)
            .filter(is_new_and_ours)
            .map(|id| format!("device {id} of this run is still on the gateway"))
            .collect();
        if !matches!(gone, Ok(true)) {
            remarks.push(format!("device {own}, the visitor of this run, is still on the gateway"));
        }
        if remarks.is_empty() {
            remarks.push("everything that the run left on the gateway was removed".to_owned());
        }
        Ok(remarks)
    }
}

fn ids(list: &PairList) -> impl Iterator<Item = String> {
    let pending = list.pending.iter().map(|request| request.device_id.clone());
    pending.chain(list.paired.iter().map(|device| device.device_id.clone()))
}

async fn list(session: &mut OperatorSession) -> Result<PairList, String> {
    let answer = answer(session, method::LIST, &serde_json::json!({})).await?;
    match Frame::decode(&answer) {
        Ok(Frame::Response(response)) if response.ok => {
            let payload = response.payload.map_or("null", |payload| payload.get());
            serde_json::from_str(payload).map_err(|error| format!("its listing cannot be read: {error}"))
        }
        Ok(Frame::Response(response)) => {
            Err(response.error.map_or_else(|| "refused".to_owned(), |error| error.message))
        }
        _ => Err("its answer is no response".to_owned()),
    }
}

/// Calls a method; true when it succeeded.
async fn call(session: &mut OperatorSession, name: &str, params: &impl Serialize) -> Result<bool, String> {
    let answer = answer(session, name, params).await?;
    Ok(matches!(Frame::decode(&answer), Ok(Frame::Response(response)) if response.ok))
}

async fn answer(
    session: &mut OperatorSession,
    name: &str,
    params: &impl Serialize,
) -> Result<Vec<u8>, String> {
    let lost = |_: Lost| "the gateway closed the visitor's session".to_owned();
    let waiting = async {
        let id = session.fresh_id();
        session.request(&id, name, params).await.map_err(lost)?;
        loop {
            let message = session.next().await.map_err(lost)?;
            if matches!(Frame::decode(&message), Ok(Frame::Response(response)) if response.id == id) {
                return Ok(message);
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| Err(format!("no answer to {name} within 30 s")))
}
