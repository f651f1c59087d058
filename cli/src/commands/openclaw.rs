//! `pairstorm openclaw`: releases of OpenClaw in a cache folder.

use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;

use harness::gateway::openclaw::{self, Installed, Release};
use harness::record::exit_code::ExitCode;
use harness::scenario::is_version;

use super::event_loop;
use crate::args::{CacheArguments, OpenClawCommand};
use crate::printer;

/// What is installed when nobody says: the newest release that a profile is called after.
const NEWEST: &str = "2026.9.6";

pub(crate) fn openclaw(command: &OpenClawCommand) -> ProcessExitCode {
    match command {
        OpenClawCommand::Install { versions, cache } => install(versions, cache),
        OpenClawCommand::List { cache } => list(cache),
    }
}

/// The cache folder that the user means.
///
/// # Errors
/// What to do when there is none.
pub(crate) fn cache_of(arguments: &CacheArguments) -> Result<PathBuf, String> {
    let named = arguments.cache.clone().filter(|folder| !folder.as_os_str().is_empty());
    named.or_else(openclaw::default_cache).ok_or_else(|| {
        "there is no home folder to keep releases in: name a folder by --cache or PAIRSTORM_CACHE".to_owned()
    })
}

fn install(versions: &[String], cache: &CacheArguments) -> ProcessExitCode {
    let versions: Vec<&str> =
        if versions.is_empty() { vec![NEWEST] } else { versions.iter().map(String::as_str).collect() };
    if let Some(wrong) = versions.iter().find(|version| !is_version(version)) {
        printer::error(&format!("`{wrong}` is no exact version; write it as npm does, for example {NEWEST}"));
        return ExitCode::Usage.into();
    }
    let cache = match cache_of(cache) {
        Ok(cache) => cache,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    // npm and the gateway run in folders of their own.
    let cache = std::path::absolute(&cache).unwrap_or(cache);
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    let interrupt = {
        let _entered = runtime.enter();
        event_loop::interrupted()
    };
    let mut interrupt = std::pin::pin!(interrupt);
    for version in versions {
        let mut progress = |what: &str| printer::note(what);
        let installing = openclaw::install(&cache, version, &mut progress);
        let installed = runtime.block_on(async {
            tokio::select! {
                installed = installing => Some(installed),
                () = &mut interrupt => None,
            }
        });
        match installed {
            Some(Ok(Installed::Already(release))) => {
                printer::note(&format!(
                    "OpenClaw {version}: is there already, in {}",
                    release.folder().display()
                ));
            }
            Some(Ok(Installed::New { release, npm, ready })) => printer::note(&format!(
                "OpenClaw {version}: installed in {:.0} s, was ready {:.1} s after its first start, in {}",
                npm.as_secs_f64(),
                ready.as_secs_f64(),
                release.folder().display()
            )),
            Some(Err(error)) => {
                printer::error(&error.to_string());
                return ExitCode::Failed.into();
            }
            None => {
                printer::error(&format!("interrupted; OpenClaw {version} is not installed"));
                return ExitCode::Interrupted.into();
            }
        }
    }
    ExitCode::Pass.into()
}

fn list(cache: &CacheArguments) -> ProcessExitCode {
    let cache = match cache_of(cache) {
        Ok(cache) => cache,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    let releases = Release::all(&cache);
    if releases.is_empty() {
        printer::note(&format!(
            "no release of OpenClaw is in {}; `pairstorm openclaw install` fetches one",
            cache.display()
        ));
    }
    let lines: String = releases
        .iter()
        .map(|release| format!("{}  {}\n", release.version, release.folder().display()))
        .collect();
    printer::finish(&lines, ExitCode::Pass.into())
}
