//! What happened in the log's own vault.

use super::support::*;
use super::*;
use medtrail_permit::documents::Grant;
use medtrail_permit::permits::Data;

/// A version in the vault by the hospital, of data of one type, and what may follow it.
pub(super) fn version(index: u64, from: u8, to: u8, kind: &str) -> Opened {
    let report = Report {
        kind: Kind::Change.number(),
        action: if from == 0 { b'C' } else { b'U' },
        timeMs: NOON_MS + index,
        subject: address(MARI).into_word(),
        actor: address(HOSPITAL),
        record: B256::repeat_byte(0x0c),
        fromVersion: B256::repeat_byte(from),
        toVersion: B256::repeat_byte(to),
        ..Report::default()
    };
    let data = vec![Data { resource: Some(kind.into()), ..Data::default() }];
    let need = Need { data, purposes: vec!["TREAT".into()], is_search: false };
    let details = json!({ "version": "medtrail/version-v1", "need": need });
    entry(index, report, NOON_MS + index, signed_evidence(), details)
}

fn look(index: u64) -> Opened {
    let Opened { mut report, .. } = version(index, 2, 2, "");
    (report.kind, report.action) = (Kind::Access.number(), b'R');
    let need = Need { purposes: vec!["TREAT".into()], ..Need::default() };
    let details = json!({ "version": "medtrail/read-v1", "need": need });
    entry(index, report, NOON_MS + index, signed_evidence(), details)
}

/// A log in which the hospital may do this.
fn permitted(scopes: &str, entries: Vec<Opened>) -> Log {
    let granted = signed(MARI, Grant { scopes: scopes.into(), ..grant() });
    let document = of_document(0, address(MARI).into_word(), &granted, NOON_MS - HOUR_MS);
    let all = [document].into_iter().chain(entries).chain([closing(NOON_MS + DAY_MS)]);
    Log { entries: all.collect(), chain: Vec::new() }
}

#[test]
fn a_look_into_the_vault_is_judged_by_what_the_log_says_the_record_is() {
    let of =
        |scopes: &str| permitted(scopes, vec![version(1, 0, 2, "Observation"), look(2)]).replay();
    let fine = of("patient/Observation.crus");
    assert_eq!((fine.flaw(), fine.found.in_vault), (None, 2));
    assert_eq!(of("patient/Observation.cu").flaw(), Some(Flaw::VaultUnpermitted));
    // What nobody told is held against nobody: it may have come under a pseudonym.
    let unknown = permitted("patient/Immunization.rs", vec![look(2)]).replay();
    assert_eq!((unknown.flaw(), unknown.found.both), (None, 1));
}

#[test]
fn who_changes_what_a_record_is_needs_a_permission_for_both() {
    let entries = vec![version(1, 0, 2, "Observation"), version(2, 2, 3, "MedicationRequest")];
    let both = "patient/Observation.cu patient/MedicationRequest.cu";
    assert_eq!(permitted(both, entries.clone()).replay().flaw(), None);
    let one = permitted("patient/MedicationRequest.cu patient/Observation.c", entries.clone());
    assert_eq!(one.replay().flaw(), Some(Flaw::VaultUnpermitted));
    // One that a refusal took back changed nothing: the next builds on what was there.
    let mut entries = entries;
    let no = refusal(3, &entries[1], NOON_MS + 3);
    let details = json!({ "version": "medtrail/refusal-v1", "refused": "write" });
    let no = Opened {
        details: Some(details.to_string().into_bytes()),
        report: Report { record: B256::repeat_byte(0x0c), ..no.report },
        ..no
    };
    entries.extend([no, version(4, 2, 4, "Observation")]);
    let taken_back = permitted("patient/Observation.cu", entries).replay();
    assert_eq!((taken_back.flaw(), taken_back.found.in_vault_taken_back), (None, 1));
}
