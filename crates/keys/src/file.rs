//! Key files: private to their owner, whole or absent, never overwritten.
//!
//! Modes and the synced folder are Unix's; other systems are not supported.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A key stands there already. Nothing was written.
    #[error("{} exists; a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Other users of this machine may read or replace it.
    #[error(
        "{} is open to other users (mode {found:o}); close it: chmod {wanted:o} {}",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        found: u32,
        /// The widest bits accepted.
        wanted: u32,
    },
    /// Longer than any file of its kind.
    #[error("{} is longer than {limit_bytes} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The content is not what this version writes.
    #[error("{} is not {wanted}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected, in words.
        wanted: &'static str,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Permission bits of a keys folder.
pub const FOLDER_MODE: u32 = 0o700;
/// Permission bits of a key file.
pub const FILE_MODE: u32 = 0o600;

/// Makes the keys folder, private to its owner, with all its parents. An existing one is checked.
///
/// # Errors
/// As [`check_folder`].
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(FileError::io(folder))?;
    check_folder(folder)
}

/// Refuses a keys folder that anybody but its owner can enter, or a file in it that anybody but its
/// owner can read. Whoever can write to the folder can put their own key in place of ours.
///
/// # Errors
/// [`FileError::Exposed`] names the first path that is open, and the command that closes it.
pub fn check_folder(folder: &Path) -> Result<(), FileError> {
    check_mode(folder, FOLDER_MODE)?;
    for item in fs::read_dir(folder).map_err(FileError::io(folder))? {
        let path = item.map_err(FileError::io(folder))?.path();
        let wanted = if path.is_dir() { FOLDER_MODE } else { FILE_MODE };
        check_mode(&path, wanted)?;
    }
    Ok(())
}

fn check_mode(path: &Path, wanted: u32) -> Result<(), FileError> {
    let found = fs::metadata(path).map_err(FileError::io(path))?.permissions().mode() & 0o777;
    if found & !wanted == 0 {
        return Ok(());
    }
    Err(FileError::Exposed { path: path.to_owned(), found, wanted })
}

/// Reads a key file into memory that is wiped.
///
/// # Errors
/// [`FileError::Exposed`] if others could read it, [`FileError::TooLong`], or the system's.
pub fn read(path: &Path, limit_bytes: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    check_mode(path, FILE_MODE)?;
    let file = File::open(path).map_err(FileError::io(path))?;
    read_limited(file, path, limit_bytes)
}

/// As [`read`], from what is open already. The buffer never grows: a growing one leaves copies.
pub(crate) fn read_limited(
    file: File,
    path: &Path,
    limit_bytes: u64,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let room = usize::try_from(limit_bytes).expect("limits of key files are small") + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(FileError::io(path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FileError::TooLong { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

/// Writes a new key file; durable when this returns.
///
/// # Errors
/// [`FileError::Exists`], or the system's; there is no file then.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = folder_of(path);
    let temporary = temporary_beside(path);
    // Left by a crash before the link below: it was never anybody's key.
    remove_if_there(&temporary)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&temporary)
        .map_err(FileError::io(&temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::io(&temporary))?;
    publish(&temporary, path)?;
    sync_folder(folder)
}

/// Gives a finished, synced file its name. A rename would silently replace an existing key; a hard
/// link fails. A crash between the two steps leaves a second name for the same bytes, which the
/// next creation removes.
fn publish(temporary: &Path, path: &Path) -> Result<(), FileError> {
    let linked = fs::hard_link(temporary, path);
    remove_if_there(temporary)?;
    linked.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
        _ => FileError::Io { path: path.to_owned(), source },
    })
}

/// Without this the new name, and with it the key, can vanish in a power cut after we said it stands.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::io(folder))
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io(path)(error)),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private_folder() -> tempfile::TempDir {
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(FOLDER_MODE))
            .tempdir()
            .unwrap()
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_file_is_private_whole_and_alone() {
        let folder = private_folder();
        let path = folder.path().join("note.key");
        create(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        assert_eq!(read(&path, 6).unwrap().as_slice(), b"secret");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        check_folder(folder.path()).unwrap();
    }

    #[test]
    fn an_existing_key_is_never_overwritten() {
        let folder = private_folder();
        let path = folder.path().join("note.key");
        create(&path, b"first").unwrap();
        assert!(matches!(create(&path, b"second"), Err(FileError::Exists(_))));
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_left_before_the_link_does_not_block_the_next_creation() {
        let folder = private_folder();
        let path = folder.path().join("note.key");
        fs::write(temporary_beside(&path), b"torn").unwrap();
        create(&path, b"whole").unwrap();
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"whole");
    }

    #[test]
    fn a_file_or_folder_open_to_others_is_refused_with_the_command_that_closes_it() {
        let folder = private_folder();
        let path = folder.path().join("note.key");
        create(&path, b"secret").unwrap();
        set_mode(&path, 0o640);
        assert!(matches!(read(&path, 64), Err(FileError::Exposed { found: 0o640, .. })));
        let refusal = check_folder(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("mode 640") && refusal.contains("chmod 600"), "{refusal}");

        set_mode(&path, 0o400);
        set_mode(folder.path(), 0o750);
        let refusal = check_folder(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("chmod 700"), "{refusal}");
        set_mode(folder.path(), FOLDER_MODE);
        check_folder(folder.path()).unwrap();
    }

    #[test]
    fn a_file_longer_than_its_kind_is_refused() {
        let folder = private_folder();
        let path = folder.path().join("note.key");
        create(&path, b"seven b").unwrap();
        assert!(matches!(read(&path, 6), Err(FileError::TooLong { limit_bytes: 6, .. })));
    }
}
