//! The operator of a story: there when a step needs one, back again after a restart.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::nanos;
use crate::engine::{Assignment, Held};
use crate::gateway::TargetError;
use crate::operator::desk;
use crate::operator::session::OperatorSession;

/// Name under which its key is derived; no operator of a scenario can have it, names have no spaces.
const NAME: &str = "the steps";
/// Its position: its source address must be no other operator's.
const POSITION: u16 = 98;
/// How long it tries to get a session: a release may listen long before it is ready.
const SESSION_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two tries.
const TRY_EVERY: Duration = Duration::from_millis(100);

pub(super) struct StoryOperator {
    assignment: Assignment,
    held: Option<Held>,
    sessions: JoinSet<()>,
}

impl StoryOperator {
    pub(super) fn new(assignment: &Assignment) -> Self {
        Self { assignment: assignment.clone(), held: None, sessions: JoinSet::new() }
    }

    /// The operator's session; a new one if it has none, or lost the last one.
    ///
    /// # Errors
    /// [`TargetError::NoOperator`]
    pub(super) async fn session(&mut self) -> Result<Held, TargetError> {
        if let Some(held) = self.held.clone()
            && !held.is_over()
        {
            return Ok(held);
        }
        let Assignment { plan, clock, target, secret, identities, .. } = &self.assignment;
        let refused = |why: String| TargetError::NoOperator { why };
        let identity =
            desk::identity(identities, NAME, POSITION, target).map_err(|error| refused(error.to_string()))?;
        let give_up = clock.now() + nanos(SESSION_WITHIN);
        let session = loop {
            match OperatorSession::open(plan, clock, target, secret, &identity).await {
                Ok(session) => break session,
                Err(error) if clock.now() >= give_up => return Err(refused(error.to_string())),
                Err(_) => tokio::time::sleep(TRY_EVERY).await,
            }
        };
        let (held, keeping) = Held::new(session.into_conversation());
        self.sessions.spawn_local(async move {
            keeping.await;
        });
        self.held = Some(held.clone());
        Ok(held)
    }

    /// The gateway was restarted: whatever session there was is over.
    pub(super) fn lost(&mut self) {
        self.held = None;
    }

    pub(super) async fn leave(mut self) {
        if let Some(held) = self.held.take() {
            held.leave().await;
        }
        while self.sessions.join_next().await.is_some() {}
    }
}
