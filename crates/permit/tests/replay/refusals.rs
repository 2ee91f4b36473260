//! Which refusals a log owes, by when, and which tell nobody anything.

use super::support::*;
use super::*;

#[test]
fn a_custodian_that_lies_about_its_permission_is_named_though_the_log_told_it() {
    let lie = change().before(HOUR_MS, signed(MARI, grant())).with(|scene| {
        scene.act.report.permission = B256::repeat_byte(9);
    });
    let (honest, at) = log(lie);
    let told = honest.refusing(at).replay();
    assert_eq!(told.flaw(), None);
    let checked = told.tally.of(Check::Permissions).unwrap();
    assert_eq!(checked.verdict(), Colour::Amber);
    let note = &checked.notes[0];
    assert!(note.starts_with("Fjord Hospital named a permission for 1 changes"), "{note}");
    assert!(note.contains("entry 100 (unknownDocument)"), "{note}");
    let one = &told.found.by[&address(HOSPITAL)];
    assert_eq!((one.refused, one.claimed), (1, 1));
    // Who claims nothing is counted, and nothing is amber.
    let (silent, at) = log(change());
    let told = silent.refusing(at).replay();
    assert_eq!(told.tally.of(Check::Permissions).unwrap().verdict(), Colour::Green);
    assert_eq!(told.found.by[&address(HOSPITAL)].claimed, 0);
}

#[test]
fn what_was_not_told_at_the_end_of_a_copy_is_no_fault_yet_and_what_is_told_late_is_none() {
    let (log, at) = log(change());
    let day = log.replay_with(2 * DAY_MS, END_MS);
    assert_eq!((day.flaw(), day.found.untold), (None, 1));
    assert_eq!(day.tally.of(Check::Permissions).unwrap().verdict(), Colour::Amber);
    assert_eq!(log.replay_with(DAY_MS - 1, END_MS).flaw(), Some(Flaw::RefusalMissing));
    let mut late = log.entries;
    late.push(refusal(10_000, &late[at], NOON_MS + 3 * DAY_MS));
    let late = Log { entries: late, chain: Vec::new() };
    assert_eq!(late.replay().flaw(), None);
}

#[test]
fn a_refusal_of_nothing_of_another_persons_or_signed_by_a_custodian_tells_nobody() {
    let (log, at) = log(change());
    let honest = log.refusing(at);
    let place = honest.entries.iter().position(|one| one.report.kind == 8).unwrap();
    let with = |edit: &dyn Fn(&mut Opened)| {
        let mut entries = honest.entries.clone();
        edit(&mut entries[place]);
        Log { entries, chain: Vec::new() }.replay()
    };
    let nothing = with(&|refusal| refusal.report.permission = B256::repeat_byte(3));
    assert_eq!(nothing.flaw(), Some(Flaw::RefusalUnfounded));
    let other = with(&|refusal| refusal.report.subject = address(STRANGER).into_word());
    assert_eq!(other.flaw(), Some(Flaw::RefusalUnfounded));
    assert_eq!(other.found.missing, 1);
    let by_custodian = with(&|refusal| refusal.evidence = signed_evidence());
    assert_eq!(by_custodian.flaw(), Some(Flaw::RefusalMissing));
    let twice = {
        let mut entries = honest.entries.clone();
        entries.insert(place + 1, entries[place].clone());
        Log { entries, chain: Vec::new() }.replay()
    };
    assert_eq!(twice.flaw(), Some(Flaw::RefusalUnfounded));
}
