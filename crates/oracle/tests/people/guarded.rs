//! Changes about people without a key: what a guardian took back is told in the trail that is theirs
//! now, once, whatever crashes and whoever they become; where nobody ever gave anything, nobody is told.

use crate::erasure::{after, erase};
use crate::permits::{
    ANNA, Change, KADRI, change, grant_for, guardianship, id, signed, told, version,
};
use crate::support::{
    CLINIC, FAULTS, Fault, REGISTRIES, World, address_of, now_ms, pseudonym, sign_digest,
};
use alloy_primitives::{B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::directory::Directory;
use medtrail_ledger::entry::{commitment, details_hash, event_id, subject_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_oracle::erasure::Stage;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::trail::TrailQuery;
use medtrail_permit::documents::{
    ChangeApproval, Document, Erase, Grant, Guardianship, Revoke, RevokeAll, named,
};
use medtrail_permit::guardianship_end::GuardianshipEnd;
use medtrail_permit::signed::Signed;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const CODE: &str = "K7QM-2XVD-9RTA";
/// Both parents.
const MOTHER: u8 = ANNA;
const FATHER: u8 = KADRI;

pub(crate) fn child() -> B256 {
    pseudonym(7)
}

pub(crate) fn of_child(event: u64) -> Change {
    Change { subject: child(), ..change(event) }
}

fn guardian_until(seed: u8, expires_s: u64) -> Document {
    let Document::Guardianship(known) = guardianship(child()) else { unreachable!() };
    let statement = String::new();
    let guardian = address_of(seed);
    told(Document::Guardianship(Guardianship {
        statement,
        guardian,
        expiresAt: expires_s,
        ..known
    }))
}

pub(crate) fn guardian(seed: u8) -> Document {
    guardian_until(seed, 4_000_000_000)
}

fn grant(salt: u8) -> Document {
    let Document::Grant(known) = grant_for("patient/*.cruds", salt) else { unreachable!() };
    told(Document::Grant(Grant { statement: String::new(), subject: named(child()), ..known }))
}

fn approval() -> Document {
    told(Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: named(child()),
        custodian: address_of(CLINIC),
        record: keccak256("penicillin"),
        fromVersion: version('A'),
        toVersion: version('B'),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(2),
    }))
}

pub(crate) fn no(permission: B256) -> Document {
    Document::Revoke(Revoke { subject: named(child()), permission })
}

impl World {
    /// A parent says something about the child.
    pub(crate) async fn says(&self, seed: u8, document: Document) {
        let countersignature = matches!(document, Document::Guardianship(_))
            .then(|| sign_digest(CLINIC, id(&document)));
        let given = Signed { countersignature, ..signed(seed, document) };
        self.service.record_about(given, Some(child())).await.unwrap();
    }

    /// The clinic looks once, so that the pseudonym is its own, and the parents are guardians.
    pub(crate) async fn with_parents(&self) {
        self.service.report(self.report(CLINIC, child(), 900)).await.unwrap();
        self.says(MOTHER, guardian(MOTHER)).await;
        self.says(FATHER, guardian(FATHER)).await;
    }

    /// Where changes stand that were refused, why, and in whose trail that is told; oldest first.
    fn refused_of(&self) -> Vec<(u64, String, B256)> {
        let nobody = subject_of(address_of(0x66));
        let is_one = |entry: &Entry| entry.report.kind == 8 && entry.report.subject != nobody;
        let of = self.all().into_iter().filter(is_one).map(|entry| {
            let told: Value = serde_json::from_slice(&entry.details.unwrap()).unwrap();
            let reason = told["reason"].as_str().unwrap().to_owned();
            (told["index"].as_u64().unwrap(), reason, entry.report.subject)
        });
        of.collect()
    }

    /// The judge waits for the chain, so that what comes after this is judged after
    /// [`go_on`](Self::go_on).
    async fn hold_the_judge(&self, event: u64) {
        let nobody = address_of(0x66);
        self.chain.go_slow(Some(nobody));
        self.change(&Change { subject: subject_of(nobody), ..change(event) }).await;
        self.until(|| self.chain.is_waited_for.load(Ordering::SeqCst)).await;
    }

    async fn go_on(&self, event: u64) {
        let nobody = address_of(0x66);
        let known = self.refusals(nobody).len();
        self.chain.go_slow(None);
        // The one that held it: else its refusal would be taken for that of the next.
        self.until(|| self.refusals(nobody).len() > known).await;
        self.until_judged(event).await;
    }

    /// What the judge keeps of whom documents are about.
    pub(crate) fn guarded(&self) -> Vec<B256> {
        self.book.load().unwrap().guarded
    }
}

fn revoked(index: u64) -> (u64, String, B256) {
    (index, "revoked".to_owned(), child())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guardian_took_back_is_told_in_the_childs_trail_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.change(&of_child(1)).await;
    world.with_parents().await;
    // Nobody has permitted anything yet, nor taken it back.
    world.change(&of_child(2)).await;
    world.says(MOTHER, grant(1)).await;
    world.change(&of_child(3).naming(&grant(1))).await;
    world.until_judged(4).await;
    assert_eq!(world.refused_of(), []);
    world.says(MOTHER, no(id(&grant(1)))).await;
    let named = world.change(&of_child(5).naming(&grant(1))).await;
    let silent = world.change(&of_child(6)).await;
    // Somebody about whom nobody ever gave a document, and who it names means nothing there.
    let other = Change { subject: pseudonym(8), ..change(7) };
    world.change(&other.naming(&grant(1))).await;
    world.until_judged(8).await;
    assert_eq!(world.refused_of(), [revoked(named), revoked(silent)]);
    assert_eq!(world.guarded(), [child()]);

    let entry = world.service.entry(named).unwrap();
    let page = TrailQuery { limit: 1000, ..TrailQuery::default() };
    let seen = world.service.trail_about(child(), &page).unwrap().entries;
    let told = seen.iter().rfind(|entry| entry.report.kind == 8).unwrap();
    let details: Value = serde_json::from_slice(told.details.as_ref().unwrap()).unwrap();
    let expected = json!({
        "version": "medtrail/refusal-v1", "refused": "change", "index": named,
        "commitment": commitment(&entry.report, &entry.place), "reason": "revoked",
        "document": id(&grant(1)), "organisation": address_of(CLINIC),
    });
    assert_eq!((details, told.evidence.clone()), (expected, Evidence::Relayed));
    // Whoever of the parents looks reads that.
    assert!(world.service.may_see(address_of(FATHER), child()).unwrap().is_some());
    // How far it judged is not saved: the next start judges all of it again.
    world.book.faults.fail_after(0, Fault::Fails);
    world.stop().await;
    for event in [9, 10] {
        let world = World::start(&folder);
        world.until_judged(event).await;
        assert_eq!(world.refused_of(), [revoked(named), revoked(silent)]);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_a_child_waits_for_no_chain() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.chain.go(true);
    let refused = world.change(&of_child(1)).await;
    world.until(|| !world.refused_of().is_empty()).await;
    assert_eq!(world.refused_of(), [revoked(refused)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_guardians_who_says_no_is_heard_whichever_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(FATHER, no(id(&grant(1)))).await;
    let first = world.change(&of_child(1).naming(&grant(1))).await;
    // She gives another one, and another change rests on it.
    world.says(MOTHER, grant(2)).await;
    world.change(&of_child(2).naming(&grant(2))).await;
    let stale = world.change(&of_child(3).naming(&grant(1))).await;
    // He ends all that stands.
    world.says(FATHER, Document::RevokeAll(RevokeAll { subject: named(child()), epoch: 0 })).await;
    let ended = world.change(&of_child(4).naming(&grant(2))).await;
    world.until_judged(5).await;
    let ended = (ended, "wrongEpoch".to_owned(), child());
    assert_eq!(world.refused_of(), [revoked(first), revoked(stale), ended]);
    world.stop().await;
}

/// The clinic ends a guardianship by a court's order.
async fn order(world: &World, guardian: &Document) {
    let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
    let details = GuardianshipEnd::new(id(guardian), "Harju Maakohus 2-26-77".to_owned());
    let details = serde_json::to_vec(&details).unwrap();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), b"order"),
        kind: 11,
        action: b'D',
        timeMs: now_ms(),
        subject: child(),
        actor: key.address(),
        permission: id(guardian),
        details: details_hash(&details),
        ..Report::default()
    };
    let domain = domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry);
    let evidence = Evidence::Signed(key.sign(&report, &domain));
    world.service.report(Submission { report, evidence, details: Some(details) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_ends_what_a_guardian_gave_and_leaves_what_they_took_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(FATHER, no(id(&grant(1)))).await;
    world.says(FATHER, grant(2)).await;
    order(&world, &guardian(FATHER)).await;
    // His grant is void, and nobody said no to it: it waits, as if he had given nothing.
    world.change(&of_child(1).naming(&grant(2))).await;
    let refused = world.change(&of_child(2).naming(&grant(1))).await;
    world.until_judged(3).await;
    assert_eq!(world.refused_of(), [revoked(refused)]);
    world.stop().await;
}

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

fn later_ms() -> u64 {
    now_ms() + AHEAD_MS.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardianship_that_ran_out_permits_nothing_and_takes_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, later_ms);
    world.service.report(world.report(CLINIC, child(), 900)).await.unwrap();
    world.says(MOTHER, guardian_until(MOTHER, later_ms() / 1000 + 3600)).await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, grant(2)).await;
    world.says(MOTHER, no(id(&grant(2)))).await;
    AHEAD_MS.store(2 * 3_600_000, Ordering::SeqCst);
    let now = |event| Change { time_ms: later_ms(), ..of_child(event) };
    world.change(&now(1).naming(&grant(1))).await;
    let too_late = signed(MOTHER, no(id(&grant(1))));
    world.service.record_about(too_late, Some(child())).await.unwrap_err();
    world.change(&now(2).naming(&grant(1))).await;
    // Void besides: that it was taken back decides nothing any more, nor is it forgotten.
    world.change(&now(3).naming(&grant(2))).await;
    let nobody = subject_of(address_of(0x66));
    world.change(&Change { subject: nobody, time_ms: later_ms(), ..change(4) }).await;
    world.until(|| world.refusals(address_of(0x66)).len() == 1).await;
    assert_eq!(world.refused_of(), []);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_of_age_before_the_judge_came_is_told_under_their_own_address() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.hold_the_judge(1).await;
    let before = world.change(&of_child(2)).await;
    let [last, _] = world.bind(child(), 0x77, CODE).await;
    let grown = subject_of(address_of(0x77));
    // Permitted afterwards, by whom it then is: what was told of the change is as true.
    let Document::ChangeApproval(yes) = approval() else { unreachable!() };
    let yes = ChangeApproval { statement: String::new(), subject: address_of(0x77), ..yes };
    world.give(0x77, told(Document::ChangeApproval(yes))).await;
    let after = world.change(&Change { subject: grown, ..change(3) }).await;
    world.go_on(4).await;
    let own = (after, "noPermission".to_owned(), grown);
    assert_eq!(world.refused_of(), [(before, "revoked".to_owned(), grown), own.clone()]);
    assert!(before < last && last < after);
    // The person of that trail reads it, and no guardian does any more.
    assert_eq!(world.refusals(address_of(0x77)).len(), 2);
    assert_eq!(world.service.may_see(address_of(MOTHER), child()).unwrap(), None);
    let under = world.all().into_iter().rfind(|entry| entry.report.subject == child()).unwrap();
    assert_eq!(under.index, last, "the binding's is the last entry under the pseudonym");
    world.book.faults.fail_after(0, Fault::Fails);
    world.stop().await;
    let world = World::start(&folder);
    world.until_judged(5).await;
    assert_eq!(world.refused_of(), [(before, "revoked".to_owned(), grown), own]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_under_the_pseudonym_is_not_told_again_under_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.until_judged(1).await;
    let refused = world.change(&of_child(2)).await;
    world.until(|| !world.refused_of().is_empty()).await;
    world.bind(child(), 0x77, CODE).await;
    // It is not saved that it was judged.
    world.book.faults.fail_after(0, Fault::Fails);
    world.stop().await;
    let world = World::start(&folder);
    world.until_judged(3).await;
    assert_eq!(world.refused_of(), [revoked(refused)]);
    assert_eq!(world.refusals(address_of(0x77)).len(), 1, "it is in the grown child's trail too");
    world.stop().await;
}

/// What is said to a change after it was made answers it, however late the judge comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_judge_says_what_a_prompt_one_would_have_said() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.hold_the_judge(1).await;
    let permitted = world.change(&of_child(2)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    let refused = world.change(&of_child(3)).await;
    world.says(FATHER, approval()).await;
    let entry = world.service.entry(permitted).unwrap();
    world.says(FATHER, no(commitment(&entry.report, &entry.place))).await;
    world.go_on(4).await;
    assert_eq!(world.refused_of(), [revoked(refused)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_childs_refusal_whose_write_fails_is_entered_once() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.with_parents().await;
        world.says(MOTHER, grant(1)).await;
        world.says(MOTHER, no(id(&grant(1)))).await;
        world.hold_the_judge(1).await;
        let refused = world.change(&of_child(2)).await;
        // The refusal of the change that held the judge comes first.
        world.disk.faults.fail_after(1, fault);
        world.chain.go_slow(None);
        world.until(|| !world.refused_of().is_empty()).await;
        assert!(!world.disk.faults.is_armed());
        world.until_judged(3).await;
        assert_eq!(world.refused_of(), [revoked(refused)], "{fault:?}");
        world.stop().await;
    }
}

/// Whom documents are about is durable before the entry of the first one is passed.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_whom_documents_are_about_that_fails_keeps_the_judge_waiting() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.service.report(world.report(CLINIC, child(), 900)).await.unwrap();
        world.until_judged(1).await;
        world.book.faults.fail_after(0, fault);
        world.says(MOTHER, guardian(MOTHER)).await;
        world.says(MOTHER, grant(1)).await;
        world.says(MOTHER, no(id(&grant(1)))).await;
        let refused = world.change(&of_child(2)).await;
        world.until(|| !world.book.faults.is_armed()).await;
        world.until(|| !world.refused_of().is_empty()).await;
        assert_eq!(world.refused_of(), [revoked(refused)], "{fault:?}");
        world.stop().await;
        let world = World::start(&folder);
        let refused = [revoked(refused), revoked(world.change(&of_child(3)).await)];
        world.until_judged(4).await;
        assert_eq!(world.refused_of(), refused, "{fault:?}");
        world.stop().await;
    }
}

/// As a version left it that judged no pseudonyms.
fn forget_the_guarded(folder: &tempfile::TempDir) {
    let directory = folder.path().join("directory/directory.redb");
    let database = redb::Database::open(directory).unwrap();
    let txn = database.begin_write().unwrap();
    for name in ["guarded", "guarded-until"] {
        let table = redb::TableDefinition::<&[u8; 32], &[u8]>::new(name);
        assert!(txn.delete_table(table).unwrap());
    }
    txn.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_an_older_version_is_read_once_and_says_since_when_it_judges_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.until_judged(1).await;
    assert_eq!(world.details_of_kind(16), Vec::<Value>::new(), "a new log says nothing");
    world.stop().await;

    let said = json!({ "version": "medtrail/operation-v1", "act": "pseudonyms-judged" });
    let mut refused = Vec::new();
    // The second time as if it had crashed before it was noted that the log was read.
    for event in [2, 4] {
        forget_the_guarded(&folder);
        let world = World::start(&folder);
        refused.push(revoked(world.change(&of_child(event)).await));
        world.until_judged(event + 1).await;
        assert_eq!(world.refused_of(), refused);
        world.until(|| !world.details_of_kind(16).is_empty()).await;
        assert_eq!(world.guarded(), [child()]);
        world.stop().await;
    }
    let world = World::start(&folder);
    world.until_judged(6).await;
    assert_eq!(world.details_of_kind(16), [said]);
    assert_eq!(world.service.judging(), Default::default());
    assert_eq!(world.refused_of(), refused);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_about_a_child_is_asked_about_and_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.change(&Change { purpose: Some("BTG"), ..of_child(1) }).await;
    world.until_judged(2).await;
    assert_eq!(world.refused_of(), []);
    assert_eq!(world.service.emergencies_waiting(), 1);
    world.stop().await;
}

/// The row is a pseudonym in clear beside keys that are destroyed: it must not outlive them.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_with_it_that_documents_stood_about_the_pseudonym() {
    let folder = tempfile::tempdir().unwrap();
    let start = || World::start_erasing(&folder, now_ms, &[], after(0));
    let world = start();
    world.with_parents().await;
    world.says(MOTHER, grant(1)).await;
    world.says(MOTHER, no(id(&grant(1)))).await;
    world.until_judged(1).await;
    assert_eq!(world.guarded(), [child()]);
    world.bind(child(), 0x77, CODE).await;
    let grown = address_of(0x77);
    let lines = world.service.erasures(grown).unwrap().lines;
    let Document::Erase(known) = erase(&world, lines) else { unreachable!() };
    world
        .give(
            0x77,
            told(Document::Erase(Erase { statement: String::new(), subject: grown, ..known })),
        )
        .await;
    let is_done =
        || matches!(world.service.erasures(grown).unwrap().erasures[0].stage, Stage::Done(_));
    world.until(is_done).await;
    assert!(world.guarded().is_empty());
    world.stop().await;
    // Nor does the next start read it out of what is left of the log.
    forget_the_guarded(&folder);
    let world = start();
    world.until_judged(2).await;
    assert!(world.guarded().is_empty());
    world.stop().await;
}
