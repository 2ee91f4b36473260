//! Where the redb files come from: a folder on disk, or whatever a test puts in its place.

use crate::OpenError;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fmt::{self, Debug, Display, Formatter};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The files this crate knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileName {
    /// What was just acknowledged: unfiled rows, open tiles, the tail, the outbox.
    Head,
    /// What was filed: rows, full tiles, indexes.
    Log,
    /// Wrapped keys, in a folder of their own.
    Keys,
    /// Organisations, their keys, and bindings, in a folder of their own.
    Directory,
    /// A custodian's events and reports, in the folder of its gateway.
    Spool,
    /// People's records and their versions, in a folder of its own.
    Vault,
}

impl FileName {
    /// The name in its folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head.redb",
            Self::Log => "log.redb",
            Self::Keys => "keys.redb",
            Self::Directory => "directory.redb",
            Self::Spool => "spool.redb",
            Self::Vault => "vault.redb",
        }
    }
}

impl Display for FileName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Opens and creates files. The store asks again after each failed write, since redb serves
/// nothing more through a handle on which one write failed.
pub trait Files: Debug + Send + Sync {
    /// The file under its final name, or `None` if there is none.
    fn open(&self, name: FileName) -> io::Result<Option<Box<dyn StorageBackend>>>;
    /// A new, empty file under a temporary name; what an earlier crash left there is dropped.
    fn create(&self, name: FileName) -> io::Result<Box<dyn StorageBackend>>;
    /// Gives the created and closed file its final name; durable when this returns.
    fn publish(&self, name: FileName) -> io::Result<()>;
}

/// A folder, locked for as long as this lives.
///
/// redb locks each file, but not the moment in which a file is created or opened again; the lock
/// on the folder covers these too.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Locks the folder, which is created (readable by its owner only) if there is none.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
            // Else a power loss could take the whole folder, and with it what was acknowledged.
            let absolute = path.canonicalize().map_err(io)?;
            for parent in absolute.ancestors().skip(1) {
                File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)?;
            }
        }
        let handle = File::open(path).map_err(io)?;
        match handle.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), handle }),
            Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    fn temporary(&self, name: FileName) -> PathBuf {
        self.path.join(format!("{name}.new"))
    }
}

pub(crate) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

impl Files for Folder {
    fn open(&self, name: FileName) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match owner_only().open(self.path.join(name.as_str())) {
            Ok(file) => backend(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: FileName) -> io::Result<Box<dyn StorageBackend>> {
        backend(owner_only().create(true).truncate(true).open(self.temporary(name))?)
    }

    /// A crash while redb creates a file leaves one that never opens again; under a temporary
    /// name it is simply overwritten by the next attempt.
    fn publish(&self, name: FileName) -> io::Result<()> {
        let temporary = self.temporary(name);
        File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, self.path.join(name.as_str()))?;
        self.handle.sync_all()
    }
}
