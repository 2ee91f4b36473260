//! What a fault was judged by, as it is written down and asked again.

use super::support::*;
use super::*;
use medtrail_ledger::audit::evidence::{AuditEvidence, RecordedDocument};
use medtrail_permit::consents::fold;
use medtrail_permit::permits::{World, permits};

/// The example of docs/formats.md; `MEDTRAIL_BLESS=1` writes it.
#[test]
fn what_a_fault_was_judged_by_is_written_as_the_formats_say_and_judged_the_same_again() {
    let scene = change().naming(grant()).before(HOUR_MS, signed(MARI, grant()));
    let (mut log, _) = log(scene);
    let event = ConsentEvent::Revoked { permission: id(grant()), at_s: NOON_MS / 1000 - 3600 };
    log.chain.push(ConsentRecord { event, is_final: true });
    let (entry, judged) = log.replay().evidence.unwrap();
    let text = format!("{:#}\n", serde_json::to_value(&*judged).unwrap());
    let folder =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats");
    let file = folder.join("audit-judged.json");
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert_eq!(stored, text);
    let stored: Judged = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored, *judged);
    // Whoever has the file asks again.
    let held = |one: &RecordedDocument| Held {
        signed: PermissionDetails::read(one.details.as_bytes()).unwrap(),
        received_ms: Some(one.received_ms),
    };
    let details = stored.details.as_deref().map(str::as_bytes);
    let act = Act {
        need: need(&entry.report, details),
        commitment: stored.commitment,
        index: stored.index,
        received_ms: entry.place.receivedMs,
        in_vault: false,
        signer: Some(entry.report.actor),
        party: stored.party.clone(),
        report: entry.report,
    };
    let world = World {
        registries: REGISTRIES,
        documents: stored.documents.iter().map(held).collect(),
        chain: fold(address(MARI), &stored.chain),
        pseudonyms: Vec::new(),
        uses: Vec::new(),
        ends: Vec::new(),
        market: None,
        sales: Vec::new(),
    };
    let Verdict::DoesNotCount { reason, document } = permits(&act, &world) else { panic!() };
    assert_eq!((json!(reason), document), (json!(stored.reason), stored.document));
    let old = include_bytes!("../../../../tests/data/formats/audit-evidence-v1.json");
    assert_eq!(AuditEvidence::parse(old).unwrap().judged, None);
}
