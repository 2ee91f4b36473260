//! Changes that were made without asking: their people are asked for 30 days, silence is told once
//! whatever crashes and whatever the clock does, and it never becomes a permission.

use crate::guarded::{child, of_child};
use crate::permits::{
    ANNA, Change, KADRI, STRANGER, approval, change, grant_for, guardianship, id, revoke, signed,
    told,
};
use crate::support::{CLINIC, FAULTS, World, address_of, now_ms, pseudonym, sign, sign_digest};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::{commitment, details_hash, event_id, subject_of};
use medtrail_ledger::notices::{MailText, Parcel};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_oracle::emergencies::EmergencyView;
use medtrail_oracle::inquiries::{Whose, Wish};
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::notices::{Wanted, WantedMail};
use medtrail_permit::documents::{ChangeApproval, Document, Guardianship, Revoke, named};
use medtrail_permit::permits::CONFIRM_MS;
use medtrail_permit::signed::Signed;
use serde_json::{Value, json};
use std::time::Duration;

const ALL: Wish = Wish { claims: false, open: false, before: None, limit: 100 };
const DAY_MS: u64 = 24 * 3_600_000;

/// A clock of a test's own, which can be set.
macro_rules! clock {
    ($ahead:ident, $clock:ident) => {
        static $ahead: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        fn $clock() -> u64 {
            now_ms() + $ahead.load(std::sync::atomic::Ordering::SeqCst)
        }
    };
}

fn set(ahead: &std::sync::atomic::AtomicU64, ms: u64) {
    ahead.store(ms, std::sync::atomic::Ordering::SeqCst);
}

/// Long enough for whoever wrongly wanted to say something.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(1_200)).await;
}

fn emergency(event: u64) -> Change {
    Change { purpose: Some("BTG"), ..change(event) }
}

impl World {
    fn emergencies(&self, whose: Whose) -> Vec<EmergencyView> {
        self.service.emergencies(whose, ALL).unwrap().0
    }

    fn anna(&self) -> Vec<EmergencyView> {
        self.emergencies(Whose::Person(address_of(ANNA)))
    }

    fn states(&self) -> Vec<&'static str> {
        self.anna().iter().map(EmergencyView::state).collect()
    }

    async fn until_emergencies(&self, expected: &[&str]) {
        for _ in 0..600 {
            if self.states() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{:?}, not {expected:?}: {:?}", self.states(), self.service.judging());
    }

    /// What the log said of silence.
    fn silences(&self) -> Vec<Value> {
        let mut told = self.details_of_kind(12);
        told.retain(|details| details["version"] == "medtrail/emergency-v1");
        told
    }

    fn no_to(&self, index: u64) -> Document {
        let entry = self.service.entry(index).unwrap();
        revoke(commitment(&entry.report, &entry.place))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_nothing_for_thirty_days_has_permitted_nothing_and_it_is_told_once() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let index = world.change(&emergency(1)).await;
    world.until_emergencies(&["open"]).await;
    let received_ms = world.service.entry(index).unwrap().place.receivedMs;
    let [seen] = &world.anna()[..] else { panic!() };
    assert_eq!(seen.clock, Some((received_ms, received_ms + CONFIRM_MS)));
    assert_eq!((seen.index, seen.organisation), (index, Some(address_of(CLINIC))));
    assert_eq!(world.emergencies(Whose::Organisation(address_of(CLINIC))), world.anna());
    assert_eq!(world.emergencies(Whose::Person(address_of(STRANGER))), []);
    assert_eq!(world.service.emergencies_waiting(), 1);

    set(&AHEAD, CONFIRM_MS - 60_000);
    a_while().await;
    assert_eq!((world.states(), world.silences()), (vec!["open"], vec![]));
    set(&AHEAD, CONFIRM_MS + 5_000);
    world.until_emergencies(&["unanswered"]).await;
    let [seen] = &world.anna()[..] else { panic!() };
    let told = world.service.entry(seen.unanswered.unwrap()).unwrap();
    let due_ms = received_ms + CONFIRM_MS;
    assert_eq!((told.report.permission, told.report.timeMs), (seen.id, due_ms));
    let expected = json!({
        "version": "medtrail/emergency-v1", "act": "unanswered",
        "line": { "index": index, "commitment": seen.id },
        "organisation": address_of(CLINIC), "sinceMs": received_ms, "dueMs": due_ms,
    });
    assert_eq!(world.silences(), std::slice::from_ref(&expected));
    assert_eq!(told.evidence, Evidence::Relayed);
    assert!(world.service.is_addressed(address_of(CLINIC), told.index));
    assert!(!world.service.is_addressed(address_of(KADRI), told.index));
    assert_eq!(world.refused(), [], "silence is no refusal either");
    world.stop().await;

    // Not again after a restart, and not where the clock was set back and forth.
    let world = World::start_at(&folder, clock);
    a_while().await;
    set(&AHEAD, 0);
    a_while().await;
    set(&AHEAD, 2 * CONFIRM_MS);
    a_while().await;
    assert_eq!((world.states(), world.silences()), (vec!["unanswered"], vec![expected]));
    // Who answers late is heard; what the log said of the time stays.
    let late = world.give(ANNA, approval("penicillin")).await;
    world.until_emergencies(&["confirmed"]).await;
    let [seen] = &world.anna()[..] else { panic!() };
    let answer = seen.answer.unwrap();
    assert_eq!((answer.index, answer.is_yes), (Some(late.receipt.index), true));
    assert!(answer.at_ms > due_ms && seen.unanswered.is_some());
    world.give(ANNA, world.no_to(index)).await;
    world.until_emergencies(&["denied"]).await;
    assert_eq!(world.silences().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answered_a_moment_before_is_not_called_silent() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let confirmed = world.change(&emergency(1)).await;
    let denied = world.change(&Change { record: "latex", ..emergency(2) }).await;
    let silent = world.change(&Change { record: "peanuts", ..emergency(3) }).await;
    world.until_emergencies(&["open", "open", "open"]).await;
    set(&AHEAD, CONFIRM_MS - 10_000);
    // Of another record, by a stranger, of another line: none of these is an answer.
    world.give(ANNA, approval("something else")).await;
    let stranger = world.service.record(signed(STRANGER, world.no_to(silent))).await;
    assert!(stranger.is_err());
    world.give(ANNA, revoke(keccak256("another line"))).await;
    world.give(ANNA, approval("penicillin")).await;
    world.give(ANNA, world.no_to(denied)).await;
    world.until_emergencies(&["open", "denied", "confirmed"]).await;
    set(&AHEAD, CONFIRM_MS + 5_000);
    world.until_emergencies(&["unanswered", "denied", "confirmed"]).await;
    a_while().await;
    let told: Vec<_> = world.silences().iter().map(|told| told["line"]["index"].clone()).collect();
    assert_eq!(told, [json!(silent)]);
    assert!(confirmed < denied);
    let open = Wish { open: true, ..ALL };
    let anna = Whose::Person(address_of(ANNA));
    assert_eq!(world.service.emergencies(anna, open).unwrap().0, []);
    let page = |before| Wish { limit: 2, before, ..ALL };
    let (first, next) = world.service.emergencies(anna, page(None)).unwrap();
    let (second, end) = world.service.emergencies(anna, page(next)).unwrap();
    assert_eq!((first.len(), second.len(), end), (2, 1, None));
    world.stop().await;
}

/// Every write of the log and of the directory fails once, in both ways, around the end of the clock;
/// then the process ends and another one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn silence_about_an_emergency_is_told_once_whatever_fails_or_crashes() {
    clock!(AHEAD, clock);
    for fault in FAULTS {
        for passing in 0..2 {
            for of_the_log in [true, false] {
                set(&AHEAD, 0);
                let folder = tempfile::tempdir().unwrap();
                let world = World::start_at(&folder, clock);
                world.change(&emergency(1)).await;
                world.until_emergencies(&["open"]).await;
                let faults = if of_the_log { &world.disk.faults } else { &world.book.faults };
                faults.fail_after(passing, fault);
                set(&AHEAD, CONFIRM_MS + 5_000);
                a_while().await;
                world.stop().await;
                let world = World::start_at(&folder, clock);
                world.until_emergencies(&["unanswered"]).await;
                let name = format!("{fault:?} {passing} log: {of_the_log}");
                assert_eq!(world.silences().len(), 1, "{name}");
                world.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_whose_note_was_lost_is_found_in_the_log_and_its_clock_with_it() {
    clock!(AHEAD, clock);
    for fault in FAULTS {
        set(&AHEAD, 0);
        let folder = tempfile::tempdir().unwrap();
        let world = World::start_at(&folder, clock);
        world.book.faults.fail_after(0, fault);
        let index = world.change(&emergency(1)).await;
        a_while().await;
        world.stop().await;
        // It was down for longer than the clock runs.
        set(&AHEAD, CONFIRM_MS + DAY_MS);
        let world = World::start_at(&folder, clock);
        world.until_emergencies(&["unanswered"]).await;
        let received_ms = world.service.entry(index).unwrap().place.receivedMs;
        assert_eq!(world.silences()[0]["dueMs"], received_ms + CONFIRM_MS);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_chain_is_away_or_not_final_nobody_is_called_silent() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let index = world.change(&emergency(1)).await;
    world.until_emergencies(&["open"]).await;
    world.chain.go(true);
    set(&AHEAD, CONFIRM_MS + 5_000);
    a_while().await;
    assert_eq!((world.states(), world.silences()), (vec!["open"], vec![]));
    let entry = world.service.entry(index).unwrap();
    let event = ConsentEvent::Revoked {
        permission: commitment(&entry.report, &entry.place),
        at_s: now_ms() / 1000 + 60,
    };
    world.chain.record(address_of(ANNA), event, false);
    world.chain.go(false);
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    assert_eq!((world.states(), world.silences()), (vec!["open"], vec![]));
    world.chain.finalise();
    world.until_emergencies(&["denied"]).await;
    let [seen] = &world.anna()[..] else { panic!() };
    assert_eq!(seen.answer.unwrap().index, None, "it stands on the chain");
    assert_eq!(world.silences(), Vec::<Value>::new());
    world.stop().await;
}

/// One node's error about one person is no reason to keep all others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_judged_holds_up_no_other_clock_and_no_other_answer() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let kadri = address_of(KADRI);
    let hers = world.change(&Change { subject: kadri.into_word(), ..emergency(1) }).await;
    let own = world.change(&emergency(2)).await;
    let silent = world.change(&Change { record: "latex", ..emergency(3) }).await;
    world.until_emergencies(&["open", "open"]).await;
    world.until(|| world.emergencies(Whose::Person(kadri)).len() == 1).await;
    // Her answer hangs on a block that is not final, and then nobody can read hers any more.
    let entry = world.service.entry(hers).unwrap();
    let permission = commitment(&entry.report, &entry.place);
    let at_s = now_ms() / 1000;
    world.chain.record(kadri, ConsentEvent::Revoked { permission, at_s }, false);
    let Document::ChangeApproval(yes) = approval("penicillin") else { unreachable!() };
    let yes = Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: kadri,
        ..yes
    });
    world.give(KADRI, told(yes)).await;
    a_while().await;
    *world.chain.unreadable.lock().unwrap() = Some(kadri);
    world.give(ANNA, world.no_to(own)).await;
    world.until_emergencies(&["open", "denied"]).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(world.service.judging().problem.is_some(), "and it is told that something is stuck");
    set(&AHEAD, CONFIRM_MS + 5_000);
    world.until_emergencies(&["unanswered", "denied"]).await;
    let told: Vec<_> = world.silences().iter().map(|told| told["line"]["index"].clone()).collect();
    assert_eq!(told, [json!(silent)]);
    *world.chain.unreadable.lock().unwrap() = None;
    world.chain.finalise();
    let state = || world.emergencies(Whose::Person(kadri))[0].state();
    world.until(|| state() == "denied").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_the_line_that_says_it_and_not_the_one_that_woke_the_judge() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let index = world.change(&emergency(1)).await;
    world.until_emergencies(&["open"]).await;
    let entry = world.service.entry(index).unwrap();
    let permission = commitment(&entry.report, &entry.place);
    let at_s = now_ms() / 1000;
    world.chain.record(address_of(ANNA), ConsentEvent::Revoked { permission, at_s }, true);
    // Nobody looked since. What makes the judge look says something else.
    world.give(ANNA, approval("penicillin")).await;
    world.until_emergencies(&["denied"]).await;
    assert_eq!(world.anna()[0].answer.unwrap().index, None, "the chain says it");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_permitted_or_no_emergency_has_no_clock() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    world.give(ANNA, grant_for("patient/AllergyIntolerance.cu", 7)).await;
    // Treatment covers emergencies.
    world.change(&emergency(1)).await;
    world.change(&Change { purpose: Some("ETREAT"), ..change(2) }).await;
    world.change(&Change { purpose: None, ..change(3) }).await;
    world.until_judged(4).await;
    set(&AHEAD, CONFIRM_MS + 5_000);
    a_while().await;
    assert_eq!((world.states(), world.silences()), (vec![], vec![]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_log_says_that_nobody_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
    let forged = json!({ "version": "medtrail/emergency-v1", "act": "unanswered" });
    let details = forged.to_string().into_bytes();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), b"forged"),
        kind: 12,
        timeMs: now_ms(),
        subject: subject_of(address_of(ANNA)),
        actor: key.address(),
        details: details_hash(&details),
        ..Report::default()
    };
    let signature = key.sign(&report, &domain(4242, Address::repeat_byte(0x22)));
    let evidence = Evidence::Signed(signature);
    let sent = world.service.report(Submission { report, evidence, details: Some(details) }).await;
    assert!(matches!(sent, Err(ReportError::LogsDocument(_))), "{sent:?}");
    world.stop().await;
}

/// Kadri may permit for the person of a pseudonym.
async fn guard(world: &World, pseudonym: B256) {
    let Document::Guardianship(guardian) = guardianship(pseudonym) else { panic!() };
    let guardian = Guardianship { guardian: address_of(KADRI), ..guardian };
    let document = crate::permits::told(Document::Guardianship(guardian));
    let countersignature = Some(sign_digest(CLINIC, id(&document)));
    let given = Signed { countersignature, ..signed(KADRI, document) };
    world.service.record(given).await.unwrap();
}

/// The clinic's desk, by the log's clock.
async fn bind(world: &World, pseudonym: B256, clock: fn() -> u64) -> u64 {
    let (code, clinic, anna) = ("K7QM-2XVD-9RTA", address_of(CLINIC), address_of(ANNA));
    let expires_ms = clock() + 3_600_000;
    let hash = code_hash(code);
    world.service.issue_code(clinic, None, pseudonym, hash, expires_ms).await.unwrap();
    let (id, document) = world.service.binding_for(anna, code).unwrap();
    world.service.sign_binding(anna, id, sign(ANNA, &document)).await.unwrap();
    let signature = sign(CLINIC, &document);
    let [last, _] = world.service.countersign(clinic, id, signature).await.unwrap();
    world.service.entry(last).unwrap().place.receivedMs
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_is_asked_from_the_day_of_their_binding_on() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let index = world.change(&Change { subject: pseudonym(1), ..emergency(1) }).await;
    let clinic = Whose::Organisation(address_of(CLINIC));
    world.until(|| !world.emergencies(clinic).is_empty()).await;
    assert_eq!(world.emergencies(clinic)[0].state(), "nobody-to-ask");
    set(&AHEAD, 2 * CONFIRM_MS);
    a_while().await;
    assert_eq!(world.silences(), Vec::<Value>::new(), "nobody could have answered");

    let bound_ms = bind(&world, pseudonym(1), clock).await;
    world.until_emergencies(&["open"]).await;
    assert_eq!(world.anna()[0].clock, Some((bound_ms, bound_ms + CONFIRM_MS)));
    world.stop().await;
    set(&AHEAD, 3 * CONFIRM_MS + 60_000);
    let world = World::start_at(&folder, clock);
    world.until_emergencies(&["unanswered"]).await;
    let [seen] = &world.anna()[..] else { panic!() };
    let told = world.service.entry(seen.unanswered.unwrap()).unwrap();
    assert_eq!((seen.index, told.report.subject), (index, subject_of(address_of(ANNA))));
    // The change stands under the pseudonym; she answers by her address.
    world.give(ANNA, world.no_to(index)).await;
    world.until_emergencies(&["denied"]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_is_asked_and_the_child_is_not_told_a_second_time() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let child = pseudonym(1);
    let of = |event, record| Change { subject: child, record, ..emergency(event) };
    let denied = world.change(&of(1, "penicillin")).await;
    let confirmed = world.change(&of(2, "latex")).await;
    world.change(&of(3, "peanuts")).await;
    let states = || {
        let seen = world.emergencies(Whose::About(child));
        seen.iter().map(EmergencyView::state).collect::<Vec<_>>()
    };
    world.until(|| states() == ["nobody-to-ask"; 3]).await;
    guard(&world, child).await;
    world.until(|| states() == ["open"; 3]).await;
    let entry = world.service.entry(denied).unwrap();
    let no = Revoke { subject: named(child), permission: commitment(&entry.report, &entry.place) };
    let no = signed(KADRI, Document::Revoke(no));
    world.service.record_about(no, Some(child)).await.unwrap();
    let Document::ChangeApproval(yes) = approval("latex") else { panic!() };
    let yes = ChangeApproval { statement: String::new(), subject: named(child), ..yes };
    let yes = signed(KADRI, crate::permits::told(Document::ChangeApproval(yes)));
    world.service.record_about(yes, Some(child)).await.unwrap();
    world.until(|| states() == ["open", "confirmed", "denied"]).await;
    set(&AHEAD, CONFIRM_MS + 60_000);
    world.until(|| states() == ["unanswered", "confirmed", "denied"]).await;
    assert!(denied < confirmed);
    let told = world.emergencies(Whose::About(child))[0].unanswered.unwrap();
    assert_eq!(world.service.entry(told).unwrap().report.subject, child);

    bind(&world, child, clock).await;
    set(&AHEAD, 3 * CONFIRM_MS);
    a_while().await;
    world.until_emergencies(&["unanswered", "confirmed", "denied"]).await;
    assert_eq!(world.silences().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_before_the_end_a_person_is_reminded_once_and_of_all_that_waits_together() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    let anna = address_of(ANNA);
    let language = "en".to_owned();
    let email = WantedMail { address: "mari@example.org".into(), is_daily: false, language };
    let wanted = Wanted { email: Some(email), webhook: None };
    world.service.set_channels(anna, wanted).await.unwrap();
    let mails = |world: &World| {
        let sent = world.post.sent.lock().unwrap().clone();
        let says = |parcel: &Parcel| match parcel {
            Parcel::Mail { says, .. } => Some(says.clone()),
            Parcel::Webhook { .. } => None,
        };
        sent.iter().filter_map(says).collect::<Vec<_>>()
    };
    world.until(|| !mails(&world).is_empty()).await;
    let MailText::Confirm { code } = mails(&world).remove(0) else { panic!() };
    world.service.confirm_address(code).await.unwrap();

    let first = world.change(&emergency(1)).await;
    let answered = world.change(&Change { record: "latex", ..emergency(2) }).await;
    set(&AHEAD, 3_600_000);
    let second = world.change(&Change { record: "peanuts", ..emergency(3) }).await;
    world.until_emergencies(&["open", "open", "open"]).await;
    world.give(ANNA, world.no_to(answered)).await;
    world.until_emergencies(&["open", "denied", "open"]).await;
    set(&AHEAD, CONFIRM_MS - 8 * DAY_MS);
    a_while().await;
    let told = |world: &World| world.details_of_kind(17);
    let about = |told: &[Value]| told.iter().map(|one| one["about"].clone()).collect::<Vec<_>>();
    let before = about(&told(&world));
    assert!(!before.contains(&json!([first, second])), "{before:?}");
    set(&AHEAD, CONFIRM_MS - 7 * DAY_MS + 60_000);
    world.until(|| told(&world).len() > before.len()).await;
    assert_eq!(about(&told(&world)).last(), Some(&json!([first, second])));
    let count = told(&world).len();
    world.stop().await;

    let world = World::start_at(&folder, clock);
    set(&AHEAD, CONFIRM_MS - 2 * DAY_MS);
    a_while().await;
    assert_eq!(told(&world).len(), count, "reminded once");
    // That nobody answered is told at once, too.
    set(&AHEAD, CONFIRM_MS + DAY_MS);
    world.until_emergencies(&["unanswered", "denied", "unanswered"]).await;
    world.until(|| told(&world).len() > count).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_is_reminded_of_what_waits_for_a_child() {
    clock!(AHEAD, clock);
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, clock);
    world.with_parents().await;
    world.until(|| world.guarded() == [child()]).await;
    let wanted = Wanted { email: None, webhook: Some("https://anna.example/hook".into()) };
    world.service.set_channels(address_of(ANNA), wanted).await.unwrap();
    let glass = world.change(&Change { purpose: Some("BTG"), ..of_child(1) }).await;
    let told =
        || world.details_of_kind(17).iter().map(|one| one["about"].clone()).collect::<Vec<_>>();
    world.until(|| told().len() == 1).await;
    set(&AHEAD, CONFIRM_MS - 7 * DAY_MS + 60_000);
    world.until(|| told().len() == 2).await;
    assert_eq!(told(), [json!([glass]), json!([glass])]);
    world.stop().await;
}
