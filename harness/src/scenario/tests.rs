//! The language as a whole: what it means, what it leaves open, and that no text breaks it. Mistakes and how they are
//! shown stand in `tests/invalid_scenarios.rs`.

use proptest::prelude::*;

use super::*;
use crate::vocabulary::{
    AbsentParts, Action, AuthMode, Backoff, Comparison, Credential, Deviation, Executor, Expectation,
    FaultKind, ForwardedFor, GiveUp, LaunchPlan, NetworkPath, Notices, Origin, Persona, Readiness, Request,
    SignatureVersion, StepConnect, StopSignal, StoreEdit, StoredMetadata, ValidityBudget,
};

fn accept(text: &str) -> Scenario {
    accept_with(text, &[])
}

fn accept_with(text: &str, sets: &[(&str, &str)]) -> Scenario {
    let sets: Vec<(String, String)> =
        sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse("x.toml", text, &sets).unwrap_or_else(|errors| panic!("{}", render(&errors, false)))
}

fn codes(text: &str, sets: &[(String, String)]) -> Vec<&'static str> {
    parse("x.toml", text, sets).unwrap_err().iter().map(|error| error.code).collect()
}

/// A cohort with a line or two of its own.
fn one_cohort(lines: &str) -> Scenario {
    accept(&format!(
        "name = \"x\"\nduration = \"9s\"\n[cohort.c]\npersona = \"cli\"\ncount = 2\narrivals.herd = {{}}\n{lines}\n"
    ))
}

#[test]
fn a_scenario_needs_little() {
    let scenario = accept("name = \"x\"\n[cohort.c]\npersona = \"ios\"\ncount = 1\narrivals.herd = {}\n");
    assert_eq!((scenario.seed, scenario.oracle, scenario.duration), (1, OracleMode::Profile, None));
    assert_eq!(
        (scenario.max_time, scenario.attempt_timeout),
        (Duration::from_secs(600), Duration::from_secs(15))
    );
    assert_eq!((scenario.in_flight_max, scenario.time_scale), (1024, 1.0));
    assert_eq!(scenario.gateway.profile.as_str(), "article");
    let connect = &scenario.cohorts[0].cohort.connect;
    assert_eq!(connect.role.as_deref(), Some("node"));
    assert_eq!(connect.scopes, Some(Vec::new()));
    assert_eq!((connect.platform.as_str(), connect.device_family.as_deref()), ("iOS 18.3.0", Some("iPhone")));
    assert_eq!((&connect.path, &connect.origin), (&NetworkPath::Direct, &None));
    assert_eq!(connect.credential, Credential::SharedToken);
}

#[test]
fn every_key_of_a_cohort_is_heard() {
    let scenario = accept(
        r#"
name = "x"
duration = "60s"
[path.cdn]
from = "127.3.0.9"
forwarded_for = "127.0.0.1, 203.0.113.7"
host = "gw.example.com"
[cohort.c]
persona = "webchat"
count = 3
role = { unknown = "admin" }
scopes = ["operator.write", "vendor.special"]
platform = "Win32"
device_family = "none"
credential = "forged-device-token"
path = "cdn"
origin = "https://x.example"
deviation.clock-skew = "-3m"
signature = "v2"
[cohort.c.stored]
roles = ["operator", "node"]
scopes = ["operator.read"]
metadata = { platform = "Win16", device_family = "none" }
tokens = false
[cohort.c.arrivals.ramp]
from = "1/s"
to = "2/s"
start = "1s"
[cohort.c.session]
hold = "1s..3s"
reconnects = 4
[cohort.c.reconnect]
attempts_max = 5
give_up = "always"
fixed = { pause = "1s" }
[cohort.c.expect]
outcome = "refused"
code = "INVALID_REQUEST"
detail_code = "DEVICE_AUTH_INVALID"
reason = "device-signature-stale"
close = 1008
attempts = "0..2"
[operator.o]
notices = { list = "500ms" }
think = "20ms..200ms"
reject_share = "5%"
ignore_share = 0.1
serves = ["c"]
[fault.stop]
at = "2s"
pause = "500ms"
[validity]
lag_p99_max = "50ms"
dropped_share_max = 0.01
indeterminate_share_max = "3%"
"#
        .replace(
            "[operator.o]",
            "[cohort.d]\npersona = \"cli\"\ncount = 1\npath = \"cdn\"\narrivals.herd = {}\n[operator.o]",
        )
        .replace("serves = [\"c\"]", "serves = [\"d\", \"c\"]")
        .as_str(),
    );
    let cohort = &scenario.cohorts[0].cohort;
    let connect = &cohort.connect;
    assert_eq!(connect.role.as_deref(), Some("admin"));
    assert_eq!(connect.scopes, Some(vec!["operator.write".to_owned(), "vendor.special".to_owned()]));
    assert_eq!((connect.platform.as_str(), &connect.device_family), ("Win32", &None));
    assert_eq!(connect.credential, Credential::ForgedDeviceToken);
    assert_eq!(
        connect.path,
        NetworkPath::Proxy {
            from: std::net::Ipv4Addr::new(127, 3, 0, 9),
            forwarded_for: ForwardedFor::Fixed("127.0.0.1, 203.0.113.7".to_owned()),
            host: Some("gw.example.com".to_owned()),
        }
    );
    assert_eq!(connect.origin, Some(Origin::Fixed("https://x.example".to_owned())));
    assert_eq!(
        (&connect.deviation, connect.signature),
        (&Deviation::ClockSkew(-180_000), SignatureVersion::V2)
    );
    let stored = cohort.stored.as_ref().unwrap();
    assert_eq!(stored.roles, ["operator", "node"]);
    assert_eq!(stored.metadata, StoredMetadata::Other { platform: "Win16".to_owned(), device_family: None });
    assert!(!stored.tokens);
    assert_eq!(cohort.session.reconnects, 4);
    assert_eq!(cohort.session.hold.map(|hold| hold.max), Some(Duration::from_secs(3)));
    assert_eq!(
        (cohort.reconnect.attempts_max, cohort.reconnect.gives_up_on_refusal),
        (Some(5), GiveUp::Always)
    );
    assert!(matches!(cohort.reconnect.backoff, Backoff::Fixed(pause) if pause.min == Duration::from_secs(1)));
    let expect = cohort.expect.as_ref().unwrap();
    assert_eq!((expect.close, expect.attempts.clone()), (Some(1008), Some(0..3)));
    let operator = &scenario.operators[0];
    assert_eq!(operator.serves, Some(vec![1, 0]));
    assert_eq!(operator.notices, Notices::List(Duration::from_millis(500)));
    assert_eq!((operator.reject_share, operator.ignore_share), (0.05, 0.1));
    assert_eq!(scenario.faults[0].kind, FaultKind::Pause(Duration::from_millis(500)));
    assert_eq!(scenario.validity.indeterminate_share_max, 0.03);
}

#[test]
fn the_gateways_own_keys_are_handed_on_and_understood() {
    let scenario = accept(
        r#"
name = "x"
[gateway.store]
devices = 2_000
[gateway.config]
logging.level = "debug"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1", "127.2.0.0/16"]
allowRealIpFallback = true
auth.mode = "password"
controlUi.allowedOrigins = ["https://ui.example"]
[cohort.c]
persona = "cli"
count = 1
arrivals.herd = {}
"#,
    );
    let gateway = &scenario.gateway;
    assert_eq!((gateway.auth, gateway.stored_bystanders), (AuthMode::Password, 2_000));
    assert_eq!(gateway.trusted_proxies, ["127.2.0.1", "127.2.0.0/16"]);
    assert_eq!(gateway.allowed_origins, ["https://ui.example"]);
    assert!(gateway.allow_real_ip_fallback);
    assert_eq!(gateway.config["logging"]["level"], "debug");
    assert_eq!(gateway.config["gateway"]["auth"]["mode"], "password");
}

#[test]
fn short_forms_mean_what_they_say() {
    assert_eq!(one_cohort("reconnect = \"tight\"").cohorts[0].cohort.reconnect.backoff, Backoff::Tight);
    let official = one_cohort("reconnect.official.jitter = 0.5");
    assert_eq!(official.cohorts[0].cohort.reconnect.backoff, Backoff::Official { jitter: 0.5 });
    assert_eq!(one_cohort("session.hold = \"until-end\"").cohorts[0].cohort.session.hold, None);
    assert_eq!(one_cohort("role = \"absent\"\nscopes = \"absent\"").cohorts[0].cohort.connect.role, None);
    assert_eq!(one_cohort("scopes = \"absent\"").cohorts[0].cohort.connect.scopes, None);
    assert_eq!(one_cohort("origin = \"same-host\"").cohorts[0].cohort.connect.origin, Some(Origin::SameHost));
    let protocol = one_cohort("deviation.protocol = { min = 1, max = 2 }");
    assert_eq!(protocol.cohorts[0].cohort.connect.deviation, Deviation::Protocol { min: 1, max: 2 });
    assert_eq!(
        one_cohort("expect = { attempts = 1 }").cohorts[0].cohort.expect.as_ref().unwrap().attempts,
        Some(1..2)
    );
}

#[test]
fn budgets_are_the_usual_ones_but_for_those_that_are_set() {
    assert_eq!(one_cohort("").validity, ValidityBudget::USUAL);
    let budget = one_cohort(
        "[validity]\nlate_after = \"1ms\"\nlate_share_max = \"5%\"\nreactor_cpu_share_max = 1\n\
         scheduler_delay_share_max = 0.01\ndescriptors_share_max = 0.5\nhistory_wait_share_max = 0",
    )
    .validity;
    let expected = ValidityBudget {
        late_after: Duration::from_millis(1),
        late_share_max: 0.05,
        reactor_cpu_share_max: 1.0,
        scheduler_delay_share_max: 0.01,
        descriptors_share_max: 0.5,
        history_wait_share_max: 0.0,
        ..ValidityBudget::USUAL
    };
    assert_eq!(budget, expected);
}

#[test]
fn thresholds_keep_their_unit_and_their_text() {
    let text = "[threshold]\nlag.p99 = \"< 1.5ms\"\n\"attempts.session\" = \">= 1_000\"\ndropped_share = \"<= 1%\"\n";
    let scenario = one_cohort(text);
    let rules: Vec<(&str, Comparison, f64, &str)> = scenario
        .thresholds
        .iter()
        .map(|rule| (rule.metric.as_str(), rule.comparison, rule.limit, rule.text.as_str()))
        .collect();
    assert_eq!(
        rules,
        [
            ("lag.p99", Comparison::Less, 1500.0, "lag.p99 < 1.5ms"),
            ("attempts.session", Comparison::GreaterOrEqual, 1000.0, "attempts.session >= 1_000"),
            ("dropped_share", Comparison::LessOrEqual, 0.01, "dropped_share <= 1%"),
        ]
    );
}

const VARIABLES: &str = r#"
name = "x-{tabs}"
about = "{{not a variable}} {tabs} {"
[vars]
tabs = 5
proxies = ["127.2.0.1"]
rate = "2/s"
[gateway.config.gateway]
trustedProxies = "{proxies}"
[cohort.c]
persona = "cli"
count = "{tabs}"
arrivals.constant.rate = "{rate}"
"#;

#[test]
fn variables_keep_their_type_and_can_be_set() {
    let scenario = accept(VARIABLES);
    assert_eq!((scenario.name.as_str(), scenario.about.as_str()), ("x-5", "{not a variable} 5 {"));
    assert_eq!(scenario.cohorts[0].count, 5);
    assert_eq!(scenario.gateway.trusted_proxies, ["127.2.0.1"]);

    let scenario = accept_with(VARIABLES, &[("tabs", "7"), ("rate", "30/m"), ("proxies", "[\"127.2.0.2\"]")]);
    assert_eq!(scenario.cohorts[0].count, 7);
    assert_eq!(scenario.cohorts[0].arrivals, Arrivals::Constant { rate: 0.5, start: Duration::ZERO });
    assert_eq!(scenario.gateway.trusted_proxies, ["127.2.0.2"]);
}

#[test]
fn setting_what_is_no_variable_or_to_the_wrong_type_is_an_error() {
    let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let errors = parse("x.toml", VARIABLES, &set("tab", "7")).unwrap_err();
    insta::assert_snapshot!(render(&errors, false), @r"
    error[variable]: `--set tab=…` names no variable of this scenario
     |
     = note: on the command line
     = help: did you mean `tabs`? Variables: `tabs`, `proxies`, `rate`
    ");
    assert_eq!(codes(VARIABLES, &set("tabs", "many")), ["type"]);
    // A value cannot smuggle in other keys; as a text it fits neither the name nor the count.
    assert_eq!(codes(VARIABLES, &set("tabs", "1\nseed = 5")), ["value", "type"]);
}

#[test]
fn one_slip_is_one_error() {
    // The operator names the cohort that could not be read: nothing more is said about it.
    let text = "name = \"x\"\n[cohort.c]\npersona = \"clii\"\ncount = 1\narrivals.herd = {}\n[operator.o]\nserves = [\"c\"]\n";
    assert_eq!(codes(text, &[]), ["unknown-name"]);
    let text = "name = \"x\"\n[cohort.c]\npersona = \"cli\"\ncount = \"{n}\"\narrivals.herd = {}\n";
    assert_eq!(codes(text, &[]), ["variable"]);
    let text = "name = \"x\"\n[cohort.c]\npersona = \"cli\"\ncount = 1\n[cohort.c.arrivals.constnt]\nrate = \"1/s\"\n";
    assert_eq!(codes(text, &[]), ["unknown-key"]);
}

#[test]
fn a_silent_client_is_given_as_long_as_its_release_waits() {
    let text = |release: &str, timeout: &str| {
        format!(
            "name = \"x\"\n{timeout}\n[gateway]\nprofile = \"{release}\"\n[cohort.c]\npersona = \"ios\"\ncount = 1\n\
             deviation = \"silent\"\narrivals.herd = {{}}\nreconnect.attempts_max = 1\n"
        )
    };
    for (release, waits) in [("article", 10), ("2026.2.19", 10), ("2026.3.13", 3), ("2026.9.6", 15)] {
        let timeout = |seconds: u32| format!("attempt_timeout = \"{seconds}s\"");
        assert_eq!(codes(&text(release, &timeout(waits)), &[]), ["schedule"], "{release}");
        accept(&text(release, &timeout(waits + 1)));
        let usual = accept(&text(release, "")).attempt_timeout;
        assert!(usual > Duration::from_secs(u64::from(waits)), "{release}: {usual:?}");
    }
}

/// Texts that look enough like scenarios to get past the first reader.
fn scenario_like() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("name".to_owned()),
        Just("count".to_owned()),
        Just("persona".to_owned()),
        Just("deviation".to_owned()),
        Just("arrivals.constant.rate".to_owned()),
        Just("arrivals.ramp".to_owned()),
        Just("arrivals.herd".to_owned()),
        Just("arrivals.stairs".to_owned()),
        Just("arrivals.spike".to_owned()),
        Just("arrivals.replay.file".to_owned()),
        Just("session.hold".to_owned()),
        Just("reconnect".to_owned()),
        Just("expect.attempts".to_owned()),
        Just("serves".to_owned()),
        Just("stored.metadata".to_owned()),
        Just("at".to_owned()),
        Just("restart".to_owned()),
        "[a-z_]{1,8}(\\.[a-z]{1,4})?",
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        Just("\"cli\"".to_owned()),
        Just("\"{x}\"".to_owned()),
        Just("\"99999999999999h\"".to_owned()),
        Just("{ from = \"0/s\", to = \"1000000/s\", over = \"24h\" }".to_owned()),
        Just("{ size = 1, every = \"24h\", at = \"24h\", within = \"24h\" }".to_owned()),
        Just("{ from = \"0/s\", to = \"1000000/s\", step = \"100/s\", every = \"24h\" }".to_owned()),
        Just("{ base = \"0/s\", peak = \"1000000/s\", at = \"24h\", for = \"24h\" }".to_owned()),
        Just("[\"c\", 5, {}]".to_owned()),
        Just("2026-01-01".to_owned()),
        "\"[ -!#-\\[\\]-~äö😀]{0,12}\"",
        "\"[0-9]{1,30}(s|ms|h|/s|%)?\"",
    ];
    let header = prop_oneof![
        Just("[cohort.c]".to_owned()),
        Just("[operator.o]".to_owned()),
        Just("[fault.f]".to_owned()),
        Just("[threshold]".to_owned()),
        Just("[vars]".to_owned()),
        Just("[path.p]".to_owned()),
        Just("[gateway.config.gateway]".to_owned()),
        "\\[[a-z.]{1,12}\\]",
    ];
    let line =
        prop_oneof![3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => header];
    proptest::collection::vec(line, 0..25).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", lines in "(\\PC{0,20}\n){0,12}") {
        for text in [text, lines] {
            if let Err(errors) = parse("x.toml", &text, &[]) {
                let _ = (render(&errors, false), render(&errors, true));
            }
        }
    }

    #[test]
    fn no_scenario_like_text_makes_the_parser_panic(text in scenario_like()) {
        match parse("x.toml", &text, &[("x".to_owned(), "\"{x}\"".to_owned())]) {
            Ok(scenario) => prop_assert!(!scenario.cohorts.is_empty()),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(render(&errors, false).contains("error["));
            }
        }
    }
}

#[test]
fn steps_tell_a_story_about_clients_without_arrivals() {
    let scenario = accept(
        r#"
name = "x"
[path.proxy]
from = "127.2.0.1"
[cohort.laptop]
persona = "cli"
count = 2
path = "proxy"
signature = "v2"
scopes = ["operator.read"]
[cohort.phone]
persona = "ios"
count = 3
[[step]]
connect = "laptop"
[[step]]
connect = "laptop/1"
scopes = ["operator.write"]
credential = "device-token"
hold = true
expect = { outcome = "refused", close = 1008 }
[[step]]
connect = "laptop"
scopes = ["operator.write"]
credential = "device-token"
[[step]]
connect = "laptop"
persona = "control-ui"
[[step]]
connect = "phone/2"
path = "proxy"
deviation.clock-skew = "-3m"
[[step]]
approve = "phone/2"
[[step]]
reject = "latest"
as = "laptop/1"
[[step]]
rotate = { client = "laptop", scopes = [], give = true }
[[step]]
rotate = "phone"
[[step]]
revoke = { client = "laptop", role = "node" }
[[step]]
remove = "phone/1"
[[step]]
edit = { client = "laptop", scopes = ["operator.admin"] }
[[step]]
edit = { client = "laptop", entry = "drop" }
[[step]]
drop = "laptop/1"
[[step]]
restart = "SIGKILL"
down = "1s"
[[step]]
reload = true
[[step]]
wait = "2s"
"#,
    );
    let connect = |client, ask, line| StepConnect { client, ask, hold: false, expect: None, line };
    let refused =
        Expectation { outcome: Some("refused".to_owned()), close: Some(1008), ..Expectation::default() };
    let act = |action, by| Step::Act { action, by };
    let operator = || "operator".to_owned();
    assert_eq!(
        scenario.steps,
        [
            Step::Connect(connect(0, 0, 15)),
            Step::Connect(StepConnect { hold: true, expect: Some(refused), ..connect(1, 1, 17) }),
            Step::Connect(connect(0, 1, 23)),
            Step::Connect(connect(0, 2, 27)),
            Step::Connect(connect(4, 1, 30)),
            act(Action::Approve(Request::Of(4)), None),
            act(Action::Reject(Request::Latest), Some(1)),
            act(Action::Rotate { client: 0, role: operator(), scopes: Some(Vec::new()), give: true }, None),
            act(Action::Rotate { client: 2, role: "node".to_owned(), scopes: None, give: false }, None),
            act(Action::Revoke { client: 0, role: "node".to_owned() }, None),
            act(Action::Remove(3), None),
            Step::Edit { client: 0, edit: StoreEdit::SetScopes(vec!["operator.admin".to_owned()]) },
            Step::Edit { client: 0, edit: StoreEdit::DropEntry },
            Step::Leave(1),
            Step::Fault(FaultKind::Restart { signal: StopSignal::Sigkill, down: Duration::from_secs(1) }),
            Step::Fault(FaultKind::Reload),
            Step::Wait(Duration::from_secs(2)),
        ]
    );
    let laptop = &scenario.cohorts[0].cohort;
    assert_eq!(laptop.executor, Executor::Steps);
    let [wider, browser] = laptop.variants.as_slice() else { panic!("{:?}", laptop.variants) };
    assert_eq!(wider.scopes, Some(vec!["operator.write".to_owned()]));
    assert_eq!(wider.credential, Credential::DeviceToken);
    assert_eq!((wider.signature, &wider.path), (SignatureVersion::V2, &laptop.connect.path));
    // Another persona brings what is its own; how the client reaches the gateway stays the cohort's.
    assert_eq!((browser.persona, &browser.origin), (Persona::ControlUi, &Some(Origin::SameHost)));
    assert_eq!((browser.signature, &browser.path), (SignatureVersion::V2, &laptop.connect.path));
    assert_eq!(scenario.cohorts[1].cohort.variants[0].deviation, Deviation::ClockSkew(-180_000));
}

#[test]
fn a_command_keeps_what_the_run_fills_in_and_takes_variables() {
    let text = "name = \"x\"\noracle = \"expectations\"\n[vars]\nbuild = \"./dist\"\nport = 9\n[gateway]\n\
        launch = { command = [\"{build}/gw\", \"--port={port}\", \"{state}\", \"{config}\"], profile = \"2026.9.6\", \
        ready = { http = \"/readyz\" } }\n[cohort.c]\npersona = \"cli\"\ncount = 2\narrivals.herd = {}\n\
        expect.outcome = \"session\"\n";
    let scenario = accept(text);
    assert_eq!(scenario.gateway.profile.as_str(), "2026.9.6");
    assert_eq!(
        scenario.gateway.launch,
        LaunchPlan::Command {
            command: ["./dist/gw", "--port={port}", "{state}", "{config}"].map(str::to_owned).to_vec(),
            ready: Readiness::Http("/readyz".to_owned()),
        }
    );
}

#[test]
fn an_entry_may_lack_keys_where_the_oracle_is_not_asked() {
    let text = "name = \"x\"\noracle = \"expectations\"\n[cohort.c]\npersona = \"cli\"\ncount = 1\n\
        stored = { roles = \"absent\", scopes = \"absent\", tokens = false }\narrivals.herd = {}\nexpect.outcome = \"refused\"\n";
    let stored = accept(text).cohorts[0].cohort.stored.clone().unwrap();
    assert_eq!(stored.absent, AbsentParts { roles: true, scopes: true });
    assert!(stored.roles.is_empty() && stored.scopes.is_empty());
    let some = accept(&text.replace("roles = \"absent\", ", "")).cohorts[0].cohort.stored.clone().unwrap();
    assert_eq!(
        (some.absent, some.roles),
        (AbsentParts { roles: false, scopes: true }, vec!["operator".to_owned()])
    );
    assert_eq!(codes(&text.replace("oracle = \"expectations\"\n", ""), &[]), ["conflict"]);
    assert_eq!(codes(&text.replace("roles = \"absent\"", "roles = \"none\""), &[]), ["type"]);
}

#[test]
fn the_command_line_chooses_gateway_and_profile() {
    let text = "name = \"x\"\noracle = \"expectations\"\n[gateway]\nprofile = \"article\"\n[cohort.c]\n\
        persona = \"cli\"\ncount = 2\narrivals.herd = {}\nexpect.outcome = \"session\"\n";
    let choose = |profile: Option<&str>, gateway: Option<&str>| {
        let choices = Choices {
            profile: profile.map(str::to_owned),
            gateway: gateway.map(str::to_owned),
            ..Choices::default()
        };
        parse_with("x.toml", text, &choices)
    };
    let chosen = choose(None, Some("openclaw@2026.2.19")).unwrap();
    assert_eq!(chosen.gateway.profile.as_str(), "2026.2.19");
    assert_eq!(chosen.cohorts[0].cohort.connect.signature, SignatureVersion::V2, "its clients follow");
    let chosen = choose(Some("2026.9.6"), Some("openclaw")).unwrap();
    assert_eq!(chosen.gateway.launch, LaunchPlan::OpenClaw { version: "2026.9.6".to_owned() });
    assert_eq!(chosen.cohorts[0].cohort.connect.deviation, Deviation::NoDevice, "as its command line does");
    for (profile, gateway) in [
        (Some("2026.2.19"), Some("openclaw@2026.9.6")),
        (None, Some("openclaw")),
        (None, Some("openclaw@2026.4.2")),
        (None, Some("nginx")),
        (Some("articel"), None),
    ] {
        let errors = choose(profile, gateway).unwrap_err();
        assert!(errors.iter().all(|error| error.code == "override"), "{profile:?} {gateway:?}: {errors:?}");
    }
    assert!(choose(Some("2026.3.13"), Some("openclaw@2026.4.2")).is_ok(), "near enough, says the user");
}

#[test]
fn a_schedule_of_faults_that_makes_no_sense_is_refused_with_a_way_out() {
    let with = |fault: &str| {
        let text = format!(
            "name = \"x\"\n[cohort.a]\npersona = \"cli\"\ncount = 1\narrivals.constant.rate = \"1/s\"\n[fault.f]\n{fault}\n"
        );
        parse("x.toml", &text, &[])
    };
    let refused = |fault: &str| match with(fault) {
        Ok(_) => panic!("accepted: {fault}"),
        Err(errors) => render(&errors, false),
    };
    for (fault, says) in [
        ("reload = true", "every = \"2s\" with times = 3"),
        ("reload = true\nat = \"1s\"\ntimes = 2", "`times` without a schedule"),
        ("reload = true\nevery = \"1s\"", "how often"),
        ("reload = true\nevery = \"1s\"\ntimes = 2\nuntil = \"9s\"", "keep one of `times` and `until`"),
        ("reload = true\nat = \"5s\"\nevery = \"1s\"\nuntil = \"4s\"", "over before the first time"),
        ("reload = true\nevery = \"1us\"\nuntil = \"1m\"", "more than 100000 times"),
        ("reload = true\nevery = \"1s\"\ntimes = 2\nduring = \"approval\"", "more than one schedule"),
        ("reload = true\nat = \"1s\"\nafter = \"2ms\"", "`after` without `during`"),
        ("reload = true\nat = \"1s\"\nuntil = \"2s\"", "`until` without `every`"),
        ("reload = true\nwithin = \"1s..20m\"", "after `max_time`"),
        ("pause = \"2s\"\nevery = \"1s\"\ntimes = 2", "happens again before it is over"),
        ("at = \"1s\"\nedit = { cohort = \"b\", entry = \"drop\" }", "there is no `[cohort.b]`"),
        ("at = \"1s\"\nedit = { entry = \"drop\" }", "whose entries"),
        ("at = \"1s\"\nedit = { cohort = \"a\" }", "a change"),
        ("at = \"1s\"\nfor = \"1s\"\nedit = { cohort = \"a\", entry = \"drop\" }", "does not go with `edit`"),
        ("store = \"deleted\"\nwithin = \"1s..2s\"\ntimes = 2", "may have to wait for it"),
        ("cpu = \"20%\"\nduring = \"approval\"\ntimes = 2", "for = \"2s\""),
        (
            "store = \"deleted\"\nat = \"2s\"\n[fault.g]\nstore = \"array\"\nwithin = \"1s..2s\"\nfor = \"1s\"",
            "`f` lasts until the run's end",
        ),
    ] {
        let errors = refused(fault);
        assert!(errors.contains(says), "{fault}:\n{errors}");
    }
    for fault in [
        "edit = { cohort = \"a\", entry = \"drop\" }\nevery = \"1s\"\ntimes = 3",
        "edit = { cohort = \"a\", scopes = [\"operator.read\"] }\nwithin = \"1s..2s\"",
        "reload = true\nevery = \"1s\"\ntimes = 3",
        "store = \"deleted\"\nwithin = \"1s..2s\"\nfor = \"5s\"\ntimes = 2",
        "store = \"deleted\"\nwithin = \"3s..4s\"\n[fault.g]\nstore = \"array\"\nat = \"1s\"\nfor = \"1s\"",
        "store = \"deleted\"\nwithin = \"3s..4s\"\n[fault.g]\nreload = true\nat = \"5s\"",
    ] {
        assert!(with(fault).is_ok(), "{fault}");
    }
}
