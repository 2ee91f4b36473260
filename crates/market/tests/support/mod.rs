//! Mari's records, and a sale of them: fixtures that the tests share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use alloy_primitives::{Address, B256, keccak256};
use medtrail_ledger::entry::details_hash;
use medtrail_market::assemble::{AssembleError, Assembly, Sale, assemble};
use medtrail_market::record::{Proof, Record, Word};
use medtrail_market::secret::SaleSecret;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::scopes::Data;

pub(crate) const NOON_S: u64 = 1_767_614_400;
pub(crate) const ORDER: B256 = B256::repeat_byte(0x0d);
pub(crate) const HOSPITAL: Address = Address::repeat_byte(0x4a);
pub(crate) const SAFE: Form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);
pub(crate) const SHIFTED: Form = Form::DeIdentified(Profile::ShiftedDates, Layout::Bundle);

/// One of each of the ten types, as a hospital's software writes them.
pub(crate) const RESOURCES: [&str; 10] = [
    r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2025-11-02T10:00:00Z"},"text":{"status":"generated","div":"<div>Mari Tamm, born 4 March 1985</div>"},"extension":[{"url":"http://h.example/race","valueString":"Mari Tamm"}],"identifier":[{"system":"https://pid.ee","value":"48503040123"}],"active":true,"name":[{"family":"Tamm","given":["Mari"]}],"telecom":[{"system":"phone","value":"+3725551234"},{"system":"email","value":"mari@tamm.example"}],"gender":"female","birthDate":"1985-03-04","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1985-03-04T03:11:00+02:00"}]},"deceasedBoolean":false,"address":[{"line":["Kivi 7-3"],"city":"Tartu","postalCode":"EE-50404","country":"EE"}],"maritalStatus":{"text":"married to Peeter Tamm"},"photo":[{"url":"https://h.example/mari.jpg"}],"contact":[{"name":{"family":"Tamm","given":["Kadri"]}}],"managingOrganization":{"display":"Harbour Hospital"}}"#,
    r#"{"resourceType":"Observation","id":"o1","identifier":[{"value":"MRN-004417"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Lab of Harbour Hospital"}],"text":"lab"}],"code":{"coding":[{"system":"http://loinc.org","code":"15074-8","display":"Glucose of Mari"},{"system":"https://h.example/codes","code":"MRN-004417"}],"text":"Mari's glucose"},"subject":{"reference":"Patient/p1","display":"Mari Tamm","identifier":{"value":"48503040123"}},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2025-12-24T07:30:00+02:00","issued":"2025-12-24T08:00:00Z","performer":[{"reference":"Practitioner/d1","display":"Dr Liis Kask"}],"valueQuantity":{"value":6.30,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"},"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"H"}],"text":"high for Mari"}],"note":[{"text":"Call Mari Tamm, +3725551234"}],"device":{"reference":"Device/sn-004417"},"referenceRange":[{"low":{"value":4.0,"unit":"mmol/L"},"high":{"value":6.0,"unit":"mmol/L"},"text":"as Dr Liis Kask says"}]}"#,
    r#"{"resourceType":"Condition","id":"c1","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"confirmed"}]},"code":{"coding":[{"system":"http://snomed.info/sct","code":"46635009","display":"Diabetes"}],"text":"as her mother had"},"subject":{"reference":"Patient/p1"},"onsetDateTime":"2001-05","onsetAge":{"value":16,"unit":"a"},"recordedDate":"2020-01-10","recorder":{"display":"Dr Liis Kask"},"note":[{"text":"Mari Tamm"}]}"#,
    r#"{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order","medicationCodeableConcept":{"coding":[{"system":"http://www.whocc.no/atc","code":"A10AB05"}],"text":"NovoRapid"},"subject":{"reference":"Patient/p1"},"authoredOn":"2025-11-20","requester":{"display":"Dr Liis Kask"},"dosageInstruction":[{"text":"Mari: 20 units","route":{"coding":[{"system":"http://snomed.info/sct","code":"34206005"}]},"doseAndRate":[{"doseQuantity":{"value":20,"unit":"U","system":"http://unitsofmeasure.org","code":"U"}}]}]}"#,
    r#"{"resourceType":"MedicationStatement","id":"s1","status":"active","medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"313782"}]},"subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":"2025-11-01","end":"2025-11-30"},"informationSource":{"display":"Kadri Tamm"}}"#,
    r#"{"resourceType":"AllergyIntolerance","id":"a1","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"confirmed"}]},"type":"allergy","category":["medication"],"criticality":"high","code":{"coding":[{"system":"http://snomed.info/sct","code":"91936005"}],"text":"penicillin"},"patient":{"reference":"Patient/p1"},"recordedDate":"2019-06-01","reaction":[{"description":"Mari's face","manifestation":[{"coding":[{"system":"http://snomed.info/sct","code":"271807003"}]}],"severity":"moderate"}]}"#,
    r#"{"resourceType":"Immunization","id":"i1","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]},"patient":{"reference":"Patient/p1"},"occurrenceDateTime":"2025-10-10","lotNumber":"LOT-004417","primarySource":true}"#,
    r#"{"resourceType":"Procedure","id":"r1","status":"completed","code":{"coding":[{"system":"http://snomed.info/sct","code":"80146002"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"performedDateTime":"2025-12-24","performer":[{"actor":{"display":"Dr Liis Kask"}}],"location":{"display":"Tartu"}}"#,
    r#"{"resourceType":"Encounter","id":"e1","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB","display":"Harbour Hospital"},"subject":{"reference":"Patient/p1"},"period":{"start":"2025-12-24T07:00:00+02:00","end":"2025-12-24T09:00:00+02:00"},"serviceProvider":{"display":"Harbour Hospital"},"location":[{"location":{"display":"Room 7, Tartu"}}]}"#,
    r#"{"resourceType":"DiagnosticReport","id":"d1","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"LAB"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2025-12-24","result":[{"reference":"Observation/o1","display":"Mari's glucose"}],"conclusion":"Mari Tamm is well","presentedForm":[{"title":"mari.pdf","data":"TWFyaSBUYW1t"}]}"#,
];

/// What of Mari and hers stands in the resources above.
pub(crate) const IDENTIFIERS: [&str; 21] = [
    "Mari",
    "Tamm",
    "Kadri",
    "Peeter",
    "Liis",
    "Kask",
    "48503040123",
    "5551234",
    "mari@",
    "Kivi",
    "Tartu",
    "50404",
    "Harbour",
    "h.example",
    "pid.ee",
    "004417",
    "1985-03",
    "2025-12-24",
    "div>",
    "TWFyaSBUYW1t",
    "NovoRapid",
];

/// A record and what holds its bytes.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) word: Word,
    pub(crate) counts: bool,
    pub(crate) told: Data,
    pub(crate) record: B256,
    pub(crate) version: Option<B256>,
}

pub(crate) fn kept(text: &str) -> Kept {
    Kept {
        bytes: text.as_bytes().to_vec(),
        media_type: "application/fhir+json".into(),
        word: Word::Signed(HOSPITAL),
        counts: true,
        told: Data::default(),
        record: keccak256(text),
        version: None,
    }
}

pub(crate) fn ten() -> Vec<Kept> {
    RESOURCES.into_iter().map(kept).collect()
}

impl Kept {
    pub(crate) fn of(&self) -> Record<'_> {
        Record {
            record: self.record,
            version: self.version.unwrap_or_else(|| details_hash(&self.bytes)),
            bytes: &self.bytes,
            media_type: &self.media_type,
            source: "Harbour Hospital",
            word: self.word,
            counts: self.counts,
            told: &self.told,
            time_ms: (NOON_S - 3600) * 1000,
            proof: Proof { index: 4711, commitment: B256::repeat_byte(0xc0) },
        }
    }
}

/// All that is Mari's, ever.
pub(crate) fn everything(form: Form) -> Dataset {
    dataset("patient/*.rs", &[], 0, form, Origin::SignedAndUploaded)
}

pub(crate) fn dataset(
    scopes: &str,
    codes: &[&str],
    from_s: u64,
    form: Form,
    origin: Origin,
) -> Dataset {
    let codes = codes.iter().map(|code| (*code).to_owned()).collect();
    Dataset::new(scopes, codes, from_s, 4_102_444_800, form, origin).unwrap()
}

pub(crate) fn sold(dataset: &Dataset, kept: &[Kept]) -> Result<Assembly, AssembleError> {
    let records: Vec<Record<'_>> = kept.iter().map(Kept::of).collect();
    let secret = SaleSecret::new([9; 32]);
    assemble(&Sale { order: ORDER, dataset, secret: &secret, year: 2026 }, &records)
}

/// All texts of a delivery.
pub(crate) fn text(assembly: &Assembly) -> String {
    let files = assembly.files.iter().map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap());
    let manifest = String::from_utf8(assembly.manifest.bytes()).unwrap();
    files.chain([manifest]).collect::<Vec<_>>().join("\n")
}
