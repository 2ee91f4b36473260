//! Sealed files on their way to buyers: plain files in a folder, one an order. They are sealed twice
//! already, and are made once: another sealing of the same has another hash.

use crate::OpenError;
use crate::files::{Folder, owner_only};
use alloy_primitives::B256;
use medtrail_ledger::ports::{JournalError, Parcels};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The [`Parcels`] in a folder of their own.
#[derive(Debug)]
pub struct ParcelFolder {
    path: PathBuf,
    handle: File,
    _lock: Folder,
}

impl ParcelFolder {
    /// Opens the folder, which is created if there is none, and drops what a crash left half written.
    ///
    /// # Errors
    /// [`OpenError`] as for the log's files.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = Folder::lock(path)?;
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let handle = File::open(path).map_err(io)?;
        for entry in fs::read_dir(path).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.path().extension().is_some_and(|ending| ending == "new") {
                fs::remove_file(entry.path()).map_err(io)?;
            }
        }
        Ok(Self { path: path.to_owned(), handle, _lock: lock })
    }

    fn file(&self, order: B256) -> PathBuf {
        self.path.join(format!("{order:x}.age"))
    }

    fn write(
        &self,
        order: B256,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let (file, temporary) = (self.file(order), self.path.join(format!("{order:x}.new")));
        let opened = owner_only().create(true).truncate(true).open(&temporary)?;
        let mut buffered = BufWriter::with_capacity(1 << 16, opened);
        let written = write(&mut buffered).and_then(|()| {
            let opened = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
            // Before the name: a name that leads to nothing would be taken for the whole file.
            opened.sync_all()?;
            fs::rename(&temporary, &file)?;
            self.handle.sync_all()
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

fn failed(error: io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full(error.to_string()),
        _ => JournalError::Storage(error.to_string()),
    }
}

fn absent<T>(outcome: io::Result<T>) -> Result<Option<T>, JournalError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

impl Parcels for ParcelFolder {
    fn put(
        &self,
        order: B256,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        self.write(order, write).map_err(failed)
    }

    fn bytes(&self, order: B256) -> Result<Option<u64>, JournalError> {
        Ok(absent(fs::metadata(self.file(order)))?.map(|found| found.len()))
    }

    fn read(&self, order: B256, offset: u64, most: usize) -> Result<Vec<u8>, JournalError> {
        let mut file = File::open(self.file(order)).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn orders(&self) -> Result<Vec<B256>, JournalError> {
        let mut orders = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_file = path.extension().is_some_and(|ending| ending == "age");
            let name = path.file_stem().and_then(|name| name.to_str()).filter(|_| is_file);
            orders.extend(name.and_then(|name| name.parse::<B256>().ok()));
        }
        Ok(orders)
    }

    fn remove(&self, order: B256) -> Result<(), JournalError> {
        if absent(fs::remove_file(self.file(order)))?.is_some() {
            self.handle.sync_all().map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there_and_is_read_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let order = B256::repeat_byte(7);
        let parcels = ParcelFolder::open(dir.path()).unwrap();
        assert_eq!(parcels.bytes(order).unwrap(), None);
        parcels.remove(order).unwrap();
        parcels.put(order, &mut |to| to.write_all(b"sealed once")).unwrap();
        let failing = parcels.put(order, &mut |to| {
            to.write_all(b"half of")?;
            Err(io::Error::other("the key"))
        });
        assert!(matches!(failing, Err(JournalError::Storage(_))));
        assert_eq!(parcels.read(order, 0, 100).unwrap(), b"sealed once");
        assert_eq!(parcels.read(order, 7, 2).unwrap(), b"on");
        assert_eq!(parcels.read(order, 99, 2).unwrap(), b"");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What a crash left.
        fs::write(dir.path().join("ff.new"), b"half").unwrap();
        assert!(matches!(ParcelFolder::open(dir.path()), Err(OpenError::AlreadyOpen { .. })));
        drop(parcels);
        let parcels = ParcelFolder::open(dir.path()).unwrap();
        assert_eq!(parcels.bytes(order).unwrap(), Some(11));
        assert_eq!(parcels.orders().unwrap(), [order]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        parcels.remove(order).unwrap();
        assert_eq!(parcels.bytes(order).unwrap(), None);
    }
}
