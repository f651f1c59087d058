//! `launch` and `profile`: which gateway is started, and which release it is held to.
//!
//! Both can stand in the file and on the command line, and each says something about the other: a release is held to its
//! own profile, and a profile that is a release says which one to start.

use protocol::ProfileName;
use serde::{Deserialize, Serialize};

use super::diagnostic::Sink;
use super::document::{Node, Span, Value};
use super::names::{allowed, list};
use super::reader::{Fields, Problem, plain_text, text, word};
use crate::vocabulary::{LaunchPlan, Readiness};

/// Most words of a command.
const WORDS_MAX: usize = 256;

/// What of a scenario is chosen on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// `--set name=value`: replaces values of `[vars]`.
    pub sets: Vec<(String, String)>,
    /// `--profile`: wins over the file's.
    pub profile: Option<String>,
    /// `--gateway`: what to launch instead of what the file says; `in-repo`, `openclaw` or `openclaw@VERSION`.
    pub gateway: Option<String>,
}

/// What `launch` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    InRepo,
    OpenClaw { version: Option<String> },
    Command { command: Vec<String>, ready: Readiness, profile: Option<ProfileName> },
}

/// Why profile and launch do not go together, and what to do.
#[derive(Debug, PartialEq, Eq)]
struct Mismatch {
    message: String,
    help: String,
}

/// Reads both keys of `[gateway]` and what the command line says of them.
pub(super) fn read(fields: Option<&Fields<'_>>, choices: &Choices, sink: &Sink) -> (ProfileName, LaunchPlan) {
    let known = ProfileName::ALL.map(|profile| (profile.as_str(), profile));
    let file_profile = fields.and_then(|fields| fields.read("profile", word(&known)));
    let file_launch = fields.and_then(|fields| fields.read("launch", launch));
    let at = fields.map(|fields| {
        let key = if fields.entry("launch").is_some() { "launch" } else { "profile" };
        fields.span(key)
    });

    let mut refused = false;
    let mut refuse = |mismatch: Mismatch| {
        refused = true;
        sink.report_option("override", mismatch.message, Some(mismatch.help));
    };
    let profile_option = choices.profile.as_deref().and_then(|name| {
        ProfileName::find(name).or_else(|| {
            refuse(Mismatch {
                message: format!("there is no profile `{name}`"),
                help: allowed(name, &ProfileName::ALL.map(ProfileName::as_str)),
            });
            None
        })
    });
    let launch_option = choices.gateway.as_deref().and_then(|name| {
        named(name).or_else(|| {
            let message = format!("`--gateway {name}` is no gateway to launch");
            refuse(Mismatch { message, help: FORMS.to_owned() });
            None
        })
    });
    if refused {
        return (ProfileName::Article, LaunchPlan::InRepo);
    }
    // Whoever names a release on the command line means it, whatever profile the file was written for.
    let names_release = matches!(&launch_option, Some(Asked::OpenClaw { version: Some(_) }));
    let profile = profile_option.or(if names_release { None } else { file_profile });
    let from_options = profile_option.is_some() || launch_option.is_some();
    let asked = launch_option.or(file_launch).unwrap_or(Asked::InRepo);
    resolve(profile, profile_option.is_some(), asked).unwrap_or_else(|mismatch| {
        match at {
            Some(at) if !from_options => {
                sink.report("conflict", &at, mismatch.message, Some(mismatch.help));
            }
            _ => sink.report_option("override", mismatch.message, Some(mismatch.help)),
        }
        (ProfileName::Article, LaunchPlan::InRepo)
    })
}

/// Joins what is asked with the profile that is set. `overrides` says that the profile wins over a command's own.
fn resolve(
    profile: Option<ProfileName>,
    overrides: bool,
    asked: Asked,
) -> Result<(ProfileName, LaunchPlan), Mismatch> {
    match asked {
        Asked::InRepo => Ok((profile.unwrap_or(ProfileName::Article), LaunchPlan::InRepo)),
        Asked::OpenClaw { version: None } => match profile {
            Some(release) if release != ProfileName::Article => {
                Ok((release, LaunchPlan::OpenClaw { version: release.as_str().to_owned() }))
            }
            _ => Err(Mismatch {
                message: "which OpenClaw is to be launched? Neither a version nor the profile says so"
                    .to_owned(),
                help: format!(
                    "name one, for example `openclaw@2026.9.6`; releases with a profile: {}",
                    releases()
                ),
            }),
        },
        Asked::OpenClaw { version: Some(version) } => {
            let profile = profile_of(profile, &version)?;
            Ok((profile, LaunchPlan::OpenClaw { version }))
        }
        Asked::Command { command, ready, profile: own } => {
            let profile = match (own, profile) {
                (Some(own), Some(other)) if own != other && !overrides => {
                    return Err(Mismatch {
                        message: format!("`launch` says profile `{own}`, `[gateway]` says `{other}`"),
                        help: "keep one of them".to_owned(),
                    });
                }
                (own, Some(other)) if overrides || own.is_none() => other,
                (Some(own), _) => own,
                (None, _) => {
                    return Err(Mismatch {
                        message: "which release is this gateway to be held to?".to_owned(),
                        help: format!("add profile = \"2026.9.6\" or another one: {}", releases()),
                    });
                }
            };
            Ok((profile, LaunchPlan::Command { command, ready }))
        }
    }
}

/// The profile that an OpenClaw of this version is held to.
fn profile_of(profile: Option<ProfileName>, version: &str) -> Result<ProfileName, Mismatch> {
    let own = ProfileName::find(version).filter(|own| *own != ProfileName::Article);
    match (own, profile) {
        (Some(own), None) => Ok(own),
        (Some(own), Some(profile)) if own == profile => Ok(own),
        (Some(own), Some(profile)) => Err(Mismatch {
            message: format!("OpenClaw {version} is launched and held to the profile `{profile}`"),
            help: format!("hold it to `{own}`, or launch another version"),
        }),
        // No profile is called after it: the user says which one it is like.
        (None, Some(profile)) if profile != ProfileName::Article => Ok(profile),
        (None, _) => Err(Mismatch {
            message: format!("there is no profile for OpenClaw {version}"),
            help: format!(
                "the nearest is `{nearest}`: to hold it to that one, add --profile {nearest}, or profile = \
                 \"{nearest}\" in [gateway]; releases with a profile: {}",
                releases(),
                nearest = nearest(version)
            ),
        }),
    }
}

/// The release with a profile that is nearest to a version: the newest one that is not newer, else the oldest.
fn nearest(version: &str) -> ProfileName {
    let wanted = numbers(version);
    let mut nearest = ProfileName::V2026_2_19;
    for release in ProfileName::ALL.into_iter().filter(|name| *name != ProfileName::Article) {
        if numbers(release.as_str()) <= wanted {
            nearest = release;
        }
    }
    nearest
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split('-').next().unwrap_or_default();
    release.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn releases() -> String {
    let names: Vec<&str> = ProfileName::ALL
        .into_iter()
        .filter(|name| *name != ProfileName::Article)
        .map(ProfileName::as_str)
        .collect();
    list(&names)
}

const FORMS: &str = "`in-repo`, `openclaw` (the profile's release) or `openclaw@VERSION`";

fn launch(node: &Node) -> Result<Asked, Problem> {
    match &node.value {
        Value::Table(_) => command(node),
        _ => {
            let name = text(node)?;
            named(&name).ok_or_else(|| Problem {
                code: "unknown-name",
                message: format!("`{name}` is no gateway to launch"),
                help: Some(format!("{FORMS}, or a table: {{ command = [\"./my-gateway\", \"{{port}}\"] }}")),
            })
        }
    }
}

fn named(name: &str) -> Option<Asked> {
    match name {
        "in-repo" => Some(Asked::InRepo),
        "openclaw" => Some(Asked::OpenClaw { version: None }),
        _ => {
            let version = name.strip_prefix("openclaw@").filter(|version| is_version(version))?;
            Some(Asked::OpenClaw { version: Some(version.to_owned()) })
        }
    }
}

/// Whether a text is one exact version of an npm package, as the releases of OpenClaw are written: digits first, so that
/// neither a path nor a tag such as `latest`, which is another release every week, can be meant.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let exact = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let starts = text.starts_with(|c: char| c.is_ascii_digit());
    starts
        && exact
        && text.len() <= 64
        && text.split('-').next().is_some_and(|release| release.split('.').count() == 3)
        && !text.contains("..")
}

/// `{ command = ["./my-gateway", "--port", "{port}"], ready = "handshake", profile = "2026.9.6" }`
fn command(node: &Node) -> Result<Asked, Problem> {
    const KEYS: [&str; 3] = ["command", "ready", "profile"];
    let problem =
        |code, message: String, help: Option<&str>| Problem { code, message, help: help.map(str::to_owned) };
    let Value::Table(table) = &node.value else {
        return Err(problem("type", "this is no table".to_owned(), None));
    };
    if let Some(unknown) = table.entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str())) {
        let message = format!("unknown key `{}`", unknown.key);
        return Err(Problem {
            code: "unknown-key",
            message,
            help: Some(format!("keys here: {}", list(&KEYS))),
        });
    }
    let entry = |key: &str| table.get(key).map(|entry| &entry.node);
    let example = "for example command = [\"./my-gateway\", \"--port\", \"{port}\"]";
    let words = match entry("command").map(|node| &node.value) {
        Some(Value::Array(items)) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        _ => {
            return Err(problem(
                "missing-key",
                "it lacks a `command`, a list of words".to_owned(),
                Some(example),
            ));
        }
    };
    let fits = words.first().is_some_and(|program| !program.is_empty())
        && words.len() <= WORDS_MAX
        && words.iter().all(|word| word.len() <= 4096 && !word.contains('\0'));
    if !fits {
        return Err(problem("value", "its `command` names no program".to_owned(), Some(example)));
    }
    let known = ProfileName::ALL.map(|profile| (profile.as_str(), profile));
    Ok(Asked::Command {
        command: words,
        ready: entry("ready").map_or(Ok(Readiness::Handshake), readiness)?,
        profile: entry("profile").map(word(&known)).transpose()?,
    })
}

/// `"handshake"`, `{ line = "…" }` or `{ http = "/readyz" }`.
fn readiness(node: &Node) -> Result<Readiness, Problem> {
    const HELP: &str =
        "\"handshake\", { line = \"part of a line that it writes\" } or { http = \"/readyz\" }";
    let unknown = || Problem {
        code: "unknown-name",
        message: "`ready` names no sign of readiness".to_owned(),
        help: Some(HELP.to_owned()),
    };
    match &node.value {
        Value::Text(name) if name == "handshake" => Ok(Readiness::Handshake),
        Value::Table(table) => match table.entries.as_slice() {
            [entry] if entry.key == "line" => plain_text(&entry.node).map(Readiness::Line),
            [entry] if entry.key == "http" => {
                let path = plain_text(&entry.node)?;
                let is_path = path.starts_with('/') && !path.contains(' ');
                if is_path { Ok(Readiness::Http(path)) } else { Err(unknown()) }
            }
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

/// Reports what only the gateway of this repository can do. `faults` are the reloads of the scenario, by name and place.
pub(super) fn check_in_repo_only<'a>(
    launch: &LaunchPlan,
    time_scale: f64,
    reloads: impl Iterator<Item = (&'a str, &'a Span)>,
    scale_at: &Span,
    sink: &Sink,
) {
    if launch.is_in_repo() {
        return;
    }
    for (name, at) in reloads {
        let message =
            format!("`{name}` sends SIGHUP, which ends an OpenClaw instead of making it read its store");
        let help = "no release needs a reload: each reads its store at every operation";
        sink.report("conflict", at, message, Some(help.to_owned()));
    }
    if (time_scale - 1.0).abs() > f64::EPSILON {
        let message = "a time scale other than 1 shortens the time-outs of the in-repo gateway; another one keeps its own";
        sink.report("conflict", scale_at, message, Some("leave `time_scale` out".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openclaw(version: Option<&str>) -> Asked {
        Asked::OpenClaw { version: version.map(str::to_owned) }
    }

    #[test]
    fn a_release_is_held_to_its_own_profile() {
        let launched = |profile, version| {
            resolve(profile, false, openclaw(version)).map(|(profile, launch)| {
                let LaunchPlan::OpenClaw { version } = launch else { panic!("no OpenClaw") };
                (profile, version)
            })
        };
        assert_eq!(
            launched(None, Some("2026.9.6")).unwrap(),
            (ProfileName::V2026_9_6, "2026.9.6".to_owned())
        );
        assert_eq!(
            launched(Some(ProfileName::V2026_2_19), None).unwrap(),
            (ProfileName::V2026_2_19, "2026.2.19".to_owned())
        );
        let mismatch = launched(Some(ProfileName::V2026_2_19), Some("2026.9.6")).unwrap_err();
        assert!(mismatch.help.contains("`2026.9.6`"), "{mismatch:?}");
        assert!(launched(Some(ProfileName::Article), Some("2026.9.6")).is_err());
        assert!(launched(Some(ProfileName::Article), None).is_err());
        assert!(launched(None, None).is_err());
    }

    #[test]
    fn a_release_without_a_profile_needs_one_and_is_told_the_nearest() {
        for (version, near) in [
            ("2026.4.1", "2026.3.13"),
            ("2026.9.7-beta.1", "2026.9.6"),
            ("2025.12.1", "2026.2.19"),
            ("2026.2.20", "2026.2.19"),
        ] {
            let mismatch = resolve(None, false, openclaw(Some(version))).unwrap_err();
            assert!(mismatch.help.contains(&format!("the nearest is `{near}`")), "{version}: {mismatch:?}");
        }
        let (profile, _) = resolve(Some(ProfileName::V2026_3_13), false, openclaw(Some("2026.4.1"))).unwrap();
        assert_eq!(profile, ProfileName::V2026_3_13);
    }

    #[test]
    fn a_build_of_ones_own_says_what_it_is_held_to() {
        let asked = |profile| Asked::Command {
            command: vec!["./gateway".to_owned()],
            ready: Readiness::Handshake,
            profile,
        };
        let (old, new) = (ProfileName::V2026_2_19, ProfileName::V2026_9_6);
        assert!(resolve(None, false, asked(None)).is_err());
        assert_eq!(resolve(Some(old), false, asked(None)).unwrap().0, old);
        assert_eq!(resolve(None, false, asked(Some(new))).unwrap().0, new);
        assert!(resolve(Some(old), false, asked(Some(new))).is_err());
        assert_eq!(resolve(Some(old), true, asked(Some(new))).unwrap().0, old, "--profile wins");
    }

    #[test]
    fn only_exact_versions_are_versions() {
        for version in ["2026.9.6", "2026.2.19", "2026.3.13-beta.2", "2026.1.29-1"] {
            assert!(is_version(version), "{version}");
        }
        for text in
            ["", "latest", "2026.9", "../../etc", "2026.9.6/..", "^2026.9.6", "2026..9.6", "2026.9.6 "]
        {
            assert!(!is_version(text), "{text}");
        }
    }
}
