//! An accounting of disclosures as AuditEvents (FHIR R4): one made of each line, all in one form,
//! whatever form it was reported in. Nobody has sent them: `meta.source` names the line, where what
//! was sent is found.

mod asked;

pub use asked::{Asked, read_parameters, read_query};

use crate::moment;
use crate::provenance::{RECORD_SYSTEM, SUBJECT_SYSTEM};
use crate::reading::Who;
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

/// The operation, as it is called: `$accounting`.
pub const OPERATION: &str = "accounting";
/// Extension: the organisation signed this; else the operator passed its word on.
pub const SIGNED_EXTENSION: &str = "urn:medtrail:signed";
/// Extension: the line's commitment, by which it is checked.
pub const COMMITMENT_EXTENSION: &str = "urn:medtrail:commitment";

const TERMS: &str = "http://terminology.hl7.org/CodeSystem";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// A line of an accounting.
#[derive(Clone, Debug)]
pub struct Disclosure<'a> {
    /// Its index in the log.
    pub index: u64,
    /// Its commitment.
    pub commitment: B256,
    /// Whom it is about.
    pub subject: B256,
    /// When it happened, milliseconds since 1970.
    pub time_ms: u64,
    /// The action, ASCII of C R U D E; other values: none.
    pub action: u8,
    /// What was done, as [`Facts::verb`](crate::reading::Facts::verb) has it.
    pub act: &'a str,
    /// Who reported it, by name.
    pub organisation: Option<&'a str>,
    /// With which key.
    pub actor: Address,
    /// Whether the organisation signed it.
    pub is_signed: bool,
    /// Who did it.
    pub who: Option<&'a Who>,
    /// Which data, as codes.
    pub data: &'a [String],
    /// The record's id; zero: none.
    pub record: B256,
    /// The record, as the organisation names it.
    pub record_name: Option<&'a str>,
    /// Purpose of use (v3-ActReason).
    pub purpose: Option<&'a str>,
    /// Of data passed on: to whom, or from whom.
    pub recipient: Option<&'a str>,
    /// It was tried and did not succeed, or was not allowed.
    pub has_failed: bool,
}

/// The AuditEvent of a line that stands at `source`.
pub fn audit_event(of: &Disclosure<'_>, source: &str) -> Value {
    let (code, display) = match of.act {
        "passOn" => ("110106", "Export"),
        "receive" => ("110107", "Import"),
        "search" => ("110112", "Query"),
        _ => ("110110", "Patient Record"),
    };
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": of.index.to_string(),
        "meta": { "source": source },
        "extension": [
            { "url": SIGNED_EXTENSION, "valueBoolean": of.is_signed },
            { "url": COMMITMENT_EXTENSION, "valueString": of.commitment },
        ],
        "type": { "system": DICOM, "code": code, "display": display },
        "recorded": moment::written(of.time_ms),
        "outcome": if of.has_failed { "4" } else { "0" },
        "agent": agents(of),
        "source": { "observer": organisation(of) },
        "entity": entities(of),
    });
    if b"CRUDE".contains(&of.action) {
        event["action"] = json!(char::from(of.action).to_string());
    }
    if let Some(code) = of.purpose.filter(|code| is_text(code)) {
        event["purposeOfEvent"] =
            json!([{ "coding": [{ "system": format!("{TERMS}/v3-ActReason"), "code": code }] }]);
    }
    event
}

/// What an OperationDefinition tells of it, for the endpoint at `base` (no trailing slash). `date`
/// is the build's, as FHIR writes it.
pub fn definition(base: &str, date: &str) -> Value {
    let dated = |name: &str, documentation: &str| {
        json!({
            "name": name, "use": "in", "min": 0, "max": "1", "type": "dateTime",
            "documentation": documentation,
        })
    };
    json!({
        "resourceType": "OperationDefinition",
        "id": OPERATION,
        "url": format!("{base}/OperationDefinition/{OPERATION}"),
        "name": "Accounting",
        "title": "Accounting of disclosures",
        "status": "active",
        "kind": "operation",
        "date": date,
        "description": "Everything that organisations reported as looked at, changed or passed on \
            about a patient (45 CFR 164.528; EHDS Art. 9), the exempt too, newest first, whole. For \
            the patient, and for who acts for them with the right SEE. Taking it is an access of \
            its own: a line in the patient's trail says so before a byte leaves.",
        // A line in an audit trail is no effect on state, by R4's own words.
        "affectsState": false,
        "code": OPERATION,
        "resource": ["Patient"],
        "system": false,
        "type": false,
        "instance": true,
        "parameter": [
            dated("start", "Only what happened then or later; six years ago if left out."),
            dated("end", "Only what happened until then, its day or second included; now if left \
                out."),
            {
                "name": "return", "use": "out", "min": 1, "max": "1", "type": "Bundle",
                "documentation": "A searchset of AuditEvents, one made of each line (meta.source \
                    names it). Cut short, it does not end as JSON.",
            },
        ],
    })
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty()
}

fn organisation(of: &Disclosure<'_>) -> Value {
    match of.organisation.filter(|name| is_text(name)) {
        Some(name) => json!({ "type": "Organization", "display": name }),
        None => json!({ "identifier": {
            "system": crate::consent::ADDRESS_SYSTEM, "value": of.actor,
        } }),
    }
}

/// Who did it, the organisation, and who else has the data now.
fn agents(of: &Disclosure<'_>) -> Vec<Value> {
    let mut agents = Vec::new();
    if let Some(who) = of.who {
        let [name, id, role] = [&who.name, &who.id, &who.role]
            .map(|text| text.as_deref().filter(|text| is_text(text)));
        let mut agent = json!({ "requestor": true });
        if let Some(id) = id {
            agent["who"] = json!({ "identifier": { "value": id } });
        }
        if let Some(name) = name {
            agent["name"] = json!(name);
        }
        if let Some(role) = role {
            agent["role"] = json!([{ "text": role }]);
        }
        agents.push(agent);
    }
    let is_requestor = agents.is_empty();
    agents.push(json!({
        "type": { "coding": [{
            "system": format!("{TERMS}/provenance-participant-type"), "code": "custodian",
        }] },
        "who": organisation(of),
        "requestor": is_requestor,
    }));
    if let Some(name) = of.recipient.filter(|name| is_text(name)) {
        let (code, display) = match of.act {
            "receive" => ("110153", "Source Role ID"),
            _ => ("110152", "Destination Role ID"),
        };
        agents.push(json!({
            "type": { "coding": [{ "system": DICOM, "code": code, "display": display }] },
            "who": { "display": name },
            "requestor": false,
        }));
    }
    agents
}

/// The patient, and what was touched.
fn entities(of: &Disclosure<'_>) -> Vec<Value> {
    let kind = |code: &str| json!({ "system": format!("{TERMS}/audit-entity-type"), "code": code });
    let role = |code: &str| json!({ "system": format!("{TERMS}/object-role"), "code": code });
    let mut entities = vec![json!({
        "what": {
            "type": "Patient",
            "identifier": { "system": SUBJECT_SYSTEM, "value": of.subject },
        },
        "type": kind("1"),
        "role": role("1"),
    })];
    let mut what = json!({});
    match of.record_name.filter(|name| is_text(name)) {
        // As the organisation's own server has it: nothing here can be fetched.
        Some(name) => what["display"] = json!(name),
        None if of.record.is_zero() && of.data.is_empty() => return entities,
        None => {}
    }
    if !of.record.is_zero() {
        what["identifier"] = json!({ "system": RECORD_SYSTEM, "value": of.record });
    }
    let mut record = json!({ "type": kind("2"), "role": role("4") });
    // R4 forbids empty objects and lists.
    if what != json!({}) {
        record["what"] = what;
    }
    if !of.data.is_empty() {
        let told = of.data.iter().map(|code| json!({ "type": "data", "valueString": code }));
        record["detail"] = told.collect();
    }
    entities.push(record);
    entities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read;

    fn line<'a>() -> Disclosure<'a> {
        Disclosure {
            index: 7,
            commitment: B256::repeat_byte(5),
            subject: B256::repeat_byte(6),
            time_ms: 1_767_605_400_120,
            action: b'R',
            act: "read",
            organisation: None,
            actor: Address::repeat_byte(3),
            is_signed: true,
            who: None,
            data: &[],
            record: B256::ZERO,
            record_name: None,
            purpose: None,
            recipient: None,
            has_failed: false,
        }
    }

    #[test]
    fn what_is_made_is_an_audit_event_by_this_log_s_own_rules_and_says_what_the_line_says() {
        let who = Who {
            name: Some("Dr <Saar>".into()),
            id: Some("dr-77".into()),
            role: Some("physician".into()),
        };
        let data = ["allergies".to_owned(), "other".to_owned()];
        let full = Disclosure {
            act: "passOn",
            organisation: Some("Clinic"),
            who: Some(&who),
            data: &data,
            record: B256::repeat_byte(9),
            record_name: Some("Observation/o9"),
            purpose: Some("TREAT"),
            recipient: Some("Harbour"),
            has_failed: true,
            ..line()
        };
        let made = audit_event(&full, "https://log.example/v1/entries/7");
        let event = read(made.to_string().as_bytes()).unwrap();
        assert_eq!((event.recorded_ms, event.action), (1_767_605_400_120, b'R'));
        assert_eq!(made["agent"][0]["name"], "Dr <Saar>");
        assert_eq!(made["agent"][2]["who"]["display"], "Harbour");
        assert_eq!(made["agent"][2]["type"]["coding"][0]["code"], "110152");
        assert_eq!(made["outcome"], "4");
        assert_eq!(made["entity"][1]["detail"][0]["valueString"], "allergies");
        let requestors = made["agent"].as_array().unwrap().iter();
        assert_eq!(requestors.filter(|agent| agent["requestor"] == true).count(), 1);
    }

    #[test]
    fn of_a_line_that_says_little_nothing_empty_is_made() {
        let who = Who { name: Some(" ".into()), ..Who::default() };
        let one = ["other".to_owned()];
        for bare in [
            line(),
            Disclosure { action: 0, organisation: Some(""), purpose: Some(""), ..line() },
            Disclosure { who: Some(&who), recipient: Some(" "), record_name: Some(""), ..line() },
            Disclosure { data: &one, ..line() },
            Disclosure { record: B256::repeat_byte(1), ..line() },
        ] {
            let made = audit_event(&bare, "https://log.example/v1/entries/7");
            let text = made.to_string();
            read(text.as_bytes()).unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
            assert!(
                !text.contains("[]") && !text.contains("{}") && !text.contains("\"\""),
                "{text}"
            );
        }
    }
}
