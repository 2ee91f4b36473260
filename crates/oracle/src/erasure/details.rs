//! `medtrail/erasure-v1`: what the log tells of an erasure, in entries of kind 10.

use super::{Form, Obstacle};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{ErasureRow, ErasureState};
use medtrail_ledger::entry::event_id;
use medtrail_permit::documents::Document;
use medtrail_permit::signed::{PermissionDetails, Signed};
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: &str = "medtrail/erasure-v1";

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// The person asked for it.
    Asked,
    /// They took it back.
    Cancelled,
    /// The law stood in its way.
    Refused,
    /// The keys are destroyed.
    Done,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Done => "done",
        }
    }
}

/// By what an erasure was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    /// Whoever was signed in as the person.
    Session,
    /// A signed revocation of the document, which stands in the trail.
    Revocation,
}

/// A subject id whose lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Part {
    /// The address, left-padded, or a pseudonym that was bound to it.
    pub subject: B256,
    /// The first line that goes.
    pub from: u64,
    /// The last one.
    pub through: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Reason {
    LegalHold { reason: String, ordered_by: String },
    Retention { until_ms: u64 },
}

/// The document.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Told {
    version: String,
    act: Act,
    /// The id of what was signed.
    erasure: B256,
    form: String,
    /// What was signed; left out where a cancellation only names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<By>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The epoch of permissions that ends with it: what was permitted went with the lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_epoch: Option<u64>,
}

impl Told {
    fn new(row: &ErasureRow, act: Act) -> Self {
        let part = |&(subject, through): &(B256, u64)| Part { subject, from: 1, through };
        let form = if row.parts.is_empty() { Form::Records } else { Form::Everything };
        Self {
            version: VERSION.to_owned(),
            act,
            erasure: row.id,
            form: form.word().to_owned(),
            document: None,
            signature: None,
            parts: row.parts.iter().map(part).collect(),
            due_ms: None,
            by: None,
            reason: None,
            ends_epoch: None,
        }
    }

    fn with(self, signed: &Signed) -> Self {
        let Signed { document, signature, .. } = signed.clone();
        Self { document: Some(document), signature, ..self }
    }

    pub(super) fn asked(row: &ErasureRow, signed: &Signed) -> Self {
        Self { due_ms: Some(row.due_ms), ..Self::new(row, Act::Asked).with(signed) }
    }

    pub(super) fn cancelled(row: &ErasureRow, by: By) -> Self {
        Self { by: Some(by), ..Self::new(row, Act::Cancelled) }
    }

    pub(super) fn refused(row: &ErasureRow, signed: &Signed, obstacle: &Obstacle) -> Self {
        let reason = match obstacle.clone() {
            Obstacle::Hold { reason, ordered_by } => Reason::LegalHold { reason, ordered_by },
            Obstacle::Duty { until_ms } => Reason::Retention { until_ms },
        };
        Self { reason: Some(reason), ..Self::new(row, Act::Refused).with(signed) }
    }

    pub(super) fn done(row: &ErasureRow, ends_epoch: Option<u64>) -> Self {
        let told = Self { ends_epoch, ..Self::new(row, Act::Done) };
        match PermissionDetails::read(&row.signed) {
            Ok(signed) => told.with(&signed),
            Err(_) => told,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data encodes")
    }

    pub(super) fn act(&self) -> Act {
        self.act
    }

    fn read(details: &[u8]) -> Option<Self> {
        let told: Self = serde_json::from_slice(details).ok()?;
        (told.version == VERSION).then_some(told)
    }
}

/// What an erasure destroyed, as its entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The id of what was signed.
    pub erasure: B256,
    /// What was signed, and its signature.
    pub signed: Signed,
    /// Whose lines went, and which.
    pub parts: Vec<Part>,
    /// The epoch of permissions that ended with it.
    pub ends_epoch: Option<u64>,
}

/// Reads the details of an entry of kind 10, if they say that something was erased.
pub fn read_done(details: &[u8]) -> Option<Done> {
    let told = Told::read(details).filter(|told| told.act == Act::Done)?;
    let Told { erasure, parts, ends_epoch, .. } = told;
    let signed =
        Signed { document: told.document?, signature: told.signature, countersignature: None };
    Some(Done { erasure, signed, parts, ends_epoch })
}

/// The id of the document that an entry of kind 10 is about.
pub(crate) fn erasure_in(details: &[u8]) -> Option<B256> {
    Told::read(details).map(|told| told.erasure)
}

/// Why an erasure was refused.
pub(super) fn obstacle_in(details: &[u8]) -> Option<Obstacle> {
    Some(match Told::read(details)?.reason? {
        Reason::LegalHold { reason, ordered_by } => Obstacle::Hold { reason, ordered_by },
        Reason::Retention { until_ms } => Obstacle::Duty { until_ms },
    })
}

/// What the first entry of an erasure says: that it was asked for, or refused right away.
pub(super) fn act_of(row: &ErasureRow) -> Act {
    match row.state {
        ErasureState::Refused { at_ms, .. } if at_ms == row.asked_ms => Act::Refused,
        _ => Act::Asked,
    }
}

/// The event id of what is told of an erasure: each act is told once.
pub(super) fn event_of(subject: Address, id: B256, act: Act) -> B256 {
    event_id(subject, &[b"erasure ", act.word().as_bytes(), b"\0", id.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_format_is_read_and_written_alike() {
        let formats = include_str!("../../../../docs/formats.md");
        let is_it = |line: &&str| line.starts_with(r#"{"version":"medtrail/erasure-v1""#);
        let example = formats.lines().find(is_it).expect("an example");
        let told = Told::read(example.as_bytes()).expect("it is read");
        assert_eq!(told.encode(), example.as_bytes());
        assert_eq!(
            obstacle_in(example.as_bytes()),
            Some(Obstacle::Duty { until_ms: 1_956_949_200_000 })
        );
        assert_eq!(erasure_in(example.as_bytes()), Some(B256::repeat_byte(0x2b)));
        medtrail_permit::check::check(&told.document.unwrap()).expect("a sound document");
        assert_eq!(read_done(example.as_bytes()), None, "it was not done");
        let other = example.replacen("erasure-v1", "erasure-v2", 1);
        assert_eq!(erasure_in(other.as_bytes()), None);
    }
}
