//! `keys.redb`: wrapped keys, apart from the log and its backups, so that a key destroyed here
//! stays destroyed.

use crate::OpenError;
use crate::db::{Db, DbOptions, Fault, STATE};
use crate::files::{FileName, Files, Folder};
use medtrail_ledger::ports::{
    Era, JournalError, KeyFile, KeyTag, KeyWrap, MasterKeys, SecretKey, SubjectTag,
};
use redb::{ReadableTable, TableDefinition};
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Wrapped keys by kind and tag.
const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");

const OPTIONS: DbOptions =
    DbOptions { name: FileName::Keys, cache_bytes: 16 << 20, check_every_page: false };

/// Keys held unwrapped in memory at most. At 80 bytes each about 5 MiB.
const UNWRAPPED_MAX: usize = 65_536;

/// Row of the file's own state: bytes of destroyed keys may still be about.
const REWRAP_DUE: &str = "rewrap-due";

/// The [`KeyFile`] over one redb file.
///
/// redb keeps deleted bytes in free pages for a while: [`destroy`](KeyFile::destroy) makes a key
/// unfindable at once, [`rewrap`](KeyFile::rewrap) makes it unreadable for good.
///
/// An era that was erased stays as a row without a key, so that its lines are known to be erased and
/// not damaged.
pub struct KeyFileDb {
    db: Db,
    wrapping: RwLock<Wrapping>,
    unwrapped: Mutex<Unwrapped>,
}

/// Under what the keys are wrapped. Whoever reads or writes rows holds it; a rewrap holds it alone.
struct Wrapping {
    wrap: Box<dyn KeyWrap>,
    /// The file stands under this master key, which has not taken the old one's place yet.
    must_turn: bool,
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
        let wrapping = RwLock::new(Wrapping { wrap, must_turn: false });
        Ok(Self { db, wrapping, unwrapped: Mutex::default() })
    }

    fn wrapping(&self) -> RwLockReadGuard<'_, Wrapping> {
        self.wrapping.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwrapped(&self) -> MutexGuard<'_, Unwrapped> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wrapping {
    fn unwrap(&self, tag: KeyTag, wrapped: &[u8]) -> Result<SecretKey, Fault> {
        self.wrap
            .unwrap(tag, wrapped)
            .ok_or_else(|| Fault::Damaged(format!("{tag:?} does not open under this master key")))
    }
}

/// The row's key of a tag: a byte for the kind, then the tag itself.
fn name(tag: KeyTag) -> Vec<u8> {
    match tag {
        KeyTag::Log => vec![0],
        KeyTag::Custodian(address) => [&[1], address.as_slice()].concat(),
        KeyTag::Subject(subject) => [&[2], subject.0.as_slice()].concat(),
        KeyTag::Vault(subject) => [&[3], subject.0.as_slice()].concat(),
        // Eras of one subject stand in the order of their ends.
        KeyTag::Era(subject, through) => {
            [&[4], subject.0.as_slice(), &through.to_be_bytes()].concat()
        }
        KeyTag::Sale(order) => [&[5], order.as_slice()].concat(),
    }
}

fn parse(name: &[u8]) -> Result<KeyTag, Fault> {
    let tag = match name.split_first() {
        Some((0, [])) => Some(KeyTag::Log),
        Some((1, address)) => address.try_into().ok().map(KeyTag::Custodian),
        Some((2, tag)) => tag.try_into().ok().map(SubjectTag).map(KeyTag::Subject),
        Some((3, tag)) => tag.try_into().ok().map(SubjectTag).map(KeyTag::Vault),
        Some((4, era)) => era.split_first_chunk::<16>().and_then(|(tag, through)| {
            let through = u64::from_be_bytes(through.try_into().ok()?);
            Some(KeyTag::Era(SubjectTag(*tag), through))
        }),
        Some((5, order)) => <[u8; 32]>::try_from(order).ok().map(|id| KeyTag::Sale(id.into())),
        _ => None,
    };
    tag.ok_or_else(|| Fault::Damaged("a key of unknown kind".to_owned()))
}

/// The row of the first era that ends at this ordinal or later: its end, and its wrapped key, which
/// is empty if it was erased.
fn era_at(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    subject: SubjectTag,
    ordinal: u64,
) -> Result<Option<(u64, Vec<u8>)>, Fault> {
    let from = name(KeyTag::Era(subject, ordinal));
    let to = name(KeyTag::Era(subject, u64::MAX));
    let Some(row) = keys.range::<&[u8]>(from.as_slice()..=to.as_slice())?.next() else {
        return Ok(None);
    };
    let (name, wrapped) = row?;
    match parse(name.value())? {
        KeyTag::Era(_, through) => Ok(Some((through, wrapped.value().to_vec()))),
        _ => Err(Fault::Damaged("a key of unknown kind".to_owned())),
    }
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
        let wrapping = self.wrapping();
        let wrapped = self.db.read(|txn| {
            let row = txn.open_table(KEYS)?.get(name(tag).as_slice())?;
            Ok(row.map(|row| row.value().to_vec()))
        })?;
        let Some(wrapped) = wrapped.filter(|wrapped| !wrapped.is_empty()) else { return Ok(None) };
        let key = wrapping.unwrap(tag, &wrapped)?;
        self.unwrapped().put_unless_destroyed(tag, &key, destroyed_before);
        Ok(Some(key))
    }

    fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError> {
        let destroyed_before = self.unwrapped().destroyed;
        let wrapping = self.wrapping();
        let keys = self.db.write(|txn| {
            let mut table = txn.open_table(KEYS)?;
            let mut keys = Vec::with_capacity(tags.len());
            for &tag in tags {
                let name = name(tag);
                let stored = table.get(name.as_slice())?.map(|row| row.value().to_vec());
                keys.push(match stored {
                    Some(wrapped) => wrapping.unwrap(tag, &wrapped)?,
                    None => {
                        let key = wrapping.wrap.fresh();
                        table.insert(name.as_slice(), wrapping.wrap.wrap(tag, &key).as_slice())?;
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
        let _wrapping = self.wrapping();
        let destroyed = self.db.write(|txn| {
            txn.open_table(KEYS)?.remove(name(tag).as_slice())?;
            Ok(())
        });
        // Also where it is not known whether it happened: what stands on disk is read again.
        self.unwrapped().forget(tag);
        Ok(destroyed?)
    }

    fn end_era(&self, subject: SubjectTag, through: u64) -> Result<(), JournalError> {
        let wrapping = self.wrapping();
        let (present, era) = (KeyTag::Subject(subject), KeyTag::Era(subject, through));
        let ended = self.db.write(|txn| {
            let mut keys = txn.open_table(KEYS)?;
            // A key that was made since and has sealed no line goes on as the present one.
            if keys.get(name(era).as_slice())?.is_some() {
                return Ok(());
            }
            let wrapped = keys.remove(name(present).as_slice())?.map(|row| row.value().to_vec());
            let Some(wrapped) = wrapped else { return Ok(()) };
            let key = wrapping.unwrap(present, &wrapped)?;
            keys.insert(name(era).as_slice(), wrapping.wrap.wrap(era, &key).as_slice())?;
            Ok(())
        });
        self.unwrapped().forget(present);
        Ok(ended?)
    }

    fn era(&self, subject: SubjectTag, ordinal: u64) -> Result<Era, JournalError> {
        let wrapping = self.wrapping();
        Ok(self.db.read(|txn| match era_at(&txn.open_table(KEYS)?, subject, ordinal)? {
            None => Ok(Era::Present),
            Some((_, wrapped)) if wrapped.is_empty() => Ok(Era::Erased),
            Some((through, wrapped)) => {
                Ok(Era::Ended(wrapping.unwrap(KeyTag::Era(subject, through), &wrapped)?))
            }
        })?)
    }

    fn erase(&self, eras: &[(SubjectTag, u64)], others: &[KeyTag]) -> Result<(), JournalError> {
        let _wrapping = self.wrapping();
        let erased = self.db.write(|txn| {
            let mut keys = txn.open_table(KEYS)?;
            for &(subject, through) in eras {
                let mut next = era_at(&keys, subject, 0)?;
                while let Some((end, _)) = next.filter(|(end, _)| *end <= through) {
                    let nothing: &[u8] = &[];
                    keys.insert(name(KeyTag::Era(subject, end)).as_slice(), nothing)?;
                    next = match end.checked_add(1) {
                        Some(later) => era_at(&keys, subject, later)?,
                        None => None,
                    };
                }
            }
            for &tag in others {
                keys.remove(name(tag).as_slice())?;
            }
            txn.open_table(STATE)?.insert(REWRAP_DUE, [1].as_slice())?;
            Ok(())
        });
        // Eras are never kept in memory.
        others.iter().for_each(|&tag| self.unwrapped().forget(tag));
        Ok(erased?)
    }

    fn is_rewrap_due(&self) -> Result<bool, JournalError> {
        let _wrapping = self.wrapping();
        Ok(self.db.read(|txn| Ok(txn.open_table(STATE)?.get(REWRAP_DUE)?.is_some()))?)
    }

    fn rewrap(&self, masters: &dyn MasterKeys) -> Result<u64, JournalError> {
        let mut wrapping = self.wrapping.write().unwrap_or_else(PoisonError::into_inner);
        let mut wrapped = 0;
        if !wrapping.must_turn {
            let next = masters.next()?;
            let rows = self.db.read(|txn| {
                let keys = txn.open_table(KEYS)?;
                let rows = keys.range::<&[u8]>(..)?.map(|row| {
                    let (name, row) = row?;
                    let (tag, old) = (parse(name.value())?, row.value());
                    let new = match old.is_empty() {
                        true => Vec::new(),
                        false => next.wrap(tag, &wrapping.unwrap(tag, old)?),
                    };
                    Ok((name.value().to_vec(), new))
                });
                rows.collect::<Result<Vec<_>, Fault>>()
            })?;
            wrapped = rows.iter().filter(|(_, row)| !row.is_empty()).count() as u64;
            self.db.replace(|txn| {
                let mut keys = txn.open_table(KEYS)?;
                for (name, row) in &rows {
                    keys.insert(name.as_slice(), row.as_slice())?;
                }
                // Until the old master key is destroyed.
                txn.open_table(STATE)?.insert(REWRAP_DUE, [1].as_slice())?;
                Ok(())
            })?;
            *wrapping = Wrapping { wrap: next, must_turn: true };
        }
        masters.turn()?;
        wrapping.must_turn = false;
        self.db.write(|txn| {
            txn.open_table(STATE)?.remove(REWRAP_DUE)?;
            Ok(())
        })?;
        Ok(wrapped)
    }
}
