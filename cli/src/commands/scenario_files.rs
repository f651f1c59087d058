//! Which scenario files are meant by files and folders on the command line, for `check` and `verify`: expected results are none.

use std::path::{Path, PathBuf};

use harness::verify::is_expected;

/// The files themselves, and of folders all scenarios below, sorted.
///
/// # Errors
/// A folder that cannot be read or holds none, for people.
pub(crate) fn below(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            if files.len() == before {
                return Err(format!("{} holds no .toml file", path.display()));
            }
        } else if !is_expected(path) {
            files.push(path.clone());
        }
    }
    // A shell's `*.toml` names them beside their scenarios.
    match paths.first() {
        Some(path) if files.is_empty() => {
            Err(format!("{} is what is expected of a scenario; name the scenario", path.display()))
        }
        _ => Ok(files),
    }
}

/// All `.toml` files below a folder that are scenarios, sorted, so that the output does not depend on the file system.
pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        // A link to a folder above would never end.
        if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "toml") && !is_expected(&entry) {
            files.push(entry);
        }
    }
    Ok(())
}
