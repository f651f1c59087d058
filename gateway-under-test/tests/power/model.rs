//! A file system with a page cache, as strict as POSIX lets one be: what was not synced may each be lost or kept.
//!
//! - Content that was written and not synced: each write may be on the disk, or its first half, or nothing of it.
//! - A name that was made, changed or removed: it may be so on the disk or not, until the folder is synced. A rename is
//!   one step. A folder that is lost takes with it what is in it.
//! - What is synced stands. What was never written there is zeros.
//!
//! Programs are lists of [`Step`]s, from a store that runs on a [`super::memory::MemoryDisk`] or from what `strace` saw.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names a file for as long as anybody knows it, whatever name it has in a folder.
pub(crate) type FileId = usize;

/// What a program does to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    MakeFolder(PathBuf),
    /// An empty file under a name that is free.
    Create(PathBuf),
    Write {
        file: FileId,
        at: usize,
        bytes: Vec<u8>,
    },
    SetLength {
        file: FileId,
        length: usize,
    },
    SyncFile(FileId),
    SyncFolder(PathBuf),
    /// Within one folder.
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Folder,
    File(FileId),
}

type Names = BTreeMap<OsString, Entry>;

/// What one step does to the names of a folder, all of it or nothing.
type NameChange = Vec<(OsString, Option<Entry>)>;

#[derive(Debug, Clone, Default)]
struct Folder {
    now: Names,
    durable: Names,
    pending: Vec<NameChange>,
}

#[derive(Debug, Clone)]
enum DataChange {
    Write { at: usize, bytes: Vec<u8> },
    SetLength(usize),
}

impl DataChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            Self::SetLength(length) => content.resize(*length, 0),
        }
    }

    /// In how many ways it may have reached the disk.
    fn ways(&self) -> usize {
        match self {
            Self::Write { bytes, .. } if bytes.len() > 1 => 3,
            _ => 2,
        }
    }

    fn apply_way(&self, way: usize, content: &mut Vec<u8>) {
        match (way, self) {
            (0, _) => {}
            (2, Self::Write { at, bytes }) => {
                let half = Self::Write { at: *at, bytes: bytes[..bytes.len() / 2].to_vec() };
                half.apply(content);
            }
            _ => self.apply(content),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<DataChange>,
    /// Grows with every change; for stamps.
    changes: u64,
}

/// What is on a disk after a power cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Image {
    pub(crate) folders: BTreeSet<PathBuf>,
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

#[allow(dead_code, reason = "each of the tests that share this module needs a part of it")]
impl Image {
    /// What is in these folders of a folder of the real file system, and not in folders of theirs.
    pub(crate) fn read(root: &Path, folders: &[&str]) -> Self {
        let mut image = Self::default();
        for folder in folders.iter().map(|name| root.join(name)).filter(|folder| folder.exists()) {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let content = std::fs::read(&path).unwrap();
                image.files.insert(path, content);
            }
            image.folders.insert(folder);
        }
        image
    }

    /// Puts it below a folder of the real file system. Paths of the image are taken to be below `root`.
    pub(crate) fn write_below(&self, root: &Path, target: &Path) {
        let below = |path: &Path| target.join(path.strip_prefix(root).unwrap());
        for folder in &self.folders {
            std::fs::create_dir_all(below(folder)).unwrap();
        }
        for (path, content) in &self.files {
            std::fs::write(below(path), content).unwrap();
        }
    }
}

/// The disk with its page cache.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    root: PathBuf,
    folders: BTreeMap<PathBuf, Folder>,
    files: Vec<File>,
}

#[allow(dead_code, reason = "each of the tests that share this module needs a part of it")]
impl Model {
    /// An empty folder that was always there.
    pub(crate) fn new(root: &Path) -> Self {
        let folders = BTreeMap::from([(root.to_owned(), Folder::default())]);
        Self { root: root.to_owned(), folders, files: Vec::new() }
    }

    /// What is on a disk that nobody has written to since its power came back.
    pub(crate) fn from_image(root: &Path, image: &Image) -> Self {
        let mut model = Self::new(root);
        for folder in &image.folders {
            model.apply(&Step::MakeFolder(folder.clone())).unwrap();
        }
        for (path, content) in &image.files {
            let file = model.files.len();
            model.apply(&Step::Create(path.clone())).unwrap();
            model.apply(&Step::Write { file, at: 0, bytes: content.clone() }).unwrap();
        }
        model.settle();
        model
    }

    /// Syncs everything.
    pub(crate) fn settle(&mut self) {
        for folder in self.folders.values_mut() {
            folder.durable = folder.now.clone();
            folder.pending.clear();
        }
        for file in &mut self.files {
            file.durable = file.now.clone();
            file.pending.clear();
        }
    }

    /// How many files there were ever: the id of the next.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn file_at(&self, path: &Path) -> Option<FileId> {
        match self.folders.get(path.parent()?)?.now.get(path.file_name()?)? {
            Entry::File(file) => Some(*file),
            Entry::Folder => None,
        }
    }

    /// The name that a file has now.
    pub(crate) fn path_of(&self, file: FileId) -> Option<PathBuf> {
        self.folders.iter().find_map(|(path, folder)| {
            let (name, _) = folder.now.iter().find(|(_, entry)| **entry == Entry::File(file))?;
            Some(path.join(name))
        })
    }

    pub(crate) fn content(&self, file: FileId) -> &[u8] {
        &self.files[file].now
    }

    pub(crate) fn changes(&self, file: FileId) -> u64 {
        self.files[file].changes
    }

    pub(crate) fn names(&self, folder: &Path) -> Option<Vec<OsString>> {
        Some(self.folders.get(folder)?.now.keys().cloned().collect())
    }

    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.folders.contains_key(path)
    }

    /// As a program sees it; an error is what the system would say.
    pub(crate) fn apply(&mut self, step: &Step) -> std::io::Result<()> {
        match step {
            Step::MakeFolder(path) => {
                self.change_names(path, vec![(name(path), Some(Entry::Folder))], true)?;
                self.folders.insert(path.clone(), Folder::default());
            }
            Step::Create(path) => {
                let file = self.files.len();
                self.change_names(path, vec![(name(path), Some(Entry::File(file)))], true)?;
                self.files.push(File::default());
            }
            Step::Write { file, at, bytes } => {
                self.change_data(*file, DataChange::Write { at: *at, bytes: bytes.clone() });
            }
            Step::SetLength { file, length } => self.change_data(*file, DataChange::SetLength(*length)),
            Step::SyncFile(file) => {
                let file = &mut self.files[*file];
                file.durable = file.now.clone();
                file.pending.clear();
            }
            Step::SyncFolder(path) => {
                let folder = self.folders.get_mut(path).ok_or(std::io::ErrorKind::NotFound)?;
                folder.durable = folder.now.clone();
                folder.pending.clear();
            }
            Step::Rename(from, to) => {
                assert_eq!(from.parent(), to.parent(), "no store renames across folders");
                let file = self.file_at(from).ok_or(std::io::ErrorKind::NotFound)?;
                let change = vec![(name(from), None), (name(to), Some(Entry::File(file)))];
                self.change_names(to, change, false)?;
            }
            Step::Remove(path) => {
                self.file_at(path).ok_or(std::io::ErrorKind::NotFound)?;
                self.change_names(path, vec![(name(path), None)], false)?;
            }
        }
        Ok(())
    }

    fn change_names(&mut self, path: &Path, change: NameChange, must_be_free: bool) -> std::io::Result<()> {
        let folder = path.parent().and_then(|above| self.folders.get_mut(above));
        let folder = folder.ok_or(std::io::ErrorKind::NotFound)?;
        if must_be_free && folder.now.contains_key(&name(path)) {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        apply_names(&change, &mut folder.now);
        folder.pending.push(change);
        Ok(())
    }

    fn change_data(&mut self, file: FileId, change: DataChange) {
        let file = &mut self.files[file];
        change.apply(&mut file.now);
        file.changes += 1;
        file.pending.push(change);
    }

    /// What is on the disk if the power goes now: every state it may be in if there are at most `most`, else a sample of so
    /// many, in which are the one where all is lost, the one where all is kept, and those where one thing alone is.
    pub(crate) fn after_power_cut(&self, most: usize, seed: u64) -> BTreeSet<Image> {
        let mut ways = Vec::new();
        for folder in self.folders.values() {
            ways.extend(folder.pending.iter().map(|_| 2));
        }
        for file in &self.files {
            ways.extend(file.pending.iter().map(DataChange::ways));
        }
        let product = ways.iter().try_fold(1_usize, |product, ways| product.checked_mul(*ways));
        let mut images = BTreeSet::new();
        match product {
            Some(product) if product <= most => {
                for mut number in 0..product {
                    let choice: Vec<usize> = ways
                        .iter()
                        .map(|ways| {
                            let way = number % ways;
                            number /= ways;
                            way
                        })
                        .collect();
                    images.insert(self.image(&choice));
                }
            }
            _ => {
                let many = ways.len();
                let mut choices: Vec<Vec<usize>> = vec![vec![0; many], vec![1; many]];
                for (at, ways) in ways.iter().enumerate() {
                    for way in 0..*ways {
                        for (others, but) in [(0, way), (1, way)] {
                            let mut choice = vec![others; many];
                            choice[at] = but;
                            choices.push(choice);
                        }
                    }
                }
                let mut random = Random(seed);
                while choices.len() < most {
                    choices.push(ways.iter().map(|ways| random.below(*ways)).collect());
                }
                images.extend(choices.iter().map(|choice| self.image(choice)));
            }
        }
        images
    }

    /// What is on the disk if everything is kept: what the next program sees after a kill.
    pub(crate) fn all_kept(&self) -> Image {
        let mut image = Image::default();
        for (path, folder) in &self.folders {
            if *path != self.root {
                image.folders.insert(path.clone());
            }
            for (name, entry) in &folder.now {
                if let Entry::File(file) = entry {
                    image.files.insert(path.join(name), self.files[*file].now.clone());
                }
            }
        }
        image
    }

    fn image(&self, choice: &[usize]) -> Image {
        let mut choice = choice.iter().copied();
        let mut folders = BTreeMap::new();
        for (path, folder) in &self.folders {
            let mut names = folder.durable.clone();
            for change in &folder.pending {
                if choice.next().unwrap() == 1 {
                    apply_names(change, &mut names);
                }
            }
            folders.insert(path, names);
        }
        let contents: Vec<Vec<u8>> = self
            .files
            .iter()
            .map(|file| {
                let mut content = file.durable.clone();
                for change in &file.pending {
                    change.apply_way(choice.next().unwrap(), &mut content);
                }
                content
            })
            .collect();
        let mut image = Image::default();
        let mut reached = vec![self.root.clone()];
        while let Some(path) = reached.pop() {
            for (name, entry) in &folders[&path] {
                let path = path.join(name);
                match entry {
                    Entry::File(file) => drop(image.files.insert(path, contents[*file].clone())),
                    Entry::Folder => {
                        image.folders.insert(path.clone());
                        reached.push(path);
                    }
                }
            }
        }
        image
    }
}

fn name(path: &Path) -> OsString {
    path.file_name().unwrap().to_owned()
}

fn apply_names(change: &NameChange, names: &mut Names) {
    for (name, entry) in change {
        match entry {
            Some(entry) => drop(names.insert(name.clone(), *entry)),
            None => drop(names.remove(name)),
        }
    }
}

/// SplitMix64: the same states are looked at whenever the test runs.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}
