//! Changes at organisations about people without a key: a log owes a refusal where a document about
//! them stands, as for everybody, and none elsewhere.

use super::children::{as_change, log_of, of_binding, permitted_by_mother};
use super::support::*;
use super::*;
use medtrail_permit::documents::{ChangeApproval, Document};
use medtrail_permit::permits::Refusal;

/// The hospital's change at noon rests on what the father took back an hour before.
fn on_what_was_taken_back() -> (Log, usize) {
    let no = signed(FATHER, revoke(jaan(), id(grant_for_jaan())));
    let scene = permitted_by_mother().before(HOUR_MS, no).naming(grant_for_jaan());
    log_of(&as_change(scene, false))
}

#[test]
fn a_log_that_does_not_tell_what_a_guardian_took_back_is_red_and_who_rests_on_it_is_named() {
    let (log, at) = on_what_was_taken_back();
    let replayed = log.replay();
    assert_eq!((replayed.flaw(), replayed.found.missing), (Some(Flaw::RefusalMissing), 1));
    let (shown, judged) = replayed.evidence.unwrap();
    assert_eq!((shown.report.subject, judged.reason.as_str()), (JAAN, "revoked"));
    assert_eq!((judged.documents.len(), judged.pseudonyms.len()), (4, 1));
    let told = log.refusing(at).replay();
    assert_eq!((told.flaw(), told.found.without_key_told), (None, 1));
    let one = &told.found.by[&address(HOSPITAL)];
    assert_eq!(one.first_claim, Some((log.entries[at].index, Refusal::Revoked)));
    assert_eq!(told.tally.of(Check::Permissions).unwrap().verdict(), Colour::Amber);
    // The copy ends too early to say; and no block of the chain is waited for.
    let early = log.replay_with(2 * DAY_MS, 0);
    assert_eq!((early.flaw(), early.found.untold), (None, 1));
    assert_eq!(log.replay_with(DAY_MS - 1, 0).flaw(), Some(Flaw::RefusalMissing));
}

#[test]
fn what_is_told_about_a_child_stands_in_the_trail_that_is_theirs_and_in_no_other() {
    let (log, at) = on_what_was_taken_back();
    let received_ms = log.entries[at].place.receivedMs;
    let new = address(NEW_KEY).into_word();
    let told = |subject: B256, bound_ms: Option<u64>| {
        let mut refusal = refusal(800, &log.entries[at], received_ms + HOUR_MS);
        refusal.report.subject = subject;
        let binding = bound_ms.map(|at_ms| of_binding(799, address(NEW_KEY), at_ms));
        let mut entries = log.entries.clone();
        entries.splice(at + 1..at + 1, binding.into_iter().chain([refusal]));
        Log { entries, chain: Vec::new() }.replay()
    };
    assert_eq!(told(JAAN, None).flaw(), None);
    // He came of age before the judge came.
    let grown = told(new, Some(received_ms + 1));
    assert_eq!((grown.flaw(), grown.found.without_key_told), (None, 1));
    for wrong in [told(new, None), told(address(MARI).into_word(), Some(received_ms + 1))] {
        assert_eq!((wrong.flaw(), wrong.found.missing), (Some(Flaw::RefusalUnfounded), 1));
    }
}

#[test]
fn where_nobody_knows_who_kept_the_pseudonym_a_refusal_may_stand_or_not() {
    let (mut log, at) = on_what_was_taken_back();
    log.entries[0].report.actor = address(STRANGER);
    let (bare, told) = (log.replay(), log.refusing(at).replay());
    assert_eq!((bare.flaw(), told.flaw()), (None, None));
    assert_eq!((bare.found.unknown_keeper, bare.found.both), (1, 1));
    // Also where he came of age before it was told.
    let received_ms = log.entries[at].place.receivedMs;
    let mut refusal = refusal(800, &log.entries[at], received_ms + HOUR_MS);
    refusal.report.subject = address(NEW_KEY).into_word();
    let binding = of_binding(799, address(NEW_KEY), received_ms + 1);
    log.entries.splice(at + 1..at + 1, [binding, refusal]);
    assert_eq!(log.replay().flaw(), None);
}

#[test]
fn what_is_said_to_a_change_afterwards_makes_no_refusal_of_it_untrue_nor_spares_one() {
    let (log, at) = on_what_was_taken_back();
    let approval = ChangeApproval { subject: jaan(), ..approval() };
    let yes = of_document(805, JAAN, &signed(MOTHER, approval), log.entries[at].place.receivedMs);
    let mut entries = log.entries;
    entries.insert(at + 1, yes);
    let approved = Log { entries, chain: Vec::new() };
    let replayed = approved.replay();
    assert_eq!(replayed.flaw(), Some(Flaw::RefusalMissing));
    let judged = replayed.evidence.unwrap().1;
    assert_eq!((judged.reason.as_str(), judged.documents.len()), ("revoked", 4));
    assert_eq!(approved.refusing(at).replay().flaw(), None);
}

#[test]
fn what_stands_before_a_log_says_that_it_judges_pseudonyms_is_told_and_no_fault() {
    let (log, at) = on_what_was_taken_back();
    let said = |index: u64, evidence: Evidence, act: &str| {
        let details = json!({ "version": "medtrail/operation-v1", "act": act });
        let report = Report { kind: Kind::Operation.number(), ..Report::default() };
        entry(index, report, log.entries[at].place.receivedMs, evidence, details)
    };
    let with = |place: usize, one: Opened| {
        let mut entries = log.entries.clone();
        entries.insert(place, one);
        Log { entries, chain: Vec::new() }
    };
    let act = "pseudonyms-judged";
    let older = with(at + 1, said(101, Evidence::Relayed, act)).replay();
    assert_eq!((older.flaw(), older.found.missing), (None, 0));
    assert_eq!((older.found.without_key_before, older.found.first_before), (1, Some(100)));
    let checked = older.tally.of(Check::Permissions).unwrap();
    assert_eq!(checked.verdict(), Colour::Amber);
    let notes = &checked.notes;
    assert!(notes.iter().any(|note| note.contains("only from a later entry on")), "{notes:?}");
    // Told all the same, before it or after it.
    let told = with(at + 1, said(101, Evidence::Relayed, act)).refusing(at).replay();
    assert_eq!((told.found.without_key_told, told.found.without_key_before), (1, 0));
    // Said before the change; by somebody else; something else.
    let red = Some(Flaw::RefusalMissing);
    assert_eq!(with(at, said(99, Evidence::Relayed, act)).replay().flaw(), red);
    assert_eq!(with(at + 1, said(101, signed_evidence(), act)).replay().flaw(), red);
    assert_eq!(with(at + 1, said(101, Evidence::Relayed, "key-enrolled")).replay().flaw(), red);
    // Who has said it once cannot say it again.
    let mut twice = with(at + 1, said(101, Evidence::Relayed, act));
    twice.entries.insert(at, said(99, Evidence::Relayed, act));
    assert_eq!(twice.replay().flaw(), red);
    // Nor does it excuse anything about somebody with a key.
    let mut keyed = with(at + 1, said(101, Evidence::Relayed, act));
    keyed.entries[at].report.subject = address(MARI).into_word();
    assert_eq!(keyed.replay().flaw(), red);
}

#[test]
fn a_guardian_who_says_no_to_a_waiting_change_may_be_told_of_it_or_not() {
    let scene = about_jaan(change()).before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"));
    let no = Document::Revoke(revoke(jaan(), scene.act.commitment));
    let scene = scene.after(HOUR_MS, signed(MOTHER, no));
    let (log, at) = log_of(&scene);
    assert_eq!(log.replay().flaw(), None);
    assert_eq!(log.refusing(at).replay().flaw(), Some(Flaw::RefusalUnfounded));
    let mut late = log.entries.clone();
    late.push(refusal(803, &log.entries[at], NOON_MS + 3 * DAY_MS));
    assert_eq!(Log { entries: late, chain: Vec::new() }.replay().flaw(), None);
}
