//! `<state>/openclaw.json`: OpenClaw's own keys, JSON5, the ones this gateway uses.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

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
    /// Mode `none`.
    None,
}

impl AuthConfig {
    /// `snapshot.authMode`.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Password(_) => "password",
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
            &["auth", "trustedProxies", "controlUi", "allowRealIpFallback", "port"],
        );
        reader.ignore("gateway.auth.", &auth, &["mode", "token", "password"]);
        reader.ignore("gateway.controlUi.", &control_ui, &["allowedOrigins"]);
        let port = match gateway.get("port") {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or_else(|| reader.wrong("gateway.port", "a port number"))?,
            ),
        };
        let allow_real_ip_fallback = match gateway.get("allowRealIpFallback") {
            None => false,
            Some(value) => {
                value.as_bool().ok_or_else(|| reader.wrong("gateway.allowRealIpFallback", "true or false"))?
            }
        };
        Ok(Self {
            auth: auth_config(
                reader.text(auth.get("mode"), "gateway.auth.mode")?,
                reader.text(auth.get("token"), "gateway.auth.token")?,
                reader.text(auth.get("password"), "gateway.auth.password")?,
            ),
            trusted_proxies: reader.texts(gateway.get("trustedProxies"), "gateway.trustedProxies")?,
            allowed_origins: reader
                .texts(control_ui.get("allowedOrigins"), "gateway.controlUi.allowedOrigins")?,
            allow_real_ip_fallback,
            port,
            ignored: reader.ignored,
        })
    }
}

fn auth_config(
    mode: Option<String>,
    token: Option<String>,
    password: Option<String>,
) -> Result<AuthConfig, String> {
    let secret = |value: Option<String>, key: &str, mode: &str| {
        value.filter(|text| !text.is_empty()).map(Secret).ok_or_else(|| {
            format!("gateway.auth.{key} is not set, and mode `{mode}` needs it: write it into openclaw.json")
        })
    };
    match mode.as_deref().unwrap_or("token") {
        "token" => secret(token, "token", "token").map(AuthConfig::Token),
        "password" => secret(password, "password", "password").map(AuthConfig::Password),
        "none" => Ok(AuthConfig::None),
        other => Err(format!("gateway.auth.mode `{other}` is not supported; known: token, password, none")),
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
        assert_eq!(config.ignored, ["agents", "gateway.bind", "gateway.auth.rateLimit"]);
    }

    #[test]
    fn unusable_files_say_what_is_wrong() {
        insta::assert_snapshot!(parse("{}").unwrap().auth.unwrap_err(), @"gateway.auth.token is not set, and mode `token` needs it: write it into openclaw.json");
        insta::assert_snapshot!(parse("{gateway:{auth:{mode:'trusted-proxy'}}}").unwrap().auth.unwrap_err(), @"gateway.auth.mode `trusted-proxy` is not supported; known: token, password, none");
        insta::assert_snapshot!(parse("{gateway:{trustedProxies:'x'}}").unwrap_err(), @"openclaw.json: gateway.trustedProxies must be a list of strings");
        assert!(parse("{").is_err());
    }

    #[test]
    fn secrets_are_hidden() {
        let config = parse("{gateway:{auth:{mode:'password',password:'geheim'}}}").unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
