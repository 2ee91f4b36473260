//! Emergency changes about which nobody answered, and the log's own line that says so.

use super::support::*;
use super::*;
use medtrail_permit::permits::CONFIRM_MS;

/// The log's own line that nobody answered about a change.
fn silence(index: u64, change: &Opened, received_ms: u64) -> Opened {
    let report = Report {
        kind: Kind::Question.number(),
        subject: change.report.subject,
        permission: change.commitment,
        ..Report::default()
    };
    let details = json!({ "version": "medtrail/emergency-v1", "act": "unanswered" });
    entry(index, report, received_ms, Evidence::Relayed, details)
}

/// The hospital breaks the glass at noon; the log ends so long after the clock has.
fn urgent(later_ms: u64) -> (Opened, u64, Log) {
    let (log, at) = log(change().purpose("BTG"));
    let change = log.entries[at].clone();
    let until_ms = change.place.receivedMs + CONFIRM_MS;
    let entries = vec![change.clone(), closing(until_ms), closing(until_ms + later_ms)];
    (change, until_ms, Log { entries, chain: Vec::new() })
}

#[test]
fn silence_about_an_emergency_that_is_not_told_is_the_operators_fault_and_late_is_told() {
    let (change, until_ms, silent) = urgent(2 * HOUR_MS);
    let missing = silent.replay_with(HOUR_MS, END_MS);
    assert_eq!(missing.flaw(), Some(Flaw::SilenceMissing));
    let (shown, judged) = missing.evidence.unwrap();
    assert_eq!((judged.index, judged.verdict.as_str()), (change.index, "unconfirmed"));
    assert_eq!(judged.reason, "emergency");
    assert_eq!(shown.report, change.report);
    // Before its time nobody owes anything, and soon after it nobody yet.
    let soon = silent.replay_with(3 * HOUR_MS, END_MS);
    assert_eq!((soon.flaw(), soon.found.untold_silence), (None, 1));
    assert_eq!(soon.tally.of(Check::Permissions).unwrap().verdict(), Colour::Amber);
    let final_ms = until_ms + EDGE_MS - 1;
    assert_eq!(silent.replay_with(HOUR_MS, final_ms).found.untold_silence, 1);
    let early = Log { entries: silent.entries[..1].to_vec(), chain: Vec::new() };
    assert_eq!((early.replay().flaw(), early.replay().found.untold_silence), (None, 0));
    // A log that was down while the time ended, told once it was up again.
    let mut down = silent.entries;
    down[1].place.receivedMs = until_ms + 9 * DAY_MS;
    down[2] = silence(500, &change, until_ms + 9 * DAY_MS + 1);
    let told = Log { entries: down, chain: Vec::new() }.replay_with(HOUR_MS, END_MS);
    assert_eq!((told.flaw(), told.found.silent, told.found.unconfirmed), (None, 1, 1));
    assert_eq!(told.tally.of(Check::Permissions).unwrap().verdict(), Colour::Green);
}

#[test]
fn who_answered_an_emergency_was_not_silent_and_nobody_is_told_so_too_early_or_twice() {
    let (change, until_ms, silent) = urgent(2 * HOUR_MS);
    let with = |more: Vec<Opened>| {
        let mut entries: Vec<Opened> = silent.entries.iter().cloned().chain(more).collect();
        entries.sort_by_key(|one| one.place.receivedMs);
        Log { entries, chain: Vec::new() }
    };
    let said =
        |at_ms: u64, document: Signed| of_document(300, change.report.subject, &document, at_ms);
    let no = || signed(MARI, revoke(address(MARI), change.commitment));
    let yes = || {
        signed(
            MARI,
            medtrail_permit::documents::ChangeApproval { expiresAt: END_MS / 1000, ..approval() },
        )
    };
    for answer in [no(), yes()] {
        // In time, or late: nobody need be told any more.
        assert_eq!(with(vec![said(until_ms - 1, answer.clone())]).replay().flaw(), None);
        assert_eq!(with(vec![said(until_ms + DAY_MS, answer.clone())]).replay().flaw(), None);
        let told = silence(500, &change, until_ms + 1);
        let lie = with(vec![said(until_ms - 1, answer.clone()), told.clone()]).replay();
        assert_eq!(lie.flaw(), Some(Flaw::SilenceUnfounded));
        let late = with(vec![told, said(until_ms + DAY_MS, answer)]).replay();
        assert_eq!((late.flaw(), late.found.silent), (None, 1));
    }
    // A stranger's word is no answer.
    let stranger = signed(STRANGER, revoke(address(MARI), change.commitment));
    let missing = with(vec![said(until_ms - 1, stranger)]).replay();
    assert_eq!(missing.flaw(), Some(Flaw::SilenceMissing));
    let early = with(vec![silence(500, &change, until_ms - 1)]).replay();
    assert_eq!(early.flaw(), Some(Flaw::SilenceUnfounded));
    let at = until_ms + 1;
    let twice = with(vec![silence(500, &change, at), silence(501, &change, at + 1)]).replay();
    assert_eq!(twice.flaw(), Some(Flaw::SilenceUnfounded));
    let mut other = silence(500, &change, at);
    other.report.subject = address(STRANGER).into_word();
    assert_eq!(with(vec![other]).replay().flaw(), Some(Flaw::SilenceUnfounded));
    let mut nothing = silence(500, &change, at);
    nothing.report.permission = B256::repeat_byte(3);
    assert_eq!(with(vec![nothing]).replay().flaw(), Some(Flaw::SilenceUnfounded));
    // Signed, it is somebody else's word and tells nobody.
    let mut forged = silence(500, &change, at);
    forged.evidence = signed_evidence();
    assert_eq!(with(vec![forged]).replay().flaw(), Some(Flaw::SilenceMissing));
}

#[test]
fn silence_about_a_person_without_a_key_is_judged_by_its_time_alone() {
    let (mut change, until_ms, mut log) = urgent(HOUR_MS);
    change.report.subject = JAAN;
    log.entries[0] = change.clone();
    assert_eq!(log.replay().flaw(), None, "when somebody could be asked is not replayed");
    let told = |at_ms| {
        let mut entries = log.entries.clone();
        let mut told = silence(500, &change, at_ms);
        told.report.subject = address(MARI).into_word();
        entries.push(told);
        entries.sort_by_key(|one| one.place.receivedMs);
        Log { entries, chain: Vec::new() }.replay().flaw()
    };
    assert_eq!(told(until_ms + 1), None);
    assert_eq!(told(until_ms - 1), Some(Flaw::SilenceUnfounded));
}
