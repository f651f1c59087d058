//! Starts the servers.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// `ws` for Node.
    Node,
    /// `websockets` for Python.
    Python,
}

/// A running server; killed when dropped, and gone by itself when this process is.
pub(crate) struct Server {
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    /// Node's HTTP server without WebSocket.
    pub(crate) plain: Option<SocketAddr>,
    child: Child,
}

/// What `install.sh` has installed.
fn installed(what: &str) -> PathBuf {
    let cache = std::env::var_os("PAIRSTORM_CACHE");
    let cache =
        cache.expect("PAIRSTORM_CACHE names no folder that harness/tests/real_peers/install.sh has filled");
    let folder = Path::new(&cache).join("websocket-peers");
    assert!(folder.is_absolute(), "PAIRSTORM_CACHE is relative, and tests run in the folder of their crate");
    let path = folder.join(what);
    assert!(path.exists(), "{} is missing: bash harness/tests/real_peers/install.sh", path.display());
    folder
}

impl Server {
    pub(crate) fn start(peer: Peer) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_peers");
        let mut command = match peer {
            Peer::Node => {
                let folder = installed("node_modules/ws");
                let mut command = Command::new("node");
                command.arg(here.join("server.mjs")).arg(folder);
                command
            }
            Peer::Python => {
                let mut command = Command::new(installed("python/bin/python").join("python/bin/python"));
                command.arg(here.join("server.py"));
                command
            }
        };
        let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                panic!("{command:?}: {error}; install Node.js 18 or newer, and Python 3.10 or newer")
            }
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = |port: &str| SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let mut addresses = line.split_whitespace().map(address);
        let Some(first) = addresses.next() else { panic!("{command:?} ended before it listened") };
        Self { peer, address: first, plain: addresses.next(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
