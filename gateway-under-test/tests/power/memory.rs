//! A [`Disk`] on a [`Model`]: it keeps what was done to it, forgets to sync where it is told to, and refuses where it is
//! told to.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gateway_under_test::store::disk::{Disk, NewFile, Stamp};

use crate::model::{FileId, Image, Model, Step};

/// What the disk does not do that it says it has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sloppy {
    #[default]
    Nothing,
    /// Of all syncs, this one.
    SkipSync(usize),
    /// Every sync of a file.
    SkipFiles,
    /// Every sync of a folder.
    SkipFolders,
    /// A file is synced only when it has got its name.
    RenameBeforeSync,
}

/// Which calls that change something the disk refuses, counted from now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) first: usize,
    /// All from there on, or that one.
    pub(crate) lasts: bool,
    pub(crate) errno: i32,
}

#[derive(Debug)]
struct Inner {
    model: Model,
    log: Vec<Step>,
    sloppy: Sloppy,
    syncs: usize,
    late: Option<FileId>,
    fault: Option<Fault>,
    calls: usize,
}

/// Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

impl MemoryDisk {
    pub(crate) fn new(root: &Path) -> Self {
        Self::on(Model::new(root))
    }

    pub(crate) fn on(model: Model) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            model,
            log: Vec::new(),
            sloppy: Sloppy::Nothing,
            syncs: 0,
            late: None,
            fault: None,
            calls: 0,
        })))
    }

    pub(crate) fn from_image(root: &Path, image: &Image) -> Self {
        Self::on(Model::from_image(root, image))
    }

    pub(crate) fn be(self, sloppy: Sloppy) -> Self {
        self.with(|inner| inner.sloppy = sloppy);
        self
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Refuses from now on; `None` = it works again.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.with(|inner| (inner.fault, inner.calls) = (fault, 0));
    }

    /// Calls that changed something, or would have, since [`MemoryDisk::fail`].
    pub(crate) fn calls(&self) -> usize {
        self.with(|inner| inner.calls)
    }

    /// Somebody else has put other files there.
    pub(crate) fn replace(&self, image: &Image) {
        self.with(|inner| inner.model = Model::from_image(&root(), image));
    }

    pub(crate) fn steps(&self) -> usize {
        self.with(|inner| inner.log.len())
    }

    pub(crate) fn log(&self) -> Vec<Step> {
        self.with(|inner| inner.log.clone())
    }

    pub(crate) fn model(&self) -> Model {
        self.with(|inner| inner.model.clone())
    }
}

impl Inner {
    fn call(&mut self) -> io::Result<()> {
        let at = self.calls;
        self.calls += 1;
        match self.fault {
            Some(fault) if at == fault.first || (fault.lasts && at > fault.first) => {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, step: Step) -> io::Result<()> {
        self.model.apply(&step)?;
        self.log.push(step);
        Ok(())
    }

    fn sync(&mut self, step: Step) -> io::Result<()> {
        self.call()?;
        let at = self.syncs;
        self.syncs += 1;
        match (self.sloppy, &step) {
            (Sloppy::SkipSync(skipped), _) if skipped == at => Ok(()),
            (Sloppy::SkipFiles, Step::SyncFile(_)) | (Sloppy::SkipFolders, Step::SyncFolder(_)) => Ok(()),
            (Sloppy::RenameBeforeSync, Step::SyncFile(file)) => {
                self.late = Some(*file);
                Ok(())
            }
            _ => self.apply(step),
        }
    }

    fn stamp(&self, file: FileId) -> Stamp {
        Stamp {
            device: 0,
            inode: file as u64,
            size: self.model.content(file).len() as u64,
            modified: (i64::try_from(self.model.changes(file)).unwrap(), 0),
        }
    }

    fn find(&self, path: &Path) -> io::Result<FileId> {
        self.model.file_at(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Stamp)> {
        self.with(|inner| {
            let file = inner.find(path)?;
            Ok((inner.model.content(file).to_vec(), inner.stamp(file)))
        })
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.with(|inner| {
            if inner.model.is_folder(path) {
                return Ok(Stamp { device: 0, inode: u64::MAX, size: 0, modified: (0, 0) });
            }
            Ok(inner.stamp(inner.find(path)?))
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.with(|inner| inner.model.names(folder).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = self.with(|inner| {
            inner.call()?;
            if let Some(file) = inner.model.file_at(path) {
                inner.apply(Step::SetLength { file, length: 0 })?;
                return Ok(file);
            }
            let file = inner.model.files();
            inner.apply(Step::Create(path.to_owned()))?;
            io::Result::Ok(file)
        })?;
        Ok(Box::new(MemoryFile { disk: self.clone(), file, at: 0 }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|inner| {
            inner.call()?;
            inner.apply(Step::Rename(from.to_owned(), to.to_owned()))?;
            match inner.late.take() {
                Some(file) => inner.apply(Step::SyncFile(file)),
                None => Ok(()),
            }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|inner| {
            inner.call()?;
            inner.apply(Step::Remove(path.to_owned()))
        })
    }

    fn make_folder(&self, path: &Path, _: u32) -> io::Result<()> {
        self.with(|inner| {
            if inner.model.is_folder(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            inner.call()?;
            inner.apply(Step::MakeFolder(path.to_owned()))
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.with(|inner| inner.sync(Step::SyncFolder(path.to_owned())))
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: FileId,
    at: usize,
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.with(|inner| {
            let refused = inner.call();
            // A full disk takes what still fits.
            let taken = if refused.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
            inner.apply(Step::Write { file: self.file, at: self.at, bytes: taken.to_vec() })?;
            self.at += taken.len();
            refused.map(|()| taken.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(|inner| inner.sync(Step::SyncFile(self.file)))
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.disk.with(|inner| Ok(inner.stamp(self.file)))
    }
}

/// Where the tests' disk begins; it was always there.
pub(crate) fn root() -> PathBuf {
    PathBuf::from("/disk")
}

/// The state directory, which the gateway makes.
pub(crate) fn state_dir() -> PathBuf {
    root().join("openclaw")
}
