//! `keys.redb`: wrapped keys, apart from the log and its backups, so that a key destroyed here
//! stays destroyed.

use crate::OpenError;
use crate::db::{Db, DbOptions, Fault};
use crate::files::{FileName, Files, Folder};
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag, KeyWrap, SecretKey, SubjectTag};
use redb::{ReadableTable, TableDefinition};
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Wrapped keys by kind and tag.
const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");

const OPTIONS: DbOptions =
    DbOptions { name: FileName::Keys, cache_bytes: 16 << 20, check_every_page: false };

/// Keys held unwrapped in memory at most. At 80 bytes each about 5 MiB.
const UNWRAPPED_MAX: usize = 65_536;

/// The [`KeyFile`] over one redb file.
///
/// redb keeps deleted bytes in free pages for a while: [`destroy`](KeyFile::destroy) makes a key
/// unfindable at once, [`rewrap`](Self::rewrap) makes it unreadable for good.
pub struct KeyFileDb {
    db: Db,
    wrap: Box<dyn KeyWrap>,
    unwrapped: Mutex<Unwrapped>,
}

impl Debug for KeyFileDb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFileDb").field("db", &self.db).finish_non_exhaustive()
    }
}

/// A cache of two generations: when the young one is full it becomes the old one, and what nobody
/// asked for since is wiped with the generation before.
#[derive(Default)]
struct Unwrapped {
    young: HashMap<KeyTag, SecretKey>,
    old: HashMap<KeyTag, SecretKey>,
    /// Keys destroyed so far. A key read before a destruction is not remembered after it, else a
    /// destroyed key could go on opening rows until the next start.
    destroyed: u64,
}

impl Unwrapped {
    fn get(&mut self, tag: KeyTag) -> Option<SecretKey> {
        if let Some(key) = self.young.get(&tag) {
            return Some(key.clone());
        }
        let key = self.old.remove(&tag)?;
        self.put(tag, key.clone());
        Some(key)
    }

    fn put(&mut self, tag: KeyTag, key: SecretKey) {
        if self.young.len() >= UNWRAPPED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tag, key);
    }

    fn put_unless_destroyed(&mut self, tag: KeyTag, key: &SecretKey, destroyed_before: u64) {
        if self.destroyed == destroyed_before {
            self.put(tag, key.clone());
        }
    }

    fn forget(&mut self, tag: KeyTag) {
        self.destroyed += 1;
        self.young.remove(&tag);
        self.old.remove(&tag);
    }
}

impl KeyFileDb {
    /// Opens the key file in `dir`, or creates one there.
    pub fn open(dir: &Path, wrap: Box<dyn KeyWrap>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Folder::lock(dir)?), wrap)
    }

    /// The same over other files than those of a folder.
    pub fn open_on(files: Arc<dyn Files>, wrap: Box<dyn KeyWrap>) -> Result<Self, OpenError> {
        let db = match Db::open(OPTIONS, &files)? {
            Some(db) => db,
            None => Db::create(OPTIONS, &files, |txn| {
                txn.open_table(KEYS)?;
                Ok(())
            })?,
        };
        Ok(Self { db, wrap, unwrapped: Mutex::default() })
    }

    /// Writes the living keys, wrapped by `next`, into a new file that takes the place of this
    /// one: old wraps and destroyed keys are gone with the old file. On any error, and after any
    /// crash, the old file stands untouched.
    pub fn rewrap(dir: &Path, wrap: Box<dyn KeyWrap>, next: &dyn KeyWrap) -> Result<(), OpenError> {
        let files: Arc<dyn Files> = Arc::new(Folder::lock(dir)?);
        let old = Self::open_on(Arc::clone(&files), wrap)?;
        let living = old.db.read(|txn| {
            let keys = txn.open_table(KEYS)?;
            let rows = keys.range::<&[u8]>(..)?;
            rows.map(|row| {
                let (name, wrapped) = row?;
                let key = old.unwrap(parse(name.value())?, wrapped.value())?;
                Ok((name.value().to_vec(), key))
            })
            .collect::<Result<Vec<_>, Fault>>()
        });
        let living = living.map_err(|fault| OpenError::fault(FileName::Keys, fault))?;
        drop(old);
        Db::create(OPTIONS, &files, |txn| {
            let mut keys = txn.open_table(KEYS)?;
            for (name, key) in &living {
                keys.insert(name.as_slice(), next.wrap(parse(name)?, key).as_slice())?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn unwrap(&self, tag: KeyTag, wrapped: &[u8]) -> Result<SecretKey, Fault> {
        self.wrap
            .unwrap(tag, wrapped)
            .ok_or_else(|| Fault::Damaged(format!("{tag:?} does not open under this master key")))
    }

    fn unwrapped(&self) -> MutexGuard<'_, Unwrapped> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row's key of a tag: a byte for the kind, then the tag itself.
fn name(tag: KeyTag) -> Vec<u8> {
    match tag {
        KeyTag::Log => vec![0],
        KeyTag::Custodian(address) => [&[1], address.as_slice()].concat(),
        KeyTag::Subject(subject) => [&[2], subject.0.as_slice()].concat(),
        KeyTag::Vault(subject) => [&[3], subject.0.as_slice()].concat(),
    }
}

fn parse(name: &[u8]) -> Result<KeyTag, Fault> {
    let tag = match name.split_first() {
        Some((0, [])) => Some(KeyTag::Log),
        Some((1, address)) => address.try_into().ok().map(KeyTag::Custodian),
        Some((2, tag)) => tag.try_into().ok().map(SubjectTag).map(KeyTag::Subject),
        Some((3, tag)) => tag.try_into().ok().map(SubjectTag).map(KeyTag::Vault),
        _ => None,
    };
    tag.ok_or_else(|| Fault::Damaged("a key of unknown kind".to_owned()))
}

impl KeyFile for KeyFileDb {
    fn open(&self, tag: KeyTag) -> Result<Option<SecretKey>, JournalError> {
        let destroyed_before = {
            let mut unwrapped = self.unwrapped();
            if let Some(key) = unwrapped.get(tag) {
                return Ok(Some(key));
            }
            unwrapped.destroyed
        };
        let wrapped = self.db.read(|txn| {
            let row = txn.open_table(KEYS)?.get(name(tag).as_slice())?;
            Ok(row.map(|row| row.value().to_vec()))
        })?;
        let Some(wrapped) = wrapped else { return Ok(None) };
        let key = self.unwrap(tag, &wrapped)?;
        self.unwrapped().put_unless_destroyed(tag, &key, destroyed_before);
        Ok(Some(key))
    }

    fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError> {
        let destroyed_before = self.unwrapped().destroyed;
        let keys = self.db.write(|txn| {
            let mut table = txn.open_table(KEYS)?;
            let mut keys = Vec::with_capacity(tags.len());
            for &tag in tags {
                let name = name(tag);
                let stored = table.get(name.as_slice())?.map(|row| row.value().to_vec());
                keys.push(match stored {
                    Some(wrapped) => self.unwrap(tag, &wrapped)?,
                    None => {
                        let key = self.wrap.fresh();
                        table.insert(name.as_slice(), self.wrap.wrap(tag, &key).as_slice())?;
                        key
                    }
                });
            }
            Ok(keys)
        })?;
        // Only now: a key that is not durable must never seal a row.
        let mut unwrapped = self.unwrapped();
        for (&tag, key) in tags.iter().zip(&keys) {
            unwrapped.put_unless_destroyed(tag, key, destroyed_before);
        }
        Ok(keys)
    }

    fn destroy(&self, tag: KeyTag) -> Result<(), JournalError> {
        self.db.write(|txn| {
            txn.open_table(KEYS)?.remove(name(tag).as_slice())?;
            Ok(())
        })?;
        self.unwrapped().forget(tag);
        Ok(())
    }
}
