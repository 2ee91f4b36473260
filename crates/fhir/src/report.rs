//! From an event to what is reported of it: one report a patient.

use crate::event::{Event, Patient};
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

/// The reports of an event: one a patient, or exactly one without a subject. `bytes` are those
/// that `event` was read from.
///
/// The event id is that of the event's own `id`. An event without one is known by its bytes, or,
/// if it is about several patients, by a MAC of them ([`SHARED_VERSION`]'s `received`), so that the
/// same bytes give the same ids whenever they are sent.
pub fn reports(event: &Event, bytes: &[u8], by: &Reporter<'_>) -> Vec<Part> {
    let record = event.record.as_ref().map_or(B256::ZERO, |record| {
        record_id(by.key, record.source.as_bytes(), record.external.as_bytes())
    });
    let id_by =
        |bytes: &[u8]| event_id(by.organisation, event.id.as_ref().map_or(bytes, String::as_bytes));
    let common = Report {
        log: by.log,
        kind: event.kind.number(),
        action: event.action,
        timeMs: event.recorded_ms,
        actor: by.actor,
        record,
        ..Report::default()
    };
    let part = |patient: Option<&str>, document: Vec<u8>, event_id: B256| {
        let details = match by.relayed_for {
            Some(name) => relayed(by.organisation, name, document),
            None => document,
        };
        let subject = patient.map_or(B256::ZERO, |id| pseudonym(by.key, id.as_bytes()));
        let details_hash = details_hash(&details);
        let report = Report { subject, eventId: event_id, details: details_hash, ..common.clone() };
        Part { report, details, patient: patient.map(str::to_owned) }
    };
    match event.patients.as_slice() {
        [] => vec![part(None, bytes.to_vec(), id_by(bytes))],
        [only] if is_alone(event, only) => {
            vec![part(Some(&only.identifier), bytes.to_vec(), id_by(bytes))]
        }
        several => several
            .iter()
            .map(|patient| {
                let received = received(by.key, &patient.identifier, bytes);
                let document = shared::document(event, bytes, patient, received);
                part(Some(&patient.identifier), document, id_by(received.as_slice()))
            })
            .collect(),
    }
}

/// What one patient is told of the bytes of an event about several:
/// `HMAC-SHA-256(K, "event" ‖ 0x00 ‖ uint32 length ‖ identifier ‖ bytes)`.
///
/// A bare hash would let each of them, and whoever is shown their proof, try out who the others
/// are: everything else in the bytes is known to them. The organisation and the operator, who have
/// K, can still compare. It differs from patient to patient, so that no two lines are found to be
/// of one event.
fn received(key: &SecretKey, identifier: &str, bytes: &[u8]) -> B256 {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    // An identifier is at most 2,048 bytes long.
    let length = (identifier.len() as u32).to_be_bytes();
    for part in [b"event\0", length.as_slice(), identifier.as_bytes(), bytes] {
        mac.update(part);
    }
    B256::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
}

/// Whether no other patient is in the event, not even one whom nothing identifies.
fn is_alone(event: &Event, patient: &Patient) -> bool {
    let mut entities = event.entities.iter().enumerate();
    entities.all(|(place, entity)| !entity.is_patient() || patient.entities.contains(&place))
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

mod shared;
