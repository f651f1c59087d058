//! Starts the gateway under strace, and reads what strace wrote.

use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::model::{Image, Model, Step};
use crate::support::{Gateway, State};

/// System calls that change a file or a folder, or send.
const CALLS: &str = "openat,openat2,open,creat,mkdir,mkdirat,rmdir,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,\
    fallocate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,copy_file_range,sendfile,\
    splice,mmap,sendto,sendmsg,io_uring_setup";

/// A gateway under strace. Whichever way it goes, the gateway goes with it.
pub(crate) struct Traced {
    pub(crate) gateway: Gateway,
    /// `None` once it has ended.
    pid: Option<Pid>,
    log: PathBuf,
    root: PathBuf,
    at_start: Image,
}

impl Traced {
    /// Starts it; `inject` is what strace is to make fail.
    pub(crate) fn start(state: &mut State, inject: Option<&str>, more: &[&str]) -> Self {
        let root = state.path().canonicalize().unwrap();
        let log = root.join("strace.log");
        let mut under: Vec<String> =
            ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", &format!("trace={CALLS}"), "-o"]
                .map(str::to_owned)
                .to_vec();
        under.push(log.to_str().unwrap().to_owned());
        if let Some(inject) = inject {
            under.extend(["-e".to_owned(), format!("inject={inject}")]);
        }
        state.under = under;
        let is_there = std::process::Command::new("strace").arg("--version").output();
        assert!(is_there.is_ok(), "strace is needed: apt-get install strace");
        let at_start = Image::read(&root, &["devices", "state"]);
        let more: Vec<&str> = ["--startup-ms", "0"].iter().chain(more).copied().collect();
        let gateway = state.start_with(0, &more);
        state.under.clear();
        let pid = state.json("gateway.lock")["pid"].as_i64().unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        Self { gateway, pid, log, root, at_start }
    }

    /// Ends it with this signal, and gives what it did.
    pub(crate) fn end(mut self, signal: Signal) -> Trace {
        kill_process(self.pid.unwrap(), signal).unwrap();
        self.gateway.wait();
        self.pid = None;
        Trace::parse(&self.root, &self.at_start, &std::fs::read_to_string(&self.log).unwrap())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // A tracer that is killed lets its tracee go on.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Something that the gateway did.
#[derive(Debug, Clone)]
pub(crate) enum Did {
    /// To its files; done when it stands here.
    Step(Step),
    /// It sent this; it may be there from here on.
    Send(Vec<u8>),
}

impl Did {
    pub(crate) fn sends(&self, text: &str) -> bool {
        matches!(self, Self::Send(bytes) if bytes.windows(text.len()).any(|at| at == text.as_bytes()))
    }

    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Self::Step(Step::SyncFile(_) | Step::SyncFolder(_)))
    }
}

/// All that it did to what it keeps, and what it sent.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) root: PathBuf,
    /// What was there when it started.
    pub(crate) at_start: Image,
    pub(crate) did: Vec<Did>,
    /// Every system call that was seen: the thread, its name, and how much had been done when it began.
    pub(crate) calls: Vec<(String, String, usize)>,
}

impl Trace {
    fn parse(root: &Path, at_start: &Image, log: &str) -> Self {
        let mut parser = Parser {
            root: root.to_owned(),
            model: Model::from_image(root, at_start),
            positions: HashMap::new(),
            did: Vec::new(),
        };
        let mut unfinished: HashMap<&str, String> = HashMap::new();
        let mut calls = Vec::new();
        for line in log.lines() {
            let (pid, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim_start();
            if let Some((name, _)) = rest.split_once('(') {
                calls.push((pid.to_owned(), name.to_owned(), parser.did.len()));
            }
            if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
                parser.begins(begun);
                unfinished.insert(pid, begun.to_owned());
            } else if rest.starts_with("<... ") {
                let (_, end) = rest.split_once("resumed>").unwrap();
                let begun = unfinished.remove(pid).unwrap();
                parser.ends(&(begun + end));
            } else if !rest.starts_with("---") && !rest.starts_with("+++") {
                parser.begins(rest);
                parser.ends(rest);
            }
        }
        Self { root: root.to_owned(), at_start: at_start.clone(), did: parser.did, calls }
    }

    /// Where it first sent this text.
    pub(crate) fn sent(&self, text: &str) -> usize {
        self.did.iter().position(|did| did.sends(text)).unwrap_or_else(|| panic!("{text} was not sent"))
    }
}

struct Parser {
    root: PathBuf,
    model: Model,
    /// Of descriptors that are written to without saying where.
    positions: HashMap<i64, usize>,
    did: Vec<Did>,
}

impl Parser {
    /// What is sent may be there as soon as the call begins.
    fn begins(&mut self, call: &str) {
        let Some((name, args)) = call.split_once('(') else { return };
        let is_send = matches!(name, "sendto" | "sendmsg")
            || matches!(name, "write" | "writev")
                && descriptor(args).is_some_and(|(_, path)| path.starts_with("socket:"));
        if is_send {
            self.did.push(Did::Send(strings(args).concat()));
        }
    }

    fn ends(&mut self, call: &str) {
        let Some((name, args)) = call.split_once('(') else { return };
        let Some((args, result)) = args.rsplit_once(" = ") else { return };
        let Ok(result) = result.split(['<', ' ']).next().unwrap().parse::<i64>() else { return };
        if result < 0 {
            return;
        }
        let texts = strings(args);
        let paths = || texts.iter().map(|text| PathBuf::from(std::ffi::OsString::from_vec(text.clone())));
        match name {
            "openat" => self.opened(&paths().next().unwrap(), args, result),
            "mkdir" | "mkdirat" => self.named(paths().next().unwrap(), Step::MakeFolder),
            "unlink" => self.named(paths().next().unwrap(), Step::Remove),
            "rename" => {
                let [from, to] = paths().collect::<Vec<_>>().try_into().unwrap();
                if self.is_kept(&from) || self.is_kept(&to) {
                    self.step(Step::Rename(from, to));
                }
            }
            "sendto" | "sendmsg" => {}
            _ => {
                let Some((number, path)) = descriptor(args) else { return };
                let path = PathBuf::from(path);
                if self.is_kept(&path) || path == self.root {
                    self.wrote(name, (number, &path), args, &texts, usize::try_from(result).unwrap());
                }
            }
        }
    }

    /// Whether it is of the store. The memory that SQLite's connections share is made anew after a power cut.
    fn is_kept(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        (below.starts_with("devices") || below.starts_with("state"))
            && !below.as_os_str().to_string_lossy().ends_with("-shm")
    }

    fn named(&mut self, path: PathBuf, step: impl FnOnce(PathBuf) -> Step) {
        if self.is_kept(&path) {
            self.step(step(path));
        }
    }

    fn opened(&mut self, path: &Path, args: &str, number: i64) {
        self.positions.insert(number, 0);
        if !self.is_kept(path) || self.model.is_folder(path) {
            return;
        }
        match self.model.file_at(path) {
            None => self.step(Step::Create(path.to_owned())),
            Some(file) if args.contains("O_TRUNC") => self.step(Step::SetLength { file, length: 0 }),
            Some(_) => {}
        }
    }

    fn wrote(
        &mut self,
        name: &str,
        (number, path): (i64, &Path),
        args: &str,
        texts: &[Vec<u8>],
        result: usize,
    ) {
        let last = || {
            let last = args.rsplit(", ").next().unwrap();
            last.trim().trim_end_matches(')').trim().parse::<usize>().unwrap()
        };
        let file = self.model.file_at(path);
        match (name, file) {
            ("fsync" | "fdatasync", None) if self.model.is_folder(path) => {
                self.step(Step::SyncFolder(path.to_owned()));
            }
            ("fsync" | "fdatasync", Some(file)) => self.step(Step::SyncFile(file)),
            ("pwrite64", Some(file)) => {
                let bytes = texts[0][..result].to_vec();
                self.step(Step::Write { file, at: last(), bytes });
            }
            ("write", Some(file)) => {
                let position = self.positions.get_mut(&number).unwrap();
                let at = *position;
                *position += result;
                self.step(Step::Write { file, at, bytes: texts[0][..result].to_vec() });
            }
            ("ftruncate", Some(file)) => self.step(Step::SetLength { file, length: last() }),
            _ => panic!("this is not understood: {name} of {} in {args}", path.display()),
        }
    }

    fn step(&mut self, step: Step) {
        self.model.apply(&step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        self.did.push(Did::Step(step));
    }
}

/// The texts in quotes, each byte as `\xNN`.
fn strings(args: &str) -> Vec<Vec<u8>> {
    args.split('"').skip(1).step_by(2).map(unhex).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The first argument if it is a descriptor: its number, and what it is of.
fn descriptor(args: &str) -> Option<(i64, String)> {
    let (number, rest) = args.split_once('<')?;
    let (of, _) = rest.split_once('>')?;
    Some((number.parse().ok()?, String::from_utf8(unhex(of)).unwrap()))
}
