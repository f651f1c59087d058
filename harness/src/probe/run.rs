//! A probe from the first look to the report.

use rand::TryRng as _;
use rand::rngs::SysRng;

use super::conclusion;
use super::course;
use super::pointed::Pointed;
use super::release::{self, Told};
use super::report::Report;
use super::seen::{Failed, Look, Seen};
use super::wire::Wire;
use crate::client::DeviceKey;
use crate::observation::{DropReason, Outcome};

/// Looks until the cause is known or nothing is left to look at. Each look is one connection at most, whatever comes of it.
pub async fn run(pointed: &Pointed, mut wire: Wire) -> Report {
    let mut seen = Seen::default();
    let mut new_device = None;
    let mut told = tell(pointed, &seen);
    while let Some(look) = course::next(pointed, &seen, &told) {
        match look {
            Look::Health => seen.health = Some(wire.health().await),
            Look::Challenge => seen.challenge = Some(wire.challenge().await),
            Look::Credential => seen.credential = Some(wire.connect(&course::credential_ask(pointed)).await),
            Look::Page => seen.page = Some(wire.connect(&course::page_ask(pointed, &told)).await),
            Look::Device => {
                seen.device = Some(match course::device_ask(pointed, &told) {
                    Some(ask) => wire.connect(&ask).await,
                    None => Err(NOT_TRIED),
                });
            }
            Look::NewDevice => {
                seen.new_device = Some(match fresh() {
                    Some(key) => {
                        new_device = Some(key.device_id().to_owned());
                        wire.connect(&course::new_device_ask(pointed, &key)).await
                    }
                    None => Err(NOT_TRIED),
                });
            }
        }
        seen.peer = wire.peer();
        seen.certificate = wire.certificate();
        told = tell(pointed, &seen);
    }
    let verdict = conclusion::conclude(pointed, &seen, &told);
    Report::new(pointed, &seen, &told, verdict, &wire.budget, new_device.as_deref())
        .redacted(pointed.secrets())
}

const NOT_TRIED: Failed = Failed::Ended(Outcome::Dropped(DropReason::RunEnded));

fn tell(pointed: &Pointed, seen: &Seen) -> Told {
    release::tell(seen, pointed.configuration.as_ref(), pointed.store.as_ref())
}

/// A device that nobody has seen. Its key is kept nowhere.
fn fresh() -> Option<DeviceKey> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).ok()?;
    DeviceKey::from_seed(&seed).ok()
}
