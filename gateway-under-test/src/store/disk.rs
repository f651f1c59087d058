//! What the JSON files are kept on, and the one real file system. A test puts another in its place, which loses what was
//! not synced, or refuses.
//!
//! A name in a folder is durable once the folder is synced, and content once its file is: neither follows from the other,
//! and a program that is killed takes nothing with it, so that only a power cut tells a store that forgot one of them.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Of the file system.
    pub device: u64,
    /// Of the file.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file system. Used by the store's thread, and by connections that look at stamps.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// All of a file, and a stamp that is no younger than that.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Stamp)>;

    /// The stamp of a file.
    ///
    /// # Errors
    /// What the system says.
    fn stamp(&self, path: &Path) -> io::Result<Stamp>;

    /// What is in a folder.
    ///
    /// # Errors
    /// What the system says.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// An empty file of mode 0600, in the place of whatever file has the name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;

    /// Gives a file another name, and takes that from the file that had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes one folder.
    ///
    /// # Errors
    /// What the system says; also that it is there.
    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait NewFile: Write + std::fmt::Debug {
    /// Makes its content durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Its stamp.
    ///
    /// # Errors
    /// What the system says.
    fn stamp(&self) -> io::Result<Stamp>;
}

/// Makes a folder, and those above it that are missing, so that they stand after a power cut. One that is there stays as
/// it is, but a program that was killed may have made it just before: its name is made durable all the same.
///
/// # Errors
/// What the system says.
pub fn make_folders(disk: &dyn Disk, path: &Path, mode: u32) -> io::Result<()> {
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    match disk.make_folder(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folders(disk, above, 0o777)?;
            disk.make_folder(path, mode)?;
        }
        Err(_) if disk.stamp(path).is_ok() => {
            return match disk.sync_folder(above) {
                // Where nobody may look, we have made nothing.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        made => made?,
    }
    disk.sync_folder(above)
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Stamp)> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let mut all = Vec::new();
        file.read_to_end(&mut all)?;
        Ok((all, stamp))
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        std::fs::metadata(path).map(|metadata| Stamp::of(&metadata))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(mode).create(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl NewFile for RealFile {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.0.metadata().map(|metadata| Stamp::of(&metadata))
    }
}
