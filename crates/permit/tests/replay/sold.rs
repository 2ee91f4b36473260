//! Looks of buyers and deliveries, under orders that the log tells and a market shows.

use super::cases::sold::{DAY_S, GLUCOSE, MARKET, dataset, measured, order_for};
use super::support::*;
use super::vault::version;
use super::*;
use medtrail_ledger::vault::version_of;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::documents::Document;
use medtrail_permit::permits::permits;
use medtrail_permit::sale::Order;

const NOON_S: u64 = support::NOON_S;
/// What opens the lock of the delivery.
const KEY: B256 = B256::repeat_byte(0x77);

/// Mari's order is settled a day before noon; its buyer may look for thirty days.
fn order() -> Order {
    Order {
        offer: medtrail_permit::sale::Offer { log: keccak256("log"), ..sold_order().offer },
        ..sold_order()
    }
}

fn sold_order() -> Order {
    order_for(&measured(), 30 * DAY_S)
}

fn settled() -> OrderSeen {
    OrderSeen {
        paid_s: Some(NOON_S - 3 * DAY_S),
        settled_s: Some(NOON_S - DAY_S),
        key: Some(KEY),
        ..OrderSeen::default()
    }
}

fn of_sale(index: u64, act: &str, order: &Order, dataset: &Dataset, received_ms: u64) -> Opened {
    let report = Report {
        kind: Kind::Sale.number(),
        subject: order.offer.seller.into_word(),
        record: order.id(&MARKET),
        permission: order.id(&MARKET),
        ..Report::default()
    };
    let dataset = String::from_utf8(dataset.bytes()).unwrap();
    let details = json!({
        "version": "medtrail/sale-v1", "act": act, "order": order, "dataset": dataset,
        "atS": received_ms / 1000,
    });
    entry(index, report, received_ms, Evidence::Relayed, details)
}

/// What a look says of itself.
struct Look {
    order: B256,
    reader: Option<Address>,
    purpose: &'static str,
    listed: Option<u64>,
    received_ms: u64,
}

fn look() -> Look {
    let order = order().id(&MARKET);
    let (reader, purpose) = (Some(address(STRANGER)), "HRESCH");
    Look { order, reader, purpose, listed: None, received_ms: NOON_MS + 2 }
}

impl Look {
    fn entry(&self) -> Opened {
        let read = B256::repeat_byte(if self.listed.is_some() { 0 } else { 0x0c });
        let report = Report {
            kind: Kind::Access.number(),
            action: if self.listed.is_some() { b'E' } else { b'R' },
            timeMs: self.received_ms,
            subject: address(MARI).into_word(),
            record: read,
            permission: self.order,
            ..Report::default()
        };
        let mut details = json!({ "version": "medtrail/read-v1", "purposes": [self.purpose] });
        if let Some(reader) = self.reader {
            details["reader"] = json!(reader);
        }
        if let Some(listed) = self.listed {
            details["listed"] = json!(listed);
        }
        entry(500, report, self.received_ms, Evidence::Relayed, details)
    }
}

/// Mari's measurement and her sale, and then this.
fn log_of(before: Vec<Opened>, look: &Look) -> Log {
    let put = Opened { evidence: Evidence::Relayed, ..version(1, 0, 2, "Observation") };
    let put = Opened { index: 1, ..at(put, NOON_MS - 10 * DAY_MS) };
    let end = closing(look.received_ms + DAY_MS);
    let entries = [put].into_iter().chain(before).chain([look.entry(), end]).collect();
    Log { entries, chain: Vec::new() }
}

fn at(mut entry: Opened, received_ms: u64) -> Opened {
    entry.place.receivedMs = received_ms;
    entry.report.timeMs = received_ms;
    entry
}

fn told() -> Vec<Opened> {
    let (order, dataset) = (order(), measured());
    vec![
        of_sale(2, "paid", &order, &dataset, NOON_MS - 2 * DAY_MS),
        of_sale(3, "settled", &order, &dataset, NOON_MS - DAY_MS + 1),
    ]
}

fn replay(log: &Log, seen: OrderSeen) -> Replayed {
    log.replay_at(Some((MARKET, seen)), 0, END_MS)
}

fn of(look: &Look, seen: OrderSeen) -> Replayed {
    replay(&log_of(told(), look), seen)
}

#[test]
fn a_look_under_a_settled_order_is_permitted_and_one_that_was_never_settled_is_a_fault() {
    let fine = of(&look(), settled());
    assert_eq!(fine.flaw(), None, "{:?}", fine.tally);
    let found = &fine.found;
    assert_eq!((found.sale_looks, found.sale_looks_permitted, found.in_vault_relayed), (1, 1, 1));
    assert_eq!((found.sale_looks_data_not_told, found.both, found.sale_not_told), (0, 0, 0));
    assert_eq!(fine.tally.of(Check::Permissions).unwrap().verdict(), Colour::Green);

    let paid = OrderSeen { settled_s: None, key: None, ..settled() };
    let refunded = OrderSeen { refunded_s: Some(NOON_S - DAY_S), ..paid };
    let early = OrderSeen { settled_s: Some(NOON_S + 1), ..settled() };
    for seen in [OrderSeen::default(), paid, refunded, early] {
        let replayed = of(&look(), seen);
        assert_eq!(replayed.flaw(), Some(Flaw::LookNotSettled), "{seen:?}");
        assert_eq!(replayed.found.sale_looks_unpermitted, 1);
    }
    // Nor is one right because no line tells what it was.
    let silent = log_of(Vec::new(), &look());
    assert_eq!(replay(&silent, paid).flaw(), Some(Flaw::LookNotSettled));
}

#[test]
fn a_look_after_its_time_or_after_its_seller_ended_it_is_a_fault() {
    let last = Look { received_ms: NOON_MS + 29 * DAY_MS - 1, ..look() };
    assert_eq!(of(&last, settled()).flaw(), None);
    let over = Look { received_ms: NOON_MS + 29 * DAY_MS, ..look() };
    assert_eq!(of(&over, settled()).flaw(), Some(Flaw::LookAfterEnd));

    let received_s = look().received_ms / 1000;
    let revoked = |at_s: u64| OrderSeen { revoked_s: Some(at_s), ..settled() };
    let long_ago = of(&look(), revoked(received_s - EDGE_MS / 1000 - 1));
    assert_eq!(long_ago.flaw(), Some(Flaw::LookAfterEnd));
    // The log may not have seen it yet.
    let close = of(&look(), revoked(received_s - 60));
    assert_eq!((close.flaw(), close.found.both), (None, 1));
    assert_eq!(of(&look(), revoked(received_s + 1)).flaw(), None);

    // By asking in the log that what was delivered be deleted: that the log has seen.
    let asked = |earlier_ms: u64| {
        let withdrawn = of_sale(4, "withdrawn", &order(), &measured(), NOON_MS - earlier_ms);
        let told = told().into_iter().chain([withdrawn]).collect();
        replay(&log_of(told, &look()), settled())
    };
    assert_eq!(asked(MINUTE_MS).flaw(), Some(Flaw::LookAfterEnd));
    assert_eq!((asked(1000).flaw(), asked(1000).found.both), (None, 1));
    // By its id, revoked in the log or in the registry, and by taking back everything.
    let subject = address(MARI).into_word();
    let order = order().id(&MARKET);
    let no = |document: Document| {
        let no = of_document(4, subject, &signed(MARI, document), NOON_MS - MINUTE_MS);
        let told = told().into_iter().chain([no]).collect();
        replay(&log_of(told, &look()), settled()).flaw()
    };
    let ended = Some(Flaw::LookAfterEnd);
    assert_eq!(no(Document::Revoke(revoke(address(MARI), order))), ended);
    assert_eq!(no(Document::RevokeAll(revoke_all(0))), ended);
    let mut log = log_of(told(), &look());
    let event = ConsentEvent::Revoked { permission: order, at_s: NOON_S - 3600 };
    log.chain.push(ConsentRecord { event, is_final: true });
    assert_eq!(replay(&log, settled()).flaw(), ended);
}

#[test]
fn a_look_of_another_than_the_buyer_or_at_what_was_not_sold_is_a_fault() {
    for reader in [Some(address(LAB)), None] {
        let by = of(&Look { reader, ..look() }, settled());
        assert_eq!(by.flaw(), Some(Flaw::LookByOther));
    }
    let other = of(&Look { purpose: "HMARKT", ..look() }, settled());
    assert_eq!(other.flaw(), Some(Flaw::LookOutOfScope));
    let mut log = log_of(told(), &look());
    log.entries[0] = Opened { evidence: Evidence::Relayed, ..version(1, 0, 2, "Condition") };
    log.entries[0].place.receivedMs = NOON_MS - 10 * DAY_MS;
    assert_eq!(replay(&log, settled()).flaw(), Some(Flaw::LookOutOfScope));
    // Nor does it help to call it a list.
    let list = Look { listed: Some(1), ..look() };
    log.entries[3] = list.entry();
    log.entries[3].report.record = B256::repeat_byte(0x0c);
    assert_eq!(replay(&log, settled()).flaw(), Some(Flaw::LookOutOfScope));
    // Somebody else's data.
    let mut log = log_of(told(), &look());
    for one in [0, 3] {
        log.entries[one].report.subject = address(LAB).into_word();
    }
    assert_eq!(replay(&log, settled()).flaw(), Some(Flaw::LookOutOfScope));
}

#[test]
fn data_of_which_the_log_does_not_tell_enough_are_judged_as_far_as_it_does() {
    // A list, and a record that lies under another name: all but the data is judged.
    let list = Look { listed: Some(3), ..look() };
    let mut bare = log_of(told(), &look());
    bare.entries.remove(0);
    for log in [log_of(told(), &list), bare] {
        let fine = replay(&log, settled());
        assert_eq!((fine.flaw(), fine.found.sale_looks_data_not_told), (None, 1));
        let never = replay(&log, OrderSeen::default());
        assert_eq!(never.flaw(), Some(Flaw::LookNotSettled));
    }
    // What was sold by code or mark is so by its bytes, and no line tells those.
    for (scopes, codes) in [
        ("patient/Observation.rs", &[GLUCOSE][..]),
        ("patient/Observation.rs?_security=HIV", &[][..]),
        ("patient/Observation.rs?category=http://x.example|laboratory", &[][..]),
    ] {
        let dataset = dataset(scopes, codes, Form::AsItIs);
        let order = order_for(&dataset, 30 * DAY_S);
        let told = vec![of_sale(3, "settled", &order, &dataset, NOON_MS - DAY_MS)];
        let look = Look { order: order.id(&MARKET), ..look() };
        let fine = replay(&log_of(told, &look), settled());
        assert_eq!((fine.flaw(), fine.found.sale_looks_permitted), (None, 1), "{scopes}");
    }
}

#[test]
fn a_look_that_a_refusal_took_back_is_no_fault() {
    let over = Look { received_ms: NOON_MS + 29 * DAY_MS, ..look() };
    let mut log = log_of(told(), &over);
    let no = refusal(501, &over.entry(), over.received_ms + 1);
    let details = json!({ "version": "medtrail/refusal-v1", "refused": "read" });
    let no = Opened { details: Some(details.to_string().into_bytes()), ..no };
    log.entries.insert(4, no);
    let replayed = replay(&log, settled());
    assert_eq!((replayed.flaw(), replayed.found.in_vault_taken_back), (None, 1));
    assert_eq!(replayed.found.sale_looks_permitted, 0);
}

#[test]
fn what_nobody_can_judge_is_counted_and_told() {
    // No market on this chain.
    let log = log_of(told(), &look());
    let deaf = log.replay();
    assert_eq!((deaf.flaw(), deaf.found.sale_no_market), (None, 1));
    // It was settled, and what it was about is told by no line, or by one of another document.
    let other = Order { grace: 7, ..order() };
    let mut lying = of_sale(3, "settled", &other, &measured(), NOON_MS - DAY_MS);
    lying.report.record = order().id(&MARKET);
    lying.report.permission = order().id(&MARKET);
    for told in [Vec::new(), vec![lying]] {
        let silent = replay(&log_of(told, &look()), settled());
        assert_eq!((silent.flaw(), silent.found.sale_not_told), (None, 1));
        let checked = silent.tally.of(Check::Permissions).unwrap();
        assert_eq!(checked.verdict(), Colour::Amber);
        assert!(checked.notes[0].contains("1 looks of buyers"), "{:?}", checked.notes);
    }
    // Newer than what is final on the chain.
    let young = log.replay_at(Some((MARKET, OrderSeen::default())), 0, NOON_MS);
    assert_eq!((young.flaw(), young.found.both), (None, 1));
    // Signed, a look names a document: the vault takes no such report under an order.
    let mut signed = log_of(told(), &look());
    signed.entries[3].evidence = signed_evidence();
    signed.entries[3].report.actor = address(STRANGER);
    assert_eq!(replay(&signed, settled()).flaw(), Some(Flaw::VaultUnpermitted));
}

#[test]
fn what_shows_a_fault_is_judged_the_same_by_whoever_has_it() {
    let over = Look { received_ms: NOON_MS + 29 * DAY_MS, ..look() };
    let (entry, judged) = of(&over, settled()).evidence.unwrap();
    let text = serde_json::to_string(&*judged).unwrap();
    let judged: Judged = serde_json::from_str(&text).unwrap();
    assert_eq!(entry.report.permission, order().id(&MARKET));
    let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    let Look { received_ms, .. } = over;
    let base = support::look();
    let world = World {
        market: judged
            .market
            .as_ref()
            .map(|market| serde_json::from_value(market.clone()).unwrap()),
        sales: judged.sales.iter().map(read).collect(),
        ..base.world
    };
    let purposes = vec!["HRESCH".to_owned()];
    let act = Act {
        report: entry.report,
        received_ms,
        in_vault: true,
        signer: None,
        party: judged.party.clone(),
        need: Need { purposes, is_search: true, ..Need::default() },
        ..base.act
    };
    let Verdict::DoesNotCount { reason, document } = permits(&act, &world) else { panic!() };
    assert_eq!((json!(reason), document), (json!(judged.reason), judged.document));
    assert_eq!(judged.reason, "expired");
}

/// A delivery an hour before it is settled.
fn delivery() -> Opened {
    let received_ms = NOON_MS - DAY_MS - HOUR_MS;
    let report = Report {
        kind: Kind::Delivery.number(),
        action: b'E',
        timeMs: received_ms,
        subject: address(MARI).into_word(),
        record: order().id(&MARKET),
        fromVersion: version_of(KEY.as_slice()),
        toVersion: B256::repeat_byte(0x0f),
        permission: order().id(&MARKET),
        ..Report::default()
    };
    let details = json!({ "version": "medtrail/delivery-v1" });
    entry(50, report, received_ms, Evidence::Relayed, details)
}

fn delivered(delivery: Opened, told: Vec<Opened>) -> Log {
    let mut entries: Vec<Opened> = told.into_iter().chain([delivery]).collect();
    entries.sort_by_key(|entry| entry.place.receivedMs);
    entries.push(closing(NOON_MS + DAY_MS));
    Log { entries, chain: Vec::new() }
}

#[test]
fn a_delivery_is_of_an_order_that_was_paid_whose_terms_stand_and_whose_lock_the_key_opened() {
    let log = delivered(delivery(), told());
    let fine = replay(&log, settled());
    assert_eq!((fine.flaw(), fine.found.deliveries_settled), (None, 1));
    let paid = OrderSeen { settled_s: None, key: None, ..settled() };
    let refunded_s = Some(NOON_S - 60);
    for open in [paid, OrderSeen { refunded_s, ..paid }] {
        let replayed = replay(&log, open);
        assert_eq!((replayed.flaw(), replayed.found.deliveries_open), (None, 1));
    }

    let red = Some(Flaw::DeliveryUnfounded);
    let long_before = Some(NOON_S - 2 * DAY_S);
    let wrong = [
        OrderSeen::default(),
        OrderSeen { paid_s: Some(NOON_S), ..paid },
        OrderSeen { refunded_s: long_before, ..paid },
        OrderSeen { settled_s: long_before, ..settled() },
        OrderSeen { key: Some(B256::repeat_byte(0x78)), ..settled() },
    ];
    for seen in wrong {
        let replayed = replay(&log, seen);
        assert_eq!((replayed.flaw(), replayed.found.deliveries_unfounded), (red, 1), "{seen:?}");
        let (entry, judged) = replayed.evidence.unwrap();
        assert_eq!((entry.report.kind, judged.reason.as_str()), (6, "kind"));
        assert_eq!((judged.sales.len(), judged.market.is_some()), (1, true));
    }

    // Terms that do not stand, of another log, and of another seller.
    let of = |change: fn(&mut Order)| {
        let mut order = order();
        change(&mut order);
        let mut delivery = delivery();
        delivery.report.permission = order.id(&MARKET);
        let line = of_sale(2, "paid", &order, &measured(), NOON_MS - 2 * DAY_MS);
        replay(&delivered(delivery, vec![line]), settled()).flaw()
    };
    assert_eq!(of(|_| {}), None);
    assert_eq!(of(|order| order.offer.terms.statement.push('!')), red);
    assert_eq!(of(|order| order.offer.log = B256::repeat_byte(0x10)), red);
    assert_eq!(of(|order| order.salt = B256::ZERO), red);
    let mut other = delivery();
    other.report.subject = address(LAB).into_word();
    assert_eq!(replay(&delivered(other, told()), settled()).flaw(), red);
}

#[test]
fn a_delivery_of_which_nobody_knows_the_order_is_counted_and_told() {
    let silent = delivered(delivery(), Vec::new());
    for seen in [OrderSeen::default(), settled()] {
        let replayed = replay(&silent, seen);
        assert_eq!((replayed.flaw(), replayed.found.sale_not_told), (None, 1), "{seen:?}");
        let checked = replayed.tally.of(Check::Permissions).unwrap();
        assert_eq!(checked.verdict(), Colour::Amber);
    }
    assert_eq!(silent.replay().found.sale_no_market, 1);
    // What the market alone shows is a fault all the same.
    let twice = OrderSeen { settled_s: Some(NOON_S - 2 * DAY_S), ..settled() };
    assert_eq!(replay(&silent, twice).flaw(), Some(Flaw::DeliveryUnfounded));
    // Newer than what is final on the chain.
    let young = delivered(delivery(), told());
    let young = young.replay_at(Some((MARKET, OrderSeen::default())), 0, NOON_MS - 2 * DAY_MS);
    assert_eq!((young.flaw(), young.found.both), (None, 1));
}

#[test]
fn a_download_by_another_than_the_buyer_is_a_fault() {
    let by = |reader: u8, seen: OrderSeen, told: Vec<Opened>| {
        let received_ms = NOON_MS - HOUR_MS;
        let report = Report {
            kind: Kind::Access.number(),
            action: b'R',
            timeMs: received_ms,
            subject: address(MARI).into_word(),
            record: order().id(&MARKET),
            permission: order().id(&MARKET),
            ..Report::default()
        };
        let details = json!({
            "version": "medtrail/download-v1", "reader": address(reader),
            "order": order().id(&MARKET), "file": B256::repeat_byte(0x0f),
        });
        let download = entry(60, report, received_ms, Evidence::Relayed, details);
        let mut log = delivered(delivery(), told);
        log.entries.insert(log.entries.len() - 1, download);
        replay(&log, seen)
    };
    let fine = by(STRANGER, settled(), told());
    assert_eq!((fine.flaw(), fine.found.downloads, fine.found.deliveries), (None, 1, 1));
    let other = by(LAB, settled(), told());
    assert_eq!((other.flaw(), other.found.deliveries_unfounded), (Some(Flaw::LookByOther), 1));
    let (entry, judged) = other.evidence.unwrap();
    assert_eq!((entry.report.kind, judged.sales.len()), (1, 1));
    let silent = by(LAB, settled(), Vec::new());
    assert_eq!((silent.flaw(), silent.found.sale_not_told), (None, 2));
}
