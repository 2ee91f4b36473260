//! In the vault no version counts without its person: allowed, refused, bound to other bytes, taken
//! back, replayed, raced; and no look without its entry.

use crate::permits::{
    ANNA, KADRI, STRANGER, delegation, grant_for, guardianship, id, revoke, revoke_all, signed,
    told,
};
use crate::safe::{
    Safe, Write, allergy, anna, approval, batch, bytes, reason, record, version, write,
};
use crate::support::{CLINIC, REGISTRIES, World, address_of, now_ms, pseudonym, sign_digest};
use alloy_primitives::B256;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::vault::About;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::vault::{Reader, Vault, VaultError, VaultLimits, Why};
use medtrail_permit::documents::{ChangeApproval, Document, Grant, named};
use medtrail_permit::guardianship_end::GuardianshipEnd;
use medtrail_permit::permits::{Pending, Refusal};
use medtrail_permit::signed::Signed;
use serde_json::json;

const YESTERDAY_MS: u64 = 24 * 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_puts_in_counts_and_their_looking_at_it_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let first = safe.put(&Write { purpose: None, ..write(1, ANNA, '0', 'A') }).await.unwrap();
    assert!(first.is_new);
    assert_eq!((first.version, safe.own("penicillin").await), (version('A'), Some(bytes('A'))));
    safe.put(&write(2, ANNA, 'A', 'B')).await.unwrap();
    assert_eq!(safe.own("penicillin").await, Some(bytes('B')));
    // An older version is still there.
    let reader = Reader::Person(address_of(ANNA));
    let read = safe.vault.read(reader, anna(), record("penicillin"), Some(version('A')), vec![]);
    let read = read.await.unwrap();
    assert_eq!((read.bytes, read.version.index), (bytes('A'), first.receipt.index));
    let looks: Vec<_> =
        safe.world.all().into_iter().filter(|entry| entry.report.kind == 1).collect();
    assert_eq!(looks.len(), 3);
    let last = &looks[2];
    assert_eq!((last.index, last.report.toVersion), (read.receipt.index, version('A')));
    let details: serde_json::Value =
        serde_json::from_slice(last.details.as_deref().unwrap()).unwrap();
    let reader = address_of(ANNA);
    let expected = json!({"version": "medtrail/read-v1", "purposes": [], "reader": reader});
    assert_eq!(details, expected);
    assert_eq!(safe.told(), []);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_permitted_changes_nothing_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let refused = write(2, CLINIC, 'A', 'B');
    for _ in 0..2 {
        assert_eq!(safe.refused(&refused).await, Refusal::NoPermission);
    }
    assert_eq!(safe.refused(&write(3, CLINIC, 'A', '0')).await, Refusal::NoPermission);
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    assert_eq!(safe.entries_of(2), 1, "a change that was refused is no change");
    let write_refused = ("write".to_owned(), "noPermission".to_owned());
    assert_eq!(safe.told(), [write_refused.clone(), write_refused]);
    // By its title, and by the one it was to have; what was to be deleted was to have none.
    let mut titles: Vec<_> = safe.world.whole(address_of(ANNA));
    titles.retain(|entry| entry.report.kind == 8);
    let titles = titles.into_iter().map(|entry| {
        let told: serde_json::Value = serde_json::from_slice(&entry.details.unwrap()).unwrap();
        (told["before"].clone(), told["after"].clone())
    });
    let (now, wanted) = (json!("Allergy A"), json!("Allergy B"));
    assert_eq!(titles.collect::<Vec<_>>(), [(now.clone(), json!(null)), (now, wanted)]);
    // Nothing of it is kept.
    let shelf = medtrail_ledger::vault::Shelves::shelf(&*safe.cellar, anna()).unwrap();
    assert_eq!((shelf.staged.len(), shelf.bytes), (0, bytes('A').len() as u64));
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_lets_write_and_read_what_it_covers_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.world.give(ANNA, grant_for("patient/AllergyIntolerance.cru", 1)).await;
    safe.put(&write(1, CLINIC, '0', 'A')).await.unwrap();
    safe.put(&write(2, CLINIC, 'A', 'B')).await.unwrap();
    assert_eq!(safe.read(CLINIC, &write(3, CLINIC, 'B', 'C')).await.unwrap().bytes, bytes('B'));

    assert_eq!(safe.refused(&write(4, CLINIC, 'B', '0')).await, Refusal::WrongScope);
    let unreasoned = Write { purpose: None, ..write(5, CLINIC, 'B', 'C') };
    assert_eq!(safe.refused(&unreasoned).await, Refusal::NoPurpose);
    let marketed = Write { purpose: Some("HMARKT"), ..write(6, CLINIC, 'B', 'C') };
    assert_eq!(safe.refused(&marketed).await, Refusal::WrongPurpose);
    // It calls itself an allergy, but the record is a condition.
    let condition = About {
        media_type: "text/plain".to_owned(),
        resource_type: Some("Condition".to_owned()),
        ..allergy('A')
    };
    let own = Write { record: "asthma", about: condition, ..write(7, ANNA, '0', 'A') };
    safe.put(&own).await.unwrap();
    let over = Write { record: "asthma", ..write(8, CLINIC, 'A', 'B') };
    assert_eq!(safe.refused(&over).await, Refusal::WrongScope);
    assert_eq!(reason(safe.read(CLINIC, &over).await.map(drop)), Refusal::WrongScope);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_bound_to_its_bytes_and_good_once() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let there = approval('A', 'B', 1);
    safe.world.give(ANNA, there.clone()).await;
    assert_eq!(
        safe.refused(&write(2, CLINIC, 'A', 'C').naming(&there)).await,
        Refusal::WrongVersions
    );
    let other = Write { content: Some(bytes('C')), ..write(3, CLINIC, 'A', 'B').naming(&there) };
    let mut other = other.signed(&safe.world);
    other.content = Some(bytes('B'));
    let outcome = safe.vault.put(vec![other]).await.pop().unwrap();
    assert!(matches!(outcome, Err(VaultError::Content { .. })), "{outcome:?}");
    let elsewhere = Write { record: "ibuprofen", ..write(4, CLINIC, 'A', 'B').naming(&there) };
    assert_eq!(safe.refused(&elsewhere).await, Refusal::WrongRecord);
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));

    // A to B, B to A, and A to B again with the first approval.
    safe.put(&write(5, CLINIC, 'A', 'B').naming(&there)).await.unwrap();
    let back = approval('B', 'A', 2);
    safe.world.give(ANNA, back.clone()).await;
    safe.put(&write(6, CLINIC, 'B', 'A').naming(&back)).await.unwrap();
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    assert_eq!(safe.refused(&write(7, CLINIC, 'A', 'B').naming(&there)).await, Refusal::Used);
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    let row = safe.row("penicillin").unwrap();
    let permissions: Vec<B256> = row.versions.iter().map(|version| version.permission).collect();
    assert_eq!(permissions, [B256::ZERO, id(&there), id(&back)]);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_a_block_before_permits_nothing_whatever_the_report_says_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let on_chain = grant_for("patient/*.cruds", 1);
    safe.world.give(ANNA, on_chain.clone()).await;
    // Of yesterday, as it says: in the vault only now counts, and now it is permitted.
    let early = Write { time_ms: now_ms() - YESTERDAY_MS, ..write(2, CLINIC, 'A', 'B') };
    safe.put(&early).await.unwrap();
    let at_s = now_ms() / 1000;
    let taken = ConsentEvent::Revoked { permission: id(&on_chain), at_s };
    safe.world.chain.record(address_of(ANNA), taken, false);
    let back_dated = Write { time_ms: now_ms() - YESTERDAY_MS, ..write(3, CLINIC, 'B', 'C') };
    assert_eq!(safe.refused(&back_dated.naming(&on_chain)).await, Refusal::Revoked);
    let look = write(4, CLINIC, 'B', 'C').naming(&on_chain);
    assert_eq!(reason(safe.read(CLINIC, &look).await.map(drop)), Refusal::Revoked);

    let in_log = grant_for("patient/*.cruds", 2);
    safe.world.give(ANNA, in_log.clone()).await;
    safe.world.give(ANNA, revoke(id(&in_log))).await;
    assert_eq!(safe.refused(&write(5, CLINIC, 'B', 'C').naming(&in_log)).await, Refusal::Revoked);
    assert_eq!(safe.own("penicillin").await, Some(bytes('B')));
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_held_back_and_logged_after_everything_was_taken_back_permits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.world.give(ANNA, revoke_all(0)).await;
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    assert_eq!(safe.refused(&write(1, CLINIC, '0', 'A')).await, Refusal::WrongEpoch);
    assert_eq!(safe.own("penicillin").await, None);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_permits_and_sees_for_a_child_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let child = pseudonym(9);
    // The clinic keeps this pseudonym: it was the first to speak of it.
    safe.world.service.report(safe.world.report(CLINIC, child, 1)).await.unwrap();
    let born = Write { subject: child, ..write(2, CLINIC, '0', 'A') };
    let unasked = safe.put(&born).await;
    let no_key = Why::Pending(Pending::NoKey);
    assert!(matches!(unasked, Err(VaultError::Refused { why, .. }) if why == no_key));
    assert_eq!(safe.entries_of(2), 0);

    let guardian = guardianship(child);
    let countersignature = Some(sign_digest(CLINIC, id(&guardian)));
    let given = Signed { countersignature, ..signed(ANNA, guardian) };
    safe.world.service.record(given).await.unwrap();
    let grant = told(Document::Grant(Grant {
        statement: String::new(),
        subject: named(child),
        grantee: address_of(CLINIC),
        scopes: "patient/AllergyIntolerance.cu".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(1),
    }));
    // Not by the stranger's word.
    let theirs = signed(STRANGER, grant.clone());
    safe.world.service.record_about(theirs, Some(child)).await.unwrap_err();
    let other = Some(pseudonym(8));
    safe.world.service.record_about(signed(ANNA, grant.clone()), other).await.unwrap_err();
    safe.world.service.record_about(signed(ANNA, grant), Some(child)).await.unwrap();
    safe.put(&Write { event: 3, ..born.clone() }).await.unwrap();
    for (who, sees) in [(ANNA, true), (STRANGER, false), (KADRI, false)] {
        let reader = Reader::Person(address_of(who));
        let read = safe.vault.read(reader, child, record("penicillin"), None, vec![]).await;
        match sees {
            true => assert_eq!(read.unwrap().bytes, bytes('A')),
            false => assert!(matches!(read, Err(VaultError::NotFound)), "{read:?}"),
        }
    }
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_looks_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let reader = Reader::Person(address_of(KADRI));
    let look = || safe.vault.read(reader.clone(), anna(), record("penicillin"), None, vec![]);
    assert!(matches!(look().await, Err(VaultError::NotFound)));
    safe.world.give(ANNA, delegation()).await;
    assert_eq!(look().await.unwrap().bytes, bytes('A'));
    assert_eq!(safe.vault.list(reader.clone(), anna(), vec![]).await.unwrap().len(), 1);
    let written = safe.put(&write(2, KADRI, 'A', 'B')).await;
    let unknown =
        |error: &VaultError| matches!(error, VaultError::Report(ReportError::UnknownCustodian(_)));
    assert!(unknown(&written.unwrap_err()));
    safe.world.give(ANNA, revoke(id(&delegation()))).await;
    assert!(matches!(look().await, Err(VaultError::NotFound)));
    assert_eq!(safe.told(), [], "who is nobody here writes no refusals into a trail");
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_builds_on_an_old_version_is_told_the_new_one_and_of_two_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    safe.put(&write(2, CLINIC, 'A', 'B')).await.unwrap();
    let before = safe.world.service.head().size;
    let lost = safe.put(&write(3, CLINIC, 'A', 'C')).await;
    let current = Some(version('B'));
    assert!(matches!(lost, Err(VaultError::Conflict { current: now }) if now == current));
    assert_eq!(safe.world.service.head().size, before, "nothing was written");

    let both: Vec<_> =
        ('C'..='J').zip(10..).map(|(to, event)| write(event, CLINIC, 'B', to)).collect();
    let outcomes = futures_of(&safe, &both).await;
    let won: Vec<_> = outcomes.iter().filter_map(|one| one.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    assert_eq!(safe.row("penicillin").unwrap().head, won[0].version);
    assert_eq!(safe.row("penicillin").unwrap().versions.len(), 3);
    safe.stop().await;
}

/// All at once.
async fn futures_of(
    safe: &Safe,
    writes: &[Write],
) -> Vec<Result<medtrail_oracle::vault::Written, VaultError>> {
    let tasks = writes.iter().map(|write| {
        let (vault, put) = (safe.vault.clone(), write.signed(&safe.world));
        tokio::spawn(async move { vault.put(vec![put]).await.pop().unwrap() })
    });
    let mut outcomes = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_report_again_is_the_same_version_and_other_bytes_under_its_id_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let first = safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let report = write(1, ANNA, '0', 'A');
    // Another time makes it another report.
    let again = Write { time_ms: report.time_ms + 1, ..report };
    let conflict = safe.put(&again).await;
    assert!(matches!(conflict, Err(VaultError::Report(ReportError::Conflict { .. }))));
    let put = write(2, ANNA, 'A', 'B').signed(&safe.world);
    let second = safe.vault.put(vec![put.clone()]).await.pop().unwrap().unwrap();
    safe.put(&write(3, ANNA, 'B', 'C')).await.unwrap();
    let same = safe.vault.put(vec![put]).await.pop().unwrap().unwrap();
    assert_eq!((same.receipt.index, same.is_new), (second.receipt.index, false));
    assert!(first.is_new && safe.own("penicillin").await == Some(bytes('C')));
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_records_come_in_under_one_signature_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&Write { record: "two", ..write(1, ANNA, '0', 'A') }).await.unwrap();
    let names = ["one", "two", "three"];
    let writes: Vec<_> = names
        .into_iter()
        .zip(10..)
        .map(|(record, event)| Write { record, ..write(event, ANNA, '0', 'B') })
        .collect();
    let outcomes = safe.vault.put(batch(&safe.world, ANNA, &writes)).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[1], Err(VaultError::Conflict { .. })), "it has a version by now");
    assert_eq!(safe.own("three").await, Some(bytes('B')));
    assert_eq!(safe.own("two").await, Some(bytes('A')));
    let listed = safe.vault.list(Reader::Person(address_of(ANNA)), anna(), vec![]).await.unwrap();
    assert_eq!(listed.len(), 3);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_nobody_permitted_is_told_and_looks_the_same_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let hers = safe.read(CLINIC, &write(2, CLINIC, 'A', 'B')).await.map(drop);
    let absent = Write { record: "nothing", ..write(3, CLINIC, 'A', 'B') };
    let absent = safe.read(CLINIC, &absent).await.map(drop);
    assert_eq!(format!("{hers:?}"), format!("{absent:?}"));
    assert_eq!(reason(hers), Refusal::NoPermission);
    let told = ("read".to_owned(), "noPermission".to_owned());
    assert_eq!(safe.told(), [told.clone(), told]);
    // By an API key: the operator says for it that it looked.
    let clinic = Reader::Organisation { id: address_of(CLINIC), name: "Clinic".into() };
    let treat = || vec!["TREAT".to_owned()];
    let look = || safe.vault.read(clinic.clone(), anna(), record("penicillin"), None, treat());
    assert_eq!(reason(look().await.map(drop)), Refusal::NoPermission);
    let list = safe.vault.list(clinic.clone(), anna(), treat()).await.map(drop);
    assert_eq!(reason(list), Refusal::NoPermission);
    safe.world.give(ANNA, grant_for("patient/AllergyIntolerance.rs", 1)).await;
    let read = look().await.unwrap();
    assert_eq!(read.bytes, bytes('A'));
    let entry = safe.world.service.entry(read.receipt.index).unwrap();
    assert_eq!((entry.report.kind, entry.report.toVersion), (1, version('A')));
    assert!(safe.world.service.may_read(address_of(CLINIC), &entry), "it is its word");
    assert_eq!(safe.vault.list(clinic, anna(), treat()).await.unwrap().len(), 1);
    // A stranger with a key of their own: nothing, and nothing is told.
    let before = safe.told().len();
    let strange = safe.read(STRANGER, &write(9, CLINIC, 'A', 'B')).await;
    assert!(matches!(strange, Err(VaultError::NotFound)));
    assert_eq!(safe.told().len(), before);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_look_shows_once_and_not_again_after_the_permission_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    safe.world.give(ANNA, grant_for("patient/*.r", 1)).await;
    let look = Box::new(safe.look(CLINIC, &write(2, CLINIC, 'A', 'B')));
    let read = || {
        let reader = Reader::Signed(look.clone());
        safe.vault.read(reader, anna(), record("penicillin"), None, vec![])
    };
    assert_eq!(read().await.unwrap().bytes, bytes('A'));
    let again = read().await;
    assert!(matches!(again, Err(VaultError::Report(ReportError::Conflict { .. }))), "{again:?}");
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_person_takes_marks_off_and_marked_data_must_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let marked = |letter| About { topics: vec!["HIV".to_owned()], ..allergy(letter) };
    safe.put(&Write { about: marked('A'), ..write(1, ANNA, '0', 'A') }).await.unwrap();
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    let look = write(2, CLINIC, 'A', 'B');
    assert_eq!(reason(safe.read(CLINIC, &look).await.map(drop)), Refusal::MarkNotNamed);
    assert_eq!(safe.refused(&write(3, CLINIC, 'A', 'B')).await, Refusal::MarkNotNamed);
    // An approval is bound to the bytes, and says nothing of marks.
    let there = approval('A', 'B', 2);
    safe.world.give(ANNA, there.clone()).await;
    let bare = safe.put(&write(4, CLINIC, 'A', 'B').naming(&there)).await;
    let field = |error: &VaultError| matches!(error, VaultError::Field { field, .. } if field.ends_with("confidentiality"));
    assert!(bare.as_ref().is_err_and(field), "{bare:?}");
    let whole = write(5, CLINIC, 'A', 'B').naming(&there);
    safe.put(&Write { about: marked('B'), ..whole }).await.unwrap();
    safe.put(&write(6, ANNA, 'B', 'C')).await.unwrap();

    // The bytes say themselves how private they are.
    let restricted = br#"{"resourceType":"AllergyIntolerance","meta":{"security":[{"code":"R"}]}}"#;
    let hidden = Write { content: Some(restricted.to_vec()), ..write(7, ANNA, 'C', 'D') };
    assert!(safe.put(&hidden).await.is_err_and(|error| field(&error)));
    let lies = About { resource_type: Some("Observation".to_owned()), ..allergy('D') };
    let lies = safe.put(&Write { about: lies, ..write(8, ANNA, 'C', 'D') }).await;
    assert!(matches!(lies, Err(VaultError::Field { field: "resourceType", .. })), "{lies:?}");
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_glass_opens_no_vault_unless_the_person_said_so_before() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let emergency = |event| Write { purpose: Some("BTG"), ..write(event, CLINIC, 'A', 'B') };
    let waits = |why: &Why| *why == Why::Pending(Pending::Emergency);
    let written = safe.put(&emergency(2)).await;
    assert!(matches!(written, Err(VaultError::Refused { why, .. }) if waits(&why)));
    let read = safe.read(CLINIC, &emergency(3)).await.map(drop);
    assert!(matches!(read, Err(VaultError::Refused { why, .. }) if waits(&why)));
    assert_eq!(safe.told()[1], ("read".to_owned(), "emergency".to_owned()));
    let Document::Grant(grant) = grant_for("patient/*.r", 1) else { unreachable!() };
    let allowed = Grant { statement: String::new(), purposes: "BTG".into(), ..grant };
    safe.world.give(ANNA, told(Document::Grant(allowed))).await;
    assert_eq!(safe.read(CLINIC, &emergency(4)).await.unwrap().bytes, bytes('A'));
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vaults_documents_are_taken_nowhere_else_and_the_judge_leaves_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let put = write(1, CLINIC, '0', 'A').signed(&safe.world);
    let reported = safe.world.service.report(put.submission).await;
    assert!(matches!(reported, Err(ReportError::LogsDocument(_))), "{reported:?}");
    let look = safe.world.service.report(safe.look(CLINIC, &write(2, CLINIC, '0', 'A'))).await;
    assert!(matches!(look, Err(ReportError::LogsDocument(_))), "{look:?}");
    safe.put(&write(3, ANNA, '0', 'A')).await.unwrap();
    let there = approval('A', 'B', 1);
    safe.world.give(ANNA, there.clone()).await;
    // An hour old: the judge would say that nothing stood then.
    let old = Write { time_ms: now_ms() - 3_600_000, ..write(4, CLINIC, 'A', 'B').naming(&there) };
    safe.put(&old).await.unwrap();
    safe.world.until_judged(5).await;
    assert_eq!(safe.told(), []);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_chain_nobody_but_the_person_looks_and_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    safe.world.chain.go(true);
    let size = safe.world.service.head().size;
    let written = safe.put(&write(2, CLINIC, 'A', 'B')).await.map(drop);
    let read = safe.read(CLINIC, &write(3, CLINIC, 'A', 'B')).await.map(drop);
    for outcome in [written, read] {
        assert!(matches!(outcome, Err(VaultError::ChainUnreadable(_))), "{outcome:?}");
    }
    assert_eq!(safe.world.service.head().size, size);
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    safe.world.chain.go(false);
    safe.put(&write(4, CLINIC, 'A', 'B')).await.unwrap();
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_deletes_is_gone_and_what_another_may_delete_can_be_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    safe.put(&write(2, CLINIC, 'A', '0')).await.unwrap();
    assert_eq!(safe.own("penicillin").await, None);
    let before = |letter| {
        let reader = Reader::Person(address_of(ANNA));
        safe.vault.read(reader, anna(), record("penicillin"), Some(version(letter)), vec![])
    };
    assert_eq!(before('A').await.unwrap().bytes, bytes('A'));
    safe.put(&write(3, ANNA, '0', 'A')).await.unwrap();
    safe.put(&write(4, ANNA, 'A', '0')).await.unwrap();
    assert!(matches!(before('A').await, Err(VaultError::NotFound)));
    let shelf = medtrail_ledger::vault::Shelves::shelf(&*safe.cellar, anna()).unwrap();
    assert_eq!(shelf.bytes, 0);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_has_a_limit_and_what_finds_no_room_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let size = bytes('A').len();
    let limits = VaultLimits {
        version_bytes: size,
        person_bytes: 2 * size as u64,
        records: 3,
        kept_versions: 1,
        versions: 3,
        ..VaultLimits::default()
    };
    let safe = Safe::over(&folder, World::start(&folder), limits);
    let put = |event, record, from, to| Write { record, ..write(event, ANNA, from, to) };
    safe.put(&put(1, "one", '0', 'A')).await.unwrap();
    let long = Write { content: Some(vec![b' '; size + 1]), ..put(2, "one", 'A', 'B') };
    assert!(matches!(safe.put(&long).await, Err(VaultError::TooLong { .. })));
    safe.put(&put(3, "two", '0', 'A')).await.unwrap();
    let full = safe.put(&put(4, "three", '0', 'A')).await;
    assert!(matches!(full, Err(VaultError::NoRoom { .. })), "{full:?}");
    safe.put(&put(5, "two", 'A', '0')).await.unwrap();
    // Room again; and of the first record only the newest version is kept.
    safe.put(&put(6, "one", 'A', 'B')).await.unwrap();
    safe.put(&put(7, "one", 'B', 'C')).await.unwrap();
    let many = safe.put(&put(8, "one", 'C', 'D')).await;
    assert!(matches!(many, Err(VaultError::TooMany(_))), "{many:?}");
    assert_eq!(safe.own("one").await, Some(bytes('C')));
    let kept: Vec<bool> =
        safe.row("one").unwrap().versions.iter().map(|version| version.is_kept).collect();
    assert_eq!(kept, [false, false, true]);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_organisation_has_no_more_speaks_for_nobody() {
    use medtrail_ledger::directory::{Directory, DirectoryChange, KeyRow, OrganisationRow};
    const OLD: u8 = 0x44;
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let ended = KeyRow { address: address_of(OLD), from_ms: 0, until_ms: Some(now_ms()) };
    let id = address_of(CLINIC);
    let row = OrganisationRow {
        id,
        name: "Clinic".to_owned(),
        register_number: None,
        domain: "clinic.example".to_owned(),
        expected_key: None,
        keys: vec![ended],
        since_ms: 0,
    };
    safe.world.book.save(&[DirectoryChange::PutOrganisation(row)]).unwrap();
    safe.stop().await;
    let safe = Safe::start(&folder);
    assert_eq!(safe.world.service.organisation_of(address_of(OLD)), Some(id));
    // To the clinic, whose key it was.
    safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
    let unknown =
        |error: VaultError| matches!(error, VaultError::Report(ReportError::UnknownCustodian(_)));
    for by in [OLD, STRANGER] {
        assert!(safe.put(&write(u64::from(by), by, '0', 'A')).await.is_err_and(unknown));
    }
    assert!(safe.read(OLD, &write(1, OLD, '0', 'A')).await.is_err_and(unknown));
    safe.put(&write(2, CLINIC, '0', 'A')).await.unwrap();
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_persons_vault_key_the_records_are_gone_and_the_trail_stays() {
    use medtrail_ledger::ports::KeyFile;
    use medtrail_ledger::vault::Shelves;
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let log_key = KeyFile::open(&*safe.world.keys, medtrail_ledger::ports::KeyTag::Log);
    let tag = medtrail_keys::vault::VaultKeys::new(
        &log_key.unwrap().unwrap(),
        safe.world.log,
        safe.world.keys.clone(),
    )
    .tag(anna());
    safe.cellar.clear(anna()).unwrap();
    safe.world.keys.destroy(tag).unwrap();
    assert_eq!(safe.own("penicillin").await, None);
    assert_eq!(safe.world.whole(address_of(ANNA)).len(), 1, "the line about it is still there");
    safe.put(&write(2, ANNA, '0', 'B')).await.unwrap();
    assert_eq!(safe.own("penicillin").await, Some(bytes('B')));
    let Safe { world, cellar, vault } = safe;
    drop(vault);
    // Opened again, nothing is in the way.
    let vault = Vault::open(world.service.clone(), cellar.clone(), VaultLimits::default()).unwrap();
    Safe { world, cellar, vault }.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_approves_a_change_and_no_more_once_an_order_ended_it() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let child = pseudonym(9);
    safe.world.service.report(safe.world.report(CLINIC, child, 1)).await.unwrap();
    let guardian = guardianship(child);
    let guardianship_id = id(&guardian);
    let countersignature = Some(sign_digest(CLINIC, guardianship_id));
    let given = Signed { countersignature, ..signed(ANNA, guardian) };
    safe.world.service.record(given).await.unwrap();
    let approve = |from: char, to: char, salt: u8| {
        let from = if from == '0' { B256::ZERO } else { version(from) };
        told(Document::ChangeApproval(ChangeApproval {
            statement: String::new(),
            subject: named(child),
            custodian: address_of(CLINIC),
            record: record("penicillin"),
            fromVersion: from,
            toVersion: version(to),
            epoch: 0,
            expiresAt: 4_000_000_000,
            salt: B256::repeat_byte(salt),
        }))
    };
    let born = approve('0', 'A', 1);
    safe.world.service.record_about(signed(ANNA, born.clone()), Some(child)).await.unwrap();
    let first = Write { subject: child, ..write(2, CLINIC, '0', 'A') };
    safe.put(&first.naming(&born)).await.unwrap();
    // Given while she was a guardian, used once she is none.
    let next = approve('A', 'B', 2);
    safe.world.service.record_about(signed(ANNA, next.clone()), Some(child)).await.unwrap();

    let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
    let details = GuardianshipEnd::new(guardianship_id, "Harju Maakohus 2-26-77".to_owned());
    let details = serde_json::to_vec(&details).unwrap();
    let report = Report {
        log: safe.world.log,
        eventId: B256::repeat_byte(0x44),
        kind: 11,
        action: b'D',
        timeMs: now_ms(),
        subject: child,
        actor: key.address(),
        permission: guardianship_id,
        details: details_hash(&details),
        ..Report::default()
    };
    let domain = domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry);
    let evidence = Evidence::Signed(key.sign(&report, &domain));
    // Nobody but the organisation that keeps the child's pseudonym, and not without a signature.
    let unsigned =
        Submission { report: report.clone(), evidence: Evidence::Relayed, details: None };
    let unsigned = Submission { details: Some(details.clone()), ..unsigned };
    safe.world.service.report(unsigned).await.unwrap_err();
    let other = pseudonym(8);
    let elsewhere = Report { subject: other, ..report.clone() };
    let signed_elsewhere = Evidence::Signed(key.sign(&elsewhere, &domain));
    let elsewhere = Submission {
        report: elsewhere,
        evidence: signed_elsewhere,
        details: Some(details.clone()),
    };
    let refused = safe.world.service.report(elsewhere).await.unwrap_err();
    assert!(matches!(refused, ReportError::End(_)), "{refused:?}");
    safe.world
        .service
        .report(Submission { report, evidence, details: Some(details) })
        .await
        .unwrap();

    let second = Write { subject: child, ..write(3, CLINIC, 'A', 'B') };
    let refused = safe.put(&second.naming(&next)).await;
    assert!(matches!(refused, Err(VaultError::Refused { .. })), "{refused:?}");
    let reader = Reader::Person(address_of(ANNA));
    let read = safe.vault.read(reader, child, record("penicillin"), None, vec![]).await;
    assert!(matches!(read, Err(VaultError::NotFound)), "{read:?}");
    safe.stop().await;
}
