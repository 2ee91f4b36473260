//! From an event to what is reported of it: one report a patient.

mod names;
mod shared;

pub(crate) use shared::Shared;

use crate::event::Event;
use crate::json::Node;
use alloy_primitives::{Address, B256};
use hmac::{Hmac, Mac};
use medtrail_ledger::entry::{details_hash, event_id, pseudonym, record_id};
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::schema::Report;
use sha2::Sha256;

/// Version of the details of one patient of an event about several.
pub const SHARED_VERSION: &str = "medtrail/shared-v1";
/// Version of the details of an event that came by API key alone.
pub const RELAYED_VERSION: &str = "medtrail/relayed-v1";

/// Who reports, to which log.
#[derive(Clone, Copy, Debug)]
pub struct Reporter<'a> {
    /// The log's id.
    pub log: B256,
    /// The organisation's id.
    pub organisation: Address,
    /// Whose signature will stand beside the entry: the organisation's key, or the operator's.
    pub actor: Address,
    /// The organisation's K: pseudonyms and record ids are made with it.
    pub key: &'a SecretKey,
    /// The organisation's name, if this is only relayed for it.
    pub relayed_for: Option<&'a str>,
}

/// One report, and the document it names.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// The report.
    pub report: Report,
    /// Its details document, byte for byte.
    pub details: Vec<u8>,
    /// The patient it is about ([`Patient::identifier`](crate::event::Patient)).
    pub patient: Option<String>,
}

/// An event that is to become reports: one a patient, or exactly one without a subject. Each is
/// made when it is asked for: of an event about many, each may be nearly as long as the event.
///
/// The event id is that of the event's own `id`; an event without one is known by its bytes. If it
/// is about several patients, each part has an id of its own, a MAC of either
/// ([`SHARED_VERSION`]'s `received`, or the same of the `id`): two of them may turn out to be one
/// person. The same bytes give the same ids whenever they are sent.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What all reports have in common.
    common: Report,
    organisation: Address,
    key: SecretKey,
    relayed_for: Option<String>,
    id: Option<String>,
    bytes: Vec<u8>,
    /// Identifiers.
    patients: Vec<String>,
    /// If nobody may be shown all of it.
    shared: Option<Shared>,
}

impl Draft {
    /// `bytes` are those that `event` was read from.
    pub fn new(event: &Event, bytes: &[u8], by: &Reporter<'_>) -> Self {
        let record = event.record.as_ref().map_or(B256::ZERO, |record| {
            record_id(by.key, record.source.as_bytes(), record.external.as_bytes())
        });
        let common = Report {
            log: by.log,
            kind: event.kind.number(),
            action: event.action,
            timeMs: event.recorded_ms,
            actor: by.actor,
            record,
            ..Report::default()
        };
        let tree = event.is_shared().then(|| Node::parse(bytes).ok()).flatten();
        Self {
            common,
            organisation: by.organisation,
            key: by.key.clone(),
            relayed_for: by.relayed_for.map(str::to_owned),
            id: event.id.clone(),
            bytes: bytes.to_vec(),
            patients: event.patients.iter().map(|one| one.identifier.clone()).collect(),
            shared: tree.map(|tree| Shared::of(event, &tree)),
        }
    }

    /// How many reports it becomes, at least one.
    pub fn parts(&self) -> usize {
        self.patients.len().max(1)
    }

    /// One of its reports, with its details; `place` counts from 0.
    pub fn part(&self, place: usize) -> Part {
        let patient = self.patients.get(place);
        let known_by = self.id.as_ref().map_or(self.bytes.as_slice(), String::as_bytes);
        let (event, document) = match (&self.shared, patient) {
            (Some(shared), Some(patient)) => {
                let document = shared.document(place, patient, self.mac(patient, &self.bytes));
                let own = self.mac(patient, known_by);
                (event_id(self.organisation, own.as_slice()), document)
            }
            _ => (event_id(self.organisation, known_by), self.bytes.clone()),
        };
        let details = match &self.relayed_for {
            Some(name) => relayed(self.organisation, name, document),
            None => document,
        };
        let report = Report {
            subject: patient.map_or(B256::ZERO, |id| pseudonym(&self.key, id.as_bytes())),
            eventId: event,
            details: details_hash(&details),
            ..self.common.clone()
        };
        Part { report, details, patient: patient.cloned() }
    }

    fn mac(&self, patient: &str, bytes: &[u8]) -> B256 {
        mac(&self.key, patient, bytes)
    }
}

/// The reports of an event, all at once. See [`Draft`].
pub fn reports(event: &Event, bytes: &[u8], by: &Reporter<'_>) -> Vec<Part> {
    let draft = Draft::new(event, bytes, by);
    (0..draft.parts()).map(|place| draft.part(place)).collect()
}

/// What stands for the bytes, or the id, of an event about several in what one patient is told:
/// `HMAC-SHA-256(K, "event" ‖ 0x00 ‖ uint32 length ‖ identifier ‖ bytes)`.
///
/// A bare hash would let each of them, and whoever is shown their proof, try out who the others
/// are: everything else in the bytes is known to them. The organisation and the operator, who have
/// K, can still compare. It differs from patient to patient, so that no two lines are found to be
/// of one event.
fn mac(key: &SecretKey, identifier: &str, bytes: &[u8]) -> B256 {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    // An identifier is at most 2,048 bytes long.
    let length = (identifier.len() as u32).to_be_bytes();
    for part in [b"event\0", length.as_slice(), identifier.as_bytes(), bytes] {
        mac.update(part);
    }
    B256::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
}

/// `medtrail/relayed-v1`: the document as text, and on whose behalf it came.
fn relayed(organisation: Address, name: &str, document: Vec<u8>) -> Vec<u8> {
    let document = String::from_utf8(document).expect("an event that was read is UTF-8");
    let relayed = Relayed {
        version: RELAYED_VERSION.to_owned(),
        organisation,
        name: name.to_owned(),
        document,
    };
    serde_json::to_vec(&relayed).expect("strings are JSON")
}

/// The members of `medtrail/relayed-v1`.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Relayed {
    pub(crate) version: String,
    pub(crate) organisation: Address,
    pub(crate) name: String,
    pub(crate) document: String,
}

/// Bytes of a text as a string inside of a JSON document, its quotes left out.
fn text_bytes(text: &str) -> usize {
    let written = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(written).sum()
}
