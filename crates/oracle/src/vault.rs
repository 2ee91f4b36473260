//! The vault: records whose versions count only with their person's permission.
//!
//! A version's bytes are durable before its entry, and it counts after its entry, once the permission
//! was looked at in that very place of the log: whoever replays the log comes to the same versions.
//! What a crash leaves in between is settled from the log at the next start, or the next look.

mod bench;
pub(crate) mod bought;
mod check;
mod put;
mod read;
mod refusals;
mod requests;
mod settle;
pub(crate) mod sold;

pub use bought::{Seen, Shown};
pub use check::{VaultCheck, VaultFinding, VaultReport};
pub use medtrail_market::manifest::{Original, Whose};
pub use put::{Put, Written};
pub use read::{Content, Found, Reader};
pub use requests::{Ask, AskedChange, Side, Standing};

use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::own::NoRandomness;
use crate::sequencer::PlaceError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::ports::{EventKey, JournalError, RegistryError};
use medtrail_ledger::vault::{RecordRow, Shelves};
use medtrail_permit::permits::{Pending, Refusal};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// People whose acts wait for each other by chance: one lock for each of so many.
const LOCKS: usize = 64;

/// What the vault takes at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VaultLimits {
    /// Bytes of one version.
    pub version_bytes: usize,
    /// Bytes of all that a person has.
    pub person_bytes: u64,
    /// Records of a person.
    pub records: usize,
    /// Versions of a record whose bytes are kept; older ones stay in the list.
    pub kept_versions: usize,
    /// Versions that a record ever has.
    pub versions: usize,
    /// Requests of one organisation that wait for one person's answer.
    pub waiting_requests: usize,
    /// Requests about one person that are remembered.
    pub requests: usize,
}

impl Default for VaultLimits {
    fn default() -> Self {
        Self {
            version_bytes: 4 << 20,
            person_bytes: 256 << 20,
            records: 4096,
            kept_versions: 32,
            versions: 1024,
            waiting_requests: 16,
            requests: 256,
        }
    }
}

/// Why it does not count, as a refusal tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Why {
    /// Nobody permitted it.
    Refused(Refusal),
    /// Nobody could be asked. Elsewhere that waits for the person's word; in the vault nothing
    /// happens before it.
    Pending(Pending),
    /// Another version came first.
    Conflict(Conflict),
}

/// Another version came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Conflict {
    /// The version that it builds on is not the one that counts.
    VersionConflict,
}

/// Why the vault did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The report could not be taken.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Report, details and bytes do not fit each other, or break a rule.
    #[error("{field}: {rule}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// The bytes are not those that were signed for.
    #[error("report.toVersion is {expected}, but the bytes sent hash to {found} (SHA-256)")]
    Content {
        /// What was signed.
        expected: B256,
        /// What was sent.
        found: B256,
    },
    /// A version may not be as long.
    #[error("content has {bytes} bytes; a version has at most {most}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// What is taken.
        most: usize,
    },
    /// The person's part of the vault is full.
    #[error("this person's part of the vault is full: at most {most} bytes")]
    NoRoom {
        /// What a person may have.
        most: u64,
    },
    /// So many records, versions or open requests.
    #[error("there are as many {0} as the vault takes")]
    TooMany(&'static str),
    /// There is none, or none for this caller.
    #[error("there is no such record that you may read")]
    NotFound,
    /// Nobody permitted it, and the person was told so.
    #[error("it was not permitted; the person concerned was told")]
    Refused {
        /// Why.
        why: Why,
        /// The document that came nearest.
        document: Option<B256>,
    },
    /// Another version counts than the one this builds on.
    #[error("report.fromVersion is not the version that counts")]
    Conflict {
        /// The one that does; none: not for this caller to know.
        current: Option<B256>,
    },
    /// The request was answered, taken back, or has expired.
    #[error("the request does not wait for an answer any more")]
    NotWaiting,
    /// Whether it is permitted stands on the chain, which cannot be read now.
    #[error("the chain, which must tell whether this is permitted, cannot be read just now")]
    ChainUnreadable(#[source] RegistryError),
    /// The log or the vault could not be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<JournalError> for VaultError {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

impl From<PlaceError> for VaultError {
    fn from(error: PlaceError) -> Self {
        Self::Report(error.into())
    }
}

/// The vault of a running log. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    service: Service,
    shelves: Arc<dyn Shelves>,
    limits: VaultLimits,
    locks: [Mutex<()>; LOCKS],
}

impl Vault {
    /// The vault over these shelves. Blocks: what the last run left unfinished is settled first, as
    /// far as it can be; [`tick`](Self::tick) tries the rest again.
    ///
    /// # Errors
    /// Where the shelves cannot be read.
    pub fn open(
        service: Service,
        shelves: Arc<dyn Shelves>,
        limits: VaultLimits,
    ) -> Result<Self, JournalError> {
        let locks = std::array::from_fn(|_| Mutex::default());
        let vault = Self(Arc::new(Inner { service, shelves, limits, locks }));
        vault.settle_all(true)?;
        Ok(vault)
    }

    /// Settles what could not be settled before, and ends requests that are too old. To be called
    /// now and then. Blocks.
    ///
    /// # Errors
    /// Where the shelves cannot be read.
    pub fn tick(&self) -> Result<(), JournalError> {
        self.settle_all(false)
    }

    /// What it takes.
    pub fn limits(&self) -> VaultLimits {
        self.0.limits
    }

    /// One act at a time about a person.
    fn lock(&self, subject: B256) -> MutexGuard<'_, ()> {
        let place = usize::from(subject[31]) % LOCKS;
        self.0.locks[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        (self.0.service.0.now_ms)()
    }

    /// All subject ids of whoever is known by this one, the newest first.
    fn parts(&self, subject: B256) -> Vec<B256> {
        match medtrail_ledger::entry::address_of(subject) {
            Some(address) => self.0.service.parts(address),
            None => vec![subject],
        }
    }

    /// A record, and on whose shelf it lies. A new one goes to the first.
    fn locate(
        &self,
        parts: &[B256],
        record: B256,
    ) -> Result<(B256, Option<RecordRow>), JournalError> {
        for part in parts {
            if let Some(row) = self.0.shelves.record(*part, record)? {
                return Ok((*part, Some(row)));
            }
        }
        Ok((parts.first().copied().unwrap_or_default(), None))
    }

    /// Where a report stands that was acknowledged before the call.
    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        let service = &self.0.service.0;
        service.recent.reach(self.0.service.head().size)?;
        match service.recent.find(event) {
            Some(index) => Ok(Some(index)),
            None => service.journal.find(event),
        }
    }

    /// The organisation that speaks by this key now; none: it is no organisation's.
    ///
    /// # Errors
    /// For a key that an organisation has no more: whoever holds it speaks for nobody.
    fn organisation_by(&self, key: Address) -> Result<Option<Address>, VaultError> {
        let speaks = self.0.service.trust().organisation_of(key, self.now_ms()).is_some();
        match speaks {
            true => Ok(self.0.service.organisation_of(key)),
            false if self.had_key(key) => Err(ReportError::UnknownCustodian(key).into()),
            false => Ok(None),
        }
    }

    /// Whether this key ever signed for an organisation.
    fn had_key(&self, key: Address) -> bool {
        let trust = self.0.service.trust();
        let mut keys = trust.organisations.iter().flat_map(|one| &one.keys);
        keys.any(|one| one.address == key)
    }

    fn event_key(&self, actor: Address, subject: B256, event: B256) -> EventKey {
        self.0.service.0.tags.event_key(actor, subject, event)
    }

    /// Runs what blocks off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let vault = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&vault)).await;
        done.unwrap_or_else(|_| Err(PlaceError::Stopped.into()))
    }
}
