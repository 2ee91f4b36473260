//! What happens in the demo's organisations, written as their software writes it: FHIR R4
//! AuditEvents after IHE BALP 1.1.

use super::clock::Clock;
use super::organisations::Organisation;
use serde_json::{Value, json};

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const HL7: &str = "http://terminology.hl7.org/CodeSystem/";

/// Something that happened.
#[derive(Clone)]
pub(crate) struct Happening {
    /// Where, and who reports it.
    pub(crate) at: &'static Organisation,
    /// The event's id there.
    pub(crate) id: String,
    /// When, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    pub(crate) act: Act,
    /// Nobody: a machine did it by itself.
    pub(crate) who: Option<Staff>,
    /// v3-ActReason; none was given.
    pub(crate) purpose: Option<&'static str>,
    /// To whose data: `Patient/…`.
    pub(crate) patient: String,
    /// To which: `AllergyIntolerance/…`.
    pub(crate) data: Vec<String>,
    /// What the data are about, where that is sensitive (v3-ActCode).
    pub(crate) topic: Option<&'static str>,
    /// What changed in them.
    pub(crate) change: Option<Change>,
}

/// What was done.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Read,
    Create,
    Update,
    /// Handed over to another organisation, under this X-Request-Id.
    PassOn(&'static Organisation, &'static str),
    /// Taken over from another organisation, under this X-Request-Id.
    Receive(&'static Organisation, &'static str),
}

/// Somebody who works there.
#[derive(Clone, Copy)]
pub(crate) enum Staff {
    /// Shown by name.
    Named(&'static str),
    /// A nurse, shown by number only.
    Nurse(&'static str),
}

/// A value before and after.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) of: &'static str,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

impl Happening {
    /// The AuditEvent, its time told by this clock.
    pub(crate) fn audit_event(&self, clock: Clock) -> Value {
        let shape = self.act.shape();
        let mut event = json!({
            "resourceType": "AuditEvent",
            "id": self.id,
            "meta": { "profile": [format!("{BALP}StructureDefinition/IHE.BasicAudit.{}", shape.profile)] },
            "type": { "system": shape.kind.0, "code": shape.kind.1 },
            "subtype": [{ "system": shape.subtype.0, "code": shape.subtype.1 }],
            "action": shape.action,
            "recorded": clock.instant(self.time_ms),
            "outcome": "0",
            "agent": self.agents(),
            "source": {
                "observer": {
                    "identifier": { "system": "https://registers.example/health", "value": self.at.number },
                    "display": self.at.name,
                },
                "type": [{ "system": format!("{HL7}security-source-type"), "code": "4" }],
            },
            "entity": self.entities(),
        });
        // A person's purpose stands beside the person.
        if let (Some(purpose), None) = (self.purpose, self.who) {
            event["purposeOfEvent"] = json!([reason(purpose)]);
        }
        event
    }

    fn agents(&self) -> Vec<Value> {
        let mut agents = match self.act {
            Act::Read => vec![self.server("110153"), self.client("110152")],
            Act::Create | Act::Update => vec![self.client("110153"), self.server("110152")],
            Act::PassOn(to, _) => vec![holder("110153", self.at), holder("110152", to)],
            Act::Receive(from, _) => vec![holder("110153", from), holder("110152", self.at)],
        };
        if let Some(staff) = self.who {
            let part = if matches!(self.act, Act::Read) { "IRCP" } else { "AUT" };
            let mut person = json!({
                "type": concept(&format!("{HL7}v3-ParticipationType"), part),
                "requestor": true,
            });
            match staff {
                Staff::Named(name) => person["who"] = json!({ "display": name }),
                Staff::Nurse(number) => {
                    let system = format!("https://{}/staff", self.at.domain);
                    person["who"] = json!({ "identifier": { "system": system, "value": number } });
                    person["role"] = json!([concept("http://snomed.info/sct", "224535009")]);
                }
            }
            if let Some(purpose) = self.purpose {
                person["purposeOfUse"] = json!([reason(purpose)]);
            }
            agents.push(person);
        }
        agents
    }

    fn server(&self, code: &str) -> Value {
        let address = format!("https://ehr.{}/fhir", self.at.domain);
        json!({
            "type": concept(DICOM, code),
            "who": { "display": format!("Records of {}", self.at.name) },
            "requestor": false,
            "network": { "address": address, "type": "5" },
        })
    }

    fn client(&self, code: &str) -> Value {
        json!({
            "type": concept(DICOM, code),
            "who": { "identifier": { "value": format!("{}-desk-4", self.at.slug) } },
            "requestor": false,
            "network": { "address": "192.0.2.14", "type": "2" },
        })
    }

    fn entities(&self) -> Vec<Value> {
        let mut entities: Vec<Value> = self.data.iter().map(|what| self.record(what)).collect();
        entities.push(json!({
            "what": { "reference": self.patient },
            "type": { "system": format!("{HL7}audit-entity-type"), "code": "1" },
            "role": { "system": format!("{HL7}object-role"), "code": "1" },
        }));
        if let Act::PassOn(_, request) | Act::Receive(_, request) = self.act {
            entities.push(json!({
                "what": { "identifier": { "value": request } },
                "type": { "system": format!("{BALP}CodeSystem/BasicAuditEntityType"), "code": "XrequestId" },
            }));
        }
        entities
    }

    fn record(&self, what: &str) -> Value {
        let mut record = json!({
            "what": { "reference": what },
            "type": { "system": format!("{HL7}audit-entity-type"), "code": "2" },
            "role": { "system": format!("{HL7}object-role"), "code": "4" },
        });
        if let Some(topic) = self.topic {
            record["securityLabel"] = json!([
                { "system": format!("{HL7}v3-Confidentiality"), "code": "R" },
                { "system": format!("{HL7}v3-ActCode"), "code": topic },
            ]);
        }
        if let Some(Change { of, before, after }) = self.change {
            record["description"] = json!(of);
            record["detail"] = json!([
                { "type": "before", "valueString": before },
                { "type": "after", "valueString": after },
            ]);
        }
        record
    }
}

/// What BALP says of an act.
struct Shape {
    profile: &'static str,
    kind: (String, &'static str),
    subtype: (String, &'static str),
    action: &'static str,
}

impl Act {
    fn shape(self) -> Shape {
        let rest = |profile, interaction, action| Shape {
            profile,
            kind: (format!("{HL7}audit-event-type"), "rest"),
            subtype: ("http://hl7.org/fhir/restful-interaction".to_owned(), interaction),
            action,
        };
        let disclosure = |profile, code, action| Shape {
            profile,
            kind: (DICOM.to_owned(), code),
            subtype: (format!("{HL7}iso-21089-lifecycle"), "disclose"),
            action,
        };
        match self {
            Self::Read => rest("PatientRead", "read", "R"),
            Self::Create => rest("PatientCreate", "create", "C"),
            Self::Update => rest("PatientUpdate", "update", "U"),
            Self::PassOn(..) => disclosure("PrivacyDisclosure.Source", "110106", "R"),
            Self::Receive(..) => disclosure("PrivacyDisclosure.Recipient", "110107", "C"),
        }
    }
}

fn holder(code: &str, organisation: &Organisation) -> Value {
    json!({
        "type": concept(DICOM, code),
        "who": {
            "identifier": { "system": "https://registers.example/health", "value": organisation.number },
            "display": organisation.name,
        },
        "requestor": false,
        "network": { "address": format!("https://ehr.{}/fhir", organisation.domain), "type": "5" },
    })
}

fn concept(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}

fn reason(purpose: &str) -> Value {
    concept(&format!("{HL7}v3-ActReason"), purpose)
}

/// A batch Bundle (ITI-20), as its bytes.
pub(crate) fn batch(events: &[Value]) -> Vec<u8> {
    let entry = |event: &Value| json!({ "resource": event, "request": { "method": "POST", "url": "AuditEvent" } });
    let entries: Vec<Value> = events.iter().map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
    bundle.to_string().into_bytes()
}
