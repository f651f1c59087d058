//! What a run was made from, kept beside its history, so that the plan can be unfolded again and the history judged again.

use serde::{Deserialize, Serialize};

use super::{RunTarget, judge::SecretKnown};
use crate::plan::{self, OracleMode, Overrides, Plan};
use crate::record::RunFacts;
use crate::scenario::{self, Choices, Diagnostic, Scenario, Texts};

/// Version of the file. A reader of another version refuses it.
pub const VERSION: u32 = 1;

/// Content of `run.json`. Holds no secrets: a scenario may have none, and the command line gives only names of variables
/// and files that do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    /// [`VERSION`]
    pub version: u32,
    /// Version of pairstorm.
    pub pairstorm: String,
    /// The scenario file, as typed.
    pub scenario_file: String,
    /// Texts of the scenario.
    pub texts: Texts,
    /// `--set`, `--profile`, `--gateway`
    pub choices: Choices,
    /// What else the command line changed.
    pub overrides: Overrides,
    /// The gateway's configuration is not the scenario's to know; whether its owner gave the secret.
    pub undeclared: Option<bool>,
    /// What only the run itself knows; `None` = it did not live to say.
    #[serde(default)]
    pub facts: Option<RunFacts>,
}

impl Origin {
    /// That of a run of `scenario` with these choices and overrides.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        choices: Choices,
        overrides: Overrides,
        (plan, target): (&Plan, &RunTarget),
        pairstorm: String,
    ) -> Self {
        Self {
            version: VERSION,
            pairstorm,
            scenario_file: scenario.file.clone(),
            texts: scenario.texts.clone(),
            choices,
            overrides,
            undeclared: undeclared(plan, target).map(|SecretKnown(known)| known),
            facts: None,
        }
    }

    /// The same, with what the run saw of itself.
    #[must_use]
    pub fn with_facts(&self, facts: &RunFacts) -> Self {
        let mut facts = facts.clone();
        // What a peer may have had a hand in, as it stands in the result.
        facts.failed = facts.failed.as_deref().map(|why| facts.redactor.known(why));
        Self { facts: Some(facts), ..self.clone() }
    }

    /// The plan of the run, and the digest of its scenario.
    ///
    /// # Errors
    /// When this pairstorm reads the scenario otherwise than the one that ran it.
    pub fn unfold(&self) -> Result<(Plan, String), Vec<Diagnostic>> {
        let scenario = scenario::parse_kept(&self.scenario_file, &self.texts, &self.choices)?;
        Ok((plan::unfold(&scenario, &self.overrides)?, scenario.sha256))
    }
}

/// Whether the scenario declares the configuration of a gateway that the run did not start; if not, whether the owner gave
/// its secret.
pub(super) fn undeclared(plan: &Plan, target: &RunTarget) -> Option<SecretKnown> {
    match target {
        RunTarget::Foreign(foreign) if !foreign.declared && plan.oracle == OracleMode::Profile => {
            Some(SecretKnown(foreign.secret.is_some()))
        }
        _ => None,
    }
}
