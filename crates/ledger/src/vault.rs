//! The vault: records of people and their versions as the operator keeps them, and what
//! organisations ask to change in them. The log decides which version counts; this is what follows
//! from it, and the bytes.

mod details;

pub use details::{
    ASKED, About, ChangeRequestDetails, DECLINED, EXPIRED, LABEL_CHARS_MAX, READ_VERSION,
    REQUEST_VERSION, ReadDetails, TITLE_CHARS_MAX, TOPICS_MAX, VERSION_VERSION, VersionDetails,
    WHY_CHARS_MAX, WITHDRAWN, is_version,
};

use crate::ports::JournalError;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The source of files that a person puts in by hand: the external name is the file's.
pub const UPLOADS: &str = "upload";
/// The source of what came in a FHIR Bundle.
pub const BUNDLES: &str = "bundle";

/// The id of a record that a person keeps themself, from where it comes from and what it is called
/// there: `SHA-256("medtrail/own-record" ‖ 00 ‖ subject ‖ uint32 length ‖ source ‖ external)`. A
/// sensor's stream has the day as `external`, so that a day is one record. No key is in it: the id
/// stands only where it is sealed.
pub fn own_record(subject: B256, source: &str, external: &str) -> B256 {
    let length = (source.len() as u32).to_be_bytes();
    let whole = Sha256::new()
        .chain_update(b"medtrail/own-record\0")
        .chain_update(subject)
        .chain_update(length)
        .chain_update(source)
        .chain_update(external);
    B256::from(<[u8; 32]>::from(whole.finalize()))
}

/// The version that bytes are: their SHA-256.
pub fn version_of(bytes: &[u8]) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(bytes)))
}

/// What a person has in the vault, under one of their subject ids.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shelf {
    /// Ids of the records, oldest first.
    pub records: Vec<B256>,
    /// Bytes of all versions that are kept, and of those that wait.
    pub bytes: u64,
    /// Versions on their way in.
    pub staged: Vec<StagedRow>,
    /// Changes that were asked for, oldest first.
    pub requests: Vec<B256>,
    /// Those of them that no answer ended yet.
    pub waiting: Vec<B256>,
}

impl Shelf {
    /// Whether anything of it has to be finished or watched.
    pub fn is_open(&self) -> bool {
        !self.staged.is_empty() || !self.waiting.is_empty()
    }
}

/// A version on its way in: its bytes are durable, its entry perhaps not yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StagedRow {
    /// The report's event id.
    pub event: B256,
    /// Who signed the report.
    pub actor: Address,
    /// The subject it names: the one whose shelf this is, or what that was bound to.
    pub subject: B256,
    /// Which record.
    pub record: B256,
    /// The version it becomes; zero for a deletion.
    pub version: B256,
    /// Bytes of it.
    pub bytes: u64,
}

/// A record: its versions, and which one counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordRow {
    /// Its id.
    pub record: B256,
    /// The version that counts; zero: it was deleted.
    pub head: B256,
    /// Every version that ever counted and is still told, oldest first.
    pub versions: Vec<VersionRow>,
}

impl RecordRow {
    /// The newest version that is not a deletion.
    pub fn about(&self) -> Option<&About> {
        let mut newest = self.versions.iter().rev();
        newest.find(|row| !row.version.is_zero()).map(|row| &row.about)
    }

    /// The newest row of a version.
    pub fn version(&self, version: B256) -> Option<&VersionRow> {
        self.versions.iter().rev().find(|row| row.version == version)
    }
}

/// One version of a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRow {
    /// SHA-256 of its bytes; zero for a deletion.
    pub version: B256,
    /// The one before.
    pub from: B256,
    /// Its entry in the log.
    pub index: u64,
    /// When the log received that, milliseconds since 1970.
    pub received_ms: u64,
    /// Who signed it.
    pub actor: Address,
    /// The permission it rests on; zero for the person's own.
    pub permission: B256,
    /// What it is.
    pub about: About,
    /// How many bytes it has.
    pub bytes: u64,
    /// The bytes are still kept.
    pub is_kept: bool,
}

/// A change that an organisation asks a person to allow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestRow {
    /// Its id: the event id of the report that asks.
    pub id: B256,
    /// The subject that it names.
    pub subject: B256,
    /// The organisation that asks.
    pub organisation: Address,
    /// The key that signed: the custodian of the approval.
    pub custodian: Address,
    /// Which record.
    pub record: B256,
    /// The version it has now; zero: a new record.
    pub from: B256,
    /// The version it is to have; zero: a deletion.
    pub to: B256,
    /// Why, in the organisation's words.
    pub why: String,
    /// What the new version is.
    pub about: About,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was asked, milliseconds since 1970.
    pub asked_ms: u64,
    /// Until when an answer is waited for.
    pub until_ms: u64,
    /// How far it is.
    pub state: RequestState,
}

/// How far a request is. A variant is named by its place: new ones stand last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestState {
    /// Its bytes are durable, its entry perhaps not yet.
    Entering,
    /// It waits for an answer; `index` is its entry.
    Asked {
        /// The entry that asks.
        index: u64,
    },
    /// The person said no.
    Declined {
        /// The entry that asks.
        index: u64,
    },
    /// The organisation took it back.
    Withdrawn {
        /// The entry that asks.
        index: u64,
    },
    /// Nobody answered in time.
    Expired {
        /// The entry that asks.
        index: u64,
    },
    /// The version that was asked for stands.
    Done {
        /// The entry that asks.
        index: u64,
    },
}

impl RequestState {
    /// The entry that asks, once it stands.
    pub fn asked_at(self) -> Option<u64> {
        match self {
            Self::Entering => None,
            Self::Asked { index }
            | Self::Declined { index }
            | Self::Withdrawn { index }
            | Self::Expired { index }
            | Self::Done { index } => Some(index),
        }
    }
}

/// A change to one person's part of the vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VaultChange {
    /// Writes the person's list. One that is not [open](Shelf::is_open) is not looked at at the next
    /// start.
    PutShelf(Shelf),
    /// Writes a record.
    PutRecord(RecordRow),
    /// Writes the bytes of a version.
    PutContent {
        /// Of which record.
        record: B256,
        /// Their SHA-256.
        version: B256,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Removes the bytes of a version.
    DropContent {
        /// Of which record.
        record: B256,
        /// Their SHA-256.
        version: B256,
    },
    /// Writes a request, and notes it with the organisation that asks.
    PutRequest(Box<RequestRow>),
    /// Removes a request, also from the organisation's list.
    DropRequest {
        /// Its id.
        id: B256,
        /// Who asked.
        organisation: Address,
    },
    /// Writes the bytes that a request proposes.
    PutProposed {
        /// Of which request.
        request: B256,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Removes them.
    DropProposed {
        /// Of which request.
        request: B256,
    },
}

/// The vault on disk. Blocking; call it off the async threads.
///
/// What a person has is sealed under a key of their own: once that is destroyed, all of it reads as
/// if it had never been.
pub trait Shelves: Send + Sync {
    /// A person's list; an empty one if there is none.
    fn shelf(&self, subject: B256) -> Result<Shelf, JournalError>;
    /// A record.
    fn record(&self, subject: B256, record: B256) -> Result<Option<RecordRow>, JournalError>;
    /// The bytes of a version.
    fn content(
        &self,
        subject: B256,
        record: B256,
        version: B256,
    ) -> Result<Option<Vec<u8>>, JournalError>;
    /// A request.
    fn request(&self, subject: B256, id: B256) -> Result<Option<RequestRow>, JournalError>;
    /// The bytes that a request proposes.
    fn proposed(&self, subject: B256, id: B256) -> Result<Option<Vec<u8>>, JournalError>;
    /// The requests of an organisation as `(shelf, request)`, oldest first.
    fn asked_by(&self, organisation: Address) -> Result<Vec<(B256, B256)>, JournalError>;
    /// Subjects whose shelves are open.
    fn open(&self) -> Result<Vec<B256>, JournalError>;
    /// Makes all changes to one subject's shelf durable together, in order. On an error either all
    /// of them happened or none.
    fn save(&self, subject: B256, changes: &[VaultChange]) -> Result<(), JournalError>;
    /// Removes all that a subject has; durable when this returns. Whoever erases calls this and
    /// then destroys the key: rows of a key that is gone are in the way of a new one.
    fn clear(&self, subject: B256) -> Result<(), JournalError>;
}

/// What a sealed row of the vault holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsealed {
    /// This.
    Plain(Vec<u8>),
    /// Its key was destroyed.
    Erased,
    /// Not what was sealed here.
    Damaged,
}

/// Seals the rows of the vault: each subject's under a key of its own, what belongs to no subject
/// under the log's.
pub trait VaultSeal: Send + Sync {
    /// What row `key` of `table` is called on disk: always the same, and unguessable without the
    /// log's key.
    fn name(&self, table: &str, key: &[u8]) -> [u8; 32];
    /// A sealed form that opens only at the same place. A subject's key is made, durably, if there
    /// is none.
    fn seal(
        &self,
        subject: Option<B256>,
        place: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, JournalError>;
    /// What was sealed.
    fn open(
        &self,
        subject: Option<B256>,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Unsealed, JournalError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_records_differ_wherever_what_they_are_made_of_differs() {
        let subject = B256::repeat_byte(1);
        let id = own_record(subject, "watch", "2026-03-02");
        assert_eq!(id, own_record(subject, "watch", "2026-03-02"));
        for (subject, source, external) in [
            (B256::repeat_byte(2), "watch", "2026-03-02"),
            (subject, "watch2", "026-03-02"),
            (subject, "watch", "2026-03-03"),
            (subject, "", "watch2026-03-02"),
        ] {
            assert_ne!(id, own_record(subject, source, external));
        }
    }
}
