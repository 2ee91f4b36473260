//! The file of a buyer's key, as `age-keygen` writes it and every age tool reads it: plain text, or
//! the same under a passphrase.

use crate::seal::{BuyerKey, SealError, text_of};
use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, scrypt};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Bytes of such a file.
pub const IDENTITY_BYTES_MAX: u64 = 64 << 10;
/// What `age -p` takes: 256 MiB and about a second.
const WORK_FACTOR: u8 = 18;
/// A file asks for its work before its passphrase is checked; more than this would need gigabytes.
const WORK_FACTOR_MAX: u8 = 20;

/// Why there is no key in a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// No line of it is a key.
    #[error("no line begins with AGE-SECRET-KEY-1: make one with `medtrail keys buyer FILE`")]
    NoKey,
    /// A line that is neither a key nor a comment.
    #[error("line {0} is neither a comment nor an age key (AGE-SECRET-KEY-1…)")]
    Line(usize),
    /// Text around an encrypted file, which this does not read.
    #[error("an armored file: take the armor off with `age -d`, and give the plain identity file")]
    Armored,
    /// Not text.
    #[error("neither text nor an age file")]
    NotText,
    /// The passphrase, or what stands under it.
    #[error("{0}: is this the passphrase of this file?")]
    Passphrase(age::DecryptError),
    /// Sealing under a passphrase.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The text of a key's file. `created` is a moment in words.
pub fn text(key: &BuyerKey, created: &str) -> Zeroizing<String> {
    let secret = key.secret();
    // As long as it will be: a text that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(512));
    for part in ["# created: ", created, "\n# public key: ", &text_of(key.recipient()), "\n"] {
        text.push_str(part);
    }
    text.push_str(secret.expose_secret());
    text.push('\n');
    text
}

/// The same under a passphrase.
pub fn locked(text: &str, passphrase: &SecretString) -> Result<Vec<u8>, SealError> {
    with_work(text, passphrase, WORK_FACTOR)
}

fn with_work(text: &str, passphrase: &SecretString, work: u8) -> Result<Vec<u8>, SealError> {
    let mut recipient = scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(work);
    let one = std::iter::once(&recipient as &dyn age::Recipient);
    let mut file = Vec::new();
    let mut writer = Encryptor::with_recipients(one)?.wrap_output(&mut file)?;
    writer.write_all(text.as_bytes())?;
    writer.finish()?;
    Ok(file)
}

/// Whether a file needs a passphrase.
pub fn is_locked(file: &[u8]) -> bool {
    file.starts_with(b"age-encryption.org/")
}

/// What stands in a file under a passphrase.
pub fn unlocked(
    file: &[u8],
    passphrase: &SecretString,
) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let mut identity = scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let one = std::iter::once(&identity as &dyn age::Identity);
    let opened = Decryptor::new(file).and_then(|file| file.decrypt(one));
    let opened = opened.map_err(IdentityError::Passphrase)?;
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    opened.take(IDENTITY_BYTES_MAX).read_to_end(&mut text).map_err(SealError::from)?;
    Ok(text)
}

/// The keys in a file's text.
pub fn keys(text: &[u8]) -> Result<Vec<BuyerKey>, IdentityError> {
    let text = std::str::from_utf8(text).map_err(|_| IdentityError::NotText)?;
    if text.trim_start().starts_with("-----BEGIN AGE ENCRYPTED FILE-----") {
        return Err(IdentityError::Armored);
    }
    let mut keys = Vec::new();
    for (place, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        keys.push(BuyerKey::parse(line).map_err(|_| IdentityError::Line(place + 1))?);
    }
    if keys.is_empty() { Err(IdentityError::NoKey) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> BuyerKey {
        BuyerKey::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_file_is_read_as_it_was_written_with_and_without_a_passphrase() {
        let text = text(&key(0x42), "2026-11-29T00:00:00Z");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("# public key: {}", text_of(key(0x42).recipient())));
        assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && lines.len() == 3);
        assert!(!is_locked(text.as_bytes()));
        assert_eq!(keys(text.as_bytes()).unwrap()[0].recipient(), key(0x42).recipient());

        let passphrase = SecretString::from("correct horse");
        let file = with_work(&text, &passphrase, 2).unwrap();
        assert!(is_locked(&file));
        assert_eq!(*unlocked(&file, &passphrase).unwrap(), text.as_bytes());
        let wrong = unlocked(&file, &SecretString::from("correct hors"));
        assert!(matches!(wrong, Err(IdentityError::Passphrase(_))));
    }

    #[test]
    fn a_file_that_asks_for_gigabytes_is_refused_at_once() {
        let passphrase = SecretString::from("p");
        let mut file = with_work("x", &passphrase, 2).unwrap();
        let at = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let end = at + file[at..].iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(&file[end - 2..end], b" 2");
        file.splice(end - 1..end, *b"30");
        assert!(matches!(unlocked(&file, &passphrase), Err(IdentityError::Passphrase(_))));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        let two = format!("# mine\n\n{}{}", &*text(&key(1), "a"), &*text(&key(2), "b"));
        assert_eq!(keys(two.as_bytes()).unwrap().len(), 2);
        assert!(matches!(keys(b"# only words\n"), Err(IdentityError::NoKey)));
        assert!(matches!(keys(b"# x\nage1abc\n"), Err(IdentityError::Line(2))));
        assert!(matches!(keys(&[0xff, 0xfe]), Err(IdentityError::NotText)));
        let armored = b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n";
        assert!(matches!(keys(armored), Err(IdentityError::Armored)));
    }
}
