//! A gateway that runs: its address, its process and its log.

use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};

use protocol::ProfileName;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_tungstenite::tungstenite;

use super::PATIENCE;
use super::connection::Connection;
use super::device::Device;
use super::way::Way;

/// What the gateway has written to stderr so far.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Mutex<Vec<String>>,
    pub(super) ended: Mutex<bool>,
    pub(super) more: Condvar,
}

impl Log {
    /// All lines, once the process has closed its end.
    pub(super) fn wait_ended(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let wait = self.more.wait_timeout_while(lines, PATIENCE, |_| !*self.ended.lock().unwrap());
        wait.unwrap().0.clone()
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(super) child: Child,
    pub(super) log: Arc<Log>,
    pub(super) stdout: Option<BufReader<ChildStdout>>,
}

impl Gateway {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits for a log line with this text and gives it.
    pub(crate) fn logged(&self, text: &str) -> String {
        let lines = self.log.lines.lock().unwrap();
        let (lines, _) = self
            .log
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| !lines.iter().any(|line| line.contains(text)))
            .unwrap();
        lines
            .iter()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("{text:?} is not in the log: {lines:#?}"))
            .clone()
    }

    /// Everything logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// A connection after its challenge.
    pub(crate) fn connect(&self, way: &Way) -> Connection {
        Connection::open(self.address, way).unwrap()
    }

    /// Connects and says hello; a session or a panic.
    pub(crate) fn session(&self, way: &Way, device: &Device) -> Connection {
        let mut connection = self.connect(way);
        let answer = connection.hello(device);
        assert_eq!(answer["ok"], true, "{answer}");
        connection.hello = answer["payload"].clone();
        connection
    }

    /// Connects, is refused, and gives the error and the close frame.
    pub(crate) fn refused(&self, way: &Way, device: &Device) -> (Value, Option<(u16, String)>) {
        let mut connection = self.connect(way);
        let answer = connection.hello(device);
        assert_eq!(answer["ok"], false, "{answer}");
        (answer["error"].clone(), connection.close_frame())
    }

    /// Largest resident size so far, kilobytes.
    pub(crate) fn peak_memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A local operator that holds every scope, paired by itself.
    pub(crate) fn operator(&self) -> Connection {
        self.session(&Way::local(), &Device::new(250).scopes(&protocol::scope::ALL))
    }

    /// The same, of a release.
    pub(crate) fn operator_of(&self, profile: ProfileName) -> Connection {
        self.session(&Way::local(), &Device::new(250).scopes(&protocol::scope::ALL).of(profile))
    }

    /// `GET path`: status, content type and body.
    pub(crate) fn page(&self, path: &str) -> (u16, String, String) {
        let text = self
            .exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), kind.to_owned(), body.to_owned())
    }

    /// The status and body that an upgrade is refused with.
    pub(crate) fn not_upgraded(&self, way: &Way) -> (u16, String) {
        match Connection::open(self.address, way).map_err(|error| *error) {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            Err(other) => panic!("no HTTP answer but {other}"),
            Ok(_) => panic!("it was upgraded"),
        }
    }

    /// `GET path`: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    /// Sends bytes and reads to the end: status and body.
    pub(crate) fn http(&self, request: &str) -> (u16, String) {
        let text = self.exchange(request);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn exchange(&self, request: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
