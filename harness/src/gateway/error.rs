//! Why there is no gateway to load.

use std::path::PathBuf;

/// Why a gateway could not be started, reached or accepted as a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// `--target` is not a `ws://` URL.
    #[error("`{url}` cannot be a target: {why}; expected ws://HOST:PORT/")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The target lies outside loopback and nobody vouched for it.
    #[error(
        "`{host}` is not a loopback address: a load never leaves this machine by accident. If the gateway there is yours, \
         add --allow-remote-target {host}"
    )]
    NotLoopback {
        /// Host of the URL.
        host: String,
    },
    /// The name does not resolve.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve {
        /// Host of the URL.
        host: String,
        /// The resolver's answer.
        source: std::io::Error,
    },
    /// No free port below the ephemeral range.
    #[error("no free port between {from} and {to} on 127.0.0.1")]
    NoPort {
        /// First port tried.
        from: u16,
        /// Last port tried.
        to: u16,
    },
    /// The state directory could not be written.
    #[error("cannot write the gateway's state directory {}: {source}", path.display())]
    State {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The process could not be started.
    #[error("cannot start the gateway `{program}`: {source}")]
    Spawn {
        /// Program.
        program: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The process ended before it listened.
    #[error("the gateway ended before it listened ({status}); its last lines:\n{log}")]
    DiedAtStart {
        /// Exit status.
        status: String,
        /// Tail of its log.
        log: String,
    },
    /// The process did not listen in time.
    #[error("the gateway did not listen within {seconds} s; its last lines:\n{log}")]
    NotListening {
        /// Time waited.
        seconds: u64,
        /// Tail of its log.
        log: String,
    },
    /// A fault could not be done or undone.
    #[error("{what}: {source}")]
    Fault {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The process ended although nobody told it to.
    #[error("the gateway ended during the run ({status}) although no fault was due; its last lines:\n{log}")]
    Died {
        /// Exit status.
        status: String,
        /// Tail of its log.
        log: String,
    },
    /// The process did not end on SIGTERM.
    #[error("the gateway did not exit within {seconds} s of SIGTERM and was killed; its last lines:\n{log}")]
    NotStopping {
        /// Time waited.
        seconds: u64,
        /// Tail of its log.
        log: String,
    },
    /// The operator who carries out a story's steps has no session.
    #[error("the operator of the steps could not get a session: {why}")]
    NoOperator {
        /// What happened instead.
        why: String,
    },
    /// A signal could not be sent.
    #[error("cannot signal the gateway: {0}")]
    Signal(std::io::Error),
}
