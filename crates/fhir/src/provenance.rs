//! A Provenance (FHIR R4) as this log sees it: how one record of one patient came about, or that it
//! was passed on. Read narrowly beside its bytes, which are never rewritten.
//!
//! It becomes one report, like an AuditEvent about the same: the record is the one target that is
//! no patient, its source the agent of type `custodian` (else the first agent), named as the
//! AuditEvents of that organisation name their `source.observer`. Who signed a Provenance in
//! `signature` is kept and proves nothing here: what counts is the report's own signature.

use crate::bundle::event_of;
use crate::derived::{activity, derivations};
use crate::event::{
    Coding, EVENT_BYTES_MAX, Event, IDENTIFIER_BYTES_MAX, Issue, Party, Patient, RecordRef,
    Severity, host_of,
};
use crate::json::{JsonError, Node};
use crate::{moment, rules};
use alloy_primitives::B256;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};

/// System of record ids in what is made here.
pub const RECORD_SYSTEM: &str = "urn:medtrail:record";
/// System of subject ids in what is made here.
pub const SUBJECT_SYSTEM: &str = "urn:medtrail:subject";

/// Reads a Provenance as the event that it tells of.
///
/// # Errors
///
/// Every base R4 rule and limit that it misses, or each of ours: `log.patient`, `log.record`,
/// `log.activity`.
pub fn read(bytes: &[u8]) -> Result<Event, Vec<Issue>> {
    if bytes.len() > EVENT_BYTES_MAX {
        let found = bytes.len();
        let text = format!("{found} bytes; at most {EVENT_BYTES_MAX} are taken. Send less.");
        return Err(vec![refusal("Provenance", "limit.bytes", text)]);
    }
    let tree = match Node::parse(bytes) {
        Ok(tree) => tree,
        Err(error @ JsonError::Syntax(_)) => {
            let text = format!("{error}. Send one Provenance as UTF-8 JSON.");
            return Err(vec![refusal("Provenance", "r4.json", text)]);
        }
        Err(error) => {
            let text = format!("{error}. Send less.");
            return Err(vec![refusal("Provenance", "limit.shape", text)]);
        }
    };
    let issues = rules::r4::provenance_issues(&tree);
    if !issues.is_empty() {
        return Err(issues);
    }
    let mut issues = Vec::new();
    let patient = patient(&tree).map_err(|issue| issues.push(issue)).ok();
    let record = record(&tree).map_err(|issue| issues.push(issue)).ok();
    let act = act(&tree).map_err(|issue| issues.push(issue)).ok();
    let (Some(patient), Some(record), Some((kind, action))) = (patient, record, act) else {
        return Err(issues);
    };
    let recorded = tree.text("recorded").and_then(moment::instant);
    Ok(Event {
        id: tree.text("id").map(str::to_owned),
        recorded_ms: recorded.map_or(0, |at| at.ms.max(0) as u64),
        local_hour: recorded.and_then(|at| at.local_hour),
        kind,
        action,
        outcome: None,
        code: Coding::default(),
        subtypes: Vec::new(),
        purposes: Vec::new(),
        profiles: Vec::new(),
        agents: Vec::new(),
        entities: Vec::new(),
        observer: Party::default(),
        site: None,
        patients: vec![patient],
        record: Some(record),
        flags: Vec::new(),
        x_request_id: None,
    })
}

/// Reads an AuditEvent or a Provenance, whichever it calls itself: for bytes that were kept.
///
/// # Errors
///
/// As [`event::read`](crate::event::read) and [`read`].
pub fn read_either(bytes: &[u8]) -> Result<Event, Vec<Issue>> {
    let is_provenance = bytes.len() <= EVENT_BYTES_MAX
        && Node::parse(bytes).is_ok_and(|tree| tree.text("resourceType") == Some("Provenance"));
    if is_provenance { read(bytes) } else { crate::event::read(bytes) }
}

/// What of an entry of ours a Provenance of it is made from, where none was received.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The entry's place in the log.
    pub index: u64,
    /// What was reported.
    pub report: &'a Report,
    /// Its details document.
    pub details: Option<&'a [u8]>,
    /// Whose word it is, by name.
    pub organisation: Option<&'a str>,
}

/// A Provenance of a change or a hand-over that was reported in another form; none of any other
/// entry. It is made from the entry and says so in `meta.source`: nobody has sent it.
pub fn made(of: &Made<'_>, source: &str) -> Option<Value> {
    const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
    let report = of.report;
    let activity = match (Kind::from_number(report.kind), report.action) {
        (Kind::Change, b'C') => "originate",
        (Kind::Change, b'D') => "destroy",
        (Kind::Change, _) => "amend",
        (Kind::HandOver, b'C') => "receive",
        (Kind::HandOver, _) => "disclose",
        _ => return None,
    };
    let event = of.details.and_then(event_of);
    let record = event.as_ref().and_then(|event| event.record.as_ref());
    let ours = json!({ "identifier": { "system": RECORD_SYSTEM, "value": report.record } });
    let mut target = match record {
        Some(record) if record.external.contains('/') => json!({ "reference": record.external }),
        Some(record) => json!({ "display": record.external }),
        None => json!({}),
    };
    target["identifier"] = ours["identifier"].clone();
    let who = match of.organisation {
        Some(name) => json!({ "display": name }),
        None => json!({ "identifier": { "value": report.actor } }),
    };
    let entity = of.details.map(derivations).unwrap_or_default();
    let entity: Vec<Value> = entity
        .iter()
        .map(|one| json!({ "role": "derivation", "what": { "display": one.what } }))
        .collect();
    let mut made = json!({
        "resourceType": "Provenance",
        "id": of.index.to_string(),
        "meta": { "source": source },
        "target": [target, {
            "type": "Patient",
            "identifier": { "system": SUBJECT_SYSTEM, "value": report.subject },
        }],
        "recorded": moment::written(report.timeMs),
        "activity": { "coding": [{ "system": LIFECYCLE, "code": activity }] },
        "agent": [{
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                "code": "custodian",
            }] },
            "who": who,
        }],
    });
    // R4 forbids empty lists.
    if !entity.is_empty() {
        made["entity"] = Value::Array(entity);
    }
    Some(made)
}

/// Whether a Provenance, as JSON text, is about this target: `Observation/o9`, or a record's id.
pub fn names_target(provenance: &str, record: B256, target: &str) -> bool {
    if target.parse::<B256>().is_ok_and(|id| id == record) {
        return true;
    }
    let Ok(tree) = Node::parse(provenance.as_bytes()) else { return false };
    let mut targets = tree.list("target").iter().map(Party::of);
    targets.any(|one| {
        [&one.reference, &one.identifier, &one.identifier_value]
            .into_iter()
            .flatten()
            .any(|name| name == target)
    })
}

fn refusal(path: &str, rule: &'static str, text: impl Into<String>) -> Issue {
    Issue { path: path.to_owned(), rule, text: text.into(), severity: Severity::Error }
}

fn targets(tree: &Node<'_>) -> (Vec<Party>, Vec<Party>) {
    let targets = tree.list("target").iter().map(Party::of);
    targets.partition(|party| party.resource_type.as_deref() == Some("Patient"))
}

fn patient(tree: &Node<'_>) -> Result<Patient, Issue> {
    let refuse = |text: &str| refusal("Provenance.target", "log.patient", text);
    let (patients, _) = targets(tree);
    let [patient] = patients.as_slice() else {
        return Err(refuse(
            "Name the patient as one target (a reference Patient/…, or type Patient with an \
             identifier), and only one: a trail is a person's.",
        ));
    };
    let identifier = patient.canonical().filter(|name| !name.is_empty());
    let identifier =
        identifier.ok_or_else(|| refuse("Give the patient a reference or identifier."))?;
    match identifier.len() <= IDENTIFIER_BYTES_MAX {
        true => Ok(Patient { identifier, entities: Vec::new() }),
        false => Err(refuse("The patient's identifier is too long.")),
    }
}

fn record(tree: &Node<'_>) -> Result<RecordRef, Issue> {
    let refuse = |text: &str| refusal("Provenance.target", "log.record", text);
    let (_, others) = targets(tree);
    let [target] = others.as_slice() else {
        return Err(refuse("Name one target beside the patient: send one Provenance a record."));
    };
    let external = target.reference.clone().or_else(|| target.identifier.clone());
    let external = external.ok_or_else(|| refuse("Give the record a reference or identifier."))?;
    let is_custodian = |agent: &&Node<'_>| {
        let kind = agent.get("type").map(|kind| kind.list("coding")).unwrap_or_default();
        kind.iter().any(|coding| coding.text("code") == Some("custodian"))
    };
    let agents = tree.list("agent");
    let keeper = agents.iter().find(is_custodian).or(agents.first());
    let keeper = keeper.and_then(|agent| agent.get("who")).map(Party::of).unwrap_or_default();
    let named = [keeper.identifier_value, keeper.display, keeper.reference];
    let host = target.base.as_deref().map(host_of);
    let source = named.into_iter().flatten().next().or(host).unwrap_or_default();
    Ok(RecordRef { source, external })
}

/// What the activity says: v3-DataOperation, or the lifecycle of ISO 21089.
fn act(tree: &Node<'_>) -> Result<(Kind, u8), Issue> {
    Ok(match activity(tree).unwrap_or_default() {
        "CREATE" | "originate" => (Kind::Change, b'C'),
        // A new record, made of another.
        "deidentify" | "pseudonymize" | "extract" | "transform" | "translate" | "merge" => {
            (Kind::Change, b'C')
        }
        "UPDATE" | "APPEND" | "NULLIFY" | "amend" | "attest" | "verify" => (Kind::Change, b'U'),
        "DELETE" | "destroy" => (Kind::Change, b'D'),
        "transmit" | "disclose" => (Kind::HandOver, b'R'),
        "receive" => (Kind::HandOver, b'C'),
        other => {
            let found = match other {
                "" => "no activity".to_owned(),
                other => format!("activity {:?}", crate::words::clean(other, 40)),
            };
            let text = format!(
                "{found}; send a change (CREATE, UPDATE, DELETE, originate, amend, destroy, extract, \
                 deidentify, pseudonymize, transform) or a hand-over (transmit, disclose, receive). A \
                 look is an AuditEvent."
            );
            return Err(refusal("Provenance.activity", "log.activity", text));
        }
    })
}
