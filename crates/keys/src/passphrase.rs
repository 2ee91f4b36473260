//! How a passphrase comes in: never as an argument or a variable, which other processes can see.

use crate::file::{self, FileError};
use secrecy::SecretString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Longest passphrase taken.
pub const BYTES_MAX: u64 = 1024;

/// Where the passphrase of the operator's keystore stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file, private to its owner.
    File(PathBuf),
    /// A descriptor that the parent process opened, such as 3 in `medtrail serve 3< passphrase`.
    Descriptor(u32),
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// It could not be read, or others can read it too.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing stands there.
    #[error("the passphrase is empty")]
    Empty,
    /// Some tools would read other characters than we do.
    #[error("the passphrase is not UTF-8")]
    NotUtf8,
}

/// Reads the passphrase up to the end of its first line.
///
/// # Errors
/// See [`PassphraseError`].
pub fn read(source: &Source) -> Result<SecretString, PassphraseError> {
    let bytes = match source {
        Source::File(path) => file::read(path, BYTES_MAX)?,
        // Opening by name needs no unsafe code. The mode is the parent's affair: a pipe has none.
        Source::Descriptor(number) => {
            let path = Path::new("/dev/fd").join(number.to_string());
            let open = File::open(&path).map_err(FileError::io(&path))?;
            file::read_limited(open, &path, BYTES_MAX)?
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| PassphraseError::NotUtf8)?;
    match text.lines().next() {
        None | Some("") => Err(PassphraseError::Empty),
        Some(line) => Ok(SecretString::from(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::fd::AsRawFd;

    fn read_from(content: &[u8]) -> Result<SecretString, PassphraseError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        file::create(&path, content).unwrap();
        read(&Source::File(path))
    }

    #[test]
    fn a_line_is_read_without_its_end() {
        for content in ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nx"]
        {
            assert_eq!(read_from(content.as_bytes()).unwrap().expose_secret(), "correct horse");
        }
    }

    #[test]
    fn spaces_belong_to_the_passphrase() {
        assert_eq!(read_from(b" a b \n").unwrap().expose_secret(), " a b ");
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        assert!(matches!(read_from(b""), Err(PassphraseError::Empty)));
        assert!(matches!(read_from(b"\nx"), Err(PassphraseError::Empty)));
        assert!(matches!(read_from(b"\xff\xfe"), Err(PassphraseError::NotUtf8)));
        let long = vec![b'a'; 1025];
        assert!(matches!(read_from(&long), Err(PassphraseError::File(FileError::TooLong { .. }))));
    }

    #[test]
    fn an_open_descriptor_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        file::create(&path, b"by descriptor\n").unwrap();
        let open = File::open(&path).unwrap();
        let source = Source::Descriptor(open.as_raw_fd().try_into().unwrap());
        assert_eq!(read(&source).unwrap().expose_secret(), "by descriptor");
    }
}
