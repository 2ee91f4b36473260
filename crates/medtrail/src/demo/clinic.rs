//! The demo's people and what happened to their data: invented, and the same every time.

use super::accounts::Accounts;
use crate::client::Client;
use crate::exit::Failure;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{
    Kind, batch_root, details_hash, event_id, pseudonym, record_id, subject_of,
};
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::schema::{Report, ReportBatch, domain};
use medtrail_ledger::trust::TrustFile;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// People in the clinic, beside Mari.
pub(crate) const PEOPLE: u64 = 400;
/// Lines about them.
const LINES: u64 = 5_000;
/// Lines in one signed batch.
const BATCH: usize = 100;
/// How far the lines reach back, in milliseconds: 90 days.
const SPAN_MS: u64 = 90 * 24 * 3600 * 1000;

/// Something that happened, before it is signed.
pub(crate) struct Line {
    pub(crate) details: Box<RawValue>,
    id: String,
    kind: Kind,
    action: u8,
    time_ms: u64,
    subject: B256,
    record: B256,
}

impl Line {
    fn report(&self, actor: Address, log: B256) -> Report {
        Report {
            log,
            eventId: event_id(actor, self.id.as_bytes()),
            kind: self.kind.number(),
            action: self.action,
            timeMs: self.time_ms,
            subject: self.subject,
            actor,
            record: self.record,
            details: details_hash(self.details.get().as_bytes()),
            ..Report::default()
        }
    }

    /// The report, signed alone.
    pub(crate) fn signed(&self, key: &ReporterKey, trust: &TrustFile) -> (Report, Bytes) {
        let report = self.report(key.address(), trust.log);
        let signature = key.sign(&report, &domain(trust.chain_id, trust.registry));
        (report, signature)
    }
}

/// The line that the demo checks.
pub(crate) fn mari_s_allergies_read(mari: Address, now_ms: u64) -> Line {
    let read = Read {
        organisation: "Kalda Family Doctors",
        person: "Dr Liis Kask",
        resource: "AllergyIntolerance",
        patient: "mari-tamm",
        number: 0,
        purpose: "TREAT",
    };
    read.line(subject_of(mari), shared_key("Kalda Family Doctors"), now_ms)
}

/// Reports the clinic's lines, oldest first, in signed batches; returns how many.
pub(crate) async fn seed(
    client: &Client,
    accounts: &Accounts,
    trust: &TrustFile,
    now_ms: u64,
) -> Result<u64, Failure> {
    let mut chance = Chance(7);
    let mut reported = 0;
    while reported < LINES {
        let (organisation, person, resources, purpose) = chance.of(&ROUTINE);
        let key = accounts.reporter(organisation)?;
        let lines: Vec<Line> = (0..BATCH as u64)
            .map(|place| {
                let number = reported + place;
                let patient = format!("person-{:03}", chance.below(PEOPLE));
                let read = Read {
                    organisation,
                    person,
                    resource: chance.of(resources),
                    patient: &patient,
                    number: number + 1,
                    purpose,
                };
                let subject = pseudonym(&shared_key(organisation), patient.as_bytes());
                let time_ms = now_ms - SPAN_MS + number * (SPAN_MS / LINES);
                read.line(subject, shared_key(organisation), time_ms)
            })
            .collect();
        client.post_reports(batch(&lines, &key, trust)?).await?;
        reported += lines.len() as u64;
    }
    Ok(reported)
}

/// What goes on in a clinic: who, for whom, what, why.
const ROUTINE: [(&str, &str, &[&str], &str); 5] = [
    ("Kalda Family Doctors", "Dr Liis Kask", &["Condition", "MedicationRequest"], "TREAT"),
    ("Kalda Family Doctors", "Nurse Anu Sild", &["Immunization", "Observation"], "TREAT"),
    ("Harbour Hospital", "Dr Peeter Saar", &["Encounter", "DiagnosticReport"], "TREAT"),
    ("Lumi Laboratory", "", &["Observation", "DiagnosticReport"], "TREAT"),
    ("Tide Sensors", "", &["Observation"], "PATADMIN"),
];

/// One read of one resource.
struct Read<'a> {
    organisation: &'a str,
    person: &'a str,
    resource: &'a str,
    patient: &'a str,
    number: u64,
    purpose: &'a str,
}

impl Read<'_> {
    fn line(&self, subject: B256, shared: SecretKey, time_ms: u64) -> Line {
        let source = self.organisation.as_bytes();
        let what = format!("{}/{}-{}", self.resource, self.patient, self.number % 9);
        Line {
            details: to_raw_value(&self.audit_event(&what, time_ms)).expect("a JSON value"),
            id: format!("{}-{}-{time_ms}", self.organisation, self.number),
            kind: Kind::Access,
            action: b'R',
            time_ms,
            subject,
            record: record_id(&shared, source, what.as_bytes()),
        }
    }

    /// A FHIR R4 AuditEvent after IHE BALP's PatientRead.
    fn audit_event(&self, what: &str, time_ms: u64) -> serde_json::Value {
        const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
        const HL7: &str = "http://terminology.hl7.org/CodeSystem/";
        let coding =
            |system: String, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
        let host = self.organisation.to_lowercase().replace(' ', "-");
        let mut agents = vec![
            json!({
                "type": coding(DICOM.into(), "110153"),
                "who": { "display": self.organisation },
                "requestor": false,
                "network": { "address": format!("https://ehr.{host}.example/fhir"), "type": "5" },
            }),
            json!({
                "type": coding(DICOM.into(), "110152"),
                "who": { "display": format!("{} ward system", self.organisation) },
                "requestor": false,
                "network": { "address": "192.0.2.7", "type": "2" },
            }),
        ];
        if !self.person.is_empty() {
            agents.push(json!({
                "type": coding(format!("{HL7}v3-ParticipationType"), "IRCP"),
                "who": { "display": self.person },
                "requestor": true,
                "purposeOfUse": [coding(format!("{HL7}v3-ActReason"), self.purpose)],
            }));
        }
        json!({
            "resourceType": "AuditEvent",
            "meta": { "profile": [
                "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead",
            ] },
            "type": { "system": format!("{HL7}audit-event-type"), "code": "rest" },
            "subtype": [{ "system": "http://hl7.org/fhir/restful-interaction", "code": "read" }],
            "action": "R",
            "recorded": instant(time_ms),
            "outcome": "0",
            "agent": agents,
            "source": { "observer": { "display": self.organisation } },
            "entity": [
                {
                    "what": { "reference": what },
                    "type": { "system": format!("{HL7}audit-entity-type"), "code": "2" },
                    "role": { "system": format!("{HL7}object-role"), "code": "4" },
                },
                {
                    "what": { "reference": format!("Patient/{}", self.patient) },
                    "type": { "system": format!("{HL7}audit-entity-type"), "code": "1" },
                    "role": { "system": format!("{HL7}object-role"), "code": "1" },
                },
            ],
        })
    }
}

/// A FHIR instant (RFC 3339, UTC), from milliseconds since 1970.
fn instant(time_ms: u64) -> String {
    let (days, ms) = (time_ms / 86_400_000, time_ms % 86_400_000);
    // Days to a civil date, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The body of a batch, signed once.
fn batch(lines: &[Line], key: &ReporterKey, trust: &TrustFile) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Item<'a> {
        report: Report,
        details: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        root: B256,
        count: u64,
        signature: Bytes,
        items: Vec<Item<'a>>,
    }
    let items: Vec<Item<'_>> = lines
        .iter()
        .map(|line| Item { report: line.report(key.address(), trust.log), details: &line.details })
        .collect();
    let hashes: Vec<B256> = items.iter().map(|item| item.report.hash()).collect();
    let signed = ReportBatch { root: B256::from(batch_root(&hashes)), count: items.len() as u64 };
    let signature = key.sign_batch(&signed, &domain(trust.chain_id, trust.registry));
    let body = Body { root: signed.root, count: signed.count, signature, items };
    Ok(serde_json::to_vec(&body)?)
}

/// The key an organisation of the demo makes its pseudonyms with. As known to all as its signing
/// key is.
fn shared_key(organisation: &str) -> SecretKey {
    SecretKey(details_hash(organisation.as_bytes()).0)
}

/// The same choices every time (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_the_calendar_s_also_around_leap_days() {
        for (time_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_767_605_400_120, "2026-01-05T09:30:00.120Z"),
        ] {
            assert_eq!(instant(time_ms), text);
        }
    }
}
