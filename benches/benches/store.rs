//! What the gateway's store costs by size and back end: reading it at start, and one durable change.
//!
//! A change is a temporary file, fsync, rename and fsync of the folder, or a commit of SQLite with synchronous FULL, so that
//! its time is the disk's as much as ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use benches::numbered::Numbered;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::policy::{Caller, DeviceEntry, Rules, TokenEntry};
use gateway_under_test::profile::{self, Profile};
use gateway_under_test::store::{Core, backend};
use protocol::pairing::RevokeParams;

const NOW_MS: u64 = 1_795_414_435_593;
const ROLE: &str = "operator";

/// A state folder of this bench, removed when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir_all(&path) {
            unreachable!("{}: {error}", path.display());
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind lies in the target directory and hurts nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Kinds of stores, with a name and a profile that has it.
const BACK_ENDS: [(&str, &Profile); 2] = [("json", &profile::ARTICLE), ("sqlite", &profile::V2026_9_6)];

fn rules(profile: &'static Profile) -> Arc<Rules> {
    Arc::new(Rules::of(profile, AuthConfig::Token(Secret::new("secret-token-1"))))
}

fn core(folder: &Folder, profile: &'static Profile) -> Core {
    let core = backend::open(profile.store, &folder.0).and_then(|backend| {
        backend.prepare(true)?;
        Core::load(backend, rules(profile), Box::new(|| NOW_MS), Box::new(Numbered::default()))
    });
    match core {
        Ok(core) => core,
        Err(error) => unreachable!("{error}"),
    }
}

fn device_id(number: u32) -> String {
    protocol::device_id(&[number.to_le_bytes(); 8].concat().try_into().unwrap_or([0; 32]))
}

fn entry(number: u32) -> DeviceEntry {
    let scopes = vec!["operator.read".to_owned(), "operator.write".to_owned()];
    let token = TokenEntry {
        token: format!("{number:043}"),
        role: ROLE.to_owned(),
        scopes: scopes.clone(),
        created_at_ms: NOW_MS,
        rotated_at_ms: None,
        revoked_at_ms: None,
        last_used_at_ms: None,
        more: Default::default(),
    };
    DeviceEntry {
        device_id: device_id(number),
        public_key: format!("{number:043}"),
        platform: Some("linux".to_owned()),
        client_id: Some("cli".to_owned()),
        client_mode: Some("cli".to_owned()),
        role: Some(ROLE.to_owned()),
        roles: Some(vec![ROLE.to_owned()]),
        scopes: Some(scopes.clone()),
        approved_scopes: Some(scopes),
        remote_ip: Some("203.0.113.7".to_owned()),
        tokens: BTreeMap::from([(ROLE.to_owned(), token)]),
        created_at_ms: NOW_MS,
        approved_at_ms: NOW_MS,
        ..DeviceEntry::default()
    }
}

/// A store of so many devices, written once.
fn filled(folder: &Folder, profile: &'static Profile, devices: u32) -> Core {
    let mut core = core(folder, profile);
    for number in 0..devices {
        core.seed(entry(number));
    }
    match core.commit() {
        Ok(commit) => assert!(commit.paired, "the devices were written"),
        Err(error) => unreachable!("{error}"),
    }
    core
}

fn by_size(c: &mut Criterion) {
    for (name, profile) in BACK_ENDS {
        for devices in [100_u32, 1_000, 10_000, 100_000] {
            let folder = Folder::new(&format!("{name}-{devices}"));
            let mut core = filled(&folder, profile, devices);
            let loaded = self::core(&folder, profile).state().devices();
            assert_eq!(loaded, usize::try_from(devices).unwrap_or_default());

            let mut group = c.benchmark_group("store_load");
            group.throughput(Throughput::Elements(u64::from(devices))).sample_size(10);
            group
                .bench_function(BenchmarkId::new(name, devices), |b| b.iter(|| self::core(&folder, profile)));
            group.finish();

            let mut group = c.benchmark_group("store_commit");
            group.sample_size(10);
            let revoke = RevokeParams { device_id: device_id(0), role: ROLE.to_owned() };
            group.bench_function(BenchmarkId::new(name, devices), |b| {
                b.iter(|| {
                    let changed = core.enter().is_ok() && core.revoke(&Caller::owner(), &revoke).is_ok();
                    assert!(
                        changed && core.commit().is_ok_and(|commit| commit.paired),
                        "the change was written"
                    );
                });
            });
            group.finish();
        }
    }
}

criterion_group!(store, by_size);
criterion_main!(store);
