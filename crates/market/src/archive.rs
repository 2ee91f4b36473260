//! The archive in a delivery: a plain tar (POSIX ustar) that every tool unpacks. It begins with
//! `manifest.json`, then has the manifest's files in its order, and nothing else. Owners, times and
//! modes are the same always, so that one delivery has one archive.

use crate::assemble::Assembly;
use crate::manifest::{File, MANIFEST_BYTES_MAX, Manifest, ManifestError};
use alloy_primitives::B256;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// The manifest's name.
pub const MANIFEST: &str = "manifest.json";
const BLOCK: usize = 512;

/// Why an archive is not that of a delivery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Reading failed: the disk, or a sealed file that was cut or changed.
    #[error("reading: {0}")]
    Io(#[from] io::Error),
    /// A header that this code would not have written.
    #[error("the archive has {found} where {expected} belongs")]
    Header {
        /// What stands there, cut.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// Something stands behind its last file.
    #[error("something stands behind the last file of the archive")]
    More,
    /// Its manifest.
    #[error("manifest.json: {0}")]
    Manifest(#[from] ManifestError),
    /// Not the manifest that the entry names.
    #[error("manifest.json is not the manifest that the entry of the delivery names")]
    OtherManifest,
    /// A file is not what the manifest says.
    #[error("{0} is not what the manifest says")]
    File(String),
}

/// Writes the archive of an assembly.
pub fn write(assembly: &Assembly, to: &mut dyn Write) -> io::Result<()> {
    let manifest = assembly.manifest.bytes();
    file(MANIFEST, &manifest, to)?;
    for (path, bytes) in &assembly.files {
        file(path, bytes, to)?;
    }
    end(to)
}

pub(crate) fn end(to: &mut dyn Write) -> io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])
}

pub(crate) fn file(path: &str, bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    to.write_all(&header(path, bytes.len() as u64))?;
    to.write_all(bytes)?;
    to.write_all(&[0; BLOCK][..padding(bytes.len() as u64)])
}

fn padding(bytes: u64) -> usize {
    (BLOCK - (bytes % BLOCK as u64) as usize) % BLOCK
}

fn header(path: &str, bytes: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{bytes:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Reads an archive to its end and checks it: the manifest is the one with this hash, and every
/// file is there and what it says. Each file goes to `take` as it is read, **before** all is
/// checked: keep nothing of it where this fails.
pub fn read(
    from: &mut dyn Read,
    manifest: B256,
    take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Manifest, ArchiveError> {
    read_as(from, manifest, Manifest::parse, |manifest| &manifest.files, take)
}

/// The same of an archive whose manifest is of another kind.
pub(crate) fn read_as<M>(
    from: &mut dyn Read,
    manifest: B256,
    parse: impl FnOnce(&[u8]) -> Result<M, ManifestError>,
    files: impl FnOnce(&M) -> &[File],
    take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<M, ArchiveError> {
    let mut block = [0; BLOCK];
    from.read_exact(&mut block)?;
    let length = size(&block).filter(|size| *size <= MANIFEST_BYTES_MAX as u64);
    let expected = || "the header of manifest.json".to_owned();
    let length = length.filter(|length| block == header(MANIFEST, *length));
    let length = length
        .ok_or_else(|| ArchiveError::Header { found: shown(&block), expected: expected() })?;
    let bytes = content(from, length)?;
    if medtrail_ledger::entry::details_hash(&bytes) != manifest {
        return Err(ArchiveError::OtherManifest);
    }
    let parsed = parse(&bytes)?;
    take(MANIFEST, &bytes)?;
    for file in files(&parsed) {
        from.read_exact(&mut block)?;
        if file.bytes > crate::assemble::BYTES_MAX as u64 || block != header(&file.path, file.bytes)
        {
            return Err(ArchiveError::Header { found: shown(&block), expected: file.path.clone() });
        }
        let bytes = content(from, file.bytes)?;
        if B256::from(<[u8; 32]>::from(Sha256::digest(&bytes))) != file.hash {
            return Err(ArchiveError::File(file.path.clone()));
        }
        take(&file.path, &bytes)?;
    }
    let mut rest = Vec::new();
    from.take(2 * BLOCK as u64 + 1).read_to_end(&mut rest)?;
    if rest == [0; 2 * BLOCK] { Ok(parsed) } else { Err(ArchiveError::More) }
}

fn content(from: &mut dyn Read, length: u64) -> Result<Vec<u8>, ArchiveError> {
    // Grown as it comes: a length is a claim until the bytes are there.
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut pad = [0; BLOCK];
    let pad = &mut pad[..padding(length)];
    from.read_exact(pad)?;
    if pad.iter().all(|byte| *byte == 0) { Ok(bytes) } else { Err(ArchiveError::More) }
}

fn size(block: &[u8; BLOCK]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(&block[124..135]).ok()?, 8).ok()
}

fn shown(block: &[u8; BLOCK]) -> String {
    let name = block[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    format!("{:?}", String::from_utf8_lossy(name))
}
