//! `vault.redb`: the [`Shelves`] on disk. One row a person, record, version, request and proposal;
//! one an organisation that asked, and one for each person of whom something is unfinished.
//!
//! A row is a version byte and sealed bytes, under a name that tells nothing: who has the disk
//! without the keys learns how many rows there are and how long, neither persons nor records. What
//! a person has is sealed under a key of theirs; once that is gone, it reads as if it never was.

use crate::OpenError;
use crate::db::{Db, DbOptions, Fault};
use crate::files::{FileName, Files, Folder};
use alloy_primitives::{Address, B256};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::vault::{
    RecordRow, RequestRow, Shelf, Shelves, Unsealed, VaultChange, VaultSeal,
};
use redb::{ReadableTable, TableDefinition, TableHandle, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::Arc;

/// Sealed rows by name.
type Rows = TableDefinition<'static, &'static [u8; 32], &'static [u8]>;

const SHELVES: Rows = TableDefinition::new("shelves");
const RECORDS: Rows = TableDefinition::new("records");
const CONTENT: Rows = TableDefinition::new("content");
const REQUESTS: Rows = TableDefinition::new("requests");
const PROPOSED: Rows = TableDefinition::new("proposed");
/// Sealed under the log's key: of whom something is unfinished.
const OPEN: Rows = TableDefinition::new("open");
/// Sealed under the log's key: what an organisation asked, as `(shelf, request)`.
const ASKED: Rows = TableDefinition::new("asked");
const TABLES: [Rows; 7] = [SHELVES, RECORDS, CONTENT, REQUESTS, PROPOSED, OPEN, ASKED];

const VERSION: u8 = 1;
const OPTIONS: DbOptions =
    DbOptions { name: FileName::Vault, cache_bytes: 32 << 20, check_every_page: false };

/// The [`Shelves`] over one redb file, in a folder of its own.
pub struct VaultDb {
    db: Db,
    seal: Box<dyn VaultSeal>,
}

impl Debug for VaultDb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultDb").field("db", &self.db).finish_non_exhaustive()
    }
}

impl VaultDb {
    /// Opens the vault in `dir`. If there is none, `is_new` says whether one is made: a log that had
    /// one must not go on as if nobody had ever kept a record.
    ///
    /// # Errors
    /// [`OpenError::Missing`] if there is none and none is to be made; else as for the log's files.
    pub fn open(dir: &Path, is_new: bool, seal: Box<dyn VaultSeal>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Folder::lock(dir)?), is_new, seal)
    }

    /// The same over other files than those of a folder.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_on(
        files: Arc<dyn Files>,
        is_new: bool,
        seal: Box<dyn VaultSeal>,
    ) -> Result<Self, OpenError> {
        let db = match (Db::open(OPTIONS, &files)?, is_new) {
            (Some(db), _) => db,
            (None, true) => Db::create(OPTIONS, &files, create)?,
            (None, false) => return Err(OpenError::Missing { file: FileName::Vault }),
        };
        Ok(Self { db, seal })
    }

    fn sealed_at(&self, table: Rows, name: &[u8; 32]) -> Result<Option<Vec<u8>>, JournalError> {
        let row = self.db.read(|txn| {
            let row = txn.open_table(table)?.get(name)?;
            Ok(row.map(|row| row.value().to_vec()))
        });
        Ok(row?)
    }

    /// The bytes of a row; none also where its key is gone.
    fn bytes(
        &self,
        table: Rows,
        subject: Option<B256>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, JournalError> {
        let name = self.seal.name(table.name(), key);
        let Some(row) = self.sealed_at(table, &name)? else { return Ok(None) };
        self.unsealed(table, subject, &name, &row)
    }

    fn unsealed(
        &self,
        table: Rows,
        subject: Option<B256>,
        name: &[u8; 32],
        row: &[u8],
    ) -> Result<Option<Vec<u8>>, JournalError> {
        let Some((&VERSION, sealed)) = row.split_first() else {
            return Err(damaged(table, "is of another version"));
        };
        match self.seal.open(subject, &place(table, name), sealed)? {
            Unsealed::Plain(plain) => Ok(Some(plain)),
            Unsealed::Erased => Ok(None),
            Unsealed::Damaged => {
                let why = "does not open: the keys folder is another log's, or the row was changed";
                Err(damaged(table, why))
            }
        }
    }

    fn value<T: DeserializeOwned>(
        &self,
        table: Rows,
        subject: Option<B256>,
        key: &[u8],
    ) -> Result<Option<T>, JournalError> {
        let plain = self.bytes(table, subject, key)?;
        plain.map(|plain| parsed(table, &plain)).transpose()
    }

    fn put(
        &self,
        table: Rows,
        subject: Option<B256>,
        key: &[u8],
        plain: &[u8],
    ) -> Result<Op, JournalError> {
        let name = self.seal.name(table.name(), key);
        let mut row = vec![VERSION];
        row.extend(self.seal.seal(subject, &place(table, &name), plain)?);
        Ok(Op::Put(table, name, row))
    }

    fn put_value(
        &self,
        table: Rows,
        subject: Option<B256>,
        key: &[u8],
        value: &impl Serialize,
    ) -> Result<Op, JournalError> {
        let plain = postcard::to_allocvec(value);
        let plain = plain.map_err(|error| JournalError::Storage(error.to_string()))?;
        self.put(table, subject, key, &plain)
    }

    fn drop_row(&self, table: Rows, key: &[u8]) -> Op {
        Op::Drop(table, self.seal.name(table.name(), key))
    }

    /// What a change comes to, sealed before the transaction begins: a key may have to be made
    /// first, in another file.
    fn ops(&self, subject: B256, change: &VaultChange) -> Result<Vec<Op>, JournalError> {
        let of = |id: &B256| [subject, *id].concat();
        let of_version = |record: &B256, version: &B256| [subject, *record, *version].concat();
        let whose = Some(subject);
        Ok(match change {
            VaultChange::PutShelf(shelf) => {
                let open = match shelf.is_open() {
                    true => self.put_value(OPEN, None, &subject[..], &subject)?,
                    false => self.drop_row(OPEN, &subject[..]),
                };
                vec![self.put_value(SHELVES, whose, &subject[..], shelf)?, open]
            }
            VaultChange::PutRecord(row) => {
                vec![self.put_value(RECORDS, whose, &of(&row.record), row)?]
            }
            VaultChange::PutContent { record, version, bytes } => {
                vec![self.put(CONTENT, whose, &of_version(record, version), bytes)?]
            }
            VaultChange::DropContent { record, version } => {
                vec![self.drop_row(CONTENT, &of_version(record, version))]
            }
            VaultChange::PutRequest(row) => {
                let put = self.put_value(REQUESTS, whose, &of(&row.id), &**row)?;
                vec![put, Op::Asked(row.organisation, (subject, row.id), true)]
            }
            VaultChange::DropRequest { id, organisation } => vec![
                self.drop_row(REQUESTS, &of(id)),
                Op::Asked(*organisation, (subject, *id), false),
            ],
            VaultChange::PutProposed { request, bytes } => {
                vec![self.put(PROPOSED, whose, &of(request), bytes)?]
            }
            VaultChange::DropProposed { request } => vec![self.drop_row(PROPOSED, &of(request))],
        })
    }

    fn apply(&self, ops: &[Op]) -> Result<(), JournalError> {
        let applied = self.db.write(|txn| ops.iter().try_for_each(|op| self.apply_one(txn, op)));
        Ok(applied?)
    }

    fn apply_one(&self, txn: &WriteTransaction, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Put(table, name, row) => {
                txn.open_table(*table)?.insert(name, row.as_slice())?;
            }
            Op::Drop(table, name) => {
                txn.open_table(*table)?.remove(name)?;
            }
            Op::Asked(organisation, asked, is_there) => {
                let name = self.seal.name(ASKED.name(), &organisation[..]);
                let mut rows = txn.open_table(ASKED)?;
                let row = rows.get(&name)?.map(|row| row.value().to_vec());
                let fault = |error: JournalError| Fault::Damaged(error.to_string());
                let plain = row.map(|row| self.unsealed(ASKED, None, &name, &row)).transpose();
                let plain = plain.map_err(fault)?.flatten();
                let known = plain.map(|plain| parsed::<Vec<(B256, B256)>>(ASKED, &plain));
                let mut known = known.transpose().map_err(fault)?.unwrap_or_default();
                match (known.iter().position(|one| one == asked), is_there) {
                    (None, true) => known.push(*asked),
                    (Some(at), false) => drop(known.remove(at)),
                    _ => return Ok(()),
                }
                match self.put_value(ASKED, None, &organisation[..], &known).map_err(fault)? {
                    Op::Put(_, name, row) => rows.insert(&name, row.as_slice())?,
                    _ => None,
                };
            }
        }
        Ok(())
    }
}

/// A change to a row, sealed.
enum Op {
    Put(Rows, [u8; 32], Vec<u8>),
    Drop(Rows, [u8; 32]),
    /// An organisation's list, which many people's changes touch: it is read and written within
    /// the transaction.
    Asked(Address, (B256, B256), bool),
}

fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    TABLES.into_iter().try_for_each(|table| Ok(txn.open_table(table).map(drop)?))
}

/// `version ‖ table ‖ 0 ‖ name`: a row copied to another row's name, or into another table, does
/// not open, nor does one that is called a row of another version.
fn place(table: Rows, name: &[u8; 32]) -> Vec<u8> {
    [&[VERSION], table.name().as_bytes(), &[0], name].concat()
}

fn damaged(table: Rows, why: &str) -> JournalError {
    JournalError::Damaged(format!("a row of vault table {} {why}", table.name()))
}

fn parsed<T: DeserializeOwned>(table: Rows, plain: &[u8]) -> Result<T, JournalError> {
    match postcard::take_from_bytes(plain) {
        Ok((value, [])) => Ok(value),
        _ => Err(damaged(table, "opens, but makes no sense")),
    }
}

impl Shelves for VaultDb {
    fn shelf(&self, subject: B256) -> Result<Shelf, JournalError> {
        Ok(self.value(SHELVES, Some(subject), &subject[..])?.unwrap_or_default())
    }

    fn record(&self, subject: B256, record: B256) -> Result<Option<RecordRow>, JournalError> {
        self.value(RECORDS, Some(subject), &[subject, record].concat())
    }

    fn content(
        &self,
        subject: B256,
        record: B256,
        version: B256,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        self.bytes(CONTENT, Some(subject), &[subject, record, version].concat())
    }

    fn request(&self, subject: B256, id: B256) -> Result<Option<RequestRow>, JournalError> {
        self.value(REQUESTS, Some(subject), &[subject, id].concat())
    }

    fn proposed(&self, subject: B256, id: B256) -> Result<Option<Vec<u8>>, JournalError> {
        self.bytes(PROPOSED, Some(subject), &[subject, id].concat())
    }

    fn asked_by(&self, organisation: Address) -> Result<Vec<(B256, B256)>, JournalError> {
        Ok(self.value(ASKED, None, &organisation[..])?.unwrap_or_default())
    }

    fn open(&self) -> Result<Vec<B256>, JournalError> {
        let rows = self.db.read(|txn| {
            let table = txn.open_table(OPEN)?;
            let rows = table.range::<&[u8; 32]>(..)?.map(|row| {
                let (name, row) = row?;
                Ok((*name.value(), row.value().to_vec()))
            });
            rows.collect::<Result<Vec<_>, Fault>>()
        })?;
        let opened = rows.into_iter().map(|(name, row)| {
            let plain = self.unsealed(OPEN, None, &name, &row)?;
            parsed(OPEN, &plain.unwrap_or_default())
        });
        opened.collect()
    }

    fn save(&self, subject: B256, changes: &[VaultChange]) -> Result<(), JournalError> {
        let ops = changes.iter().map(|change| self.ops(subject, change));
        let ops = ops.collect::<Result<Vec<_>, _>>()?;
        self.apply(&ops.into_iter().flatten().collect::<Vec<_>>())
    }

    fn clear(&self, subject: B256) -> Result<(), JournalError> {
        let shelf = self.shelf(subject)?;
        let mut ops = vec![self.drop_row(SHELVES, &subject[..]), self.drop_row(OPEN, &subject[..])];
        for record in &shelf.records {
            ops.push(self.drop_row(RECORDS, &[subject, *record].concat()));
            let row = self.record(subject, *record)?;
            let versions = row.iter().flat_map(|row| row.versions.iter().map(|row| row.version));
            ops.extend(
                versions
                    .map(|version| self.drop_row(CONTENT, &[subject, *record, version].concat())),
            );
        }
        for staged in &shelf.staged {
            let key = [subject, staged.record, staged.version].concat();
            ops.push(self.drop_row(CONTENT, &key));
        }
        for id in &shelf.requests {
            if let Some(row) = self.request(subject, *id)? {
                ops.push(Op::Asked(row.organisation, (subject, *id), false));
            }
            ops.push(self.drop_row(REQUESTS, &[subject, *id].concat()));
            ops.push(self.drop_row(PROPOSED, &[subject, *id].concat()));
        }
        self.apply(&ops)
    }
}
