//! Replays a whole log: its tiles into the roots that the chain holds, its rows into its tiles, and,
//! with keys, its entries into its rows. Pure: whoever replays reads the bytes and feeds them here.
//!
//! What is held against what, and nothing of the log is believed before:
//! - [`history`]: the chain's events against the registry's state, `anchors.json`, the checkpoint
//! - [`tree`]: tiles against each other, and their roots against the anchors
//! - [`rows`], [`doubles`]: rows against the tiles, trails without a gap, no event twice
//! - [`content`]: an opened entry against its row, its commitment and its signer
//! - [`joins`]: what joined a trail, against its two signatures
//! - [`order`]: what needs opened entries one after the other; the replay of permissions (crate
//!   `permit`) joins here
//! - [`evidence`]: the file in which the first fault is kept

pub mod content;
pub mod doubles;
pub mod evidence;
pub mod history;
pub mod joins;
pub mod order;
pub mod rows;
pub mod tree;

use crate::verify::{AnchorSeen, Verdict};
use alloy_primitives::{B256, hex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is checked, in the order in which it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Check {
    /// Whose log it is.
    Log,
    /// The chain's events of the log against each other, the head and the ring.
    Chain,
    /// The signed note.
    Checkpoint,
    /// Every published tile.
    Tiles,
    /// The tiles' roots against the chain's anchors.
    Anchors,
    /// `anchors.json` against the chain.
    AnchorsFile,
    /// The promised time to an anchor.
    Promise,
    /// Every row is there, in order, with the commitment of the tiles.
    Rows,
    /// The numbers of each subject's entries, and what each follows.
    Trails,
    /// No event stands twice.
    Events,
    /// Rows open to what their commitment says.
    Content,
    /// The log's clock never goes back.
    Times,
    /// Whose word each entry is.
    Signatures,
    /// Entries that nobody can open any more.
    Erasures,
    /// Every change, judged again: whether its person permitted it, and was told where not.
    Permissions,
    /// What joined a trail: pseudonyms and aliases, by two signatures each.
    Joins,
}

impl Check {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Chain => "chain",
            Self::Checkpoint => "checkpoint",
            Self::Tiles => "tiles",
            Self::Anchors => "anchors",
            Self::AnchorsFile => "anchors-file",
            Self::Promise => "promise",
            Self::Rows => "rows",
            Self::Trails => "trails",
            Self::Events => "events",
            Self::Content => "content",
            Self::Times => "times",
            Self::Signatures => "signatures",
            Self::Erasures => "erasures",
            Self::Permissions => "permissions",
            Self::Joins => "joins",
        }
    }
}

/// What is wrong. Fixed words of the evidence file: flaws are added, never renamed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flaw {
    /// The log's id is not that of chain, registry, opener and origin.
    LogId,
    /// The anchors' numbers are not 1, 2, 3…
    AnchorNumber,
    /// An anchor is not larger and later than the one before.
    AnchorDoesNotGrow,
    /// The registry's head is not its newest anchor.
    HeadDiffers,
    /// The registry's ring does not hold an anchor that it must.
    RingDiffers,
    /// The note cannot be read.
    CheckpointUnreadable,
    /// It lacks a signature of the log, or one is wrong.
    CheckpointSignature,
    /// It was signed over another root than that of the tiles.
    CheckpointRoot,
    /// Registry and trust file name different note keys.
    NoteKeyDiffers,
    /// An anchor that stood before the checkpoint was signed covers more entries than it.
    LogShorter,
    /// A published file is missing.
    FileMissing,
    /// A tile or bundle has another length than the log's size gives it.
    FileLength,
    /// An entry in a bundle is not framed as 32 bytes.
    EntryFraming,
    /// A leaf is not that of the commitment at its place.
    LeafDiffers,
    /// A hash of a tile is not what follows from the tiles below.
    TileDiffers,
    /// The tiles' root is not the anchored one.
    RootDiffers,
    /// `anchors.json` cannot be read.
    ClaimsUnreadable,
    /// `anchors.json` lacks an anchor of the chain.
    ClaimMissing,
    /// `anchors.json` says something else of an anchor than the chain.
    ClaimDiffers,
    /// A line of the rows is not written as an export writes it.
    RowUnreadable,
    /// A row stands at another place than its number says.
    RowOutOfOrder,
    /// Rows end before the log does.
    RowsMissing,
    /// Rows go on after the log's end.
    RowsSurplus,
    /// A row's commitment is not the one in the tiles.
    RowCommitment,
    /// The clear start of a row cannot be read.
    HeaderUnreadable,
    /// A subject's entries are not numbered 1, 2, 3… in the order of the log.
    OrdinalOutOfOrder,
    /// An entry does not name the one before it in its trail.
    PreviousDiffers,
    /// One event of one actor about one subject stands twice.
    EventTwice,
    /// A row does not open under its key.
    RowDamaged,
    /// What was opened is of another log.
    OtherLog,
    /// Report and place do not hash to the commitment.
    CommitmentDiffers,
    /// The clear start of a row says something else than its content.
    HeaderDiffers,
    /// The details document is not the reported one.
    DetailsDiffer,
    /// An entry was received earlier than the one before it.
    TimeDecreases,
    /// A signature or batch path is wrong, or not the actor's.
    SignatureWrong,
    /// Signed by a key that the trust file does not name at that time.
    SignerUnknown,
    /// Signed by nobody, and not entered by the operator.
    RelayedByOther,
    /// The key of a row is gone, and no entry says why.
    RowUnopenable,
    /// A change that its person did not permit stands there, and no refusal tells them.
    RefusalMissing,
    /// A refusal names a change that was permitted, or none at all.
    RefusalUnfounded,
    /// Nobody answered about an emergency change in its time, and no line says so.
    SilenceMissing,
    /// A line says that nobody answered, and somebody had, or its time was not over.
    SilenceUnfounded,
    /// The log's own vault did what it must not without a permission.
    VaultUnpermitted,
    /// A buyer looked under an order that the market does not know as settled then.
    LookNotSettled,
    /// A buyer looked after the order's time was over, or its seller had ended it.
    LookAfterEnd,
    /// Another than the order's buyer looked.
    LookByOther,
    /// A buyer looked at what the order does not sell, or for another purpose.
    LookOutOfScope,
    /// Something was delivered under an order that was not paid then, or whose terms do not stand.
    DeliveryUnfounded,
    /// Something joined a trail without the two signatures that join it.
    JoinUnfounded,
    /// An alias joined two people, or stands in a chain of them.
    JoinedTwice,
}

impl Flaw {
    /// The check that finds it.
    pub fn check(self) -> Check {
        match self {
            Self::LogId
            | Self::AnchorNumber
            | Self::AnchorDoesNotGrow
            | Self::HeadDiffers
            | Self::RingDiffers => Check::Chain,
            Self::CheckpointUnreadable
            | Self::CheckpointSignature
            | Self::CheckpointRoot
            | Self::NoteKeyDiffers => Check::Checkpoint,
            Self::FileMissing
            | Self::FileLength
            | Self::EntryFraming
            | Self::LeafDiffers
            | Self::TileDiffers => Check::Tiles,
            Self::RootDiffers | Self::LogShorter => Check::Anchors,
            Self::ClaimsUnreadable | Self::ClaimMissing | Self::ClaimDiffers => Check::AnchorsFile,
            Self::RowUnreadable
            | Self::RowOutOfOrder
            | Self::RowsMissing
            | Self::RowsSurplus
            | Self::RowCommitment
            | Self::HeaderUnreadable => Check::Rows,
            Self::OrdinalOutOfOrder | Self::PreviousDiffers => Check::Trails,
            Self::EventTwice => Check::Events,
            Self::RowDamaged
            | Self::OtherLog
            | Self::CommitmentDiffers
            | Self::HeaderDiffers
            | Self::DetailsDiffer => Check::Content,
            Self::TimeDecreases => Check::Times,
            Self::SignatureWrong | Self::SignerUnknown | Self::RelayedByOther => Check::Signatures,
            Self::RowUnopenable => Check::Erasures,
            Self::RefusalMissing
            | Self::RefusalUnfounded
            | Self::SilenceMissing
            | Self::SilenceUnfounded
            | Self::VaultUnpermitted
            | Self::LookNotSettled
            | Self::LookAfterEnd
            | Self::LookByOther
            | Self::LookOutOfScope
            | Self::DeliveryUnfounded => Check::Permissions,
            Self::JoinUnfounded | Self::JoinedTwice => Check::Joins,
        }
    }
}

/// One thing that is wrong, with what is needed to see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What.
    pub flaw: Flaw,
    /// In words, with its numbers.
    pub words: String,
    /// The entry it is about.
    pub index: Option<u64>,
    /// The published file it was found in.
    pub file: Option<String>,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// The anchor it contradicts.
    pub anchor: Option<AnchorSeen>,
}

impl Fault {
    /// A fault that is about nothing in particular yet.
    pub fn new(flaw: Flaw, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { flaw, words, index: None, file: None, expected: None, found: None, anchor: None }
    }

    /// It is about this entry.
    pub fn at(self, index: u64) -> Self {
        Self { index: Some(index), ..self }
    }

    /// It was found in this file.
    pub fn in_file(self, file: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..self }
    }

    /// What should be there, and what is.
    pub fn differs(self, expected: impl ToString, found: impl ToString) -> Self {
        Self { expected: Some(expected.to_string()), found: Some(found.to_string()), ..self }
    }

    /// The same of bytes.
    pub fn bytes_differ(self, expected: impl AsRef<[u8]>, found: impl AsRef<[u8]>) -> Self {
        self.differs(hex::encode_prefixed(expected), hex::encode_prefixed(found))
    }

    /// It contradicts this anchor.
    pub fn against(self, anchor: &AnchorSeen) -> Self {
        Self { anchor: Some(anchor.clone()), ..self }
    }
}

/// How one check came out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// How many things were looked at.
    pub count: u64,
    /// How many of them are wrong.
    pub faults: u64,
    /// The first that is.
    pub first: Option<Fault>,
    /// What is right as far as it goes, but a reader should know.
    pub notes: Vec<String>,
    /// What was looked at, and came out right.
    pub words: Option<String>,
}

impl Checked {
    /// Red with a fault, amber with a note, else green.
    pub fn verdict(&self) -> Verdict {
        match (self.faults, self.notes.is_empty()) {
            (0, true) => Verdict::Green,
            (0, false) => Verdict::Amber,
            _ => Verdict::Red,
        }
    }
}

/// All checks, and the first fault that any of them found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    checks: BTreeMap<Check, Checked>,
    first: Option<Fault>,
}

impl Tally {
    /// So many more things were looked at.
    pub fn count(&mut self, check: Check, more: u64) {
        self.checks.entry(check).or_default().count += more;
    }

    /// One thing is wrong.
    pub fn fault(&mut self, fault: Fault) {
        let checked = self.checks.entry(fault.flaw.check()).or_default();
        checked.faults += 1;
        if checked.first.is_none() {
            checked.first = Some(fault.clone());
        }
        if self.first.is_none() {
            self.first = Some(fault);
        }
    }

    /// Something that a reader should know.
    pub fn note(&mut self, check: Check, words: impl Into<String>) {
        self.checks.entry(check).or_default().notes.push(words.into());
    }

    /// What was looked at, if it came out right.
    pub fn say(&mut self, check: Check, words: impl Into<String>) {
        self.checks.entry(check).or_default().words = Some(words.into());
    }

    /// What was checked so far.
    pub fn checks(&self) -> impl Iterator<Item = (Check, &Checked)> {
        self.checks.iter().map(|(check, checked)| (*check, checked))
    }

    /// How one check has come out so far.
    pub fn of(&self, check: Check) -> Option<&Checked> {
        self.checks.get(&check)
    }

    /// The first fault.
    pub fn first_fault(&self) -> Option<&Fault> {
        self.first.as_ref()
    }

    /// The worst of all checks; nothing checked is nothing proven.
    pub fn verdict(&self) -> Verdict {
        self.checks.values().map(Checked::verdict).max().unwrap_or(Verdict::Red)
    }
}

/// A hash as it is told.
fn word(hash: &[u8; 32]) -> B256 {
    B256::from(*hash)
}
