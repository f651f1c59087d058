//! A gateway that takes part: how it is started, and who connects to it.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;
use benches::cores;
use harness::client::DeviceKey;
use harness::gateway::process::GatewayArguments;
use harness::gateway::{GatewayCommand, GatewayProcess, Launch, StateDir, fixture, port};
use harness::plan::identity::Identities;
use harness::plan::{Overrides, unfold};
use harness::scenario;
use harness::vocabulary::persona;
use protocol::ProfileName;

use super::client::Device;

/// First argument that makes this program the in-repo gateway.
pub(super) const GATEWAY: &str = "gateway";

/// A gateway that is not started yet.
pub(super) struct Contender {
    pub(super) name: String,
    launch: Launch,
    profile: ProfileName,
    /// Devices in its store before the run, besides the one that connects.
    bystanders: usize,
}

/// A gateway that serves.
pub(super) struct Running {
    pub(super) name: String,
    pub(super) is_real: bool,
    pub(super) device: Device,
    process: GatewayProcess,
    _state: StateDir,
}

impl Running {
    pub(super) fn port(&self) -> u16 {
        self.process.port()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid().unwrap_or_default()
    }
}

impl Contender {
    /// Somebody else's.
    pub(super) fn real(launch: Launch, profile: ProfileName) -> Self {
        Self { name: launch.name().to_owned(), launch, profile, bystanders: 0 }
    }

    /// Ours, with so many devices paired.
    pub(super) fn in_repo(
        program: Option<&Path>,
        profile: ProfileName,
        devices: usize,
    ) -> anyhow::Result<Self> {
        let command = match program {
            Some(program) => GatewayCommand { program: program.to_owned(), prefix: Vec::new() },
            None => GatewayCommand {
                program: std::env::current_exe().context("where this program lies")?,
                prefix: vec![OsString::from(GATEWAY)],
            },
        };
        let name = format!("in-repo {profile}, {devices} paired");
        Ok(Self { name, launch: command.into(), profile, bystanders: devices.saturating_sub(1) })
    }

    /// Starts it on core 1.
    pub(super) async fn start(self) -> anyhow::Result<Running> {
        let store = match self.bystanders {
            0 => String::new(),
            devices => format!("[gateway.store]\nbackend = \"json\"\ndevices = {devices}\n"),
        };
        // A local client is paired by its first connect, by every release.
        let text = format!(
            "name = \"gateways\"\nabout = \"one paired device\"\n[gateway]\nprofile = \"{}\"\n{store}\
             [cohort.device]\npersona = \"cli\"\ncount = 1\ndeviation = \"none\"\n\
             [cohort.device.arrivals.herd]\nat = \"0s\"\n",
            self.profile,
        );
        let plan = scenario::parse("gateways.toml", &text, &[])
            .and_then(|scenario| unfold(&scenario, &Overrides::default()))
            .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let identities = Identities::reproducible(plan.seed);
        let secret = identities.shared_secret();
        let cohort = plan.cohorts.first().context("the scenario has a cohort")?;
        let device = Device {
            spec: cohort.connect.clone(),
            persona: persona::profile(cohort.connect.persona, self.profile),
            key: DeviceKey::from_seed(&identities.key_seed(&cohort.name, 0))?,
            token: secret.clone(),
        };
        let state = StateDir::create()?;
        fixture::write(&state, &plan, &identities)?;
        let port = port::free()?;
        state.write_config(&self.launch, &plan.gateway, &secret, port)?;
        let arguments =
            GatewayArguments { profile: self.profile.to_string(), port, defect: None, time_scale: 1.0 };
        // Children and threads inherit it.
        cores::pin(1).context("client and gateway need a core each")?;
        let is_real = matches!(self.launch, Launch::Program(_));
        let process = GatewayProcess::start(self.launch, arguments, &state).await?;
        Ok(Running { name: self.name, is_real, device, process, _state: state })
    }
}
