//! `directory.redb`: the [`Directory`] on disk. One row an organisation, invite, API key, binding,
//! promised entry, inquiry, correction, erasure, hold, person with channels, parcel for them,
//! source, emergency, alias, offer, sale, person who sells nothing, call to many, acceptance of a
//! place and pseudonym about which a document stands, one for when each organisation was last
//! heard, and one each for how far the log was judged, its inquiries and its guarded pseudonyms are
//! known, notices were made and the market was read.
//!
//! A row is a version byte and sealed postcard, under a name that tells nothing: who has the disk
//! without the keys learns how many rows there are and how long, not whose patient anybody is.

use crate::OpenError;
use crate::db::{Db, DbOptions, Fault};
use crate::files::{FileName, Files, Folder};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    AcceptanceRow, AliasRow, ApiKeyRow, BindingRow, CallRow, ChannelsRow, Contents, CorrectionRow,
    Directory, DirectoryChange, DueNotice, EmergencyRow, ErasureRow, HoldRow, InquiryRow,
    InviteRow, MarketCursor, OfferRow, OptOutRow, OrganisationRow, PendingEntry, SaleRow,
    SourceRow,
};
use medtrail_ledger::ports::{JournalError, RowSeal};
use redb::{ReadTransaction, TableDefinition, TableError, TableHandle, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::Arc;

/// Sealed rows by name.
type Rows = TableDefinition<'static, &'static [u8; 32], &'static [u8]>;

const ORGANISATIONS: Rows = TableDefinition::new("organisations");
const INVITES: Rows = TableDefinition::new("invites");
const API_KEYS: Rows = TableDefinition::new("api-keys");
const BINDINGS: Rows = TableDefinition::new("bindings");
const PENDING: Rows = TableDefinition::new("pending");
const HEARD: Rows = TableDefinition::new("heard");
/// One row without a key.
const JUDGED: Rows = TableDefinition::new("judged");
const INQUIRIES: Rows = TableDefinition::new("inquiries");
const CORRECTIONS: Rows = TableDefinition::new("corrections");
/// One row without a key.
const INQUIRED: Rows = TableDefinition::new("inquired");
const ERASURES: Rows = TableDefinition::new("erasures");
const HOLDS: Rows = TableDefinition::new("holds");
/// Addresses, codes and secrets of notices.
const CHANNELS: Rows = TableDefinition::new("channels");
const DUE: Rows = TableDefinition::new("due");
/// One row without a key.
const NOTICED: Rows = TableDefinition::new("noticed");
const SOURCES: Rows = TableDefinition::new("sources");
const EMERGENCIES: Rows = TableDefinition::new("emergencies");
const ALIASES: Rows = TableDefinition::new("aliases");
const OFFERS: Rows = TableDefinition::new("offers");
const SALES: Rows = TableDefinition::new("sales");
const OPT_OUTS: Rows = TableDefinition::new("opt-outs");
/// One row without a key.
const TRADED: Rows = TableDefinition::new("traded");
/// Pseudonyms about which a document stands.
const GUARDED: Rows = TableDefinition::new("guarded");
/// One row without a key.
const GUARDED_UNTIL: Rows = TableDefinition::new("guarded-until");
const CALLS: Rows = TableDefinition::new("calls");
const ACCEPTANCES: Rows = TableDefinition::new("acceptances");
const TABLES: [Rows; 26] = [
    ORGANISATIONS,
    INVITES,
    API_KEYS,
    BINDINGS,
    PENDING,
    HEARD,
    JUDGED,
    INQUIRIES,
    CORRECTIONS,
    INQUIRED,
    ERASURES,
    HOLDS,
    CHANNELS,
    DUE,
    NOTICED,
    SOURCES,
    EMERGENCIES,
    ALIASES,
    OFFERS,
    SALES,
    OPT_OUTS,
    TRADED,
    GUARDED,
    GUARDED_UNTIL,
    CALLS,
    ACCEPTANCES,
];
/// Tables that a directory has had since its first version: others may be missing.
const FIRST_TABLES: usize = 6;

const VERSION: u8 = 1;
const OPTIONS: DbOptions =
    DbOptions { name: FileName::Directory, cache_bytes: 8 << 20, check_every_page: false };

/// The [`Directory`] over one redb file, in a folder of its own.
pub struct DirectoryDb {
    db: Db,
    seal: Box<dyn RowSeal>,
}

impl Debug for DirectoryDb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryDb").field("db", &self.db).finish_non_exhaustive()
    }
}

impl DirectoryDb {
    /// Opens the directory in `dir`. If there is none, `is_new` says whether one is made: a log
    /// that had one must not go on as if nobody had ever been added. Rows are opened by
    /// [`load`](Directory::load), which finds them damaged if `seal` is another log's.
    ///
    /// # Errors
    /// [`OpenError::Missing`] if there is none and none is to be made; else as for the log's files.
    pub fn open(dir: &Path, is_new: bool, seal: Box<dyn RowSeal>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Folder::lock(dir)?), is_new, seal)
    }

    /// The same over other files than those of a folder.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_on(
        files: Arc<dyn Files>,
        is_new: bool,
        seal: Box<dyn RowSeal>,
    ) -> Result<Self, OpenError> {
        let db = match (Db::open(OPTIONS, &files)?, is_new) {
            (Some(db), _) => db,
            (None, true) => Db::create(OPTIONS, &files, create)?,
            (None, false) => return Err(OpenError::Missing { file: FileName::Directory }),
        };
        Ok(Self { db, seal })
    }
}

fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    TABLES.into_iter().try_for_each(|table| Ok(txn.open_table(table).map(drop)?))
}

/// `version ‖ table ‖ 0 ‖ name`: a row copied to another row's name, or into another table, does
/// not open, nor does one that is called a row of another version.
fn place(table: Rows, name: &[u8; 32]) -> Vec<u8> {
    [&[VERSION], table.name().as_bytes(), &[0], name].concat()
}

fn is_later(table: Rows) -> bool {
    TABLES[FIRST_TABLES..].iter().any(|later| later.name() == table.name())
}

/// One transaction's reading.
struct Reader<'a> {
    txn: &'a ReadTransaction,
    seal: &'a dyn RowSeal,
}

impl Reader<'_> {
    /// All rows of `table` in the order of their keys; on disk they stand in that of their names.
    fn all<T: DeserializeOwned, K: Ord>(
        &self,
        table: Rows,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Fault> {
        let opened = match self.txn.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) if is_later(table) => return Ok(Vec::new()),
            opened => opened?,
        };
        let rows = opened.range::<&[u8; 32]>(..)?.map(|row| {
            let (name, row) = row?;
            self.row(table, name.value(), row.value())
        });
        let mut rows = rows.collect::<Result<Vec<T>, Fault>>()?;
        rows.sort_by_key(key);
        Ok(rows)
    }

    fn row<T: DeserializeOwned>(
        &self,
        table: Rows,
        name: &[u8; 32],
        row: &[u8],
    ) -> Result<T, Fault> {
        let damaged =
            |why| Fault::Damaged(format!("a row of directory table {} {why}", table.name()));
        let Some((&VERSION, sealed)) = row.split_first() else {
            return Err(damaged("is of another version"));
        };
        let plain = self.seal.open(&place(table, name), sealed).ok_or_else(|| {
            damaged("does not open: the keys folder is another log's, or the row was changed")
        })?;
        match postcard::take_from_bytes(&plain) {
            Ok((value, [])) => Ok(value),
            _ => Err(damaged("opens, but makes no sense")),
        }
    }

    fn contents(&self) -> Result<Contents, Fault> {
        Ok(Contents {
            organisations: self.all(ORGANISATIONS, |row: &OrganisationRow| row.id)?,
            invites: self.all(INVITES, |row: &InviteRow| row.code_hash)?,
            api_keys: self.all(API_KEYS, |row: &ApiKeyRow| row.id.clone())?,
            bindings: self.all(BINDINGS, |row: &BindingRow| row.id)?,
            pending: self.all(PENDING, |row: &PendingEntry| row.event)?,
            heard: self.all(HEARD, |(organisation, _): &(Address, u64)| *organisation)?,
            judged: self.all(JUDGED, |entries: &u64| *entries)?.pop(),
            inquiries: self.all(INQUIRIES, |row: &InquiryRow| (row.index, row.id))?,
            corrections: self.all(CORRECTIONS, |row: &CorrectionRow| (row.line, row.by))?,
            inquired: self.all(INQUIRED, |entries: &u64| *entries)?.pop(),
            erasures: self.all(ERASURES, |row: &ErasureRow| row.id)?,
            holds: self.all(HOLDS, |row: &HoldRow| row.id)?,
            channels: self.all(CHANNELS, |row: &ChannelsRow| row.subject)?,
            due: self.all(DUE, |row: &DueNotice| row.id)?,
            noticed: self.all(NOTICED, |entries: &u64| *entries)?.pop(),
            sources: self.all(SOURCES, |row: &SourceRow| (row.index, row.id))?,
            emergencies: self.all(EMERGENCIES, |row: &EmergencyRow| (row.index, row.id))?,
            aliases: self.all(ALIASES, |row: &AliasRow| row.alias)?,
            offers: self.all(OFFERS, |row: &OfferRow| row.id)?,
            sales: self.all(SALES, |row: &SaleRow| row.id)?,
            opt_outs: self.all(OPT_OUTS, |row: &OptOutRow| row.subject)?,
            traded: self.all(TRADED, |read: &MarketCursor| read.block)?.pop(),
            guarded: self.all(GUARDED, |pseudonym: &B256| *pseudonym)?,
            guarded_until: self.all(GUARDED_UNTIL, |entries: &u64| *entries)?.pop(),
            calls: self.all(CALLS, |row: &CallRow| row.id)?,
            acceptances: self.all(ACCEPTANCES, |row: &AcceptanceRow| row.id)?,
        })
    }
}

/// One transaction's writing.
struct Writer<'a> {
    txn: &'a WriteTransaction,
    seal: &'a dyn RowSeal,
}

impl Writer<'_> {
    fn put(&self, table: Rows, key: &[u8], row: &impl Serialize) -> Result<(), Fault> {
        let name = self.seal.name(table.name(), key);
        let plain =
            postcard::to_allocvec(row).map_err(|error| Fault::Malformed(error.to_string()))?;
        let mut bytes = vec![VERSION];
        bytes.extend(self.seal.seal(&place(table, &name), &plain));
        self.txn.open_table(table)?.insert(&name, bytes.as_slice())?;
        Ok(())
    }

    fn drop(&self, table: Rows, key: &[u8]) -> Result<(), Fault> {
        self.txn.open_table(table)?.remove(&self.seal.name(table.name(), key))?;
        Ok(())
    }

    fn apply(&self, change: &DirectoryChange) -> Result<(), Fault> {
        match change {
            DirectoryChange::PutOrganisation(row) => self.put(ORGANISATIONS, &row.id[..], row),
            DirectoryChange::PutInvite(row) => self.put(INVITES, &row.code_hash[..], row),
            DirectoryChange::DropInvite(hash) => self.drop(INVITES, &hash[..]),
            DirectoryChange::PutApiKey(row) => self.put(API_KEYS, row.id.as_bytes(), row),
            DirectoryChange::PutBinding(row) => self.put(BINDINGS, &row.id[..], row),
            DirectoryChange::DropBinding(id) => self.drop(BINDINGS, &id[..]),
            DirectoryChange::PutPending(row) => self.put(PENDING, &row.event[..], row),
            DirectoryChange::DropPending(event) => self.drop(PENDING, &event[..]),
            DirectoryChange::Heard(organisation, at_ms) => {
                self.put(HEARD, &organisation[..], &(organisation, at_ms))
            }
            DirectoryChange::Judged(entries) => self.put(JUDGED, &[], entries),
            DirectoryChange::PutInquiry(row) => self.put(INQUIRIES, &row.id[..], row),
            DirectoryChange::DropInquiry(id) => self.drop(INQUIRIES, &id[..]),
            DirectoryChange::PutCorrection(row) => {
                let key = [row.line.to_be_bytes(), row.by.to_be_bytes()].concat();
                self.put(CORRECTIONS, &key, row)
            }
            DirectoryChange::Inquired(entries) => self.put(INQUIRED, &[], entries),
            DirectoryChange::PutErasure(row) => self.put(ERASURES, &row.id[..], row),
            DirectoryChange::PutHold(row) => self.put(HOLDS, &row.id[..], row),
            DirectoryChange::DropHold(id) => self.drop(HOLDS, &id[..]),
            DirectoryChange::PutChannels(row) => self.put(CHANNELS, &row.subject[..], row),
            DirectoryChange::DropChannels(subject) => self.drop(CHANNELS, &subject[..]),
            DirectoryChange::PutDue(row) => self.put(DUE, &row.id[..], row),
            DirectoryChange::DropDue(id) => self.drop(DUE, &id[..]),
            DirectoryChange::Noticed(entries) => self.put(NOTICED, &[], entries),
            DirectoryChange::PutSource(row) => self.put(SOURCES, &row.id[..], row),
            DirectoryChange::DropSource(id) => self.drop(SOURCES, &id[..]),
            DirectoryChange::PutEmergency(row) => self.put(EMERGENCIES, &row.id[..], row),
            DirectoryChange::DropEmergency(id) => self.drop(EMERGENCIES, &id[..]),
            DirectoryChange::PutAlias(row) => self.put(ALIASES, &row.alias[..], row),
            DirectoryChange::PutOffer(row) => self.put(OFFERS, &row.id[..], row),
            DirectoryChange::PutSale(row) => self.put(SALES, &row.id[..], row),
            DirectoryChange::PutOptOut(row) => self.put(OPT_OUTS, &row.subject[..], row),
            DirectoryChange::DropOffer(id) => self.drop(OFFERS, &id[..]),
            DirectoryChange::DropSale(id) => self.drop(SALES, &id[..]),
            DirectoryChange::Traded(read) => self.put(TRADED, &[], read),
            DirectoryChange::PutGuarded(one) => self.put(GUARDED, &one[..], one),
            DirectoryChange::DropGuarded(one) => self.drop(GUARDED, &one[..]),
            DirectoryChange::Guarded(entries) => self.put(GUARDED_UNTIL, &[], entries),
            DirectoryChange::PutCall(row) => self.put(CALLS, &row.id[..], row),
            DirectoryChange::DropCall(id) => self.drop(CALLS, &id[..]),
            DirectoryChange::PutAcceptance(row) => self.put(ACCEPTANCES, &row.id[..], row),
            DirectoryChange::DropAcceptance(id) => self.drop(ACCEPTANCES, &id[..]),
        }
    }
}

impl Directory for DirectoryDb {
    fn load(&self) -> Result<Contents, JournalError> {
        Ok(self.db.read(|txn| Reader { txn, seal: &*self.seal }.contents())?)
    }

    fn save(&self, changes: &[DirectoryChange]) -> Result<(), JournalError> {
        let saved = self.db.write(|txn| {
            let writer = Writer { txn, seal: &*self.seal };
            changes.iter().try_for_each(|change| writer.apply(change))
        });
        Ok(saved?)
    }
}
