//! The gateway as a process: what the harness does with one that does not behave.

#![allow(clippy::expect_used, reason = "a helper of tests; clippy exempts test functions only")]

use harness::gateway::process::{GatewayArguments, GatewayCommand};
use harness::gateway::{GatewayProcess, StateDir, TargetError};

/// A "gateway" that is a shell script; it gets the arguments of a gateway and ignores them.
fn script(text: &str) -> GatewayCommand {
    GatewayCommand { program: "/bin/sh".into(), prefix: vec!["-c".into(), text.into(), "gateway".into()] }
}

fn arguments() -> GatewayArguments {
    GatewayArguments { profile: "article".to_owned(), port: 1, defect: None, time_scale: 1.0 }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

#[test]
fn one_that_dies_at_start_is_quoted() {
    block_on(async {
        let state = StateDir::create().expect("a folder");
        let command = script("echo 'the reason of it' >&2; exit 3");
        let error = GatewayProcess::start(command, arguments(), &state).await.expect_err("it died");
        assert!(matches!(error, TargetError::DiedAtStart { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("the reason of it") && text.contains("exit status: 3"), "{text}");
    });
}

#[test]
fn a_program_that_is_not_there_is_named() {
    block_on(async {
        let state = StateDir::create().expect("a folder");
        let command = GatewayCommand { program: "/nowhere/gateway".into(), prefix: Vec::new() };
        let error = GatewayProcess::start(command, arguments(), &state).await.expect_err("no program");
        assert!(error.to_string().contains("/nowhere/gateway"), "{error}");
    });
}

#[test]
fn one_that_was_started_is_stopped_and_its_state_removed() {
    block_on(async {
        let state = StateDir::create().expect("a folder");
        let folder = state.path().to_owned();
        let command = script("echo 'listening on ws://127.0.0.1:1'; exec sleep 1000");
        let mut process = GatewayProcess::start(command, arguments(), &state).await.expect("it listens");
        let pid = process.pid().expect("it runs");
        process.stop().await.expect("it stops");
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is gone");
        drop(state);
        assert!(!folder.exists());
    });
}
