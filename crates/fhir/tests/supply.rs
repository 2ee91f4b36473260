//! Where a record came from and where it went: two sides of one hand-over are one step, and nobody
//! gets into it who is not of it.

use alloy_primitives::{Address, B256, keccak256};
use medtrail_fhir::derived::{How, derivations};
use medtrail_fhir::supply::{
    CONFIRM_MS, Confirmation, Entry, PAIR_MS_MAX, SupplyChain, What, supply_chain,
};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};

const NOON_MS: u64 = 1_767_614_400_000;
const HOSPITAL: Address = Address::repeat_byte(0x11);
const LAB: Address = Address::repeat_byte(0x22);
const THIEF: Address = Address::repeat_byte(0x33);

fn name(id: Address) -> Option<String> {
    let names = [(HOSPITAL, "Fjord Hospital"), (LAB, "Lab"), (THIEF, "Thief & Sons")];
    names.into_iter().find(|(known, _)| *known == id).map(|(_, name)| name.to_owned())
}

fn record(of: &str) -> B256 {
    keccak256(of)
}

/// A trail being made.
#[derive(Default)]
struct Trail(Vec<(Report, Vec<u8>, u64, bool)>);

impl Trail {
    fn add(mut self, report: Report, details: &Value) -> Self {
        let received_ms = report.timeMs;
        self.0.push((report, details.to_string().into_bytes(), received_ms, false));
        self
    }

    /// Only the operator's word.
    fn relayed(mut self) -> Self {
        self.0.last_mut().unwrap().3 = true;
        self
    }

    fn change(self, by: Address, of: &str, action: u8, at_ms: u64) -> Self {
        let report = Report {
            kind: Kind::Change.number(),
            action,
            timeMs: at_ms,
            actor: by,
            record: record(of),
            toVersion: keccak256(at_ms.to_be_bytes()),
            ..Report::default()
        };
        self.add(report, &json!({}))
    }

    /// One side of a hand-over, as BALP tells it.
    fn side(
        self,
        by: Address,
        of: &str,
        request: Option<&str>,
        is_import: bool,
        at_ms: u64,
    ) -> Self {
        let code = if is_import { ("110107", "C") } else { ("110106", "R") };
        let transaction = request.map(|request| {
            json!({ "what": { "identifier": { "value": request } }, "type": { "code": "XrequestId" } })
        });
        let details = json!({
            "resourceType": "AuditEvent", "type": { "code": code.0 }, "action": code.1,
            "agent": [
                { "type": { "coding": [{ "code": if is_import { "110153" } else { "110152" } }] },
                  "who": { "display": "the other side" }, "requestor": false },
            ],
            "entity": transaction.into_iter().collect::<Vec<_>>(),
        });
        let report = Report {
            kind: Kind::HandOver.number(),
            action: code.1.as_bytes()[0],
            timeMs: at_ms,
            actor: by,
            record: if of.is_empty() { B256::ZERO } else { record(of) },
            ..Report::default()
        };
        self.add(report, &details)
    }

    fn given(self, by: Address, of: &str, request: &str, at_ms: u64) -> Self {
        self.side(by, of, Some(request), false, at_ms)
    }

    fn taken(self, by: Address, of: &str, request: &str, at_ms: u64) -> Self {
        self.side(by, of, Some(request), true, at_ms)
    }

    fn refusal_of(self, place: usize, at_ms: u64) -> Self {
        let report = Report {
            kind: Kind::Refusal.number(),
            timeMs: at_ms,
            permission: commitment(place),
            ..Report::default()
        };
        self.add(report, &json!({ "version": "medtrail/refusal-v1" })).relayed()
    }

    fn chain(&self, of: &str, now_ms: u64) -> SupplyChain {
        let entries: Vec<Entry<'_>> = self
            .0
            .iter()
            .enumerate()
            .map(|(place, (report, details, at, relayed))| Entry {
                index: place as u64,
                commitment: commitment(place),
                received_ms: *at,
                report,
                details: Some(details.as_slice()),
                is_relayed: *relayed,
                organisation: (!*relayed).then_some(report.actor),
            })
            .collect();
        supply_chain(record(of), &entries, &name, now_ms)
    }
}

fn commitment(place: usize) -> B256 {
    keccak256(place.to_be_bytes())
}

fn names(chain: &SupplyChain) -> Vec<&str> {
    chain.holders.iter().map(|holder| holder.name.as_deref().unwrap_or("?")).collect()
}

#[test]
fn both_sides_of_a_hand_over_are_one_step_with_two_signatures_and_the_record_goes_on() {
    let trail = Trail::default()
        .change(HOSPITAL, "scan", b'C', NOON_MS)
        .given(HOSPITAL, "scan", "r1", NOON_MS + 1000)
        .taken(LAB, "lab's scan", "r1", NOON_MS + 2000)
        .change(LAB, "lab's scan", b'U', NOON_MS + 3000)
        .change(LAB, "something else", b'U', NOON_MS + 4000);
    let chain = trail.chain("scan", NOON_MS + 5000);
    assert_eq!(names(&chain), ["Fjord Hospital", "Lab"]);
    assert_eq!(chain.holders[1].from, Some(0));
    assert_eq!(chain.holders[1].record, Some(record("lab's scan")));
    let steps: Vec<_> = chain.steps.iter().map(|step| (step.what, step.by, step.to)).collect();
    let expected =
        [(What::Created, 0, None), (What::HandedOver, 0, Some(1)), (What::Changed, 1, None)];
    assert_eq!(steps, expected);
    let over = &chain.steps[1];
    assert_eq!(over.confirmation, Confirmation::BothSides);
    let lines: Vec<_> = over.lines.iter().map(|line| (line.index, line.is_signed)).collect();
    assert_eq!(lines, [(1, true), (2, true)]);
    // From the other end it is the same story.
    assert_eq!(trail.chain("lab's scan", NOON_MS + 5000).steps, chain.steps);
    // The recipient may be heard first.
    let turned = Trail::default().taken(LAB, "lab's scan", "r1", NOON_MS).given(
        HOSPITAL,
        "scan",
        "r1",
        NOON_MS + 1000,
    );
    let turned = turned.chain("scan", NOON_MS + 2000);
    let lines: Vec<_> = turned.steps[0].lines.iter().map(|line| line.index).collect();
    assert_eq!((turned.steps.len(), lines), (1, vec![1, 0]), "the giver first");
    assert_eq!(turned.holders[turned.steps[0].by].organisation, Some(HOSPITAL));
}

#[test]
fn a_side_that_is_silent_for_a_day_has_not_confirmed_and_may_still_do() {
    let given = Trail::default().given(HOSPITAL, "scan", "r1", NOON_MS);
    let of = |now_ms| given.chain("scan", now_ms);
    assert_eq!(of(NOON_MS + CONFIRM_MS - 1).steps[0].confirmation, Confirmation::Waiting);
    let silent = of(NOON_MS + CONFIRM_MS);
    assert_eq!(silent.steps[0].confirmation, Confirmation::NotConfirmed);
    let named = &silent.holders[1];
    assert!(!named.is_confirmed && named.organisation.is_none() && named.record.is_none());
    let late = given.taken(LAB, "lab's scan", "r1", NOON_MS + 3 * CONFIRM_MS);
    let late = late.chain("scan", NOON_MS + 3 * CONFIRM_MS);
    assert_eq!(late.steps[0].confirmation, Confirmation::BothSides);
    // Nobody can confirm what has no id.
    let bare = Trail::default().side(HOSPITAL, "scan", None, false, NOON_MS).side(
        LAB,
        "scan",
        None,
        true,
        NOON_MS + 1,
    );
    assert_eq!(bare.chain("scan", NOON_MS + 2).steps.len(), 2);
}

#[test]
fn a_copied_request_id_confirms_nothing() {
    let given = || Trail::default().given(HOSPITAL, "scan", "r1", NOON_MS);
    // By the giver itself, in the same direction, or long after.
    let own = given().taken(HOSPITAL, "copy", "r1", NOON_MS + 1);
    let same = given().given(LAB, "copy", "r1", NOON_MS + 1);
    let late = given().taken(THIEF, "copy", "r1", NOON_MS + PAIR_MS_MAX + 1);
    for trail in [own, same, late] {
        let chain = trail.chain("scan", NOON_MS + 2 * PAIR_MS_MAX);
        assert_eq!(chain.steps.len(), 1);
        assert_eq!(chain.steps[0].confirmation, Confirmation::NotConfirmed);
    }
    // Who comes second stands alone, and outside of this record.
    let second = given().taken(LAB, "lab's scan", "r1", NOON_MS + 1).taken(
        THIEF,
        "stolen",
        "r1",
        NOON_MS + 2,
    );
    let chain = second.chain("scan", NOON_MS + 3);
    assert_eq!(names(&chain), ["Fjord Hospital", "Lab"]);
    assert_eq!(second.chain("stolen", NOON_MS + CONFIRM_MS + 3).steps.len(), 1);
}

#[test]
fn what_was_only_relayed_or_not_permitted_says_so() {
    let trail = Trail::default()
        .change(HOSPITAL, "scan", b'U', NOON_MS)
        .refusal_of(0, NOON_MS + 10)
        .given(HOSPITAL, "scan", "r1", NOON_MS + 1000)
        .relayed();
    let chain = trail.chain("scan", NOON_MS + 2000);
    assert_eq!(chain.steps[0].not_permitted, Some(1));
    assert_eq!(chain.steps[1].not_permitted, None);
    assert!(!chain.steps[1].lines[0].is_signed);
}

#[test]
fn a_record_that_comes_back_has_not_come_from_who_returned_it() {
    let chain = Trail::default()
        .change(HOSPITAL, "scan", b'C', NOON_MS)
        .given(HOSPITAL, "scan", "r1", NOON_MS + 1)
        .taken(LAB, "lab's scan", "r1", NOON_MS + 2)
        .given(LAB, "lab's scan", "r2", NOON_MS + 3)
        .taken(HOSPITAL, "scan", "r2", NOON_MS + 4)
        .chain("scan", NOON_MS + 5);
    assert_eq!(names(&chain), ["Fjord Hospital", "Lab"]);
    assert_eq!((chain.holders[0].from, chain.holders[1].from), (None, Some(0)));
    assert_eq!(chain.steps[2].to, Some(0));
}

#[test]
fn origins_are_read_from_provenance_and_from_our_own_documents() {
    let of = |value: Value| derivations(value.to_string().as_bytes());
    let provenance = |activity: &str, role: &str| {
        json!({
            "resourceType": "Provenance",
            "activity": { "coding": [{ "code": activity }] },
            "entity": [{ "role": role, "what": { "reference": "Observation/o9" } }],
        })
    };
    for (activity, role, how) in [
        ("extract", "derivation", How::Extracted),
        ("deidentify", "source", How::Deidentified),
        ("pseudonymize", "derivation", How::Pseudonymised),
        ("transform", "derivation", How::Transformed),
        ("", "derivation", How::Derived),
        ("extract", "revision", How::Revised),
        ("", "quotation", How::Quoted),
    ] {
        let found = of(provenance(activity, role));
        assert_eq!((found[0].how, found[0].what.as_str()), (how, "Observation/o9"));
    }
    assert_eq!(of(provenance("extract", "removal")), []);
    let ours = json!({
        "version": "medtrail/version-v1",
        "derivedFrom": [{ "how": "extracted", "what": "0x11\u{202e}\n" }, { "how": "extracted" }],
    });
    let found = of(ours);
    assert_eq!((found.len(), found[0].what.as_str()), (1, "0x11"));
    let relayed = json!({
        "version": "medtrail/relayed-v1",
        "document": provenance("extract", "source").to_string(),
    });
    assert_eq!(of(relayed)[0].how, How::Extracted);
    assert_eq!(derivations(b"no JSON"), []);
    let many: Vec<Value> =
        (0..100).map(|n| json!({ "how": "quoted", "what": format!("Observation/{n}") })).collect();
    assert_eq!(of(json!({ "derivedFrom": many })).len(), 32);
}

/// The example of docs/formats.md; `MEDTRAIL_BLESS=1` writes it.
#[test]
fn the_example_of_the_formats_is_what_is_written() {
    let chain = Trail::default()
        .change(HOSPITAL, "scan", b'C', NOON_MS)
        .given(HOSPITAL, "scan", "r1", NOON_MS + 1000)
        .taken(LAB, "lab's scan", "r1", NOON_MS + 2000)
        .given(LAB, "lab's scan", "r2", NOON_MS + 3000)
        .chain("scan", NOON_MS + CONFIRM_MS + 3000);
    let text = format!("{:#}\n", serde_json::to_value(&chain).unwrap());
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let file = folder.join("../../tests/data/formats/supply-chain-v1.json");
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let read: SupplyChain = serde_json::from_str(&text).unwrap();
    assert_eq!(read, chain);
}
