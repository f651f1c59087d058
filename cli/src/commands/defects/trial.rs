//! One run of a scenario against the in-repo gateway, with a defect or without, and what came of it.

use std::path::{Path, PathBuf};

use gateway_under_test::defect::Defect;
use harness::oracle::MismatchKind;
use harness::plan::Overrides;
use harness::record::RunResult;
use harness::record::exit_code::RunVerdict;
use harness::record::groups::MismatchGroup;
use harness::record::mismatches::MismatchCounts;
use harness::scenario::{Choices, Scenario};

use super::super::run::of_own_gateway;
use super::table::{Found, Meant};
use crate::progress::Display;

/// What a run showed.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// The profile that the gateway was held to.
    pub(super) profile: String,
    /// Attempts of all clients.
    pub(super) attempts: u64,
    /// Mismatches by kind.
    pub(super) counts: MismatchCounts,
    groups: Vec<MismatchGroup>,
    /// Handshakes that the gateway kept when everyone had gone.
    kept: u64,
    /// Stops that ended otherwise than in order.
    unclean_stops: u64,
    verdict: RunVerdict,
    /// A signal ended it.
    pub(super) interrupted: bool,
}

impl Trial {
    fn of(result: RunResult) -> Self {
        Self {
            profile: result.profile,
            attempts: result.attempts.attempted,
            counts: result.mismatches,
            groups: result.mismatch_groups,
            kept: result.at_rest.map_or(0, |at_rest| at_rest.handshakes_in_progress),
            unclean_stops: result.unclean_stops.len() as u64,
            verdict: result.verdict,
            interrupted: result.interrupted,
        }
    }

    /// How many findings are the one that is meant.
    pub(super) fn caught(&self, meant: &Meant) -> u64 {
        match meant.kind {
            Found::Mismatch(_) => {
                self.groups.iter().filter(|group| meant.is(group)).map(|group| group.count).sum()
            }
            Found::AtRest => self.kept,
            Found::UncleanStop => self.unclean_stops,
        }
    }

    /// Whether nothing is reported.
    pub(super) fn is_clean(&self) -> bool {
        self.verdict == RunVerdict::Pass && self.counts.total == 0
    }

    /// Every kind of finding with its count, `false_accept x2, wrong_reason x1`; the verdict if there is none.
    pub(super) fn findings(&self) -> String {
        let kinds: Vec<String> = MismatchKind::ALL
            .into_iter()
            .filter(|kind| self.counts.get(*kind) > 0)
            .map(|kind| format!("{} x{}", kind.as_str(), self.counts.get(kind)))
            .collect();
        match (kinds.is_empty(), self.verdict) {
            (false, _) => kinds.join(", "),
            (true, RunVerdict::Pass) => "nothing".to_owned(),
            (true, other) => format!("nothing ({})", other.as_str()),
        }
    }
}

/// Where scenarios come from and results go to.
pub(super) struct Laboratory {
    /// Folder of the scenarios.
    pub(super) scenarios: PathBuf,
    /// Folder under which each run has its own.
    pub(super) out: PathBuf,
}

impl Laboratory {
    /// File of a scenario.
    pub(super) fn file(&self, scenario: &str) -> PathBuf {
        self.scenarios.join(format!("{scenario}.toml"))
    }

    /// Runs a scenario. Its profile must be one in which the defect is a fault.
    ///
    /// # Errors
    /// Why there is no result, for people.
    pub(super) async fn run(
        &self,
        scenario: &str,
        defect: Option<Defect>,
        display: &mut Display,
        interrupt: impl Future<Output = ()>,
    ) -> Result<Trial, String> {
        let file = self.file(scenario);
        let overrides =
            Overrides { defect: defect.map(|defect| defect.name().to_owned()), ..Overrides::default() };
        let (read, plan) = load(&file, &overrides)?;
        if let Some(defect) = defect
            && !defect.profiles().contains(&plan.gateway.profile)
        {
            return Err(format!("in profile {} this is no fault", plan.gateway.profile));
        }
        let name = defect
            .map_or_else(|| format!("{scenario}-clean"), |defect| format!("{scenario}-{}", defect.name()));
        let options = of_own_gateway(&read, Choices::default(), overrides, plan, self.out.join(name))
            .map_err(|refusal| refusal.message)?;
        let outcome =
            harness::run::run(options, display, interrupt).await.map_err(|error| error.to_string())?;
        match (&outcome.result.failure, outcome.folder) {
            (Some(failure), _) => Err(failure.clone()),
            (None, None) => Err("its files could not be written".to_owned()),
            (None, Some(_)) => Ok(Trial::of(outcome.result)),
        }
    }
}

fn load(file: &Path, overrides: &Overrides) -> Result<(Scenario, harness::plan::Plan), String> {
    harness::scenario::load(file, &[])
        .and_then(|scenario| harness::plan::unfold(&scenario, overrides).map(|plan| (scenario, plan)))
        .map_err(|diagnostics| harness::scenario::render(&diagnostics, false))
}
