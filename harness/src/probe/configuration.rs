//! OpenClaw's own configuration file, as far as it says how to reach a gateway: JSON5, keys as OpenClaw spells them.

use serde_json::{Map, Value};

use super::secret::Secret;

/// Port of a gateway whose configuration names none.
pub const DEFAULT_PORT: u16 = 18_789;

/// What the file says. What it does not say is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `gateway.mode` is `remote`: the gateway runs elsewhere, and what is here is a client's.
    pub remote: bool,
    /// `gateway.port`
    pub port: Option<u16>,
    /// `gateway.tls.enabled`
    pub tls: bool,
    /// `gateway.auth.mode`
    pub auth_mode: Option<String>,
    /// `gateway.auth.token`
    pub token: Option<Secret>,
    /// `gateway.auth.password`
    pub password: Option<Secret>,
    /// `gateway.trustedProxies`; `None` = it is not there.
    pub trusted_proxies: Option<Vec<String>>,
    /// `gateway.controlUi.allowedOrigins`
    pub allowed_origins: Option<Vec<String>>,
    /// `gateway.remote.url`
    pub remote_url: Option<String>,
    /// `gateway.remote.token`
    pub remote_token: Option<Secret>,
    /// `gateway.remote.password`
    pub remote_password: Option<Secret>,
    /// `gateway.remote.tlsFingerprint`
    pub remote_fingerprint: Option<String>,
    /// `meta.lastTouchedVersion`: the release that wrote the file last.
    pub written_by: Option<String>,
    /// What of it could not be used, and why.
    pub unread: Vec<String>,
}

/// It is no configuration. Nothing of the file is repeated, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Not JSON5.
    #[error("it is not JSON5{0}; `openclaw doctor` says more")]
    Syntax(String),
    /// Not an object.
    #[error("it holds no object; OpenClaw's configuration begins with {{")]
    NoObject,
}

impl Configuration {
    /// Reads the text of `openclaw.json`; `variable` gives the value of an environment variable that it names.
    ///
    /// # Errors
    /// [`ConfigurationError`]
    pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        let root: Value = json5::from_str(text).map_err(|error| {
            let at = error.position().map(|at| format!(" (line {}, column {})", at.line + 1, at.column + 1));
            ConfigurationError::Syntax(at.unwrap_or_default())
        })?;
        let root = root.as_object().ok_or(ConfigurationError::NoObject)?;
        let mut reader = Reader { variable, unread: Vec::new() };
        if root.contains_key("$include") {
            reader.unread.push("$include: other files are not read".to_owned());
        }
        let gateway = object(root.get("gateway"));
        let (auth, remote) = (object(gateway.get("auth")), object(gateway.get("remote")));
        let control_ui = object(gateway.get("controlUi"));
        let mut read = Self {
            remote: gateway.get("mode").and_then(Value::as_str) == Some("remote"),
            port: gateway.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()),
            tls: object(gateway.get("tls")).get("enabled").and_then(Value::as_bool).unwrap_or_default(),
            auth_mode: auth.get("mode").and_then(Value::as_str).map(str::to_owned),
            token: reader.secret(&auth, "gateway.auth", "token"),
            password: reader.secret(&auth, "gateway.auth", "password"),
            trusted_proxies: texts(gateway.get("trustedProxies")),
            allowed_origins: texts(control_ui.get("allowedOrigins")),
            remote_url: reader.text(&remote, "gateway.remote", "url"),
            remote_token: reader.secret(&remote, "gateway.remote", "token"),
            remote_password: reader.secret(&remote, "gateway.remote", "password"),
            remote_fingerprint: reader.text(&remote, "gateway.remote", "tlsFingerprint"),
            written_by: object(root.get("meta"))
                .get("lastTouchedVersion")
                .and_then(Value::as_str)
                .map(str::to_owned),
            unread: Vec::new(),
        };
        read.unread = reader.unread;
        Ok(read)
    }

    /// The auth mode: as written, else what the credential that is there makes it.
    #[must_use]
    pub fn effective_auth_mode(&self) -> Option<&str> {
        match &self.auth_mode {
            Some(mode) => Some(mode),
            None if self.token.is_some() => Some("token"),
            None if self.password.is_some() => Some("password"),
            None => None,
        }
    }
}

struct Reader<'v> {
    variable: &'v dyn Fn(&str) -> Option<String>,
    unread: Vec<String>,
}

impl Reader<'_> {
    fn secret(&mut self, keys: &Map<String, Value>, place: &str, key: &str) -> Option<Secret> {
        self.text(keys, place, key)
            .map(|text| Secret::new(&text))
            .filter(|secret| !secret.reveal().is_empty())
    }

    /// A text, with `${NAME}` replaced as OpenClaw does.
    fn text(&mut self, keys: &Map<String, Value>, place: &str, key: &str) -> Option<String> {
        match keys.get(key)? {
            Value::String(text) => {
                let (filled, missing) = self.fill(text);
                for name in missing {
                    self.unread
                        .push(format!("{place}.{key}: the environment variable {name} is not set here"));
                }
                filled
            }
            Value::Object(_) => {
                self.unread.push(format!("{place}.{key}: it is kept in a secret store, which is not asked"));
                None
            }
            _ => {
                self.unread.push(format!("{place}.{key}: it is no text"));
                None
            }
        }
    }

    fn fill(&self, text: &str) -> (Option<String>, Vec<String>) {
        let (mut filled, mut missing) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else { break };
            filled.push_str(before);
            match (self.variable)(name) {
                Some(value) => filled.push_str(&value),
                None => missing.push(name.to_owned()),
            }
            rest = behind;
        }
        filled.push_str(rest);
        (missing.is_empty().then_some(filled), missing)
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    Some(value?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Configuration {
        let variable = |name: &str| (name == "OPENCLAW_TOKEN").then(|| "from-env".to_owned());
        Configuration::parse(text, &variable).unwrap()
    }

    #[test]
    fn a_gateways_own_file() {
        let read = read(
            r#"{ // as people write it
              meta: { lastTouchedVersion: "2026.9.6" },
              gateway: {
                mode: 'local', port: 19001, tls: { enabled: true },
                auth: { mode: "token", token: "hunter2" },
                trustedProxies: ["172.17.0.1", "10.0.0.0/8",],
                controlUi: { allowedOrigins: ["https://a.example"] },
              },
            }"#,
        );
        assert_eq!((read.port, read.tls, read.remote), (Some(19001), true, false));
        assert_eq!(read.effective_auth_mode(), Some("token"));
        assert_eq!(read.token.as_ref().map(Secret::reveal), Some("hunter2"));
        assert_eq!(read.trusted_proxies.as_deref().map(<[String]>::len), Some(2));
        assert_eq!(read.written_by.as_deref(), Some("2026.9.6"));
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn a_clients_file_and_what_cannot_be_used_of_it() {
        let read = read(
            r#"{"$include": "x.json", "gateway": {"mode": "remote", "auth": {"password": {"source": "env"}},
                "remote": {"url": "wss://gw.example.com", "token": "x-${OPENCLAW_TOKEN}", "password": "${NOPE}"}}}"#,
        );
        assert!(read.remote);
        assert_eq!(read.remote_token.as_ref().map(Secret::reveal), Some("x-from-env"));
        assert_eq!((read.remote_password, read.password), (None, None));
        assert_eq!(
            read.unread,
            [
                "$include: other files are not read",
                "gateway.auth.password: it is kept in a secret store, which is not asked",
                "gateway.remote.password: the environment variable NOPE is not set here",
            ]
        );
    }

    #[test]
    fn what_is_no_configuration_is_said_without_showing_it() {
        let none = |_: &str| None;
        let error = Configuration::parse("{ a: hunter2 hunter2 }", &none).unwrap_err().to_string();
        assert!(
            error.starts_with("it is not JSON5 (line 1, column") && !error.contains("hunter2"),
            "{error}"
        );
        assert_eq!(Configuration::parse("[]", &none), Err(ConfigurationError::NoObject));
        assert_eq!(Configuration::parse("{}", &none), Ok(Configuration::default()));
    }
}
