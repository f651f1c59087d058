//! `<state>/openclaw.json`: OpenClaw's own keys, JSON5, the ones this gateway uses.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::policy::RateLimitConfig;

/// A secret that neither `Debug` nor an error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

/// `gateway.auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthConfig {
    /// Mode `token` (default).
    Token(Secret),
    /// Mode `password`.
    Password(Secret),
    /// Mode `trusted-proxy`.
    TrustedProxy(TrustedProxyAuth),
    /// Mode `none`.
    None,
}

/// `gateway.auth.trustedProxy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxyAuth {
    /// `userHeader`: the header that names the user.
    pub user_header: String,
    /// `requiredHeaders`: headers that must be there.
    pub required_headers: Vec<String>,
    /// `allowUsers`: who may; empty = everybody.
    pub allow_users: Vec<String>,
    /// `allowLoopback`: whether a proxy on this machine may vouch (9.6).
    pub allow_loopback: bool,
    /// `gateway.auth.password`: what local clients may come with instead (9.6).
    pub password: Option<Secret>,
}

impl AuthConfig {
    /// `snapshot.authMode`.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Password(_) => "password",
            Self::TrustedProxy(_) => "trusted-proxy",
            Self::None => "none",
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `gateway.auth`; an error text when it cannot be used to serve.
    pub auth: Result<AuthConfig, String>,
    /// `gateway.trustedProxies`.
    pub trusted_proxies: Vec<String>,
    /// `gateway.controlUi.allowedOrigins`.
    pub allowed_origins: Vec<String>,
    /// `gateway.allowRealIpFallback`.
    pub allow_real_ip_fallback: bool,
    /// `gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback`.
    pub host_origin_fallback: bool,
    /// `gateway.nodes.pairing.autoApproveLocal`; true unless it says otherwise.
    pub auto_approve_local: bool,
    /// `gateway.auth.rateLimit`, if it is there.
    pub rate_limit: Option<RateLimitConfig>,
    /// `gateway.port`.
    pub port: Option<u16>,
    /// Dotted names of keys that are ignored.
    pub ignored: Vec<String>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not JSON5.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// A key holds something else than it should.
    #[error("{path}: {key} must be {expected}")]
    Type {
        /// The file.
        path: PathBuf,
        /// Dotted name.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The file of a state directory.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("openclaw.json")
}

impl Config {
    /// Reads the file; one that does not exist is an empty one.
    ///
    /// # Errors
    /// [`ConfigError`] when it is there and cannot be used.
    pub fn load(state_dir: &Path) -> Result<Self, ConfigError> {
        let path = path(state_dir);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        Self::parse(&text, &path)
    }

    /// Parses the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not JSON5 or a key holds something else than it should.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let root: Value = json5::from_str(text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        let mut reader = Reader { path, ignored: Vec::new() };
        let root = reader.object(Some(&root), "the file")?;
        let gateway = reader.object(root.get("gateway"), "gateway")?;
        let auth = reader.object(gateway.get("auth"), "gateway.auth")?;
        let control_ui = reader.object(gateway.get("controlUi"), "gateway.controlUi")?;
        reader.ignore("", &root, &["gateway"]);
        reader.ignore(
            "gateway.",
            &gateway,
            &["auth", "trustedProxies", "controlUi", "allowRealIpFallback", "port", "nodes"],
        );
        reader.ignore("gateway.auth.", &auth, &["mode", "token", "password", "rateLimit", "trustedProxy"]);
        reader.ignore(
            "gateway.controlUi.",
            &control_ui,
            &["allowedOrigins", "dangerouslyAllowHostHeaderOriginFallback"],
        );
        let nodes = reader.object(gateway.get("nodes"), "gateway.nodes")?;
        let pairing = reader.object(nodes.get("pairing"), "gateway.nodes.pairing")?;
        reader.ignore("gateway.nodes.", &nodes, &["pairing"]);
        reader.ignore("gateway.nodes.pairing.", &pairing, &["autoApproveLocal"]);
        let rate_limit = match auth.get("rateLimit") {
            None => None,
            value => Some(reader.rate_limit(value)?),
        };
        let proxy = match auth.get("trustedProxy") {
            None => None,
            value => Some(reader.trusted_proxy(value)?),
        };
        let port = match gateway.get("port") {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or_else(|| reader.wrong("gateway.port", "a port number"))?,
            ),
        };
        Ok(Self {
            auth: auth_config(
                reader.text(auth.get("mode"), "gateway.auth.mode")?,
                reader.text(auth.get("token"), "gateway.auth.token")?,
                reader.text(auth.get("password"), "gateway.auth.password")?,
                proxy,
            ),
            trusted_proxies: reader.texts(gateway.get("trustedProxies"), "gateway.trustedProxies")?,
            allowed_origins: reader
                .texts(control_ui.get("allowedOrigins"), "gateway.controlUi.allowedOrigins")?,
            allow_real_ip_fallback: reader
                .flag(gateway.get("allowRealIpFallback"), "gateway.allowRealIpFallback")?
                .unwrap_or(false),
            host_origin_fallback: reader
                .flag(
                    control_ui.get("dangerouslyAllowHostHeaderOriginFallback"),
                    "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback",
                )?
                .unwrap_or(false),
            auto_approve_local: reader
                .flag(pairing.get("autoApproveLocal"), "gateway.nodes.pairing.autoApproveLocal")?
                .unwrap_or(true),
            rate_limit,
            port,
            ignored: reader.ignored,
        })
    }
}

fn auth_config(
    mode: Option<String>,
    token: Option<String>,
    password: Option<String>,
    proxy: Option<TrustedProxyAuth>,
) -> Result<AuthConfig, String> {
    let secret = |value: Option<String>, key: &str, mode: &str| {
        value.filter(|text| !text.is_empty()).map(Secret).ok_or_else(|| {
            format!("gateway.auth.{key} is not set, and mode `{mode}` needs it: write it into openclaw.json")
        })
    };
    match mode.as_deref().unwrap_or("token") {
        "token" => secret(token, "token", "token").map(AuthConfig::Token),
        "password" => secret(password, "password", "password").map(AuthConfig::Password),
        "trusted-proxy" => {
            let proxy = proxy.filter(|proxy| !proxy.user_header.trim().is_empty()).ok_or(
                "gateway.auth.trustedProxy.userHeader is not set, and mode `trusted-proxy` needs it: write it into \
                 openclaw.json",
            )?;
            let password = password.filter(|text| !text.is_empty()).map(Secret);
            Ok(AuthConfig::TrustedProxy(TrustedProxyAuth { password, ..proxy }))
        }
        "none" => Ok(AuthConfig::None),
        other => Err(format!(
            "gateway.auth.mode `{other}` is not supported; known: token, password, none, trusted-proxy"
        )),
    }
}

struct Reader<'a> {
    path: &'a Path,
    ignored: Vec<String>,
}

impl Reader<'_> {
    fn wrong(&self, key: &'static str, expected: &'static str) -> ConfigError {
        ConfigError::Type { path: self.path.to_owned(), key, expected }
    }

    fn object(&self, value: Option<&Value>, key: &'static str) -> Result<Map<String, Value>, ConfigError> {
        match value {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    fn text(&self, value: Option<&Value>, key: &'static str) -> Result<Option<String>, ConfigError> {
        match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    fn texts(&self, value: Option<&Value>, key: &'static str) -> Result<Vec<String>, ConfigError> {
        let wrong = || self.wrong(key, "a list of strings");
        match value {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    fn flag(&self, value: Option<&Value>, key: &'static str) -> Result<Option<bool>, ConfigError> {
        value.map(|value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))).transpose()
    }

    fn whole(&self, value: Option<&Value>, key: &'static str) -> Result<Option<u64>, ConfigError> {
        value.map(|value| value.as_u64().ok_or_else(|| self.wrong(key, "a whole number"))).transpose()
    }

    fn rate_limit(&mut self, value: Option<&Value>) -> Result<RateLimitConfig, ConfigError> {
        let map = self.object(value, "gateway.auth.rateLimit")?;
        self.ignore(
            "gateway.auth.rateLimit.",
            &map,
            &["maxAttempts", "windowMs", "lockoutMs", "exemptLoopback"],
        );
        let usual = RateLimitConfig::default();
        let max = self.whole(map.get("maxAttempts"), "gateway.auth.rateLimit.maxAttempts")?;
        Ok(RateLimitConfig {
            max_attempts: max.map_or(usual.max_attempts, |max| u32::try_from(max).unwrap_or(u32::MAX)),
            window_ms: self
                .whole(map.get("windowMs"), "gateway.auth.rateLimit.windowMs")?
                .unwrap_or(usual.window_ms),
            lockout_ms: self
                .whole(map.get("lockoutMs"), "gateway.auth.rateLimit.lockoutMs")?
                .unwrap_or(usual.lockout_ms),
            exempt_loopback: self
                .flag(map.get("exemptLoopback"), "gateway.auth.rateLimit.exemptLoopback")?
                .unwrap_or(usual.exempt_loopback),
        })
    }

    fn trusted_proxy(&mut self, value: Option<&Value>) -> Result<TrustedProxyAuth, ConfigError> {
        let map = self.object(value, "gateway.auth.trustedProxy")?;
        self.ignore(
            "gateway.auth.trustedProxy.",
            &map,
            &["userHeader", "requiredHeaders", "allowUsers", "allowLoopback"],
        );
        Ok(TrustedProxyAuth {
            user_header: self
                .text(map.get("userHeader"), "gateway.auth.trustedProxy.userHeader")?
                .unwrap_or_default(),
            required_headers: self
                .texts(map.get("requiredHeaders"), "gateway.auth.trustedProxy.requiredHeaders")?,
            allow_users: self.texts(map.get("allowUsers"), "gateway.auth.trustedProxy.allowUsers")?,
            allow_loopback: self
                .flag(map.get("allowLoopback"), "gateway.auth.trustedProxy.allowLoopback")?
                .unwrap_or(false),
            password: None,
        })
    }

    fn ignore(&mut self, prefix: &str, map: &Map<String, Value>, known: &[&str]) {
        self.ignored.extend(
            map.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("{prefix}{key}")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("openclaw.json")).map_err(|error| error.to_string())
    }

    #[test]
    fn openclaws_keys_are_read_and_others_named() {
        let config = parse(
            "{ gateway: { auth: { token: 's', rateLimit: {} }, trustedProxies: ['127.2.0.1'], // why
               controlUi: { allowedOrigins: ['https://a'] }, port: 18789, bind: 'loopback' }, agents: {} }",
        )
        .unwrap();
        assert_eq!(config.auth, Ok(AuthConfig::Token(Secret::new("s"))));
        assert_eq!(config.trusted_proxies, ["127.2.0.1"]);
        assert_eq!(config.allowed_origins, ["https://a"]);
        assert_eq!(config.port, Some(18789));
        assert_eq!(config.ignored, ["agents", "gateway.bind"]);
    }

    #[test]
    fn unusable_files_say_what_is_wrong() {
        insta::assert_snapshot!(parse("{}").unwrap().auth.unwrap_err(), @"gateway.auth.token is not set, and mode `token` needs it: write it into openclaw.json");
        insta::assert_snapshot!(parse("{gateway:{auth:{mode:'sso'}}}").unwrap().auth.unwrap_err(), @"gateway.auth.mode `sso` is not supported; known: token, password, none, trusted-proxy");
        insta::assert_snapshot!(parse("{gateway:{trustedProxies:'x'}}").unwrap_err(), @"openclaw.json: gateway.trustedProxies must be a list of strings");
        insta::assert_snapshot!(parse("{gateway:{auth:{mode:'trusted-proxy'}}}").unwrap().auth.unwrap_err(), @"gateway.auth.trustedProxy.userHeader is not set, and mode `trusted-proxy` needs it: write it into openclaw.json");
        assert!(parse("{").is_err());
    }

    #[test]
    fn limits_proxies_and_pairing_are_read() {
        let config = parse(
            "{gateway:{auth:{mode:'trusted-proxy',rateLimit:{maxAttempts:3,lockoutMs:4000},
               trustedProxy:{userHeader:'x-forwarded-user',allowLoopback:true}},
               nodes:{pairing:{autoApproveLocal:false}}}}",
        )
        .unwrap();
        assert_eq!(
            config.rate_limit,
            Some(RateLimitConfig { max_attempts: 3, lockout_ms: 4_000, ..RateLimitConfig::default() })
        );
        let AuthConfig::TrustedProxy(proxy) = config.auth.unwrap() else { unreachable!() };
        assert_eq!((proxy.user_header.as_str(), proxy.allow_loopback), ("x-forwarded-user", true));
        assert!(!config.auto_approve_local);
        assert_eq!(config.ignored, [""; 0]);
    }

    #[test]
    fn secrets_are_hidden() {
        let config = parse("{gateway:{auth:{mode:'password',password:'geheim'}}}").unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
