//! The sender's memory, in `head.redb`: one row an intent, an anchor, a kept checkpoint, and one
//! for the cursor. Each row is a version byte and postcard.

use crate::db::Fault;
use crate::store::Store;
use medtrail_ledger::plan::{AnchorRecord, Cursor, Intent, Plan, PlanChange};
use medtrail_ledger::ports::{JournalError, Outbox};
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Account and big-endian nonce.
const INTENTS: TableDefinition<&[u8; 28], &[u8]> = TableDefinition::new("intents");
/// Anchors by number.
const ANCHORS: TableDefinition<u64, &[u8]> = TableDefinition::new("anchors");
/// One row.
const CURSOR: TableDefinition<(), &[u8]> = TableDefinition::new("cursor");
/// Signed notes of anchored sizes.
const CHECKPOINTS: TableDefinition<u64, &[u8]> = TableDefinition::new("checkpoints");

const VERSION: u8 = 1;

/// Fills a new file.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.open_table(INTENTS)?;
    txn.open_table(ANCHORS)?;
    txn.open_table(CURSOR)?;
    txn.open_table(CHECKPOINTS)?;
    Ok(())
}

fn intent_key(account: &[u8; 20], nonce: u64) -> [u8; 28] {
    let mut key = [0; 28];
    key[..20].copy_from_slice(account);
    key[20..].copy_from_slice(&nonce.to_be_bytes());
    key
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let bytes = postcard::to_extend(value, vec![VERSION]);
    bytes.map_err(|error| Fault::Malformed(error.to_string()))
}

fn decode<T: DeserializeOwned>(table: &str, row: &[u8]) -> Result<T, Fault> {
    let value = match row.split_first() {
        Some((&VERSION, bytes)) => postcard::from_bytes(bytes).ok(),
        _ => None,
    };
    value.ok_or_else(|| Fault::Damaged(format!("a row of table {table}")))
}

fn load(txn: &ReadTransaction) -> Result<Plan, Fault> {
    fn all<K: redb::Key, T: DeserializeOwned>(
        name: &str,
        table: &ReadOnlyTable<K, &'static [u8]>,
    ) -> Result<Vec<T>, Fault> {
        table.range::<K::SelfType<'_>>(..)?.map(|row| decode(name, row?.1.value())).collect()
    }
    let intents: Vec<Intent> = all("intents", &txn.open_table(INTENTS)?)?;
    let anchors: Vec<AnchorRecord> = all("anchors", &txn.open_table(ANCHORS)?)?;
    let cursor = txn.open_table(CURSOR)?.get(())?;
    let cursor: Option<Cursor> = cursor.map(|row| decode("cursor", row.value())).transpose()?;
    Ok(Plan { intents, cursor, anchors })
}

fn save(txn: &WriteTransaction, change: &PlanChange) -> Result<(), Fault> {
    match change {
        PlanChange::PutIntent(intent) => {
            let key = intent_key(&intent.account, intent.nonce);
            txn.open_table(INTENTS)?.insert(&key, encode(intent)?.as_slice())?;
        }
        PlanChange::DropIntent { account, nonce } => {
            txn.open_table(INTENTS)?.remove(&intent_key(account, *nonce))?;
        }
        PlanChange::SetCursor(cursor) => {
            txn.open_table(CURSOR)?.insert((), encode(cursor)?.as_slice())?;
        }
        PlanChange::PutAnchor(anchor) => {
            txn.open_table(ANCHORS)?.insert(anchor.anchor.number, encode(anchor)?.as_slice())?;
        }
        PlanChange::DropAnchor { number } => {
            txn.open_table(ANCHORS)?.remove(number)?;
        }
        PlanChange::KeepCheckpoint { size, note } => {
            txn.open_table(CHECKPOINTS)?.insert(size, note.as_slice())?;
        }
    }
    Ok(())
}

impl Outbox for Store {
    fn load(&self) -> Result<Plan, JournalError> {
        Ok(self.head.read(load)?)
    }

    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError> {
        let saved = self.head.write(|txn| changes.iter().try_for_each(|change| save(txn, change)));
        Ok(saved?)
    }

    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let note = self.head.read(|txn| {
            let note = txn.open_table(CHECKPOINTS)?.get(size)?;
            Ok(note.map(|note| note.value().to_vec()))
        });
        Ok(note?)
    }
}
