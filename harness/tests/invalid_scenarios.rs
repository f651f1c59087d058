//! What a person sees who makes a mistake in a scenario file: one fixture for each kind of mistake.

use std::fs;
use std::path::{Path, PathBuf};

use harness::scenario::{self, Choices};
use sha2::{Digest as _, Sha256};

#[test]
fn every_mistake_is_named_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid_scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 30, "the fixtures are gone: {}", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let Err(diagnostics) = scenario::parse_batch(name, &text, &Choices::default()) else {
            panic!("{name} is accepted")
        };
        assert!(!diagnostics.is_empty(), "{name}");
        for diagnostic in &diagnostics {
            let place = format!("{name}:{}:{}", diagnostic.line, diagnostic.column);
            let rendered = scenario::render(std::slice::from_ref(diagnostic), false);
            assert!(rendered.contains(&place), "{name}: no {place} in\n{rendered}");
        }
        let stem = file.file_stem().unwrap().to_str().unwrap();
        insta::assert_snapshot!(stem, scenario::render(&diagnostics, false));
    }
}

#[test]
fn a_credential_in_a_scenario_is_not_shown() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid_scenarios/credential-in-scenario.toml");
    let diagnostics = scenario::load(&file, &[]).unwrap_err();
    assert!(!scenario::render(&diagnostics, true).contains("hunter2"));
    assert!(!format!("{diagnostics:?}").contains("hunter2"));
}

#[test]
fn a_list_of_arrivals_is_read_beside_its_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let text = "name = \"x\"\n[cohort.tabs]\npersona = \"cli\"\narrivals.replay.file = \"tabs.arrivals\"\n";
    let load = |text: &str, list: &[u8]| {
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join("tabs.arrivals"), list).unwrap();
        scenario::load(&path, &[])
    };

    let scenario = load(text, b"0.5\n1.5\n2s\n").unwrap();
    assert_eq!(scenario.cohorts[0].count, 3);
    // What `cat x.toml tabs.arrivals | sha256sum` says.
    let whole = format!("{text}0.5\n1.5\n2s\n");
    assert_eq!(scenario.sha256, hex::encode(Sha256::digest(whole)));
    let first_two = text.replace("persona", "count = 2\npersona");
    assert_eq!(load(&first_two, b"0.5\n1.5\n2s\n").unwrap().cohorts[0].count, 2);

    let said = |text: &str, list: &[u8]| {
        let diagnostics = load(text, list).unwrap_err();
        scenario::render(&diagnostics, false).replace(&folder.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!("list-with-bad-lines", said(text, b"# late last night\n0.5\nsoon\n0.25\n"));
    let too_many = text.replace("persona", "count = 4\npersona");
    insta::assert_snapshot!("list-too-short", said(&too_many, b"0.5\n1.5\n2s\n"));
    insta::assert_snapshot!("list-that-is-no-text", said(text, b"\xff\xfe0\n"));
    let mut huge = vec![b'#'; (32 << 20) + 1];
    huge[0] = b'1';
    insta::assert_snapshot!("list-too-large", said(text, &huge));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"name = \"caf\xe9\"").unwrap();
    let huge = folder.path().join("huge.toml");
    fs::write(&huge, vec![b'#'; 2 * 1024 * 1024]).unwrap();
    for (path, expected) in [
        (missing.as_path(), "there is no such file"),
        (folder.path(), "this is a directory, not a scenario"),
        (latin.as_path(), "the file is not UTF-8 (byte 11)"),
        (huge.as_path(), "the file has more than 1 MiB"),
    ] {
        let diagnostics = scenario::load(path, &[]).unwrap_err();
        assert_eq!(diagnostics.len(), 1);
        assert_eq!((diagnostics[0].code, diagnostics[0].message.as_str()), ("io", expected));
        let rendered = scenario::render(&diagnostics, false);
        assert!(rendered.contains(&format!("{}:1:1", path.display())), "{rendered}");
    }
}
