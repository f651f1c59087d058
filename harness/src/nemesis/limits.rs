//! Less of a core, less memory: control groups (version 1), which take root.

use std::path::{Path, PathBuf};

use crate::gateway::TargetError;
use crate::plan::FaultKind;

/// Where the controllers are.
const ROOT: &str = "/sys/fs/cgroup";
/// How our groups are called, followed by the id of the process that made them.
const PREFIX: &str = "pairstorm-";
/// So often the kernel looks whether a group has had its share, microseconds.
const PERIOD_US: u64 = 20_000;

/// A group that limits the gateway. Removed when dropped.
#[derive(Debug)]
pub(super) struct Limited {
    group: PathBuf,
    /// Where its processes were before.
    home: PathBuf,
}

/// The controller of a fault, if it is one of these, with the files that set it.
fn controller(kind: FaultKind) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    match kind {
        FaultKind::Cpu { permille } => Some((
            "cpu",
            vec![
                ("cpu.cfs_period_us", PERIOD_US.to_string()),
                ("cpu.cfs_quota_us", (PERIOD_US * u64::from(permille) / 1000).max(1_000).to_string()),
            ],
        )),
        FaultKind::Memory { bytes } => Some(("memory", vec![("memory.limit_in_bytes", bytes.to_string())])),
        _ => None,
    }
}

/// Why this machine cannot do it, if it cannot.
pub(super) fn missing(kind: FaultKind) -> Option<String> {
    let (controller, _) = controller(kind)?;
    let folder = Path::new(ROOT).join(controller);
    if !rustix::process::geteuid().is_root() {
        return Some(format!("limits a control group's `{controller}`, which takes root"));
    }
    cannot_group(&folder, controller)
}

/// Why no group can be made in the folder of a controller, if none can.
fn cannot_group(folder: &Path, controller: &str) -> Option<String> {
    if !folder.join("cgroup.procs").exists() {
        return Some(format!(
            "needs the controller `{controller}` of control groups version 1 at {}",
            folder.display()
        ));
    }
    // A container has them for reading only, mostly.
    let tried = group(folder);
    let made = std::fs::create_dir(&tried).and_then(|()| std::fs::remove_dir(&tried));
    made.err().map(|refused| {
        format!(
            "limits a control group's `{controller}`, and none can be made: {} ({refused})",
            tried.display()
        )
    })
}

/// This run's group in the folder of a controller.
fn group(folder: &Path) -> PathBuf {
    folder.join(format!("{PREFIX}{}", std::process::id()))
}

/// Removes the groups of runs that were killed before they could do it.
pub(super) fn sweep() {
    for controller in ["cpu", "memory"] {
        let Ok(entries) = std::fs::read_dir(Path::new(ROOT).join(controller)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX))
                .and_then(|id| id.parse::<u32>().ok());
            if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                // Its gateway has died with its run, or is about to.
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }
}

/// Limits a process.
///
/// # Errors
/// [`TargetError::Fault`] when the system refuses.
pub(super) fn limit(kind: FaultKind, pid: u32) -> Result<Limited, TargetError> {
    let Some((controller, settings)) = controller(kind) else {
        return Err(failed("no limit", std::io::Error::other("not a fault of a control group")));
    };
    let root = Path::new(ROOT).join(controller);
    let group = group(&root);
    match std::fs::create_dir(&group) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("cannot make a control group", error)),
    }
    let limited = Limited { group, home: home(&root, controller, pid) };
    for (file, value) in settings {
        write(&limited.group.join(file), &value)?;
    }
    limited.take(pid)?;
    Ok(limited)
}

impl Limited {
    /// Takes a process in, for example one that was started again.
    ///
    /// # Errors
    /// [`TargetError::Fault`] when the system refuses.
    pub(super) fn take(&self, pid: u32) -> Result<(), TargetError> {
        write(&self.group.join("cgroup.procs"), &pid.to_string())
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let processes = std::fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            // One that has ended needs no home.
            let _ = std::fs::write(self.home.join("cgroup.procs"), process);
        }
        // What cannot be removed now is at the next start.
        let _ = std::fs::remove_dir(&self.group);
    }
}

/// The group that a process is in.
fn home(root: &Path, controller: &str, pid: u32) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let controllers = parts.nth(1)?;
        let path = parts.next()?;
        controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/'))
    });
    root.join(path.unwrap_or_default())
}

fn write(file: &Path, value: &str) -> Result<(), TargetError> {
    std::fs::write(file, value)
        .map_err(|error| failed(&format!("cannot write `{value}` to {}", file.display()), error))
}

fn failed(what: &str, source: std::io::Error) -> TargetError {
    TargetError::Fault { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_limited_is_known_before_anything_is_started() {
        let folder = tempfile::tempdir().unwrap();
        assert!(cannot_group(folder.path(), "cpu").unwrap().contains("version 1"));
        std::fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        assert_eq!(cannot_group(folder.path(), "cpu"), None);
        assert!(!group(folder.path()).exists(), "what was tried is gone");
        // Whatever stands in the way: no permission cannot be had by root.
        std::fs::write(group(folder.path()), "").unwrap();
        assert!(cannot_group(folder.path(), "cpu").unwrap().contains("none can be made"));
    }
}
