//! The folder of a run: `history.bin`, `run.json`, `result.json`, `summary.txt`, `latency.hlog`, and, if there is something to say,
//! `violations.jsonl`, `gateway.log` and the folder `checker/`.
//!
//! The history grows while the load goes on. Each other file is written under another name and then renamed, so that a
//! reader never sees half a file.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use super::{json, picture, timeline};
use crate::record::devices::DeviceResults;
use crate::record::{HlogError, IntervalSamples, RunFacts, RunResult, Violations, write_hlog};

/// Name of the history.
pub const HISTORY: &str = "history.bin";
/// Name of the result.
pub const RESULT: &str = "result.json";
/// Name of the summary for people.
pub const SUMMARY: &str = "summary.txt";
/// Name of the interval log.
pub const LATENCY: &str = "latency.hlog";
/// Name of the list of violations.
pub const VIOLATIONS: &str = "violations.jsonl";
/// Name of what the gateway said.
pub const GATEWAY_LOG: &str = "gateway.log";

/// Name of what the run was made from and saw of itself.
pub const ORIGIN: &str = "run.json";
/// Name of the folder with the histories of the devices that no order explains.
pub const CHECKER: &str = "checker";

/// Largest `result.json` that is read, bytes: it may come from another machine.
const RESULT_BYTES_MAX: u64 = 256 << 20;

/// A run's `result.json` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoResult {
    /// The system refused.
    #[error("cannot read {}: {source}; name the folder that `pairstorm run` printed behind `files:`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else, or longer than any result.
    #[error("{} is no result: {source}", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The folder of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is something in it: a run never writes over another one.
    #[error("{} is not empty: a run writes into a new or empty folder", .folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file.
    #[error("{} is not a folder", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What goes into the folder of a run.
#[derive(Debug)]
pub struct RunFiles<'a> {
    /// The samples of the interval log.
    pub samples: &'a IntervalSamples,
    /// The result.
    pub result: &'a RunResult,
    /// Facts of the run, for the interval log's wall-clock time.
    pub facts: &'a RunFacts,
    /// The summary without colour.
    pub summary: &'a str,
    /// The violations; their redactor also cleans the gateway's log. The result, and all that is made from it, is clean already.
    pub violations: &'a Violations<'a>,
    /// What the gateway wrote to its output, if it is the run's own.
    pub gateway_log: Option<&'a [u8]>,
}

/// Whether a run may write here: the folder does not exist, or is empty. Creates nothing.
///
/// # Errors
/// [`FilesError`] if it may not, or cannot be looked at.
pub fn check_folder(folder: &Path) -> Result<(), FilesError> {
    check(folder, &[])
}

/// Creates the folder if need be, and in it the file of the history, which is read while it is written.
///
/// # Errors
/// [`FilesError`] if the folder is not new or empty, or the system refuses.
pub fn begin_history(folder: &Path) -> Result<File, FilesError> {
    check(folder, &[])?;
    fs::create_dir_all(folder).map_err(|source| FilesError::Io { path: folder.to_owned(), source })?;
    let path = folder.join(HISTORY);
    let file = File::options().read(true).append(true).create_new(true).open(&path);
    file.map_err(|source| FilesError::Io { path, source })
}

/// Writes what the run was made from, so that its history can be judged again; in the place of what was there before.
///
/// # Errors
/// [`FilesError::Io`] when the system refuses.
pub fn write_origin(folder: &Path, origin: &impl serde::Serialize) -> Result<(), FilesError> {
    whole_file(folder, ORIGIN, |file| {
        serde_json::to_writer_pretty(&mut *file, origin).map_err(io::Error::other)?;
        file.write_all(b"\n")
    })
}

/// Reads what the caller wants to know of a run's `result.json`.
///
/// # Errors
/// [`NoResult`].
pub fn read_result<T: serde::de::DeserializeOwned>(folder: &Path) -> Result<T, NoResult> {
    let path = folder.join(RESULT);
    let file = match File::open(&path) {
        Ok(file) => file.take(RESULT_BYTES_MAX),
        Err(source) => return Err(NoResult::Io { path, source }),
    };
    serde_json::from_reader(BufReader::new(file)).map_err(|source| {
        if source.is_io() {
            NoResult::Io { path, source: source.into() }
        } else {
            NoResult::Other { path, source }
        }
    })
}

/// Whether there is nothing in the folder but what may be.
fn check(folder: &Path, allowed: &[&str]) -> Result<(), FilesError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            let is_other = |entry: &io::Result<fs::DirEntry>| {
                let is_allowed = |name: &OsStr| allowed.iter().any(|allowed| name == OsStr::new(allowed));
                entry.as_ref().map_or(true, |entry| !is_allowed(&entry.file_name()))
            };
            if entries.any(|entry| is_other(&entry)) {
                return Err(FilesError::NotEmpty { folder: folder.to_owned() });
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(FilesError::NotAFolder { path: folder.to_owned() })
        }
        Err(source) => Err(FilesError::Io { path: folder.to_owned(), source }),
    }
}

/// Creates the folder and writes the files of a run, `result.json` last: where it is, everything is.
///
/// # Errors
/// [`FilesError`] if the folder holds more than the history, or the system refuses; what was written until then stays.
pub fn write(folder: &Path, files: &RunFiles<'_>) -> Result<(), FilesError> {
    check(folder, &[HISTORY, ORIGIN])?;
    fs::create_dir_all(folder).map_err(|source| FilesError::Io { path: folder.to_owned(), source })?;
    let redactor = files.violations.redactor();
    whole_file(folder, LATENCY, |file| {
        write_hlog(file, files.samples, files.facts.started_at).map_err(|error| match error {
            HlogError::Io(error) => error,
            HlogError::Encode(text) => io::Error::other(text),
        })
    })?;
    if !files.violations.is_empty() {
        whole_file(folder, VIOLATIONS, |file| files.violations.write(file).map(drop))?;
    }
    if let Some(log) = files.gateway_log.filter(|log| !log.is_empty()) {
        let clean = redactor.text(&String::from_utf8_lossy(log));
        whole_file(folder, GATEWAY_LOG, |file| file.write_all(clean.as_bytes()))?;
    }
    write_checker(folder, files.result)?;
    whole_file(folder, SUMMARY, |file| file.write_all(files.summary.as_bytes()))?;
    whole_file(folder, RESULT, |file| {
        let text = json::text(files.result).map_err(io::Error::other)?;
        file.write_all(text.as_bytes())
    })
}

/// For each listed device that no order explains: its history as a text and as a picture, called as the device is.
fn write_checker(folder: &Path, result: &RunResult) -> Result<(), FilesError> {
    let mut invalid = result.devices.iter().flat_map(DeviceResults::invalid).peekable();
    if invalid.peek().is_none() {
        return Ok(());
    }
    let folder = folder.join(CHECKER);
    fs::create_dir_all(&folder).map_err(|source| FilesError::Io { path: folder.clone(), source })?;
    for device in invalid {
        let name = device.client.replace('/', "-");
        whole_file(&folder, &format!("{name}.txt"), |file| {
            file.write_all(timeline::alone(device).as_bytes())
        })?;
        if let Some(svg) = picture::svg(device) {
            whole_file(&folder, &format!("{name}.svg"), |file| file.write_all(svg.as_bytes()))?;
        }
    }
    Ok(())
}

/// Writes a file that may be there already, and its folder if that is not; a reader sees the old one or the new one.
///
/// # Errors
/// [`FilesError`] if the system refuses.
pub fn replace(folder: &Path, name: &str, text: &str) -> Result<(), FilesError> {
    fs::create_dir_all(folder).map_err(|source| FilesError::Io { path: folder.to_owned(), source })?;
    whole_file(folder, name, |file| file.write_all(text.as_bytes()))
}

/// Writes a file under another name, brings it to the disk and gives it its name.
fn whole_file(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FilesError> {
    let path = folder.join(name);
    let partial = folder.join(format!(".{name}.partial"));
    let written = (|| {
        let mut file = BufWriter::new(File::create_new(&partial)?);
        content(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    })();
    written.map_err(|source| {
        // Nothing is lost if this fails too: the file has not got its name.
        let _ = fs::remove_file(&partial);
        FilesError::Io { path, source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{Story, busy_story, session};
    use crate::report::text;

    const SECRET: &str = "gateway-secret-4711";

    fn write_story(folder: &Path, story: &Story, log: Option<&[u8]>) -> Result<RunResult, FilesError> {
        let result = story.result();
        let secrets = [SECRET.to_owned()];
        let tally = story.tally();
        let violations = Violations::new(tally.listing(), &|_, _| None, &secrets);
        write(
            folder,
            &RunFiles {
                samples: tally.samples(),
                result: &result,
                facts: &story.facts,
                summary: &text::summary(&result, false),
                violations: &violations,
                gateway_log: log,
            },
        )?;
        Ok(result)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_leaves_its_files_and_nothing_half_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("runs").join("one");
        let log = format!("listening\ntoken={SECRET}\n");
        let result = write_story(&run, &busy_story(), Some(log.as_bytes())).expect("written");
        assert_eq!(names(&run), [GATEWAY_LOG, LATENCY, RESULT, SUMMARY, VIOLATIONS]);
        let text = fs::read_to_string(run.join(RESULT)).expect("a file");
        assert_eq!(serde_json::from_str::<RunResult>(&text).expect("a result"), result);
        let violations = fs::read_to_string(run.join(VIOLATIONS)).expect("a file");
        assert_eq!(violations.lines().count() as u64, result.mismatches.total);
        assert_eq!(
            fs::read_to_string(run.join(GATEWAY_LOG)).expect("a file"),
            "listening\ntoken=<redacted>\n"
        );
    }

    #[test]
    fn without_mismatches_there_is_no_list_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(1).answered(5, session());
        write_story(folder.path(), &story, Some(b"")).expect("an empty folder will do");
        assert_eq!(names(folder.path()), [LATENCY, RESULT, SUMMARY]);
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        write_story(folder.path(), &busy_story(), None).expect("written");
        let before = names(folder.path());
        assert!(matches!(check_folder(folder.path()), Err(FilesError::NotEmpty { .. })));
        assert!(matches!(write_story(folder.path(), &busy_story(), None), Err(FilesError::NotEmpty { .. })));
        assert_eq!(names(folder.path()), before);
        let file = folder.path().join(RESULT);
        assert!(matches!(check_folder(&file), Err(FilesError::NotAFolder { .. })));
    }

    #[test]
    fn what_is_no_result_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = || read_result::<serde_json::Value>(folder.path()).map_err(|error| error.to_string());
        let said = read().unwrap_err();
        assert!(said.contains(RESULT) && said.contains("printed behind `files:`"), "{said}");
        fs::write(folder.path().join(RESULT), "{\"verdict\": ").unwrap();
        let said = read().unwrap_err();
        assert!(said.contains("result.json is no result: EOF"), "{said}");
        fs::write(folder.path().join(RESULT), "{\"verdict\": \"pass\"}").unwrap();
        assert_eq!(read(), Ok(serde_json::json!({ "verdict": "pass" })));
    }

    #[test]
    fn looking_at_a_folder_creates_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("new");
        check_folder(&run).expect("may be used");
        assert!(!run.exists());
    }

    #[test]
    fn a_file_that_fails_half_way_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let failed = whole_file(folder.path(), "x", |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(
            failed.expect_err("failed").to_string(),
            format!("cannot write {}: the disk is full", folder.path().join("x").display())
        );
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }
}
