//! Stories drawn from a seed: in-repo gateway and oracle agree for every profile, and would not if the gateway were wrong.

use crate::common::{pairstorm, scratch};

/// Profiles that both sides know.
const PROFILES: [&str; 6] = ["article", "2026.2.19", "2026.2.21", "2026.2.22", "2026.3.13", "2026.9.6"];
/// Steps a profile in a plain `cargo test`: less than twenty seconds each.
const STEPS: &str = "200";

#[test]
fn gateway_and_oracle_agree_for_every_profile() {
    for profile in PROFILES {
        let folder = scratch();
        let arguments =
            ["differential", "--profile", profile, "--seed", "1", "--steps", STEPS, "--out", "out"];
        let finished = pairstorm(folder.path(), &arguments);
        assert_eq!(finished.code, Some(0), "{profile}: {}", finished.said());
        assert!(
            finished.stdout.contains(&format!("differential {profile} (seed 1): 20")),
            "{}",
            finished.said()
        );
        assert!(finished.stdout.contains("; 0 could not be judged; 0 differences"), "{}", finished.said());
    }
}

/// What is found is cut down to a few steps, in a scenario that shows it by itself.
#[test]
fn a_fault_of_the_gateway_is_found_and_cut_down() {
    for defect in ["accept-unpaired", "wrong-reason"] {
        let folder = scratch();
        let arguments =
            ["differential", "--steps", "60", "--cut-down", "1", "--defect", defect, "--out", "out"];
        let finished = pairstorm(folder.path(), &arguments);
        assert_eq!(finished.code, Some(1), "{defect}: {}", finished.said());
        let cut = finished.stdout.split_once("Cut down to ").map(|(_, cut)| cut).unwrap_or_default();
        let steps = cut.split(' ').next().and_then(|steps| steps.parse::<usize>().ok());
        assert!(steps.is_some_and(|steps| steps <= 5), "{defect}: {}", finished.said());
        let shown =
            pairstorm(folder.path(), &["run", "out/difference-1.toml", "--defect", defect, "--out", "again"]);
        assert_eq!(shown.code, Some(1), "{defect}: {}", shown.said());
        let healthy = pairstorm(folder.path(), &["run", "out/difference-1.toml", "--out", "healthy"]);
        assert_eq!(healthy.code, Some(0), "{defect}: {}", healthy.said());
    }
}

#[test]
fn the_same_seed_draws_the_same_stories() {
    let (one, other) = (scratch(), scratch());
    let book = |folder: &std::path::Path, seed: &str| {
        let finished = pairstorm(folder, &["differential", "--seed", seed, "--steps", "10", "--out", "out"]);
        std::fs::read_to_string(folder.join("out/book-1.toml"))
            .unwrap_or_else(|_| panic!("{}", finished.said()))
    };
    let first = book(one.path(), "5");
    assert_eq!(first, book(other.path(), "5"));
    assert_ne!(first, book(scratch().path(), "6"));
}

#[test]
fn what_cannot_be_drawn_is_said_so() {
    let folder = scratch();
    let finished = pairstorm(folder.path(), &["differential", "--profile", "2025.1.1"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("there is no profile `2025.1.1`"), "{}", finished.said());
    let finished = pairstorm(folder.path(), &["differential", "--defect", "none-such"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
}
