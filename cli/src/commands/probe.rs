//! `pairstorm probe`: one look at a live gateway.

use std::process::ExitCode;
use std::time::Duration;

use harness::probe::address::{Address, Argument};
use harness::probe::configuration::{Configuration, DEFAULT_PORT};
use harness::probe::files::{self, FileError};
use harness::probe::secret::Secret;
use harness::probe::tls::{self, Side, Trust};
use harness::probe::wire::Wire;
use harness::probe::{Credential, Pointed, course, exit_code};
use harness::record::exit_code::ExitCode as Code;

use crate::args::ProbeArguments;
use crate::printer;

/// What a code of channel pairing is for.
const CHANNEL_CODE: &str = "That is a code of channel pairing. A person who wrote to your bot was given it, and you let that person in \
with it:

    openclaw pairing list <CHANNEL>
    openclaw pairing approve <CHANNEL> <CODE>

It has nothing to do with \"pairing required\" (close 1008), which a gateway says to a client that is not approved. For that one, give
the gateway's URL: pairstorm probe ws://127.0.0.1:18789
";

/// Why nothing was looked at.
type Unusable = String;

pub(crate) fn probe(arguments: &ProbeArguments) -> ExitCode {
    let configuration = match arguments.state_dir.as_deref().map(files::configuration).transpose() {
        Ok(configuration) => configuration.flatten(),
        Err(error) => return unusable(&error.to_string()),
    };
    let address = match address(arguments, configuration.as_ref()) {
        Ok(Argument::Url(address))
            if address.has_query() && address.is_readable() && !arguments.allow_plaintext =>
        {
            return kept_back("what follows `?` in the URL may be a secret");
        }
        Ok(Argument::Url(address)) => address,
        Ok(Argument::ChannelCode) => return channel_code(arguments.json),
        Err(error) => return unusable(&error),
    };
    let trust = match trust(arguments, configuration.as_ref()) {
        Ok(trust) => trust,
        Err(error) => return unusable(&error),
    };
    let side = match address.tls.then(|| Side::new(&trust)).transpose() {
        Ok(side) => side,
        Err(error) => {
            printer::error(&error.to_string());
            return Code::Failed.into();
        }
    };
    let wire = Wire::new(address.clone(), side, arguments.patience);
    let pointed = match pointed(arguments, address, configuration, wire.wall_ms()) {
        Ok(pointed) => pointed,
        Err(error) => return unusable(&error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer::error(&error.to_string());
            return Code::Failed.into();
        }
    };
    let report = runtime.block_on(harness::probe::run(&pointed, wire));
    // A name server that does not answer keeps its thread; nobody waits for it.
    runtime.shutdown_timeout(Duration::ZERO);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).map(|text| format!("{text}\n")).unwrap_or_default()
    } else {
        report.text()
    };
    if report.exit_code == exit_code::KEPT_BACK {
        let _ = kept_back("no cause was found without the secret that was pointed at");
    }
    printer::finish(&text, ExitCode::from(report.exit_code))
}

/// Says that a secret would have been readable on its way.
fn kept_back(what: &str) -> ExitCode {
    printer::error(&format!("{what}, and it was not sent: {}", course::READABLE));
    ExitCode::from(exit_code::KEPT_BACK)
}

fn unusable(why: &str) -> ExitCode {
    printer::error(why);
    Code::Usage.into()
}

fn channel_code(json: bool) -> ExitCode {
    let text = if json {
        let value = serde_json::json!({"channel_code": true, "about": CHANNEL_CODE, "exit_code": exit_code::CHANNEL_CODE});
        format!("{value:#}\n")
    } else {
        CHANNEL_CODE.to_owned()
    };
    printer::finish(&text, ExitCode::from(exit_code::CHANNEL_CODE))
}

/// The URL that was typed, else that of the configuration.
fn address(arguments: &ProbeArguments, configuration: Option<&Configuration>) -> Result<Argument, Unusable> {
    if let Some(url) = &arguments.url {
        return Argument::parse(url).map_err(|error| error.to_string());
    }
    let Some(directory) = &arguments.state_dir else {
        return Err("say where the gateway is: a URL, or --state-dir DIR with its openclaw.json".to_owned());
    };
    let Some(configuration) = configuration else {
        return Err(format!("{} has no openclaw.json; type the gateway's URL", directory.display()));
    };
    match &configuration.remote_url {
        Some(url) if configuration.remote => Address::parse(url).map(Argument::Url).map_err(|error| {
            format!("gateway.remote.url of {}: {error}", directory.join("openclaw.json").display())
        }),
        _ => Ok(Argument::Url(Address::local(configuration.tls, configuration.port.unwrap_or(DEFAULT_PORT)))),
    }
}

fn trust(arguments: &ProbeArguments, configuration: Option<&Configuration>) -> Result<Trust, Unusable> {
    if let Some(path) = &arguments.ca {
        return files::certificates(path).map(Trust::Only).map_err(|error| error.to_string());
    }
    let configured = configuration.and_then(|configuration| configuration.remote_fingerprint.as_ref());
    match arguments.fingerprint.as_ref().or(configured) {
        Some(text) => tls::fingerprint(text).map(Trust::Pinned).map_err(|error| error.to_string()),
        None => Ok(Trust::System),
    }
}

fn pointed(
    arguments: &ProbeArguments,
    address: Address,
    configuration: Option<Configuration>,
    now_ms: u64,
) -> Result<Pointed, Unusable> {
    let credential = credential(arguments, &address, configuration.as_ref())?;
    let said = |error: FileError| error.to_string();
    let identity = match (&arguments.identity, &arguments.state_dir) {
        _ if arguments.new_device => None,
        (Some(path), _) => Some(files::identity(path).map_err(said)?),
        (None, Some(directory)) => files::identity_of_state(directory).map_err(said)?,
        (None, None) => None,
    };
    let store = match &arguments.state_dir {
        Some(directory) if is_the_gateways(&address, configuration.as_ref()) => {
            let device_id = identity.as_ref().map(|identity| identity.key.device_id());
            files::store(directory, device_id, now_ms).map_err(said)?
        }
        _ => None,
    };
    Ok(Pointed {
        address,
        credential,
        identity,
        role: arguments.role.clone(),
        asks: (!arguments.asks.is_empty()).then(|| arguments.asks.clone()),
        platform: arguments.platform.clone(),
        device_family: arguments.device_family.clone(),
        display_name: arguments.display_name.clone(),
        origin: arguments.origin.clone(),
        allow_plaintext: arguments.allow_plaintext,
        new_device: arguments.new_device,
        configuration,
        store,
    })
}

/// Whether the directory is that of the gateway at this address, as far as its configuration says.
fn is_the_gateways(address: &Address, configuration: Option<&Configuration>) -> bool {
    let elsewhere = configuration.is_some_and(|configuration| {
        configuration.remote || configuration.port.is_some_and(|port| port != address.port)
    });
    address.is_loopback() && !elsewhere
}

fn credential(
    arguments: &ProbeArguments,
    address: &Address,
    configuration: Option<&Configuration>,
) -> Result<Option<Credential>, Unusable> {
    let named = match (&arguments.token_env, &arguments.token_file) {
        (Some(name), _) => {
            let secret = std::env::var(name).map(|value| Secret::new(&value));
            let secret = secret.map_err(|_| format!("the environment variable {name} is not set"))?;
            if secret.reveal().is_empty() {
                return Err(format!("the environment variable {name} is empty"));
            }
            Some(secret)
        }
        (None, Some(path)) => Some(files::secret(path).map_err(|error| error.to_string())?),
        (None, None) => None,
    };
    if let Some(secret) = named {
        let configured = configuration.and_then(Configuration::effective_auth_mode);
        return Ok(Some(Credential {
            secret,
            is_password: arguments.password || configured == Some("password"),
        }));
    }
    let Some(configuration) = configuration else { return Ok(None) };
    // The secret of the gateway that the file is about, and of no other.
    let (token, password) = if configuration.remote {
        let about = configuration.remote_url.as_deref().and_then(|url| Address::parse(url).ok());
        if about
            .is_none_or(|about| (about.host.as_str(), about.port) != (address.host.as_str(), address.port))
        {
            return Ok(None);
        }
        (&configuration.remote_token, &configuration.remote_password)
    } else if address.is_loopback() && configuration.port.is_none_or(|port| port == address.port) {
        (&configuration.token, &configuration.password)
    } else {
        return Ok(None);
    };
    let password_mode = configuration.effective_auth_mode() == Some("password");
    let (first, second) = ((token, false), (password, true));
    let order = if password_mode || arguments.password { [second, first] } else { [first, second] };
    let found = order.into_iter().find_map(|(secret, is_password)| Some((secret.clone()?, is_password)));
    Ok(found.map(|(secret, is_password)| Credential { secret, is_password }))
}
