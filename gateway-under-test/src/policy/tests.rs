//! Whole connects without sockets, held against what real releases answered. Each table names the recorded cases that
//! it is from (`docs/reference/profiles.md` lists them); what has only been read in a release says so.

use serde_json::{Value, json};

use super::credential::{self, Failure, Method, Presented, Reason};
use super::locality::{TrustedProxies, locate};
use super::*;
use crate::config::{Secret, TrustedProxyAuth};
use crate::profile::{ALL, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};

const NOW: u64 = 1_800_000_000_000;
const RELEASES: [&Profile; 5] = [&V2026_2_19, &V2026_2_21, &V2026_2_22, &V2026_3_13, &V2026_9_6];

fn token_rules(profile: &'static Profile) -> Rules {
    Rules::of(profile, AuthConfig::Token(Secret::new("shared")))
}

/// Somebody who dials the gateway's own address.
fn direct() -> HttpFacts {
    HttpFacts { host: Some("localhost:18789".to_owned()), ..HttpFacts::from_peer([127, 0, 0, 1].into()) }
}

/// Somebody behind the proxy at 127.0.0.2, which [`behind_proxy`] trusts.
fn remote() -> HttpFacts {
    HttpFacts {
        host: Some("localhost:18789".to_owned()),
        forwarded_for: Some("203.0.113.7".to_owned()),
        headers: vec![("x-forwarded-for".to_owned(), "203.0.113.7".to_owned())],
        ..HttpFacts::from_peer([127, 0, 0, 2].into())
    }
}

fn with_header(mut http: HttpFacts, name: &str, value: &str) -> HttpFacts {
    http.headers.push((name.to_owned(), value.to_owned()));
    http
}

fn behind_proxy(rules: Rules) -> Rules {
    let trusted_proxies = TrustedProxies::parse(rules.profile, &["127.0.0.2".to_owned()]);
    Rules { trusted_proxies, ..rules }
}

/// A connect without device, with the protocol of the release, that asks for two scopes.
fn params(profile: &Profile, id: &str, mode: &str, role: &str, auth: Value) -> Value {
    json!({
        "minProtocol": profile.protocol, "maxProtocol": profile.protocol,
        "client": {"id": id, "version": "1", "platform": "linux", "mode": mode},
        "role": role, "scopes": ["operator.read", "operator.write"], "auth": auth,
    })
}

fn screened(rules: &Rules, http: &HttpFacts, params: Value) -> Result<Anonymous, Refusal> {
    let limiter = RateLimiter::new(rules.profile.rate_limit, None);
    screened_by(&limiter, rules, http, params)
}

fn screened_by(
    limiter: &RateLimiter,
    rules: &Rules,
    http: &HttpFacts,
    params: Value,
) -> Result<Anonymous, Refusal> {
    let locality = locate(rules.profile, &rules.trusted_proxies, rules.allow_real_ip_fallback, http);
    match screen(rules, limiter, http, locality, &params.to_string(), "nonce", NOW)? {
        Screened::Anonymous(anonymous) => Ok(*anonymous),
        Screened::Device(_) => panic!("no device was sent"),
    }
}

/// What a client is told: `details.code`, or the message where a release sends none; else the scopes of its session.
fn told(outcome: Result<Anonymous, Refusal>) -> String {
    match outcome {
        Ok(anonymous) => format!("session [{}]", anonymous.scopes.join(" ")),
        Err(refusal) => refusal.error.map_or_else(
            || format!("close {}", refusal.close.code),
            |error| {
                let code = error.details.and_then(|details| details.code);
                code.map_or(error.message, |code| code.as_str().to_owned())
            },
        ),
    }
}

/// Case a07.
#[test]
fn a_range_must_hold_the_protocol_and_only_nodes_and_probes_may_be_older() {
    let cli = ("cli", "cli", "operator");
    let probe = ("openclaw-probe", "probe", "operator");
    let node = ("node-host", "node", "node");
    let rows = [
        (&V2026_9_6, cli, [4, 4], true),
        (&V2026_9_6, cli, [3, 4], true),
        (&V2026_9_6, cli, [1, 99], true),
        (&V2026_9_6, cli, [1, 1], false),
        (&V2026_9_6, cli, [1, 2], false),
        (&V2026_9_6, cli, [3, 3], false),
        (&V2026_9_6, cli, [5, 9], false),
        (&V2026_9_6, cli, [4, 3], false),
        (&V2026_9_6, probe, [3, 3], true),
        (&V2026_9_6, probe, [1, 2], false),
        (&V2026_9_6, probe, [5, 9], false),
        (&V2026_9_6, node, [3, 3], true),
        (&V2026_9_6, node, [1, 2], false),
        // Role and mode must both be a node's.
        (&V2026_9_6, ("cli", "cli", "node"), [3, 3], false),
        (&V2026_9_6, ("node-host", "node", "operator"), [3, 3], false),
        (&V2026_3_13, cli, [3, 3], true),
        (&V2026_3_13, cli, [4, 4], false),
        (&V2026_3_13, cli, [1, 2], false),
        (&V2026_3_13, probe, [4, 4], false),
        (&V2026_3_13, node, [1, 2], false),
    ];
    for (profile, (id, mode, role), [min, max], is_spoken) in rows {
        let mut params = params(profile, id, mode, role, json!({"token": "shared"}));
        params["minProtocol"] = json!(min);
        params["maxProtocol"] = json!(max);
        let refusal = screened(&token_rules(profile), &direct(), params).err();
        let refusal = refusal.filter(|refusal| refusal.cause == "protocol-mismatch");
        assert_eq!(refusal.is_none(), is_spoken, "{} {id} {mode} {role} {min}..{max}", profile.name);
        if let Some(refusal) = refusal {
            assert_eq!(refusal.close.code, 1002);
            let details = serde_json::to_value(refusal.error.unwrap().details).unwrap();
            let expected = if profile.name == V2026_9_6.name {
                json!({"code": "PROTOCOL_MISMATCH", "clientMinProtocol": min, "clientMaxProtocol": max,
                    "expectedProtocol": 4, "minimumProbeProtocol": 3})
            } else {
                json!({"expectedProtocol": 3})
            };
            assert_eq!(details, expected);
        }
    }
}

/// Cases a05, n01 and the reference's section on operators without device.
#[test]
fn what_a_client_without_device_gets() {
    const NONE: &str = "session []";
    const KEPT: &str = "session [operator.read operator.write]";
    const UNKNOWN: &str = "DEVICE_IDENTITY_REQUIRED";
    let cli = ("cli", "cli", "operator");
    let helper = ("gateway-client", "backend", "operator");
    let node = ("node-host", "node", "node");
    let good = json!({"token": "shared"});
    let wrong = json!({"token": "wrong"});
    // What 2.19, 2.21, 2.22, 3.13 and 9.6 say to a local client.
    let rows = [
        (cli, &good, [NONE, NONE, NONE, NONE, KEPT]),
        (helper, &good, [NONE, NONE, NONE, NONE, KEPT]),
        // Either id or mode alone is not enough.
        (("gateway-client", "cli", "operator"), &good, [NONE; 5]),
        (("cli", "backend", "operator"), &good, [NONE; 5]),
        (("node-host", "cli", "operator"), &good, [NONE; 5]),
        (node, &good, [NONE, NONE, UNKNOWN, UNKNOWN, UNKNOWN]),
        (
            cli,
            &wrong,
            [
                "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)",
                "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)",
                "AUTH_TOKEN_MISMATCH",
                "AUTH_TOKEN_MISMATCH",
                "AUTH_TOKEN_MISMATCH",
            ],
        ),
        (
            cli,
            &json!({}),
            ["device identity required", "device identity required", UNKNOWN, UNKNOWN, UNKNOWN],
        ),
    ];
    for ((id, mode, role), auth, expected) in rows {
        for (profile, expected) in RELEASES.into_iter().zip(expected) {
            let mut params = params(profile, id, mode, role, auth.clone());
            if role == "node" {
                params["scopes"] = json!([]);
            }
            let outcome = told(screened(&token_rules(profile), &direct(), params));
            assert_eq!(outcome, expected, "{} {id} {mode} {role} {auth}", profile.name);
        }
    }
    // Behind a proxy, scopes are dropped on every release.
    for profile in RELEASES {
        for (id, mode, role) in [cli, helper] {
            let params = params(profile, id, mode, role, good.clone());
            let outcome = told(screened(&behind_proxy(token_rules(profile)), &remote(), params));
            assert_eq!(outcome, NONE, "{} {id}", profile.name);
        }
    }
    // With authentication off, only the local helper of 9.6 needs no device.
    for profile in ALL {
        let rules = Rules::of(profile, AuthConfig::None);
        let is_newest = profile.name == V2026_9_6.name;
        for (client, is_let_in) in
            [(cli, false), (helper, is_newest), (("cli", "backend", "operator"), false)]
        {
            let (id, mode, role) = client;
            let outcome = screened(&rules, &direct(), params(profile, id, mode, role, json!({})));
            assert_eq!(outcome.is_ok(), is_let_in, "{} {id} {mode}", profile.name);
            assert!(outcome.is_ok() || outcome.unwrap_err().cause == "device-identity-required");
        }
    }
}

fn vouching() -> TrustedProxyAuth {
    TrustedProxyAuth {
        user_header: "X-Forwarded-User".to_owned(),
        allow_loopback: true,
        ..TrustedProxyAuth::default()
    }
}

fn vouched(profile: &'static Profile, auth: TrustedProxyAuth) -> Rules {
    behind_proxy(Rules::of(profile, AuthConfig::TrustedProxy(auth)))
}

/// Cases e01 and e02.
#[test]
fn a_proxy_vouches_for_the_user_that_it_names() {
    let alice = || with_header(remote(), "x-forwarded-user", "alice");
    let refused = |reason: &str| Err(Failure::from(Reason::TrustedProxy(reason.to_owned())));
    let look = |profile, auth, http: &HttpFacts| {
        let rules = vouched(profile, auth);
        let limiter = RateLimiter::new(profile.rate_limit, None);
        let locality = locate(profile, &rules.trusted_proxies, false, http);
        Presented::look(&rules, &limiter, http, &locality, &Default::default(), true, NOW)
    };
    for profile in RELEASES {
        let presented = look(profile, vouching(), &alice());
        assert_eq!((presented.result, presented.user.as_deref()), (Ok(Method::TrustedProxy), Some("alice")));
        for nobody in [remote(), with_header(remote(), "x-forwarded-user", " ")] {
            assert_eq!(look(profile, vouching(), &nobody).result, refused("trusted_proxy_user_missing"));
        }
        let stranger = with_header(direct(), "x-forwarded-user", "mallory");
        assert_eq!(look(profile, vouching(), &stranger).result, refused("trusted_proxy_untrusted_source"));
        // 9.6 wants leave for proxies on its own machine.
        let without_leave = TrustedProxyAuth { allow_loopback: false, ..vouching() };
        let expected = if profile.name == V2026_9_6.name {
            refused("trusted_proxy_loopback_source")
        } else {
            Ok(Method::TrustedProxy)
        };
        assert_eq!(look(profile, without_leave, &alice()).result, expected, "{}", profile.name);
    }
    // Without device: 9.6 lets in a command line and a control UI without scopes, 2.19 neither.
    let browser = || HttpFacts { origin: Some("http://localhost:5173".to_owned()), ..alice() };
    let rows = [
        (&V2026_9_6, "cli", "cli", alice(), "session []"),
        (&V2026_9_6, "openclaw-control-ui", "webchat", browser(), "session []"),
        (&V2026_2_19, "cli", "cli", alice(), "device identity required"),
        (
            &V2026_2_19,
            "openclaw-control-ui",
            "webchat",
            browser(),
            "control ui requires HTTPS or localhost (secure context)",
        ),
    ];
    for (profile, id, mode, http, expected) in rows {
        let mut rules = vouched(profile, vouching());
        rules.allowed_origins = vec!["http://localhost:5173".to_owned()];
        let params = params(profile, id, mode, "operator", json!({}));
        // What the recorded clients asked for.
        let params = {
            let mut params = params;
            params["scopes"] = json!(["operator.read"]);
            params
        };
        assert_eq!(told(screened(&rules, &http, params)), expected, "{} {id}", profile.name);
    }
}

/// The table of credentials in the reference's section 7; texts of a05.
#[test]
fn a_refused_credential_says_what_to_do_next() {
    const RETRY: (bool, &str) = (true, "retry_with_device_token");
    const CONFIGURE: (bool, &str) = (false, "update_auth_configuration");
    const CREDENTIALS: (bool, &str) = (false, "update_auth_credentials");
    const REVIEW: (bool, &str) = (false, "review_auth_configuration");
    let cli = client("cli", "cli");
    let token = json!({"token": "wrong"});
    let rows = [
        (Reason::TokenMismatch, &token, true, RETRY),
        (Reason::TokenMismatch, &token, false, CREDENTIALS),
        (Reason::TokenMissing, &json!({}), true, CONFIGURE),
        (Reason::DeviceTokenMismatch, &token, true, CREDENTIALS),
        (Reason::DeviceTokenMismatch, &json!({"deviceToken": "wrong"}), true, CREDENTIALS),
        (Reason::PasswordMismatch, &json!({"password": "wrong"}), true, CREDENTIALS),
        (Reason::ScopeMismatch, &token, true, REVIEW),
        (Reason::BootstrapTokenInvalid, &json!({"bootstrapToken": "wrong"}), true, REVIEW),
        (Reason::RateLimited, &token, true, (false, "wait_then_retry")),
    ];
    for profile in RELEASES {
        for (reason, auth, has_device, expected) in &rows {
            let auth = serde_json::from_value((*auth).clone()).unwrap();
            let failure = Failure::from(reason.clone());
            let refusal =
                credential::refusal(&token_rules(profile), &failure, &auth, &cli, *has_device, true);
            let details = refusal.error.unwrap().details.unwrap_or_default();
            let said = details.can_retry_with_device_token.zip(details.recommended_next_step.as_deref());
            // Earlier releases do not say.
            let expected = [V2026_3_13.name, V2026_9_6.name].contains(&profile.name).then_some(*expected);
            assert_eq!(said, expected, "{} {reason:?}", profile.name);
        }
    }
}

/// Case a03 and a05.
#[test]
fn a_missing_token_is_told_by_who_misses_it() {
    let text = |profile, id, mode, local| {
        let failure = Failure::from(Reason::TokenMissing);
        let auth = Default::default();
        let refusal =
            credential::refusal(&token_rules(profile), &failure, &auth, &client(id, mode), true, local);
        refusal.error.unwrap().message
    };
    const PREFIX: &str = "unauthorized: gateway token missing ";
    let rows = [
        ("cli", "cli", true, &V2026_3_13, "(set gateway.remote.token to match gateway.auth.token)"),
        ("cli", "cli", true, &V2026_9_6, "(use this gateway's gateway.auth.token or pair the device)"),
        ("cli", "cli", false, &V2026_9_6, "(set gateway.remote.token to match gateway.auth.token)"),
        (
            "openclaw-control-ui",
            "webchat",
            true,
            &V2026_3_13,
            "(open the dashboard URL and paste the token in Control UI settings)",
        ),
        (
            "openclaw-control-ui",
            "webchat",
            true,
            &V2026_9_6,
            "(paste in Control UI settings or openclaw doctor --generate-gateway-token; restart)",
        ),
        ("node-host", "node", true, &V2026_9_6, "(provide gateway auth token)"),
    ];
    for (id, mode, local, profile, hint) in rows {
        assert_eq!(text(profile, id, mode, local), format!("{PREFIX}{hint}"), "{} {id}", profile.name);
    }
}

fn client(id: &str, mode: &str) -> protocol::connect::ClientInfo {
    serde_json::from_value(json!({"id": id, "version": "1", "platform": "linux", "mode": mode})).unwrap()
}

/// Cases b07 and f01: on 9.6 the attempt after the tenth is refused, even with the right token, and nobody else's.
#[test]
fn failures_without_device_are_counted_by_address() {
    for (profile, is_limited) in RELEASES.into_iter().zip([false, false, false, false, true]) {
        let rules = behind_proxy(token_rules(profile));
        let mut limiter = RateLimiter::new(profile.rate_limit, None);
        let connect = |limiter: &RateLimiter, http: &HttpFacts, token: &str| {
            let params = params(profile, "cli", "cli", "operator", json!({"token": token}));
            screened_by(limiter, &rules, http, params)
        };
        for attempt in 0..10 {
            let refusal = connect(&limiter, &remote(), "wrong").unwrap_err();
            let message = refusal.error.unwrap().message;
            assert!(message.contains("gateway token mismatch"), "{} {attempt}: {message}", profile.name);
            limiter.apply(&refusal.notes, NOW);
        }
        let eleventh = connect(&limiter, &remote(), "shared");
        assert_eq!(eleventh.is_err(), is_limited, "{}", profile.name);
        if let Err(refusal) = eleventh {
            let error = refusal.error.unwrap();
            assert_eq!(error.message, "unauthorized: too many failed authentication attempts (retry later)");
            assert_eq!((error.retryable, error.retry_after_ms), (Some(true), Some(300_000)));
        }
        let neighbour = HttpFacts { forwarded_for: Some("203.0.113.8".to_owned()), ..remote() };
        assert!(connect(&limiter, &neighbour, "shared").is_ok(), "{}", profile.name);
    }
}

/// Read in 9.6: a worker knocks at another door, whichever of the three names says that it is one.
#[test]
fn workers_are_turned_away_without_a_word_on_the_newest() {
    let rows =
        [("cli", "cli", "worker"), ("openclaw-worker", "cli", "operator"), ("cli", "worker", "operator")];
    for profile in RELEASES {
        for (id, mode, role) in rows {
            let params = params(profile, id, mode, role, json!({"token": "shared"}));
            let refusal = screened(&token_rules(profile), &direct(), params).unwrap_err();
            let is_newest = profile.name == V2026_9_6.name;
            assert_eq!(refusal.error.is_none(), is_newest, "{} {id} {mode} {role}", profile.name);
            assert_eq!(refusal.close.code, 1008);
        }
    }
}

/// Read in 9.6: the side panel of a browser needs its mode, both capabilities and the origin of an extension.
#[test]
fn a_side_panel_must_come_as_one() {
    let caps = json!(["run-tool-bindings", "session-scoped-events"]);
    let rows = [
        ("ui", &caps, Some("https://evil.example"), Some("invalid browser copilot origin")),
        ("ui", &caps, None, Some("invalid browser copilot origin")),
        ("cli", &caps, Some("chrome-extension://abc"), None),
        ("ui", &json!(["run-tool-bindings"]), Some("chrome-extension://abc"), None),
        ("ui", &json!(["session-scoped-events"]), Some("chrome-extension://abc"), None),
    ];
    for (mode, caps, origin, reason) in rows {
        let mut params = params(&V2026_9_6, "openclaw-browser-copilot", mode, "operator", json!({}));
        params["caps"] = caps.clone();
        let http = HttpFacts { origin: origin.map(str::to_owned), ..direct() };
        let error = screened(&token_rules(&V2026_9_6), &http, params).unwrap_err().error.unwrap();
        assert!(error.message.starts_with("browser copilot requires"), "{}", error.message);
        assert_eq!(error.details.and_then(|details| details.reason).as_deref(), reason, "{mode} {origin:?}");
    }
}

/// Read in 9.6: a header narrows a session, and older releases do not look at it.
#[test]
fn a_header_narrows_the_scopes_of_a_session() {
    for (header, expected) in [
        (None, "session [operator.read operator.write]"),
        (Some("operator.read"), "session [operator.read]"),
        (Some(" operator.write , operator.admin"), "session [operator.write]"),
        (Some(""), "session []"),
    ] {
        let http = header.map_or_else(direct, |value| with_header(direct(), "X-OpenClaw-Scopes", value));
        let params = params(&V2026_9_6, "cli", "cli", "operator", json!({"token": "shared"}));
        assert_eq!(told(screened(&token_rules(&V2026_9_6), &http, params)), expected, "{header:?}");
    }
}

/// The store of 2.19 has both spellings (case r00): a list of roles, or the one of an entry written by hand.
#[test]
fn an_entry_lists_its_roles_or_its_only_one() {
    let roles = |entry: Value| {
        let mut entry = entry;
        entry["deviceId"] = json!("device");
        entry["publicKey"] = json!("key");
        serde_json::from_value::<DeviceEntry>(entry).unwrap().listed().roles
    };
    assert_eq!(roles(json!({"role": "node", "roles": ["operator", "node"]})), ["operator", "node"]);
    assert_eq!(roles(json!({"role": "node"})), ["node"]);
    assert_eq!(roles(json!({})), Vec::<String>::new());
}

/// The connect of a device that proves its key.
fn signed(mut params: Value) -> Value {
    use base64::Engine as _;
    use ed25519_dalek::{Signer as _, SigningKey};
    const BASE64URL: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key().to_bytes();
    let text = |pointer: &str| params.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let scopes: Vec<String> = serde_json::from_value(params["scopes"].clone()).unwrap();
    let id = protocol::device_id(&public);
    let payload = protocol::SignaturePayload {
        device_id: &id,
        client_id: text("/client/id"),
        client_mode: text("/client/mode"),
        role: text("/role"),
        scopes: &scopes,
        signed_at_ms: NOW,
        token: text("/auth/token"),
        nonce: "nonce",
        platform: "",
        device_family: "",
    };
    let signature = key.sign(payload.text(protocol::PayloadVersion::V2).as_bytes()).to_bytes();
    params["device"] = json!({
        "id": id, "publicKey": BASE64URL.encode(public), "signature": BASE64URL.encode(signature),
        "signedAt": NOW, "nonce": "nonce",
    });
    params
}

/// Reference, section 5.5, read in 9.6: a control UI as web chat with the secret, from a private address without proxy,
/// whose `Host` and `Origin` are loopback.
#[test]
fn a_browser_on_the_host_of_a_container_is_near() {
    let near = || HttpFacts {
        origin: Some("http://localhost:18789".to_owned()),
        ..HttpFacts { peer: [172, 17, 0, 1].into(), ..direct() }
    };
    let place = |rules: Rules, http: HttpFacts, id: &str, mode: &str| {
        let allowed_origins =
            ["http://localhost:18789", "https://ui.example.com"].map(str::to_owned).to_vec();
        let rules = Rules { allowed_origins, ..rules };
        let limiter = RateLimiter::new(rules.profile.rate_limit, None);
        let locality = locate(rules.profile, &rules.trusted_proxies, false, &http);
        let params = signed(params(rules.profile, id, mode, "operator", json!({"token": "shared"})));
        match screen(&rules, &limiter, &http, locality, &params.to_string(), "nonce", NOW).unwrap() {
            Screened::Device(attempt) => attempt.place,
            Screened::Anonymous(_) => panic!("a device was sent"),
        }
    };
    let ui = "openclaw-control-ui";
    let newest = || token_rules(&V2026_9_6);
    assert_eq!(place(newest(), near(), ui, "webchat"), Place::BrowserOfContainer);
    let listed = || Some("https://ui.example.com".to_owned());
    let rows = [
        ("no secret", Rules::of(&V2026_9_6, AuthConfig::None), near(), ui, "webchat"),
        ("an older release", token_rules(&V2026_3_13), near(), ui, "webchat"),
        ("a public peer", newest(), HttpFacts { peer: [203, 0, 113, 9].into(), ..near() }, ui, "webchat"),
        (
            "a foreign host",
            newest(),
            HttpFacts { host: Some("gw.example.com".into()), ..near() },
            ui,
            "webchat",
        ),
        ("a foreign page", newest(), HttpFacts { origin: listed(), ..near() }, ui, "webchat"),
        ("a proxy", newest(), with_header(near(), "x-forwarded-proto", "https"), ui, "webchat"),
        ("another client", newest(), near(), "cli", "webchat"),
        ("another mode", newest(), near(), ui, "ui"),
    ];
    for (what, rules, http, id, mode) in rows {
        assert_eq!(place(rules, http, id, mode), Place::Remote, "{what}");
    }
    assert_eq!(place(newest(), direct(), "cli", "cli"), Place::Local);
}
