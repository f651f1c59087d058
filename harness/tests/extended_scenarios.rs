//! `extend`: what a file inherits, and where its errors stand.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::scenario::{self, Batch, Choices, Diagnostic, Scenario};
use sha2::{Digest as _, Sha256};

const BASE: &str = r#"name = "base"
about = "A base."
duration = "60s"

[vars]
phones = 3
pause = "500ms"

[path.proxy]
from = "127.3.0.1"
forwarded_for = "each client its own"

[cohort.phones]
persona = "ios"
count = "{phones}"
path = "proxy"
arrivals.poisson.rate = "10/s"
reconnect.fixed.pause = "{pause}"

[cohort.tabs]
persona = "control-ui"
count = 2
arrivals.replay.file = "lists/tabs"

[operator.owner]
serves = ["phones"]

[fault.update]
at = "5s"
restart = "SIGTERM"

[threshold]
"lag.p99" = "< 5s"
"#;

/// A folder with `base.toml`, the list it names, and in another folder the file that extends it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(own: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("base.toml", BASE);
        folder.write("lists/tabs", "0.5\n1.5\n");
        folder.write("own/x.toml", own);
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self, sets: &[(&str, &str)]) -> Result<Scenario, Vec<Diagnostic>> {
        let sets: Vec<_> =
            sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        scenario::load(&self.0.path().join("own/x.toml"), &sets)
    }

    fn errors(&self) -> String {
        let text = scenario::render(&self.load(&[]).unwrap_err(), false);
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

fn names(scenario: &Scenario) -> Vec<&str> {
    scenario.cohorts.iter().map(|spec| spec.cohort.name.as_str()).collect()
}

#[test]
fn a_file_says_only_what_is_other() {
    let own = r#"extend = "../base.toml"
remove = ["cohort.tabs", "fault", "threshold.lag.p99", "cohort.phones.arrivals.poisson"]
name = "own"
[vars]
phones = 7
[cohort.laptops]
persona = "macos-app"
count = 1
arrivals.herd = {}
[cohort.phones]
arrivals.herd.at = "1s"
[operator.owner]
serves = ["phones", "laptops"]
"#;
    let folder = Folder::new(own);
    let scenario = folder.load(&[]).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.about.as_str()), ("own", "A base."));
    assert_eq!(names(&scenario), ["phones", "laptops"]);
    assert_eq!(scenario.cohorts[0].count, 7);
    assert_eq!(scenario.cohorts[0].arrivals.last_arrival(7), Some(Duration::from_secs(1)));
    assert_eq!(scenario.operators[0].serves, Some(vec![0, 1]));
    assert!(scenario.faults.is_empty() && scenario.thresholds.is_empty());
    // Variables of the base are variables.
    assert_eq!(folder.load(&[("phones", "9"), ("pause", "1s")]).unwrap().cohorts[0].count, 9);
    // What `cat own/x.toml base.toml | sha256sum` says: nobody names the list any more.
    assert_eq!(scenario.sha256, hex::encode(Sha256::digest(format!("{own}{BASE}"))));
}

#[test]
fn what_is_kept_of_a_scenario_is_read_again_without_its_files() {
    let own = "extend = \"middle.toml\"\nseed = 7\n[cohort.tabs]\npersona = \"webchat\"\n";
    let folder = Folder::new(own);
    let middle = "extend = \"../base.toml\"\nremove = [\"operator\"]\n";
    folder.write("own/middle.toml", middle);
    let scenario = folder.load(&[]).unwrap();
    assert_eq!((names(&scenario), scenario.seed), (vec!["phones", "tabs"], 7));
    let kept: Vec<&str> = scenario.texts.beside.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(kept, ["middle.toml", "../base.toml", "../lists/tabs"]);
    assert_eq!(scenario.sha256, hex::encode(Sha256::digest(format!("{own}{middle}{BASE}0.5\n1.5\n"))));
    drop(folder);
    let again = scenario::parse_kept("own/x.toml", &scenario.texts, &Choices::default()).unwrap();
    assert_eq!((again.sha256.as_str(), names(&again)), (scenario.sha256.as_str(), vec!["phones", "tabs"]));
}

/// Numbers count from 1 and are those of the inherited file, in whatever order they are named.
#[test]
fn items_of_a_list_are_taken_out_by_their_number() {
    let script = "[cohort.phones]\nscript = [{ connect = true }, { hold = \"1s\" }, { hold = \"2s\" }, { hold = \"3s\" }]\n";
    let own = |numbers: &[&str]| {
        let paths: Vec<String> =
            numbers.iter().map(|number| format!("cohort.phones.script.{number}")).collect();
        format!("extend = \"middle.toml\"\nremove = {paths:?}\n")
    };
    let folder = Folder::new(&own(&["2", "4"]));
    folder.write("own/middle.toml", &format!("extend = \"../base.toml\"\n{script}"));
    let scenario = folder.load(&[]).unwrap();
    let deeds: Vec<String> =
        scenario.cohorts[0].cohort.script.iter().map(|step| format!("{:?}", step.deed)).collect();
    assert_eq!(deeds.len(), 2, "{deeds:?}");
    assert!(deeds[0].starts_with("Connect") && deeds[1].contains("2s"), "{deeds:?}");

    for wrong in [["0", "1"], ["5", "1"], ["2", "2"], ["x", "1"], ["2.hold", "1"]] {
        folder.write("own/x.toml", &own(&wrong));
        let errors = folder.load(&[]).unwrap_err();
        let refused = errors.iter().find(|error| error.code == "reference").expect("an error");
        assert!(
            refused.message.contains(&format!("`cohort.phones.script.{}` is not inherited", wrong[0])),
            "{refused:?}"
        );
    }
}

#[test]
fn a_sweep_may_be_inherited_or_added() {
    let own = "extend = \"../base.toml\"\n[sweep]\nphones = [1, 2]\n";
    let folder = Folder::new(own);
    let Batch::Sweep(sweep) =
        scenario::load_batch(&folder.0.path().join("own/x.toml"), &Choices::default()).unwrap()
    else {
        panic!("no sweep")
    };
    let counts: Vec<u32> = sweep.combinations.iter().map(|one| one.scenario.cohorts[0].count).collect();
    assert_eq!(counts, [1, 2]);
    let whole = format!("{own}{BASE}0.5\n1.5\n");
    for combination in &sweep.combinations {
        assert_eq!(combination.scenario.sha256, hex::encode(Sha256::digest(&whole)));
    }
}

#[test]
fn errors_stand_where_the_text_is_that_is_wrong() {
    let wrong_own = "extend = \"../base.toml\"\nremove = [\"cohort.tab\", \"weather\"]\n[cohort.phones]\nconut = 5\n\
        arrivals.herd = {}\n[cohort.more]\npersona = \"clii\"\ncount = \"{phone}\"\n";
    let folder = Folder::new(wrong_own);
    insta::assert_snapshot!("wrong-above", folder.errors());

    folder.write("own/x.toml", "extend = \"../base.toml\"\n[cohort.phones]\ncount = 5\n");
    folder.write("base.toml", &BASE.replace("SIGTERM", "SIGHUP").replace("each client", "\u{e9}ach client"));
    folder.write("lists/tabs", "0.5\nsoon\n");
    insta::assert_snapshot!("wrong-below", folder.errors());

    folder.write("base.toml", "name = \"x\nseed = 1\n");
    insta::assert_snapshot!("no-toml-below", folder.errors());
}

#[test]
fn what_cannot_be_extended_is_refused() {
    let folder = Folder::new("");
    let mut all = String::new();
    for own in [
        "extend = \"nowhere.toml\"\n",
        "extend = 5\n",
        "extend = \"x.toml\"\n",
        "extend = \"../a.toml\"\n",
        "extend = \"..\"\n",
        "remove = [\"cohort\"]\n",
        "extend = \"../base.toml\"\nremove = \"cohort\"\n",
        "extend = \"long0.toml\"\n",
    ] {
        folder.write("own/x.toml", own);
        // It names the file that names it.
        folder.write("a.toml", "extend = \"own/../own/x.toml\"\n");
        for number in 0..10 {
            folder
                .write(&format!("own/long{number}.toml"), &format!("extend = \"long{}.toml\"\n", number + 1));
        }
        all.push_str(&folder.errors());
    }
    insta::assert_snapshot!("refused", all);
}

#[test]
fn a_text_alone_has_nothing_to_extend() {
    let errors = scenario::parse("x.toml", "extend = \"base.toml\"\n", &[]).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["io"]);
    assert!(Path::new(&errors[0].file).ends_with("x.toml"));
}
