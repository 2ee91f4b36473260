//! The master key in use and the one that takes its place: `master.key` and `master.next.key`.
//!
//! At any moment one of the two opens `keys.redb`. A crash before the key file is replaced leaves a
//! next key under which nothing is wrapped; one after it leaves a next key that is the one in use.

use crate::file::{self, FileError};
use crate::wrap::MasterKey;
use alloy::primitives::B256;
use medtrail_ledger::ports::{JournalError, KeyWrap, MasterKeys};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the master key in use.
pub const PRESENT: &str = "master.key";
/// The name of the one that takes its place.
pub const NEXT: &str = "master.next.key";

/// The master keys of one log, in its keys folder.
#[derive(Clone, Debug)]
pub struct MasterFolder {
    folder: PathBuf,
    log: B256,
}

impl MasterFolder {
    /// Those in `folder`.
    pub fn new(folder: &Path, log: B256) -> Self {
        Self { folder: folder.to_owned(), log }
    }

    fn present(&self) -> PathBuf {
        self.folder.join(PRESENT)
    }

    fn next_path(&self) -> PathBuf {
        self.folder.join(NEXT)
    }

    /// Whether a crash left a next key.
    pub fn has_next(&self) -> bool {
        self.next_path().exists()
    }

    /// The key in use, unless the next one is.
    ///
    /// # Errors
    /// As for [`MasterKey::load`].
    pub fn load_present(&self) -> Result<MasterKey, FileError> {
        MasterKey::load(&self.present(), self.log)
    }

    /// The next key, which a crash left.
    ///
    /// # Errors
    /// As for [`MasterKey::load`].
    pub fn load_next(&self) -> Result<MasterKey, FileError> {
        MasterKey::load(&self.next_path(), self.log)
    }

    /// Removes a next key under which nothing is wrapped.
    ///
    /// # Errors
    /// Where the folder cannot be changed.
    pub fn drop_next(&self) -> Result<(), FileError> {
        file::remove_if_there(&self.next_path())?;
        file::sync_folder(&self.folder)
    }

    /// Destroys the present key, and puts the next one in its place, if it has not happened yet.
    ///
    /// # Errors
    /// Where the folder cannot be changed.
    pub fn take_next(&self) -> Result<(), FileError> {
        let (present, next) = (self.present(), self.next_path());
        if !next.exists() {
            return Ok(());
        }
        // The name alone would leave the bytes on the disk until something else needs the room.
        match OpenOptions::new().write(true).open(&present) {
            Ok(mut old) => {
                overwrite(&mut old).map_err(FileError::io(&present))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::io(&present)(error)),
        }
        fs::rename(&next, &present).map_err(FileError::io(&present))?;
        file::sync_folder(&self.folder)
    }
}

fn overwrite(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.write_all(&vec![b'0'; usize::try_from(length).unwrap_or(0)])?;
    file.sync_all()
}

fn told(error: &FileError) -> JournalError {
    JournalError::Storage(error.to_string())
}

impl MasterKeys for MasterFolder {
    fn next(&self) -> Result<Box<dyn KeyWrap>, JournalError> {
        self.drop_next().map_err(|error| told(&error))?;
        let made = MasterKey::create(&self.next_path(), self.log);
        Ok(Box::new(made.map_err(|error| told(&error))?))
    }

    fn turn(&self) -> Result<(), JournalError> {
        self.take_next().map_err(|error| told(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::KeyTag;
    use std::os::unix::fs::PermissionsExt;

    const LOG: B256 = B256::repeat_byte(0x11);

    fn made() -> (tempfile::TempDir, MasterFolder, MasterKey) {
        let private = fs::Permissions::from_mode(file::FOLDER_MODE);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let masters = MasterFolder::new(folder.path(), LOG);
        let first = MasterKey::create(&folder.path().join(PRESENT), LOG).unwrap();
        (folder, masters, first)
    }

    #[test]
    fn the_next_key_takes_the_place_of_the_present_one_whose_bytes_are_gone() {
        let (folder, masters, first) = made();
        let before = fs::read(folder.path().join(PRESENT)).unwrap();
        // Another name for the same bytes shows what becomes of them.
        fs::hard_link(folder.path().join(PRESENT), folder.path().join("seen")).unwrap();
        let key = first.fresh();
        let next = masters.next().unwrap();
        assert!(masters.has_next());
        masters.turn().unwrap();
        masters.turn().unwrap();
        assert!(!masters.has_next());
        let after = MasterKey::load(&folder.path().join(PRESENT), LOG).unwrap();
        let wrapped = next.wrap(KeyTag::Log, &key);
        assert_eq!(after.unwrap(KeyTag::Log, &wrapped), Some(key.clone()));
        assert_eq!(after.unwrap(KeyTag::Log, &first.wrap(KeyTag::Log, &key)), None);
        let seen = fs::read(folder.path().join("seen")).unwrap();
        assert_eq!(seen.len(), before.len());
        assert!(seen.iter().all(|byte| *byte == b'0'));
    }

    #[test]
    fn a_next_key_that_a_crash_left_is_replaced_by_the_next_try() {
        let (folder, masters, _) = made();
        let left = masters.next().unwrap();
        let again = masters.next().unwrap();
        let key = again.fresh();
        let loaded = masters.load_next().unwrap();
        assert_eq!(loaded.unwrap(KeyTag::Log, &again.wrap(KeyTag::Log, &key)), Some(key.clone()));
        assert_eq!(loaded.unwrap(KeyTag::Log, &left.wrap(KeyTag::Log, &key)), None);
        masters.drop_next().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
