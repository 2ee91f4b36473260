//! Questions, claims and corrections: what is asked stands once and waits, who may answer does,
//! silence is told once whatever crashes, and nobody speaks in another's name.

use crate::permits::ANNA;
use crate::support::{CLINIC, FAULTS, World, address_of, pseudonym};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::directory::InquirySort;
use medtrail_ledger::entry::{commitment, details_hash, event_id, subject_of};
use medtrail_ledger::inquiry::{
    Answered, Billed, Correction, LineRef, Mistake, Reply, Service as Billable, Wanted,
};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_oracle::inquiries::{Ask, InquiryError, QuestionView, Whose, Wish};
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::organisations::NewOrganisation;
use serde::Serialize;
use std::time::Duration;
use tempfile::TempDir;

const ALL: Wish = Wish { claims: false, open: false, before: None, limit: 100 };
const MINUTE_MS: u64 = 60_000;

fn why(line: u64) -> Ask {
    Ask { line, wants: Wanted::Reason, text: Some("Why?".into()), language: Some("en".into()) }
}

/// What an organisation's key signs.
fn said(world: &World, seed: u8, report: Report, document: &impl Serialize) -> Submission {
    let key = ReporterKey::from_bytes(&[seed; 32]).unwrap();
    let details = serde_json::to_vec(document).unwrap();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), &details),
        timeMs: 1_767_605_400_000,
        actor: key.address(),
        details: details_hash(&details),
        ..report
    };
    let signature = key.sign(&report, &domain(4242, Address::repeat_byte(0x22)));
    Submission { report, evidence: Evidence::Signed(signature), details: Some(details) }
}

fn answer(world: &World, seed: u8, id: B256, person: u8, text: &str) -> Submission {
    let subject = subject_of(address_of(person));
    let report = Report { kind: 12, subject, permission: id, ..Report::default() };
    said(world, seed, report, &Answered::new(id, text.into(), None))
}

impl World {
    async fn line(&self, person: u8, event: u64) -> u64 {
        let submission = self.report(CLINIC, subject_of(address_of(person)), event);
        self.service.report(submission).await.unwrap().index
    }

    fn line_ref(&self, index: u64) -> LineRef {
        let entry = self.service.entry(index).unwrap();
        LineRef { index, commitment: commitment(&entry.report, &entry.place) }
    }

    fn questions(&self, whose: Whose) -> Vec<QuestionView> {
        self.service.questions(whose, ALL).unwrap().0
    }

    /// The states of a person's questions once they are these.
    async fn until_states(&self, person: u8, expected: &[&str]) {
        let mut states = Vec::new();
        for _ in 0..400 {
            let questions = self.questions(Whose::Person(address_of(person)));
            states = questions.iter().map(QuestionView::state).collect();
            if states == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{states:?}, not {expected:?}");
    }

    fn acts(&self) -> Vec<String> {
        let details = self.details_of_kind(12).into_iter();
        details.map(|details| details["act"].as_str().unwrap_or("-").to_owned()).collect()
    }

    async fn laboratory(&self) -> Address {
        let new = NewOrganisation {
            name: "Laboratory".into(),
            domain: "lab.example".into(),
            register_number: None,
            address: None,
        };
        self.service.add_organisation(new).await.unwrap().organisation
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_stands_once_waits_and_is_answered_by_who_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = address_of(ANNA);
    let line = world.line(ANNA, 1).await;
    let asked = world.service.ask(anna, why(line)).await.unwrap();
    assert!(asked.is_new);
    // The same again is the same entry, another is refused while this one waits.
    let again = world.service.ask(anna, why(line)).await.unwrap();
    assert_eq!((again.id, again.receipt.index), (asked.id, asked.receipt.index));
    assert!(!again.is_new);
    let other = Ask { text: None, ..why(line) };
    let refused = world.service.ask(anna, other.clone()).await.unwrap_err();
    assert!(matches!(refused, InquiryError::Open { id } if id == asked.id), "{refused}");
    assert_eq!(world.line_ref(asked.receipt.index).commitment, asked.id);

    let [seen] = &world.questions(Whose::Organisation(address_of(CLINIC)))[..] else { panic!() };
    assert_eq!((seen.id, seen.state(), seen.asked.line), (asked.id, "open", world.line_ref(line)));
    assert_eq!(seen.asked.text.as_deref(), Some("Why?"));
    assert!(world.service.is_addressed(address_of(CLINIC), asked.receipt.index));
    assert!(!world.service.is_addressed(address_of(9), asked.receipt.index));

    let answered =
        answer(&world, CLINIC, asked.id, ANNA, "A colleague looked for another patient.");
    let clinic = address_of(CLINIC);
    let sent = world.service.answer_signed(clinic, asked.id, answered.clone()).await.unwrap();
    let [seen] = &world.questions(Whose::Person(anna))[..] else { panic!() };
    let told = seen.answer.as_ref().unwrap();
    assert_eq!((seen.state(), told.index, told.is_signed), ("answered", sent.receipt.index, true));
    // Sent again it is the same; another one is no answer any more.
    let again = world.service.answer_signed(clinic, asked.id, answered).await.unwrap();
    assert_eq!((again.receipt.index, again.is_new), (sent.receipt.index, false));
    let other = answer(&world, CLINIC, asked.id, ANNA, "Never mind.");
    let refused = world.service.answer_signed(clinic, asked.id, other).await.unwrap_err();
    assert!(matches!(refused, InquiryError::Answered { .. }), "{refused}");
    // After an answer the line may be asked about again.
    assert!(world.service.ask(anna, Ask { text: None, ..why(line) }).await.unwrap().is_new);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_as_any_report_is_found_and_stands_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let line = world.line(ANNA, 1).await;
    let asked = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    let sent = answer(&world, CLINIC, asked.id, ANNA, "It was needed.");
    world.service.report(sent).await.unwrap();
    world.until_states(ANNA, &["answered"]).await;
    world.stop().await;
    let world = World::start(&folder);
    world.until_states(ANNA, &["answered"]).await;
    assert_eq!(world.service.clerking().open, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_persons_own_line_of_an_organisation_can_be_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let line = world.line(ANNA, 1).await;
    let size = world.service.head().size;
    let other = address_of(0xb2);
    let refused = world.service.ask(other, why(line)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchLine), "{refused}");
    let refused = world.service.ask(other, why(999)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchLine), "{refused}");
    for text in ["", " why", "a\u{202e}b"] {
        let bad = Ask { text: Some(text.into()), ..why(line) };
        let refused = world.service.ask(address_of(ANNA), bad).await.unwrap_err();
        assert!(matches!(refused, InquiryError::Field(_)), "{refused}");
    }
    assert_eq!(world.service.head().size, size, "nothing was written");
    let asked = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    let refused = world.service.ask(address_of(ANNA), why(asked.receipt.index)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NobodyToAsk), "{refused}");
    // A line that was only relayed has an organisation behind it if its envelope names one.
    let own = world.service.relay(world.relayed(subject_of(address_of(ANNA)), 7)).await.unwrap();
    let refused = world.service.ask(address_of(ANNA), why(own.index)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NobodyToAsk), "{refused}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_answers_and_nobody_asks_in_a_persons_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let laboratory = world.laboratory().await;
    let line = world.line(ANNA, 1).await;
    let asked = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    let text = || "It was us.".to_owned();
    let refused = world.service.answer(laboratory, asked.id, text(), None).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchInquiry), "{refused}");
    let clinic = address_of(CLINIC);
    let unknown = B256::repeat_byte(9);
    let refused = world.service.answer(clinic, unknown, text(), None).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchInquiry), "{refused}");
    let misplaced = answer(&world, CLINIC, asked.id, 0xb2, "For another person.");
    let refused = world.service.answer_signed(clinic, asked.id, misplaced).await.unwrap_err();
    assert!(matches!(refused, InquiryError::Mismatch("subject")), "{refused}");

    // As plain reports: an answer in another's trail, and words that are not an organisation's.
    let elsewhere = answer(&world, CLINIC, asked.id, 0xb2, "For another person.");
    world.service.report(elsewhere).await.unwrap();
    let anna = subject_of(address_of(ANNA));
    let report = Report { kind: 12, subject: anna, permission: asked.id, ..Report::default() };
    let question = world.service.entry(asked.receipt.index).unwrap().details.unwrap();
    let question: serde_json::Value = serde_json::from_slice(&question).unwrap();
    let unanswered = serde_json::json!({
        "version": "medtrail/question-v1", "act": "unanswered", "question": asked.id,
    });
    for forged in [question, unanswered] {
        let forged = said(&world, CLINIC, report.clone(), &forged);
        let refused = world.service.report(forged).await.unwrap_err();
        assert!(matches!(refused, ReportError::Word(_)), "{refused}");
    }
    let notice =
        said(&world, CLINIC, report, &serde_json::json!({"version": "medtrail/notice-v1"}));
    let refused = world.service.report(notice).await.unwrap_err();
    assert!(matches!(refused, ReportError::LogsDocument(_)), "{refused}");
    world.until_states(ANNA, &["open"]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_once_and_a_late_answer_is_called_late() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_waiting(&folder, 300);
    let line = world.line(ANNA, 1).await;
    let asked = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    world.until_states(ANNA, &["unanswered"]).await;
    let [seen] = &world.questions(Whose::Person(address_of(ANNA)))[..] else { panic!() };
    let told = world.service.entry(seen.unanswered.unwrap()).unwrap();
    assert_eq!((told.report.subject, told.report.permission), (seen.subject, asked.id));
    let clinic = address_of(CLINIC);
    let late = world.service.answer(clinic, asked.id, "Sorry.".into(), None).await.unwrap();
    world.until_states(ANNA, &["answered-late"]).await;
    let [seen] = &world.questions(Whose::Person(address_of(ANNA)))[..] else { panic!() };
    assert_eq!(
        seen.answer.as_ref().map(|one| (one.index, one.is_signed)),
        Some((late.receipt.index, false))
    );
    assert_eq!(world.acts(), ["asked", "unanswered", "-"], "the last one in its envelope");
    world.stop().await;
}

/// Every write of the log and of the directory fails once, in both ways, around the time when the
/// answer is due; then the process ends and another one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_once_whatever_fails_or_crashes() {
    for fault in FAULTS {
        for passing in 0..2 {
            for of_the_log in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let world = World::start_waiting(&folder, 400);
                let line = world.line(ANNA, 1).await;
                world.service.ask(address_of(ANNA), why(line)).await.unwrap();
                let faults = if of_the_log { &world.disk.faults } else { &world.book.faults };
                faults.fail_after(passing, fault);
                tokio::time::sleep(Duration::from_millis(1_900)).await;
                world.stop().await;
                let world = World::start_waiting(&folder, 400);
                world.until_states(ANNA, &["unanswered"]).await;
                let name = format!("{fault:?} {passing} log: {of_the_log}");
                assert_eq!(world.acts(), ["asked", "unanswered"], "{name}");
                world.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_survives_the_loss_of_all_that_was_not_saved_of_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let line = world.line(ANNA, 1).await;
    // The log has the question, the book does not: whichever of the asker's thread and the clerk
    // comes first fails.
    world.book.faults.fail_after(0, crate::support::Fault::Fails);
    let _ = world.service.ask(address_of(ANNA), why(line)).await;
    assert!(!world.book.faults.is_armed());
    world.until_states(ANNA, &["open"]).await;
    // Asked again, it is the same one.
    let again = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(world.acts(), ["asked"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_asks_about_what_was_reported_for_a_pseudonym_and_is_answered_at_their_address() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let line = world.service.report(world.report(CLINIC, pseudonym(1), 1)).await.unwrap().index;
    let refused = world.service.ask(address_of(ANNA), why(line)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchLine), "{refused}");
    world.bind(pseudonym(1), ANNA, "K7QM-2XVD-9RTA").await;
    let asked = world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    let [seen] = &world.questions(Whose::Organisation(address_of(CLINIC)))[..] else { panic!() };
    assert_eq!(seen.subject, subject_of(address_of(ANNA)));
    let sent = answer(&world, CLINIC, asked.id, ANNA, "It was needed.");
    world.service.answer_signed(address_of(CLINIC), asked.id, sent).await.unwrap();
    world.until_states(ANNA, &["answered"]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_questions_wait_as_are_allowed_and_answers_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = address_of(ANNA);
    let mut first = None;
    for event in 0..64 {
        let line = world.line(ANNA, event).await;
        first = first.or(Some(world.service.ask(anna, why(line)).await.unwrap().id));
    }
    let line = world.line(ANNA, 64).await;
    let refused = world.service.ask(anna, why(line)).await.unwrap_err();
    assert!(matches!(refused, InquiryError::TooManyOfPerson), "{refused}");
    let id = first.unwrap();
    let sent = answer(&world, CLINIC, id, ANNA, "It was needed.");
    world.service.answer_signed(address_of(CLINIC), id, sent).await.unwrap();
    world.service.ask(anna, why(line)).await.unwrap();
    // In pages, newest first, each once.
    let (mut seen, mut wish) = (Vec::new(), Wish { limit: 20, ..ALL });
    loop {
        let (page, next) = world.service.questions(Whose::Person(anna), wish).unwrap();
        seen.extend(page.iter().map(|one| one.index));
        let Some(next) = next else { break };
        wish.before = Some(next);
    }
    assert_eq!(seen.len(), 65);
    assert!(seen.is_sorted_by(|one, other| one > other));
    let open = Wish { open: true, ..ALL };
    assert_eq!(world.service.questions(Whose::Person(anna), open).unwrap().0.len(), 64);
    world.stop().await;
}

fn mri() -> Billed {
    let service =
        Billable { text: "MRI of the knee".into(), code: None, resource: None, place: None };
    Billed::new("2026-01-04".into(), service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_told_and_only_its_person_answers_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, clinic) = (address_of(ANNA), address_of(CLINIC));
    let report = Report { kind: 15, subject: subject_of(anna), ..Report::default() };
    let signed = world.service.bill_signed(clinic, said(&world, CLINIC, report, &mri())).await;
    let signed = signed.unwrap();
    let relayed = world.laboratory().await;
    let again = world.service.bill(relayed, subject_of(anna), "b1".into(), mri()).await.unwrap();
    let same = world.service.bill(relayed, subject_of(anna), "b1".into(), mri()).await.unwrap();
    assert_eq!((same.id, same.is_new), (again.id, false));
    let claims = Wish { claims: true, ..ALL };
    let (seen, _) = world.service.claims(Whose::Person(anna), claims).unwrap();
    let told: Vec<_> = seen.iter().map(|one| (one.organisation, one.is_signed)).collect();
    assert_eq!(told, [(relayed, false), (clinic, true)]);

    let reply = |who: Address, id: B256, answer: Reply, text: Option<&str>| {
        world.service.reply(who, id, answer, text.map(str::to_owned), None)
    };
    let refused = reply(address_of(0xb2), signed.id, Reply::Yes, None).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchInquiry), "{refused}");
    let no = reply(anna, signed.id, Reply::No, Some("I was abroad.")).await.unwrap();
    let same = reply(anna, signed.id, Reply::No, Some("I was abroad.")).await.unwrap();
    assert_eq!((same.receipt.index, same.is_new), (no.receipt.index, false));
    let (seen, _) = world.service.claims(Whose::Organisation(clinic), claims).unwrap();
    let (index, _, answer) = seen[0].reply.as_ref().unwrap();
    assert_eq!((*index, answer.answer), (no.receipt.index, Reply::No));
    assert!(world.service.is_addressed(clinic, no.receipt.index));
    assert!(!world.service.is_addressed(relayed, no.receipt.index));
    // Who erred says so; the last answer counts, and not without end.
    let yes = reply(anna, signed.id, Reply::Yes, None).await.unwrap();
    let (seen, _) = world.service.claims(Whose::Person(anna), claims).unwrap();
    assert_eq!(seen[1].reply.as_ref().map(|(index, ..)| *index), Some(yes.receipt.index));
    for change in 0..6u8 {
        let answer = if change % 2 == 0 { Reply::No } else { Reply::Yes };
        reply(anna, signed.id, answer, None).await.unwrap();
    }
    let refused = reply(anna, signed.id, Reply::No, Some("Again.")).await.unwrap_err();
    assert!(matches!(refused, InquiryError::RepliedOften), "{refused}");
    // A question's id is no claim's.
    let line = world.line(ANNA, 1).await;
    let asked = world.service.ask(anna, why(line)).await.unwrap();
    let refused = reply(anna, asked.id, Reply::No, None).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NoSuchInquiry), "{refused}");
    world.stop().await;

    let world = World::start(&folder);
    let (seen, _) = world.service.claims(Whose::Person(anna), claims).unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].reply.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reported_a_line_corrects_it_and_nobody_else() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, clinic) = (address_of(ANNA), address_of(CLINIC));
    let line = world.line(ANNA, 1).await;
    let mut wrong = Correction::new(world.line_ref(line), "Another patient of that name.".into());
    wrong.mistake = Some(Mistake::WrongPerson);
    let report = |subject: Address| Report {
        kind: 13,
        subject: subject_of(subject),
        permission: wrong.line.commitment,
        ..Report::default()
    };
    // By another organisation, for another person, of another line: as reports they are taken, for
    // who signs answers for it; they correct nothing.
    let laboratory = world.laboratory().await;
    let refused = world.service.correct(laboratory, wrong.clone()).await.unwrap_err();
    assert!(matches!(refused, InquiryError::NotReported), "{refused}");
    let misplaced = said(&world, CLINIC, report(address_of(0xb2)), &wrong);
    let refused = world.service.correct_signed(clinic, misplaced.clone()).await.unwrap_err();
    assert!(matches!(refused, InquiryError::Mismatch("subject")), "{refused}");
    world.service.report(misplaced).await.unwrap();
    let mut other = wrong.clone();
    other.line.commitment = keccak256("another");
    let unnamed = Report { permission: other.line.commitment, ..report(anna) };
    world.service.report(said(&world, CLINIC, unnamed, &other)).await.unwrap();
    let unnamed = Report { permission: B256::ZERO, ..report(anna) };
    let refused = world.service.report(said(&world, CLINIC, unnamed, &wrong)).await.unwrap_err();
    assert!(matches!(refused, ReportError::Word(_)), "{refused}");

    let sent = said(&world, CLINIC, report(anna), &wrong);
    let corrected = world.service.correct_signed(clinic, sent.clone()).await.unwrap();
    let again = world.service.correct_signed(clinic, sent).await.unwrap();
    assert_eq!((again.receipt.index, again.is_new), (corrected.receipt.index, false));
    let rows = world.service.corrections_of(line);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].by, rows[0].is_wrong_person), (corrected.receipt.index, true));
    assert_eq!(world.service.corrected_by(corrected.receipt.index), Some(line));
    // The line itself stays what it was.
    assert_eq!(world.line_ref(line), wrong.line);
    world.stop().await;
    let world = World::start(&folder);
    assert_eq!(world.service.corrections_of(line), rows);
    assert!(matches!(
        world.service.inquiry_at(line).map(|row| row.sort),
        None | Some(InquirySort::Claim)
    ));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_question_is_the_one_that_was_configured_when_it_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_waiting(&folder, 10 * MINUTE_MS);
    let line = world.line(ANNA, 1).await;
    world.service.ask(address_of(ANNA), why(line)).await.unwrap();
    world.stop().await;
    let world = World::start_waiting(&folder, 1);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    world.until_states(ANNA, &["open"]).await;
    let [seen] = &world.questions(Whose::Person(address_of(ANNA)))[..] else { panic!() };
    let within = seen.asked.due_ms - seen.asked_ms;
    assert!((9 * MINUTE_MS..=10 * MINUTE_MS).contains(&within), "{within}");
    world.stop().await;
}
