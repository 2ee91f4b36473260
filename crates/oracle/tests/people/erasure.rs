//! What a person asks to be erased is erased on its day, whatever crashes in between, and nothing
//! else is; who may not ask gets nothing, and the law is told where it stands in the way.

use crate::permits::{
    ANNA, KADRI, STRANGER, delegation, grant, grant_for, guardianship, id, revoke, signed, told,
};
use crate::support::{CLINIC, FAULTS, Fault, World, address_of, now_ms, pseudonym};
use alloy_primitives::{Address, B256};
use medtrail_keys::masters::MasterFolder;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag, KeyWrap};
use medtrail_ledger::vault::{RecordRow, RequestRow, Shelf, Shelves, VaultChange};
use medtrail_oracle::erasure::{CancelError, Erasing, Form, HoldError, Obstacle, Stage};
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::permissions::PermissionError;
use medtrail_permit::documents::{Document, Erase};
use medtrail_permit::permits::{Refusal, State};
use medtrail_store::KeyFileDb;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const LATER_S: u64 = 4_000_000_000;
const DAY_MS: u64 = 24 * 3600 * 1000;
const CLINIC_LINES: u64 = 5;

pub(crate) fn erase(world: &World, up_to_ordinal: u64) -> Document {
    told(Document::Erase(Erase {
        statement: String::new(),
        subject: address_of(ANNA),
        log: world.log,
        upToOrdinal: up_to_ordinal,
        expiresAt: LATER_S,
    }))
}

/// No duty to keep, and so long a wait.
pub(crate) fn after(wait_ms: u64) -> Erasing {
    Erasing { wait_ms, keep_ms: 0, ..Erasing::default() }
}

fn start(folder: &TempDir, erasing: Erasing) -> World {
    World::start_erasing(folder, now_ms, &[], erasing)
}

fn anna() -> B256 {
    subject_of(address_of(ANNA))
}

async fn report(world: &World, subject: B256, events: std::ops::Range<u64>) {
    for event in events {
        world.service.report(world.report(CLINIC, subject, event)).await.unwrap();
    }
}

async fn lines(world: &World) -> u64 {
    let service = world.service.clone();
    let asked = tokio::task::spawn_blocking(move || service.erasures(address_of(ANNA)));
    asked.await.unwrap().unwrap().lines
}

async fn stage(world: &World) -> Stage {
    let service = world.service.clone();
    let asked = tokio::task::spawn_blocking(move || service.erasures(address_of(ANNA)));
    asked.await.unwrap().unwrap().erasures[0].stage.clone()
}

async fn until(world: &World, wanted: impl Fn(&Stage) -> bool) {
    for _ in 0..400 {
        if wanted(&stage(world).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it stays {:?}", stage(world).await);
}

pub(crate) async fn until_done(world: &World) {
    until(world, |stage| matches!(stage, Stage::Done(_))).await;
}

async fn until_rewrapped(world: &World) {
    for _ in 0..400 {
        if !world.keys.is_rewrap_due().unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the key file is not wrapped anew");
}

/// What is told of erasures in Anna's trail, oldest first.
fn acts(world: &World) -> Vec<Value> {
    let mut entries = world.whole(address_of(ANNA));
    entries.retain(|entry| entry.report.kind == 10);
    entries.reverse();
    let read = |entry: medtrail_oracle::opener::Entry| {
        serde_json::from_slice(&entry.details.unwrap()).unwrap()
    };
    entries.into_iter().map(read).collect()
}

fn words(world: &World) -> Vec<String> {
    acts(world).iter().map(|told| told["act"].as_str().unwrap().to_owned()).collect()
}

async fn refused(world: &World, document: Document, by: u8) -> PermissionError {
    world.service.record(signed(by, document)).await.unwrap_err()
}

/// The vault, as far as it must forget.
#[derive(Default)]
struct Vault(Mutex<Vec<B256>>);

impl Shelves for Vault {
    fn shelf(&self, _: B256) -> Result<Shelf, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn record(&self, _: B256, _: B256) -> Result<Option<RecordRow>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn content(&self, _: B256, _: B256, _: B256) -> Result<Option<Vec<u8>>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn request(&self, _: B256, _: B256) -> Result<Option<RequestRow>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn proposed(&self, _: B256, _: B256) -> Result<Option<Vec<u8>>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn asked_by(&self, _: Address) -> Result<Vec<(B256, B256)>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn open(&self) -> Result<Vec<B256>, JournalError> {
        unreachable!("the eraser reads nothing")
    }
    fn save(&self, _: B256, _: &[VaultChange]) -> Result<(), JournalError> {
        unreachable!("the eraser writes nothing")
    }
    fn clear(&self, subject: B256) -> Result<(), JournalError> {
        self.0.lock().unwrap().push(subject);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_opens_nowhere_any_more_and_everything_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Arc::new(Vault::default());
    let erasing = Erasing { records: Some(vault.clone()), ..after(700) };
    let world = start(&folder, erasing);
    let kadri = subject_of(address_of(KADRI));
    report(&world, kadri, 0..3).await;
    report(&world, anna(), 10..10 + CLINIC_LINES).await;
    report(&world, pseudonym(7), 20..23).await;
    world.bind(pseudonym(7), ANNA, "K7QM-2XVD-9RTA").await;
    world.wait_until_filed().await;
    let before = world.all();
    let last = lines(&world).await;
    let is_annas = |subject: B256| subject == anna() || subject == pseudonym(7);

    // A backup of the key file, and all that it can open today.
    let backup = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("keys/keys.redb"), backup.path().join("keys.redb")).unwrap();
    let old_master = std::fs::read(folder.path().join("keys/master.key")).unwrap();

    let entered = world.give(ANNA, erase(&world, last)).await;
    assert!(entered.is_new);
    // What comes while it waits is not erased with it.
    report(&world, anna(), 30..32).await;
    assert_eq!(stage(&world).await, Stage::Waiting);
    until_done(&world).await;
    until_rewrapped(&world).await;
    report(&world, anna(), 40..41).await;

    for entry in &before {
        let now = world.service.entry(entry.index);
        match is_annas(entry.report.subject) {
            true => assert!(matches!(now, Err(EntryError::Erased(_))), "{now:?}"),
            false => assert_eq!(now.unwrap(), *entry),
        }
    }
    let trail = world.whole(address_of(ANNA));
    let mut kinds: Vec<_> =
        trail.iter().map(|entry| (entry.place.ordinal, entry.report.kind)).collect();
    kinds.sort_unstable();
    let from = last + 1;
    let (asked, done) = ((from, 10), (from + 3, 10));
    assert_eq!(kinds, [asked, (from + 1, 1), (from + 2, 1), done, (from + 4, 1)]);
    // The trail goes on where it was: the first line after the erased ones follows the last of them.
    let last_erased = before.iter().rfind(|entry| entry.report.subject == anna()).unwrap();
    let first = trail.iter().find(|entry| entry.place.ordinal == from).unwrap();
    let commitment = medtrail_ledger::entry::commitment(&last_erased.report, &last_erased.place);
    assert_eq!(first.place.previous, commitment);

    let told = &acts(&world)[1];
    let part =
        |subject: B256, through: u64| json!({ "subject": subject, "from": 1, "through": through });
    assert_eq!(told["parts"], json!([part(anna(), last), part(pseudonym(7), 4)]));
    assert_eq!((&told["act"], &told["form"]), (&json!("done"), &json!("everything")));
    assert_eq!(told["document"], serde_json::to_value(erase(&world, last)).unwrap());
    assert_eq!(vault.0.lock().unwrap().len(), 2);

    // The tree is what it was: every commitment, and every path.
    for entry in &before {
        let stored = world.service.entries(entry.index / 256, 1 + entry.index as usize % 256);
        let stored = stored.unwrap().unwrap();
        let commitment = medtrail_ledger::entry::commitment(&entry.report, &entry.place);
        assert!(stored.ends_with(commitment.as_slice()));
    }
    let log = world.log;
    world.stop().await;

    // No key that is left opens anything of hers, nor does any that the backup holds.
    let keys = folder.path().join("keys");
    let names: Vec<_> =
        std::fs::read_dir(&keys).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let master = || MasterKey::load(&keys.join("master.key"), log).unwrap();
    assert!(!MasterFolder::new(&keys, log).has_next());
    let backed_up = KeyFileDb::open(backup.path(), Box::new(master())).unwrap();
    let refused = backed_up.open(KeyTag::Log);
    assert!(matches!(refused, Err(JournalError::Damaged(_))), "the old file fits no key any more");
    // With the old master it would: this is what a backup of *it* means.
    drop(backed_up);
    std::fs::write(backup.path().join("master.key"), old_master).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(backup.path().join("master.key"), mode).unwrap();
    let old = MasterKey::load(&backup.path().join("master.key"), log).unwrap();
    let old_wraps = KeyFileDb::open(backup.path(), Box::new(old)).unwrap();
    let log_key = old_wraps.open(KeyTag::Log).unwrap().unwrap();
    let tag = medtrail_oracle::opener::tags(&log_key).subject_tag(anna());
    let annas = old_wraps.open(KeyTag::Subject(tag)).unwrap().expect("it was hers");
    for file in walk(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(32).any(|window| window == annas.0), "{}", file.display());
    }
    let now = KeyFileDb::open(&keys, Box::new(master())).unwrap();
    assert_ne!(now.open(KeyTag::Subject(tag)).unwrap(), Some(annas.clone()));
    assert_eq!(now.open(KeyTag::Log).unwrap(), Some(log_key));
    assert_eq!(master().unwrap(KeyTag::Subject(tag), &master().wrap(KeyTag::Log, &annas)), None);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let inside = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    inside.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_its_day_over_a_restart_and_the_same_document_stands_once() {
    static LATE_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + LATE_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let begin = || World::start_erasing(&folder, later, &[], after(30 * DAY_MS));
    let world = begin();
    report(&world, anna(), 0..3).await;
    let document = erase(&world, 3);
    let first = world.give(ANNA, document.clone()).await;
    let again = world.give(ANNA, document.clone()).await;
    assert_eq!((again.is_new, again.receipt.index), (false, first.receipt.index));
    let second = refused(&world, erase(&world, 0), ANNA).await;
    assert!(matches!(second, PermissionError::ErasureWaits), "{second:?}");
    LATE_MS.store(15 * DAY_MS, Ordering::SeqCst);
    world.stop().await;

    let world = begin();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(stage(&world).await, Stage::Waiting);
    assert_eq!(world.whole(address_of(ANNA)).len(), 4, "nothing is erased yet");
    assert!(!world.give(ANNA, document.clone()).await.is_new);
    LATE_MS.store(31 * DAY_MS, Ordering::SeqCst);
    until_done(&world).await;
    assert_eq!(words(&world), ["asked", "done"]);
    assert_eq!(world.whole(address_of(ANNA)).len(), 2);
    // The same document again asks for nothing new.
    assert!(!world.give(ANNA, document).await.is_new);
    until_rewrapped(&world).await;
    world.stop().await;

    let world = begin();
    assert!(matches!(stage(&world).await, Stage::Done(_)));
    report(&world, anna(), 9..10).await;
    let trail = world.whole(address_of(ANNA));
    assert_eq!((trail.len(), trail[0].place.ordinal), (3, 6));
    // A second erasure takes what came since.
    world.give(ANNA, erase(&world, 6)).await;
    LATE_MS.store(62 * DAY_MS, Ordering::SeqCst);
    until_done(&world).await;
    let kinds: Vec<u8> =
        world.whole(address_of(ANNA)).iter().map(|entry| entry.report.kind).collect();
    assert_eq!(kinds, [10; 4], "what is told of erasures outlives them");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cancelled_by_a_session_or_by_a_signed_revocation_and_then_nothing_goes() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, after(1500));
    let none = world.service.cancel_erasure(address_of(ANNA)).await;
    assert!(matches!(none, Err(CancelError::None)), "{none:?}");
    report(&world, anna(), 0..3).await;
    let first = world.give(ANNA, erase(&world, 3)).await;
    let cancelled = world.service.cancel_erasure(address_of(ANNA)).await.unwrap();
    assert_eq!(cancelled, first.id);
    assert!(matches!(stage(&world).await, Stage::Cancelled(_)));
    let none = world.service.cancel_erasure(address_of(KADRI)).await;
    assert!(matches!(none, Err(CancelError::None)), "{none:?}");

    let last = lines(&world).await;
    let second = world.give(ANNA, erase(&world, last)).await;
    world.give(ANNA, revoke(second.id)).await;
    assert!(matches!(stage(&world).await, Stage::Cancelled(_)));
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert_eq!(words(&world), ["asked", "cancelled", "asked", "cancelled"]);
    let by: Vec<_> = acts(&world).iter().map(|told| told["by"].clone()).collect();
    assert_eq!(by, [json!(null), json!("session"), json!(null), json!("revocation")]);
    // Both eras that asking ended still open.
    assert_eq!(world.whole(address_of(ANNA)).len() as u64, lines(&world).await);
    world.stop().await;
    let world = start(&folder, after(1500));
    assert_eq!(world.whole(address_of(ANNA)).len() as u64, lines(&world).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_person_asks_and_not_for_another_log_another_line_or_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, after(0));
    report(&world, anna(), 0..3).await;
    world.give(ANNA, delegation()).await;
    let size = world.service.head().size;
    let is_refused = |error: PermissionError, reason: Refusal| {
        assert!(matches!(error, PermissionError::Refused(found) if found == reason), "{error:?}");
    };
    is_refused(refused(&world, erase(&world, 4), STRANGER).await, Refusal::NotTheController);
    is_refused(refused(&world, erase(&world, 4), CLINIC).await, Refusal::NotTheController);
    // A delegate with every right there is.
    is_refused(refused(&world, erase(&world, 4), KADRI).await, Refusal::NotTheController);
    let with = |change: fn(&mut Erase)| {
        let Document::Erase(mut document) = erase(&world, 4) else { unreachable!() };
        change(&mut document);
        told(Document::Erase(document))
    };
    let other = with(|one| one.log = B256::repeat_byte(9));
    assert!(matches!(refused(&world, other, ANNA).await, PermissionError::OtherLog));
    let over = with(|one| one.expiresAt = 1_700_000_000);
    assert!(matches!(refused(&world, over, ANNA).await, PermissionError::Expired));
    for line in [3, 5] {
        let error = refused(&world, erase(&world, line), ANNA).await;
        assert!(matches!(error, PermissionError::Lines { last: 4, .. }), "{error:?}");
    }
    let Document::Erase(mut altered) = erase(&world, 4) else { unreachable!() };
    altered.statement = altered.statement.replace("all records", "no records");
    let error = refused(&world, Document::Erase(altered), ANNA).await;
    assert!(matches!(error, PermissionError::Document(_)), "{error:?}");
    // Of another's trail: her own signature says nothing there.
    let of_kadri = with(|one| one.subject = address_of(KADRI));
    is_refused(refused(&world, of_kadri, ANNA).await, Refusal::NotTheController);
    assert_eq!(world.service.head().size, size, "nothing was written");
    // And nothing is asked for in the name of a child.
    let error = refused(&world, guardianship(anna()), ANNA).await;
    assert!(matches!(error, PermissionError::NotAPseudonym), "{error:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_law_stands_in_its_way_when_asked_and_on_its_day_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, Erasing { wait_ms: 2000, ..Erasing::default() });
    report(&world, anna(), 0..2).await;
    let error = refused(&world, erase(&world, 2), ANNA).await;
    let PermissionError::ErasureRefused { index, obstacle: Obstacle::Duty { until_ms } } = error
    else {
        panic!("{error:?}");
    };
    assert!(until_ms > now_ms() + 5 * 365 * DAY_MS);
    let entry: Value =
        serde_json::from_slice(&world.service.entry(index).unwrap().details.unwrap()).unwrap();
    assert_eq!(entry["reason"], json!({ "kind": "retention", "untilMs": until_ms }));
    assert_eq!(entry["document"], serde_json::to_value(erase(&world, 2)).unwrap());
    // Records have no such duty. A hold has to do with all.
    let hold = world.service.add_hold(anna(), "claim 12/2026".into(), "Harju court".into());
    let hold = hold.await.unwrap();
    let error = refused(&world, erase(&world, 0), ANNA).await;
    let named = Obstacle::Hold { reason: "claim 12/2026".into(), ordered_by: "Harju court".into() };
    assert!(
        matches!(&error, PermissionError::ErasureRefused { obstacle, .. } if *obstacle == named),
        "{error:?}"
    );
    world.service.lift_hold(hold.id, "settled".into(), "Harju court".into()).await.unwrap();
    let unknown = world.service.lift_hold(hold.id, "again".into(), "me".into()).await;
    assert!(matches!(unknown, Err(HoldError::Unknown(_))), "{unknown:?}");
    let nameless = world.service.add_hold(anna(), "x".into(), "\n".into()).await;
    assert!(matches!(nameless, Err(HoldError::Text("orderedBy"))), "{nameless:?}");

    // Asked for in time, and held before its day.
    let document = |expires: u64| {
        let Document::Erase(one) = erase(&world, 0) else { unreachable!() };
        told(Document::Erase(Erase { expiresAt: expires, ..one }))
    };
    world.give(ANNA, document(LATER_S - 1)).await;
    world.service.add_hold(anna(), "claim 13/2026".into(), "Harju court".into()).await.unwrap();
    until(&world, |stage| matches!(stage, Stage::Refused { .. })).await;
    // The state is durable first; its line is owed, and follows.
    for _ in 0..400 {
        if words(&world).len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(words(&world), ["refused", "refused", "asked", "refused"]);
    assert!(!world.keys.is_rewrap_due().unwrap(), "no key was destroyed");
    let holds = world.details_of_kind(16);
    let acts: Vec<_> = holds.iter().map(|told| told["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["hold-added", "hold-lifted", "hold-added"]);
    assert_eq!(holds[1]["orderedBy"], json!("Harju court"));
    world.stop().await;

    let world = start(&folder, after(0));
    assert_eq!(world.service.holds().len(), 1);
    assert!(matches!(stage(&world).await, Stage::Refused { .. }));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_alone_leave_every_line_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Arc::new(Vault::default());
    let world =
        start(&folder, Erasing { wait_ms: 0, records: Some(vault.clone()), ..Erasing::default() });
    report(&world, anna(), 0..3).await;
    let log_key = world.keys.open(KeyTag::Log).unwrap().unwrap();
    let tag = medtrail_oracle::opener::tags(&log_key).subject_tag(anna());
    let made = world.keys.create(&[KeyTag::Vault(tag)]).unwrap();
    assert_eq!(world.keys.open(KeyTag::Vault(tag)).unwrap().as_ref(), made.first());
    world.give(ANNA, erase(&world, 0)).await;
    until_done(&world).await;
    assert_eq!(world.keys.open(KeyTag::Vault(tag)).unwrap(), None);
    assert_eq!(*vault.0.lock().unwrap(), [anna()]);
    assert_eq!(world.whole(address_of(ANNA)).len(), 5);
    let service = world.service.clone();
    let told = tokio::task::spawn_blocking(move || service.erasures(address_of(ANNA)));
    let told = told.await.unwrap().unwrap();
    assert_eq!((told.erasures[0].form, told.lines), (Form::Records, 5));
    assert!(told.keeps_lines.is_some() && told.keeps_records.is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_permitted_goes_with_its_lines_and_no_copy_of_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, after(0));
    world.give(ANNA, grant()).await;
    world.give(ANNA, revoke(id(&grant()))).await;
    let kept = grant_for("patient/*.r", 9);
    world.give(ANNA, kept.clone()).await;
    // They were read, so they are remembered.
    assert_eq!(world.service.overview(address_of(ANNA)).unwrap().given.len(), 2);
    world.give(ANNA, erase(&world, 3)).await;
    until_done(&world).await;
    let overview = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!((overview.given.len(), overview.epoch), (0, 1));
    // The clinic kept its copies, one of which it never showed; the revocation is gone.
    for document in [grant(), kept] {
        let error = refused(&world, document, ANNA).await;
        assert!(matches!(error, PermissionError::Report(ReportError::Erased { .. })), "{error:?}");
    }
    world.give(ANNA, grant_for("patient/*.u", 11)).await;
    let overview = world.service.overview(address_of(ANNA)).unwrap();
    assert!(overview.given.iter().all(|one| one.state == State::Ended), "{overview:?}");
    let Document::Grant(fresh) = grant_for("patient/*.s", 10) else { unreachable!() };
    let fresh = Document::Grant(medtrail_permit::documents::Grant { epoch: 1, ..fresh });
    world.give(ANNA, fresh).await;
    let overview = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!(overview.given[0].state, State::Standing);
    world.stop().await;
    let world = start(&folder, after(0));
    let again = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!(again.given, overview.given);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_person_took_is_no_line_that_must_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, Erasing { wait_ms: 0, ..Erasing::default() });
    let service = world.service.clone();
    let taking = tokio::task::spawn_blocking(move || {
        service.take_accounting(address_of(ANNA), anna(), 0, 1, "csv").unwrap();
        service.erasures(address_of(ANNA)).unwrap().keeps_lines
    });
    assert_eq!(taking.await.unwrap(), None);
    // An organisation cannot call its own access one.
    let mut forged = world.report(CLINIC, anna(), 1);
    let details = br#"{"version":"medtrail/accounting-v1","fromMs":0,"untilMs":1,"form":"csv"}"#;
    forged.details = Some(details.to_vec());
    let refused = world.service.report(forged).await;
    assert!(matches!(refused, Err(ReportError::Details { .. } | ReportError::LogsDocument(_))));
    report(&world, anna(), 2..3).await;
    let service = world.service.clone();
    let told = tokio::task::spawn_blocking(move || service.erasures(address_of(ANNA)));
    assert!(told.await.unwrap().unwrap().keeps_lines.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_erased_gets_no_receipt_and_no_second_place() {
    let folder = tempfile::tempdir().unwrap();
    let world = start(&folder, after(0));
    report(&world, anna(), 0..2).await;
    world.give(ANNA, erase(&world, 2)).await;
    until_done(&world).await;
    let size = world.service.head().size;
    let again = world.service.report(world.report(CLINIC, anna(), 1)).await;
    assert!(matches!(again, Err(ReportError::Erased { index: 1 })), "{again:?}");
    assert_eq!(world.service.head().size, size);
    report(&world, anna(), 2..3).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_once_it_is_done_once_and_wholly() {
    /// What fails: the directory, the log, or the key file.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Where {
        Book,
        Disk,
        Keys,
    }
    let mut failed = 0;
    for place in [Where::Book, Where::Disk, Where::Keys] {
        for fault in FAULTS {
            for (passing, restarts) in (0..4).flat_map(|n| [(n, false), (n, true)]) {
                failed += u32::from(one_failure(place as u8, fault, passing, restarts).await);
            }
        }
    }
    assert!(failed > 12, "{failed}");
}

async fn one_failure(place: u8, fault: Fault, passing: usize, restarts: bool) -> bool {
    let what = format!("{place} {fault:?} {passing} {restarts}");
    let folder = tempfile::tempdir().unwrap();
    let mut world = start(&folder, after(0));
    report(&world, anna(), 0..2).await;
    let faults = |world: &World| match place {
        0 => world.book.faults.is_armed(),
        1 => world.disk.faults.is_armed(),
        _ => world.keys.erasing.is_armed(),
    };
    match place {
        0 => world.book.faults.fail_after(passing, fault),
        1 => world.disk.faults.fail_after(passing, fault),
        _ => world.keys.erasing.fail_after(passing, fault),
    }
    let mut tries = 0;
    // The page of a person who was told that it failed sends it again.
    while let Err(error) = world.service.record(signed(ANNA, erase(&world, 2))).await {
        assert!(tries < 40, "{what}: {error:?}");
        tries += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let has_failed = !faults(&world);
    if restarts {
        world.stop().await;
        world = start(&folder, after(0));
    }
    until_done(&world).await;
    until_rewrapped(&world).await;
    world.book.faults.disarm();
    world.disk.faults.disarm();
    world.keys.erasing.disarm();
    check_done(&world, &what).await;
    world.stop().await;
    has_failed
}

async fn check_done(world: &World, what: &str) {
    assert!(matches!(stage(world).await, Stage::Done(_)), "{what}");
    assert_eq!(words(world), ["asked", "done"], "{what}");
    for index in 0..2 {
        let now = world.service.entry(index);
        assert!(matches!(now, Err(EntryError::Erased(_))), "{what}: {now:?}");
    }
    report(world, anna(), 77..78).await;
    let trail = world.whole(address_of(ANNA));
    assert_eq!((trail.len(), trail[0].place.ordinal), (3, 5), "{what}");
}
