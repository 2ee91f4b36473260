use crate::db::Fault;
use crate::files::FileName;
use std::io;
use std::path::PathBuf;

/// Why files could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another handle of this one, has them open.
    #[error("{} is already open, by another instance of this program", path.display())]
    AlreadyOpen {
        /// Folder or file.
        path: PathBuf,
    },
    /// One of two files that belong together is not there. Nothing was created in its place.
    #[error("{file} is missing, while the file that belongs to it is there")]
    Missing {
        /// Which one.
        file: FileName,
    },
    /// Written by a newer version of this program.
    #[error("{file} has format {found}, this version knows {known} and older ones")]
    Newer {
        /// Which file.
        file: FileName,
        /// Its format.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// Not what any version of this program leaves behind.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// Which file.
        file: FileName,
        /// What is wrong with it.
        what: String,
    },
    /// A rebuild of the indexes was cut short; it must be finished first.
    #[error("the indexes are incomplete: a reindex stopped at entry {done}; run it again")]
    IndexesIncomplete {
        /// Entries indexed so far.
        done: u64,
    },
    /// No room.
    #[error("{file}: disk full: {reason}")]
    Full {
        /// Which file.
        file: FileName,
        /// What the system said.
        reason: String,
    },
    /// The storage engine refused.
    #[error("{file}: {reason}")]
    Storage {
        /// Which file.
        file: FileName,
        /// What the engine said.
        reason: String,
    },
    /// The folder could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn file(name: FileName, source: io::Error) -> Self {
        Self::Io { path: name.as_str().into(), source }
    }

    pub(crate) fn fault(file: FileName, fault: Fault) -> Self {
        match fault {
            Fault::Damaged(what) | Fault::Malformed(what) => Self::Damaged { file, what },
            Fault::Full(reason) => Self::Full { file, reason },
            Fault::Engine(reason) | Fault::Fatal(reason) => Self::Storage { file, reason },
            Fault::Fenced { .. } => Self::Storage { file, reason: "the log moved".to_owned() },
        }
    }
}
