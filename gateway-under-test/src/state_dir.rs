//! The state directory: who holds it, and where its gateway listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use protocol::ProfileName;
use serde::{Deserialize, Serialize};

use crate::store::disk::{FileSystem, make_folders};

/// Why the directory cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another gateway holds it.
    #[error("{path} is held by another gateway{holder}; stop it or use another --state-dir")]
    Held {
        /// The directory.
        path: PathBuf,
        /// ` (pid N)`, or nothing when the holder did not say.
        holder: String,
    },
    /// The system refuses.
    #[error("{path}: {source}")]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What a running gateway writes into `gateway.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose behaviour it shows, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A held state directory. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Hold {
    path: PathBuf,
    /// `None` when `shared-state-dir` let a second gateway in: the file stays the first one's.
    file: Option<File>,
}

fn lock_path(state_dir: &Path) -> PathBuf {
    state_dir.join("gateway.lock")
}

impl Hold {
    /// Makes the directory if it is missing, and locks it. `shared` = a holder is no obstacle.
    ///
    /// # Errors
    /// [`HoldError`] when another gateway holds it or the system refuses.
    pub fn take(state_dir: &Path, shared: bool) -> Result<Self, HoldError> {
        let system = |path: &Path| {
            let path = path.to_owned();
            move |source| HoldError::System { path, source }
        };
        make_folders(&FileSystem, state_dir, 0o777).map_err(system(state_dir))?;
        let path = lock_path(state_dir);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(system(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file: Some(file) }),
            Err(TryLockError::WouldBlock) if shared => Ok(Self { path, file: None }),
            Err(TryLockError::WouldBlock) => {
                let holder =
                    running(state_dir).map(|running| format!(" (pid {})", running.pid)).unwrap_or_default();
                Err(HoldError::Held { path: state_dir.to_owned(), holder })
            }
            Err(TryLockError::Error(source)) => Err(HoldError::System { path, source }),
        }
    }

    /// Says where this gateway listens, and whose behaviour it shows.
    ///
    /// # Errors
    /// [`HoldError::System`].
    pub fn announce(&mut self, address: SocketAddr, profile: ProfileName) -> Result<(), HoldError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let text = serde_json::json!(Running {
            pid: std::process::id(),
            address,
            profile: Some(profile.as_str().to_owned())
        })
        .to_string();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|source| HoldError::System { path: self.path.clone(), source })
    }
}

/// What the directory's gateway last said of itself; it may have ended since.
#[must_use]
pub fn running(state_dir: &Path) -> Option<Running> {
    serde_json::from_slice(&std::fs::read(lock_path(state_dir)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut hold = Hold::take(dir.path(), false).unwrap();
        hold.announce("127.0.0.1:18789".parse().unwrap(), ProfileName::Article).unwrap();
        let refused = Hold::take(dir.path(), false).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("held by another gateway (pid {})", std::process::id())),
            "{refused}"
        );
        assert!(Hold::take(dir.path(), true).is_ok());
        assert_eq!(running(dir.path()).unwrap().address.port(), 18789);
        drop(hold);
        assert!(Hold::take(dir.path(), false).is_ok());
    }
}
