//! Deliveries to calls to many, under acceptances that the log tells and a cohort market shows.

use super::cases::sold::{DAY_S, measured};
use super::support::*;
use super::*;
use alloy_primitives::U256;
use medtrail_ledger::vault::version_of;
use medtrail_permit::replay::CallSeen;
use medtrail_permit::sale::cohort::{CohortMarket, worded};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms};
use medtrail_permit::statements::Language;

const CALLING: CohortMarket =
    CohortMarket { chain_id: 31338, cohort_market: Address::repeat_byte(0xd2) };
const KEY: B256 = B256::repeat_byte(0x77);
const FILE: B256 = B256::repeat_byte(0x0f);
const MADE_MS: u64 = NOON_MS - DAY_MS;

/// The stranger calls for measurements until noon.
fn cohort() -> Cohort {
    let cohort = Cohort {
        buyer: address(STRANGER),
        log: keccak256("log"),
        price: U256::from(1000),
        places: 3,
        recipient: B256::repeat_byte(9),
        deliverBy: NOON_MS / 1000,
        grace: DAY_S,
        terms: Terms {
            purpose: "HRESCH".into(),
            dataset: measured().id(),
            salt: B256::repeat_byte(0x61),
            ..Terms::default()
        },
        salt: B256::repeat_byte(0x62),
        ..Cohort::default()
    };
    worded(cohort, &measured(), Language::En).unwrap()
}

fn yes_to(cohort: &Cohort) -> CohortAcceptance {
    cohort.acceptance(&CALLING, 1, address(MARI), 0, cohort.settled_by().unwrap())
}

fn line(index: u64, act: &str, cohort: &Cohort, received_ms: u64) -> Opened {
    let yes = yes_to(cohort);
    let report = Report {
        kind: Kind::Sale.number(),
        subject: address(MARI).into_word(),
        record: yes.id(&CALLING),
        permission: yes.id(&CALLING),
        ..Report::default()
    };
    let details = json!({
        "version": "medtrail/call-v1", "act": act, "call": cohort,
        "dataset": String::from_utf8(measured().bytes()).unwrap(),
        "place": yes.place, "epoch": yes.epoch, "expiresAt": yes.expiresAt, "atS": received_ms / 1000,
    });
    entry(index, report, received_ms, Evidence::Relayed, details)
}

fn delivery(yes: B256, received_ms: u64) -> Opened {
    let report = Report {
        kind: Kind::Delivery.number(),
        action: b'E',
        timeMs: received_ms,
        subject: address(MARI).into_word(),
        record: yes,
        fromVersion: version_of(KEY.as_slice()),
        toVersion: FILE,
        permission: yes,
        ..Report::default()
    };
    let details = json!({ "version": "medtrail/delivery-v1" });
    entry(50, report, received_ms, Evidence::Relayed, details)
}

fn download(yes: B256, reader: u8) -> Opened {
    let received_ms = MADE_MS + HOUR_MS;
    let report = Report {
        kind: Kind::Access.number(),
        action: b'R',
        timeMs: received_ms,
        subject: address(MARI).into_word(),
        record: yes,
        permission: yes,
        ..Report::default()
    };
    let details = json!({
        "version": "medtrail/download-v1", "reader": address(reader), "order": yes, "file": FILE,
    });
    entry(60, report, received_ms, Evidence::Relayed, details)
}

/// Opened two days before noon, and settled two hours after the delivery.
fn settled() -> CallSeen {
    CallSeen {
        opened_s: Some((NOON_MS - 3 * DAY_MS) / 1000),
        settled_s: Some((MADE_MS + 2 * HOUR_MS) / 1000),
        shown: Some((KEY, FILE)),
    }
}

fn unsettled() -> CallSeen {
    CallSeen { settled_s: None, shown: None, ..settled() }
}

fn replay(mut entries: Vec<Opened>, seen: Option<CallSeen>) -> Replayed {
    entries.sort_by_key(|entry| entry.place.receivedMs);
    entries.push(closing(NOON_MS + 2 * DAY_MS));
    let trust = trust();
    let setting = Setting {
        registries: REGISTRIES,
        market: None,
        cohort_market: seen.map(|_| CALLING),
        trust: &trust,
        need,
        final_ms: END_MS,
        grace_ms: 0,
    };
    Log { entries, chain: Vec::new() }.replay_in(setting, &mut |replay, entry| {
        if let Some(call) = replay.asks_call(entry) {
            replay.tell_call(call, seen.unwrap());
            assert_eq!(replay.asks_call(entry), None);
        }
    })
}

fn accepted(cohort: &Cohort) -> Opened {
    line(2, "accepted", cohort, NOON_MS - 2 * DAY_MS)
}

fn delivered(more: Vec<Opened>, seen: CallSeen) -> Replayed {
    let cohort = cohort();
    let yes = yes_to(&cohort).id(&CALLING);
    let entries = [accepted(&cohort), delivery(yes, MADE_MS)].into_iter().chain(more);
    replay(entries.collect(), Some(seen))
}

#[test]
fn a_delivery_to_a_call_is_of_who_accepted_it_paid_for_and_of_the_file_that_was_settled() {
    let yes = yes_to(&cohort()).id(&CALLING);
    let fine = delivered(vec![download(yes, STRANGER)], settled());
    assert_eq!(fine.flaw(), None, "{:?}", fine.tally);
    let found = &fine.found;
    assert_eq!((found.deliveries, found.deliveries_settled, found.downloads), (1, 1, 1));
    assert_eq!((found.sale_not_told, found.sale_no_market, found.both), (0, 0, 0));
    assert_eq!(fine.tally.of(Check::Permissions).unwrap().verdict(), Colour::Green);

    let open = delivered(Vec::new(), unsettled());
    assert_eq!((open.flaw(), open.found.deliveries_open), (None, 1));
    // One that was made anew leaves entries of the file before, under another lock.
    let anew = CallSeen { shown: Some((B256::repeat_byte(0x78), B256::ZERO)), ..settled() };
    let replaced = delivered(Vec::new(), anew);
    assert_eq!((replaced.flaw(), replaced.found.deliveries_open), (None, 1));
}

#[test]
fn a_delivery_to_a_call_without_a_foundation_is_a_fault() {
    let red = Some(Flaw::DeliveryUnfounded);
    let before = Some((MADE_MS - HOUR_MS) / 1000);
    for seen in [
        CallSeen::default(),
        CallSeen { opened_s: Some(NOON_MS / 1000), ..unsettled() },
        CallSeen { shown: Some((KEY, B256::ZERO)), ..settled() },
        CallSeen { settled_s: before, shown: Some((B256::ZERO, FILE)), ..settled() },
        CallSeen { settled_s: before, ..settled() },
    ] {
        let replayed = delivered(Vec::new(), seen);
        assert_eq!((replayed.flaw(), replayed.found.deliveries_unfounded), (red, 1), "{seen:?}");
        let (entry, judged) = replayed.evidence.unwrap();
        assert_eq!((entry.report.kind, judged.sales.len()), (6, 1));
        assert_eq!(judged.market, Some(json!(CALLING)));
        assert_eq!(judged.sales[0]["call"], json!(cohort()));
        assert_eq!(judged.sales[0]["seen"]["openedS"], json!(seen.opened_s));
    }

    // Taken back before; in the very seconds in which it is entered, both may be honest.
    let back = |earlier_ms| {
        delivered(vec![line(3, "withdrawn", &cohort(), MADE_MS - earlier_ms)], unsettled()).flaw()
    };
    assert_eq!((back(MINUTE_MS), back(1000)), (red, None));

    // Never accepted, or only afterwards; terms that do not stand; another log; too late.
    let of = |change: fn(&mut Cohort), act: &str, told_ms: u64, made_ms: u64| {
        let mut cohort = cohort();
        change(&mut cohort);
        let yes = yes_to(&cohort).id(&CALLING);
        let entries = vec![line(2, act, &cohort, told_ms), delivery(yes, made_ms)];
        replay(entries, Some(unsettled())).flaw()
    };
    let long_ago = NOON_MS - 2 * DAY_MS;
    assert_eq!(of(|_| {}, "accepted", long_ago, MADE_MS), None);
    assert_eq!(of(|_| {}, "closed", long_ago, MADE_MS), red);
    assert_eq!(of(|_| {}, "accepted", MADE_MS + 1, MADE_MS), red);
    let wrong = |change| of(change, "accepted", long_ago, MADE_MS);
    assert_eq!(wrong(|cohort| cohort.terms.statement.push('!')), red);
    assert_eq!(wrong(|cohort| cohort.log = B256::repeat_byte(0x10)), red);
    assert_eq!(wrong(|cohort| cohort.places = 1), red);
    let late = |ms: u64| of(|_| {}, "accepted", long_ago, NOON_MS + DAY_MS + ms);
    assert_eq!((late(EDGE_MS), late(EDGE_MS + 1000)), (None, red));

    // Somebody else's data.
    let mut other = delivery(yes_to(&cohort()).id(&CALLING), MADE_MS);
    other.report.subject = address(LAB).into_word();
    assert_eq!(replay(vec![accepted(&cohort()), other], Some(settled())).flaw(), red);
}

#[test]
fn a_download_of_a_call_s_file_by_another_than_its_buyer_is_a_fault() {
    let yes = yes_to(&cohort()).id(&CALLING);
    let other = delivered(vec![download(yes, LAB)], settled());
    assert_eq!((other.flaw(), other.found.deliveries_unfounded), (Some(Flaw::LookByOther), 1));
}

#[test]
fn a_delivery_to_a_call_that_nobody_can_judge_is_counted_and_told() {
    let yes = yes_to(&cohort()).id(&CALLING);
    // No market on this chain; no line that tells the acceptance, or one that tells another.
    let deaf = replay(vec![accepted(&cohort()), delivery(yes, MADE_MS)], None);
    assert_eq!((deaf.flaw(), deaf.found.sale_no_market), (None, 1));
    let other = Cohort { grace: 7, ..cohort() };
    let mut lying = accepted(&other);
    lying.report.record = yes;
    lying.report.permission = yes;
    let lied = replay(vec![lying, delivery(yes, MADE_MS)], Some(settled()));
    assert_eq!((lied.flaw(), lied.found.deliveries_settled), (None, 0));
    assert_eq!(lied.tally.of(Check::Permissions).unwrap().verdict(), Colour::Amber);
}
