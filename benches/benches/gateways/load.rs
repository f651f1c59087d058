//! A closed load on one gateway, and what it cost the gateway.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use benches::rounds::Spread;
use benches::usage::resident_bytes;
use harness::clock::Clock;

use super::client::Session;
use super::contender::Running;
use super::process;

/// Sessions that come from one source address: beyond, looking for a port gets slow.
const SESSIONS_AN_ADDRESS: usize = 10_000;

/// One turn of one gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    /// CPU time of the gateway, microseconds a handshake.
    pub(super) cpu_us: f64,
}

/// Runs `work` so many times, `in_flight` at once; the first error ends it.
fn closed(
    count: u64,
    in_flight: usize,
    work: impl Fn(u64) -> std::io::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..in_flight {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Err(error) = work(number) {
                        next.store(count, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert(error);
                        }
                        return;
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error.into()),
        Err(_) => anyhow::bail!("a client panicked"),
    }
}

/// Whole handshakes.
pub(super) fn drive(
    gateway: &Running,
    clock: &Clock,
    count: u64,
    in_flight: usize,
) -> anyhow::Result<Sample> {
    let (began, used) = (clock.now(), process::cpu(gateway.pid())?);
    closed(count, in_flight, |_| gateway.device.shake_hands(gateway.port(), || clock.wall_ms()))
        .with_context(|| gateway.name.clone())?;
    let (took, used) = (clock.now() - began, process::cpu(gateway.pid())?.saturating_sub(used));
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (count, took) = (count as f64, took as f64);
    Ok(Sample { per_second: count * 1e9 / took, cpu_us: used.as_secs_f64() * 1e6 / count })
}

/// Resident memory of the gateway a held session, bytes.
pub(super) fn hold(gateway: &Running, clock: &Clock, count: usize, in_flight: usize) -> anyhow::Result<f64> {
    // Pairs the device, and lets the allocator have what handshakes need anyway.
    drive(gateway, clock, 2_000, in_flight)?;
    let before = resident_bytes(gateway.pid())?;
    let held: Mutex<Vec<Session>> = Mutex::default();
    closed(count as u64, in_flight, |number| {
        let address = usize::try_from(number).unwrap_or_default() / SESSIONS_AN_ADDRESS;
        let from = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + address).unwrap_or(u8::MAX));
        let session = gateway.device.connect(gateway.port(), from, || clock.wall_ms())?;
        if let Ok(mut held) = held.lock() {
            held.push(session);
        }
        Ok(())
    })
    .with_context(|| gateway.name.clone())?;
    let after = resident_bytes(gateway.pid())?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    Ok(after.saturating_sub(before) as f64 / count as f64)
}

/// Of rounds, as it stands in the table: the median, and between which rounds the true one lies.
pub(super) fn one_decimal(spread: Spread) -> String {
    format!("{:.1} [{:.1} .. {:.1}]", spread.median, spread.low, spread.high)
}
