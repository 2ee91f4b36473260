//! What a custodian's gateway asks of its disk and of its key.
//!
//! An event is taken durably before its sender hears so. It is signed later, into one report a
//! patient; each report gets the next number of a sequence without gaps in the same commit. A
//! report then waits until the log's receipt, or the reason why the log will never take it, stands
//! beside it.

use crate::ports::JournalError;
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A custodian's signing key.
pub trait ReportSigner: Send + Sync {
    /// The actor of what it signs.
    fn address(&self) -> Address;

    /// 65 bytes r, s, v over an EIP-712 digest (low s, v 27 or 28).
    fn sign(&self, digest: B256) -> Bytes;
}

/// An event as software sent it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// What makes two sendings the same event: the report's `eventId`.
    pub id: B256,
    /// When it came, milliseconds since 1970.
    pub received_ms: u64,
    /// The bytes received.
    pub bytes: Bytes,
}

/// What became of an event that was handed to [`Spool::take`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is durable under this number.
    New(u64),
    /// The same bytes stand there already.
    Known(u64),
    /// Other bytes stand there under the same id; these were not taken.
    Conflict(u64),
}

/// An event in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number, from 1, in the order of arrival.
    pub number: u64,
    /// See [`NewEvent::id`].
    pub id: B256,
    /// See [`NewEvent::received_ms`].
    pub received_ms: u64,
    /// The bytes received.
    pub bytes: Bytes,
}

/// A signed report, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewReport {
    /// The event it reports; zero where the gateway speaks for itself (coverage).
    pub event: u64,
    /// What is sent: report, details and evidence in the JSON form of `POST /v1/reports`.
    pub document: Bytes,
}

/// Where a report stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReportState {
    /// The log has not answered for it yet.
    Waiting,
    /// The log's receipt, as it came, after it was verified.
    Receipted(Bytes),
    /// The log will never take it; says why.
    SetAside(String),
    /// The log answered with a receipt that does not verify: kept as it came, as evidence
    /// against the log. Its wait is over, until the operator has looked.
    WrongReceipt {
        /// The log's answer, as it came.
        answer: Bytes,
        /// What is wrong with it.
        reason: String,
    },
}

/// A report in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReportRow {
    /// `Medtrail-Sequence`: from 1, without gaps.
    pub sequence: u64,
    /// What is sent, and for which event.
    pub report: NewReport,
    /// Where it stands.
    pub state: ReportState,
}

/// A code that the desk gave to a person, to connect their address with their pseudonym.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeskCode {
    /// What the log knows of the code; the code itself is kept nowhere.
    pub code_hash: B256,
    /// Whose code it is.
    pub pseudonym: B256,
    /// Until when it is good, milliseconds since 1970.
    pub expires_ms: u64,
    /// Whose binding was countersigned by it.
    pub subject: Option<Address>,
}

/// How full the spool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Events that no report was made of yet.
    pub unsigned: u64,
    /// Bytes of those events.
    pub unsigned_bytes: u64,
    /// Reports that wait for the log.
    pub waiting: u64,
    /// Bytes of those reports.
    pub waiting_bytes: u64,
    /// Reports that were set aside, and those with a wrong receipt.
    pub set_aside: u64,
    /// The number of the last report, 0 before the first.
    pub sequence: u64,
}

/// How much may wait at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpoolLimits {
    /// Events and reports that wait.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why the spool did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// As much waits as may; nothing was taken. Room comes with the log's receipts.
    #[error("the spool is full: {count} events and reports wait, {bytes} bytes")]
    Full {
        /// How many wait.
        count: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The spool holds no such event or report, or it was settled before.
    #[error("no event or report {0} waits in the spool")]
    NotWaiting(u64),
    /// The code or its pseudonym was countersigned for somebody else before.
    #[error("that pseudonym was connected with {0} before")]
    Bound(Address),
    /// The disk did not answer. It may have happened: each call may be made again.
    #[error(transparent)]
    Disk(#[from] JournalError),
}

/// The gateway's memory. All methods block; what one did survives power loss once it returns `Ok`.
pub trait Spool: Send + Sync {
    /// Takes events, all in one commit, or none.
    ///
    /// # Errors
    /// [`SpoolError::Full`] if they would pass the limits.
    fn take(&self, events: &[NewEvent]) -> Result<Vec<Taken>, SpoolError>;

    /// The oldest events that no report was made of, at most `limit`.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn unsigned(&self, limit: usize) -> Result<Vec<EventRow>, SpoolError>;

    /// Numbers the reports in their order and ends the wait of the events they were made of, in
    /// one commit. Returns the first number.
    ///
    /// # Errors
    /// [`SpoolError::NotWaiting`] if reports were made of one of the events before: whoever asks
    /// again after a failure must read [`Self::unsigned`] anew. [`SpoolError::Full`] if an event of
    /// many patients would make it too full; nothing happens then, and the call is made again after
    /// the log's next receipts. While no report waits for the log it is never full: what came in
    /// must be able to leave.
    fn sign(&self, events: &[u64], reports: &[NewReport]) -> Result<u64, SpoolError>;

    /// The oldest reports that wait for the log, at most `limit`, in the order of their numbers;
    /// those in `passed_over` are left out, and cost next to nothing.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn waiting(
        &self,
        limit: usize,
        passed_over: &BTreeSet<u64>,
    ) -> Result<Vec<ReportRow>, SpoolError>;

    /// Puts another document in the place of a waiting one, under the same number: signed anew for
    /// a subject that moved.
    ///
    /// # Errors
    /// [`SpoolError::NotWaiting`].
    fn replace(&self, sequence: u64, document: Bytes) -> Result<(), SpoolError>;

    /// Ends the wait of reports, in one commit. The same end twice is fine.
    ///
    /// # Errors
    /// [`SpoolError::NotWaiting`] if one ended otherwise, or never was; nothing changes then.
    fn settle(&self, ends: &[(u64, ReportState)]) -> Result<(), SpoolError>;

    /// One report, wherever it stands.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn report(&self, sequence: u64) -> Result<Option<ReportRow>, SpoolError>;

    /// One event.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn event(&self, number: u64) -> Result<Option<EventRow>, SpoolError>;

    /// How full it is.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn usage(&self) -> Result<Usage, SpoolError>;

    /// Keeps a code, or who was countersigned for by it. Before a countersignature leaves the
    /// gateway its subject stands here: a log that lies must not get one for a second subject.
    ///
    /// # Errors
    /// [`SpoolError::Bound`] if the code or its pseudonym has another subject; nothing changes then.
    fn keep_code(&self, code: &DeskCode) -> Result<(), SpoolError>;

    /// A code by its hash.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn code(&self, code_hash: B256) -> Result<Option<DeskCode>, SpoolError>;

    /// How many codes are kept that nobody has used, whether they expired or not.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn unused_codes(&self) -> Result<u64, SpoolError>;

    /// Drops codes that nobody used until `expired_before_ms`.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn drop_codes(&self, expired_before_ms: u64) -> Result<(), SpoolError>;

    /// Keeps with whose address a pseudonym was connected by another key of this organisation, after
    /// both signatures were checked. The same again changes nothing.
    ///
    /// # Errors
    /// [`SpoolError::Bound`] if it has another address; nothing changes then.
    fn keep_subject(&self, pseudonym: B256, subject: Address) -> Result<(), SpoolError>;

    /// With whose address a pseudonym was connected by a countersignature of this gateway, or of
    /// another of its organisation ([`Self::keep_subject`]): the only one that a log may say it
    /// moved to.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    fn subject_of(&self, pseudonym: B256) -> Result<Option<Address>, SpoolError>;
}
