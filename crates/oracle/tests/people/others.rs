//! What an organisation can neither say for another one, nor learn of it.

use crate::support::{CLINIC, World, address_of, pseudonym};
use alloy_primitives::Address;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{details_hash, subject_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::domain;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::organisations::NewOrganisation;
use medtrail_oracle::trail::TrailQuery;

const ANNA: u8 = 21;
const HOSPITAL: u8 = 5;

fn with_details(world: &World, event: u64, document: &str) -> Submission {
    let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
    let mut sent = world.report(CLINIC, pseudonym(1), event);
    sent.report.details = details_hash(document.as_bytes());
    let trust = world.service.trust();
    let domain = domain(trust.chain_id, trust.registry);
    sent.evidence = Evidence::Signed(key.sign(&sent.report, &domain));
    Submission { details: Some(document.as_bytes().to_vec()), ..sent }
}

async fn hospital_joins(world: &World) -> Address {
    let new = NewOrganisation {
        name: "Hospital".into(),
        domain: "h.example".into(),
        ..Default::default()
    };
    let invite = world.service.add_organisation(new).await.unwrap();
    world.service.enrol(&invite.code, address_of(HOSPITAL)).await.unwrap().organisation.id
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_a_document_that_only_the_log_writes() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let hospital = hospital_joins(&world).await;
    let size = world.service.head().size;
    for (event, kind) in ["relayed-v1", "relayed-v2", "binding-v1", "operation-v1", "refusal-v1"]
        .into_iter()
        .enumerate()
    {
        let document = format!(
            r#"{{"version":"medtrail/{kind}","organisation":"{hospital}","name":"Hospital",
                "document":"{{\"resourceType\":\"AuditEvent\"}}"}}"#
        );
        let refused = world.service.report(with_details(&world, event as u64, &document)).await;
        assert!(
            matches!(&refused, Err(ReportError::LogsDocument(named)) if named.ends_with(kind)),
            "{refused:?}"
        );
    }
    assert_eq!(world.service.head().size, size);
    let shared = r#"{"version":"medtrail/shared-v1","event":{"resourceType":"AuditEvent"}}"#;
    world.service.report(with_details(&world, 9, shared)).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_of_what_an_organisation_reported_tells_nothing_of_the_entries_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    hospital_joins(&world).await;
    world.service.report(world.report(CLINIC, pseudonym(1), 0)).await.unwrap();
    world.bind(pseudonym(1), ANNA, "aaaa-bbbb-cccc").await;
    let anna = subject_of(address_of(ANNA));
    let mut own = Vec::new();
    for event in 1..40u64 {
        let by = if event % 3 == 0 { CLINIC } else { HOSPITAL };
        let placed = world.service.report(world.report(by, anna, event)).await.unwrap();
        own.extend((by == CLINIC).then_some(placed.index));
    }
    let (mut query, mut seen) = (TrailQuery { limit: 1, ..TrailQuery::default() }, Vec::new());
    loop {
        let page = world.service.reported(address_of(CLINIC), pseudonym(1), &query).unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.index));
        let Some(next) = page.next else { break };
        assert_eq!(page.entries.last().map(|entry| entry.index), Some(next));
        query.before = Some(next);
    }
    own.reverse();
    // The clinic's entries, then the one from before the binding.
    assert_eq!((&seen[..own.len()], seen.len()), (&own[..], own.len() + 1));
    world.stop().await;
}
