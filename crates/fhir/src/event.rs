//! An AuditEvent (FHIR R4) as this log sees it.
//!
//! The received bytes are never rewritten: this is a narrow reading beside them. Rules of base R4
//! refuse, all issues at once; rules of IHE BALP 1.1 only flag, for a partial audit is better than
//! none.

use crate::json::Node;
use crate::report::Shared;
use crate::rules;
use medtrail_ledger::entry::Kind;
use serde::{Deserialize, Serialize};

mod extract;

pub(crate) use extract::{IMPORT, host_of, split_reference};

/// Bytes of one event at most. The log takes 262,144 bytes of details; a relayed event travels as
/// text inside another document, where every byte may take two.
pub const EVENT_BYTES_MAX: usize = 122_880;
/// Bytes of a patient's identifier at most.
pub const IDENTIFIER_BYTES_MAX: usize = 2_048;
/// Agents or entities of one event at most.
pub const ITEMS_MAX: usize = 1_000;
/// Patients of one event at most: each becomes an entry.
pub const PATIENTS_MAX: usize = 100;
/// Ids by which an event about several patients may name them, at most: all of it is searched for
/// each.
pub const PATIENT_IDS_MAX: usize = 400;
/// Bytes of all that is kept of one event about several patients, at most, written as text inside of
/// other documents (as what is relayed is): four times what is taken of one. Each of them gets most
/// of the event.
pub const PARTS_BYTES_MAX: usize = 1 << 20;
/// Issues told at most; what follows is counted in the last.
pub const ISSUES_MAX: usize = 100;

/// How much an issue weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Information,
    /// Taken all the same, and flagged.
    Warning,
    /// Refused.
    Error,
}

/// A rule that an event misses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Issue {
    /// Where, as FHIRPath: `AuditEvent.agent[0].requestor`.
    pub path: String,
    /// Which rule: `r4.…` and `limit.…` refuse, `balp.…` flag, `search.…` are about a search.
    pub rule: &'static str,
    /// What is wrong, and what to do.
    pub text: String,
    /// How much it weighs.
    pub severity: Severity,
}

/// A code, and the system it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coding {
    /// The code system's URI; empty if none was named.
    pub system: String,
    /// The code; empty if none was named.
    pub code: String,
    /// Words for it, as sent.
    pub display: Option<String>,
}

/// Somebody or something that a Reference points to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Party {
    /// `Type/id` without base URL and history; anything else as it was sent.
    pub reference: Option<String>,
    /// The base URL of an absolute reference.
    pub base: Option<String>,
    /// `system|value` (FHIR's token form; `|value` without a system).
    pub identifier: Option<String>,
    /// The value of that identifier alone.
    pub identifier_value: Option<String>,
    /// Its name, as sent.
    pub display: Option<String>,
    /// The resource type, from the reference or `Reference.type`.
    pub resource_type: Option<String>,
}

/// Who took part.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agent {
    /// How it took part.
    pub codes: Vec<Coding>,
    /// Who it is.
    pub who: Party,
    /// Another id.
    pub alt_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// Whether it started the event.
    pub requestor: bool,
    /// What it is by profession or job.
    pub roles: Vec<Coding>,
    /// What for.
    pub purposes: Vec<Coding>,
    /// Policies and token ids.
    pub policies: Vec<String>,
    /// Where on the network.
    pub network: Option<String>,
}

/// What was touched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entity {
    /// The thing.
    pub what: Party,
    /// Its type.
    pub kind: Coding,
    /// Its role in the event.
    pub role: Coding,
    /// Security labels: confidentiality, sensitive topics.
    pub labels: Vec<Coding>,
    /// The query, decoded from base64 as far as it is text.
    pub query: Option<String>,
    /// What changed in it: its description, and the details `before` and `after`, if all are told.
    pub change: Option<Changed>,
}

/// A value that changed, in the words of whoever reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// Of what.
    pub item: String,
    /// What it was.
    pub before: String,
    /// What it is now.
    pub after: String,
}

/// A patient that an event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patient {
    /// `system|value` of the identifier, else `Patient/p1` without base URL and history. The
    /// pseudonym is made of this, so one organisation should always send the same of both.
    pub identifier: String,
    /// Places of this patient's elements in `AuditEvent.entity`.
    pub entities: Vec<usize>,
}

/// The record that an event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordRef {
    /// The source that holds it, as the organisation names it.
    pub source: String,
    /// `Observation/o9`, or `system|value`.
    pub external: String,
}

/// What an AuditEvent says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its `id`, if the sender gave one.
    pub id: Option<String>,
    /// When it was recorded, in milliseconds since 1970.
    pub recorded_ms: u64,
    /// The hour on the sender's clock, if `recorded` carries an offset.
    pub local_hour: Option<u8>,
    /// What the log calls it.
    pub kind: Kind,
    /// ASCII of `action`, 0 if there is none.
    pub action: u8,
    /// `outcome` (0, 4, 8, 12), if there is one.
    pub outcome: Option<String>,
    /// Its type.
    pub code: Coding,
    /// Its subtypes.
    pub subtypes: Vec<Coding>,
    /// What the whole event was for.
    pub purposes: Vec<Coding>,
    /// Profiles it claims.
    pub profiles: Vec<String>,
    /// Who took part.
    pub agents: Vec<Agent>,
    /// What was touched.
    pub entities: Vec<Entity>,
    /// Who observed it.
    pub observer: Party,
    /// `source.site`.
    pub site: Option<String>,
    /// Whom it is about, each once, in order.
    pub patients: Vec<Patient>,
    /// What it is about.
    pub record: Option<RecordRef>,
    /// BALP rules missed: warnings.
    pub flags: Vec<Issue>,
    /// The request id that both ends of one access share.
    pub x_request_id: Option<String>,
}

/// Reads an event.
///
/// # Errors
///
/// Every base R4 rule and limit that it misses, at most [`ISSUES_MAX`].
pub fn read(bytes: &[u8]) -> Result<Event, Vec<Issue>> {
    let refuse = |rule, text| {
        let path = "AuditEvent".to_owned();
        Err(vec![Issue { path, rule, text, severity: Severity::Error }])
    };
    if bytes.len() > EVENT_BYTES_MAX {
        let found = bytes.len();
        let text = format!("{found} bytes; at most {EVENT_BYTES_MAX} are taken. Send less.");
        return refuse("limit.bytes", text);
    }
    let tree = match Node::parse(bytes) {
        Ok(tree) => tree,
        Err(error @ crate::json::JsonError::Syntax(_)) => {
            return refuse("r4.json", format!("{error}. Send one AuditEvent as UTF-8 JSON."));
        }
        Err(error) => return refuse("limit.shape", format!("{error}. Send less.")),
    };
    let issues = rules::r4::issues(&tree);
    if !issues.is_empty() {
        return Err(issues);
    }
    let mut event = Event::of(&tree);
    if event.patients.len() > PATIENTS_MAX {
        let found = event.patients.len();
        let text = format!("{found} patients; at most {PATIENTS_MAX}. Send one event a patient.");
        return refuse("limit.patients", text);
    }
    if event.patients.iter().any(|patient| patient.identifier.len() > IDENTIFIER_BYTES_MAX) {
        let text = format!("A patient's identifier has at most {IDENTIFIER_BYTES_MAX} bytes.");
        return refuse("limit.patients", text);
    }
    if event.is_shared() {
        let found = Shared::ids(&event, &tree);
        if found > PATIENT_IDS_MAX {
            let text = format!("{found} ids of patients; at most {PATIENT_IDS_MAX}. Send less.");
            return refuse("limit.patients", text);
        }
        let bytes = Shared::of(&event, &tree).bytes_as_text(&event.patients);
        if bytes > PARTS_BYTES_MAX {
            let found = event.patients.len();
            let text = format!(
                "{found} patients, of whom each gets a part: {bytes} bytes together; at most \
                 {PARTS_BYTES_MAX}. Send an event a patient, or less about who took part."
            );
            return refuse("limit.parts", text);
        }
    }
    event.flags = rules::balp::flags(&event, &tree);
    Ok(event)
}

impl Event {
    /// Whether more patients are in it than one, be it one whom nothing identifies: then nobody may
    /// be shown all of it.
    pub(crate) fn is_shared(&self) -> bool {
        let [only] = self.patients.as_slice() else { return !self.patients.is_empty() };
        let mut entities = self.entities.iter().enumerate();
        entities.any(|(place, entity)| entity.is_patient() && !only.entities.contains(&place))
    }
}
