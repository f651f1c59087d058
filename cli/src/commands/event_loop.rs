//! What commands run in: an event loop, and the signals that end it early.

use harness::record::exit_code::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::run::Refusal;

/// An event loop on this thread.
///
/// # Errors
/// The system gives none.
pub(crate) fn start() -> Result<Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Refusal {
        message: format!("cannot start the event loop: {error}"),
        exit: ExitCode::Failed,
    })
}

/// Resolves at the first SIGINT, SIGTERM or SIGHUP. The handlers are in place when this returns, not when it is first polled: a
/// signal while the gateway starts must not end the process and leave a state directory behind. Where the system refuses
/// handlers a signal ends the process, and the kernel the gateway with it.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let handlers =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    async move {
        match handlers {
            (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}

/// Whether a signal has come, for a command that makes several runs; told as long as `watching` is kept.
pub(crate) fn watch_signals(watching: &mut JoinSet<()>) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let handlers = interrupted();
    watching.spawn(async move {
        handlers.await;
        stop.send_replace(true);
    });
    stopped
}

/// Resolves when a signal has come.
pub(crate) fn until(stopped: &watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
    let mut stopped = stopped.clone();
    async move {
        // An error means that nobody can interrupt any more.
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
