//! Whole logs replayed: with every case that `permits.json` has, as an honest operator would have
//! written it, and with a lie in it.

mod cases;
mod support;

#[path = "replay/called.rs"]
mod called;
#[path = "replay/children.rs"]
mod children;
#[path = "replay/guarded.rs"]
mod guarded;
#[path = "replay/judged.rs"]
mod judged;
#[path = "replay/refusals.rs"]
mod refusals;
#[path = "replay/silence.rs"]
mod silence;
#[path = "replay/sold.rs"]
mod sold;
#[path = "replay/vault.rs"]
mod vault;

use alloy_primitives::{Address, B256, keccak256};
use cases::Case;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::{Judged, OpenedEntry};
use medtrail_ledger::audit::order::InOrder;
use medtrail_ledger::audit::{Check, Flaw, Tally};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::ports::{EventKey, RecordTag, RowHeader, SubjectTag};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Place, Report};
use medtrail_ledger::trust::{Key, Operator, Organisation, TrustFile};
use medtrail_ledger::verify::Verdict as Colour;
use medtrail_permit::permits::{Act, ChainState, Held, Need, Verdict, World};
use medtrail_permit::replay::{EDGE_MS, Found, OrderSeen, Replay, Setting};
use medtrail_permit::sale::Market;
use medtrail_permit::signed::{PermissionDetails, Signed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{
    DAY_MS, HOSPITAL, HOUR_MS, JAAN, LAB, MARI, NEW_KEY, NOON_MS, REGISTRIES, Scene, address,
    approval, change, grant, id, revoke, signed,
};

/// Long after everything.
const END_MS: u64 = NOON_MS + 400 * DAY_MS;

/// What an act needs stands in these tests' details, or in those of a look as the vault writes it.
fn need(_: &Report, details: Option<&[u8]>) -> Need {
    let told: Value = serde_json::from_slice(details.unwrap_or_default()).unwrap_or_default();
    let purposes = serde_json::from_value(told["purposes"].clone()).unwrap_or_default();
    let look = Need { purposes, is_search: told["listed"].is_u64(), ..Need::default() };
    serde_json::from_value(told["need"].clone()).unwrap_or(look)
}

fn trust() -> TrustFile {
    let key = |seed| vec![Key { address: address(seed), from_ms: 0, until_ms: None }];
    let organisation = |name: &str, seed| Organisation {
        name: name.into(),
        register_number: None,
        domain: "x.example".into(),
        keys: key(seed),
    };
    TrustFile {
        version: "medtrail/trust-v1".into(),
        chain_id: REGISTRIES.chain_id,
        registry: REGISTRIES.anchor_registry,
        log: keccak256("log"),
        origin: "log.example".into(),
        operator: Operator {
            name: "Log".into(),
            domain: "log.example".into(),
            note_key: String::new(),
            keys: key(0x77),
        },
        organisations: vec![organisation("Fjord Hospital", HOSPITAL), organisation("Lab", LAB)],
    }
}

fn entry(
    index: u64,
    report: Report,
    received_ms: u64,
    evidence: Evidence,
    details: Value,
) -> Opened {
    Opened {
        index,
        header: RowHeader {
            subject: SubjectTag([0; 16]),
            ordinal: 0,
            event: EventKey([0; 16]),
            record: RecordTag([0; 16]),
        },
        commitment: keccak256(index.to_be_bytes()),
        previous: B256::ZERO,
        report,
        place: Place { receivedMs: received_ms, ..Place::default() },
        evidence,
        details: Some(details.to_string().into_bytes()),
    }
}

fn signed_evidence() -> Evidence {
    Evidence::Signed(vec![0; 65].into())
}

/// The entry that an act was read from.
fn of_act(act: &Act) -> Opened {
    let mut details = json!({ "need": act.need });
    if act.in_vault {
        details["version"] = "medtrail/version-v1".into();
    } else if act.signer.is_none() {
        details["version"] = "medtrail/relayed-v1".into();
        details["organisation"] = json!(act.party.first().copied().unwrap_or_default());
    }
    let mut report = act.report.clone();
    let evidence = match act.signer {
        Some(signer) => {
            report.actor = signer;
            signed_evidence()
        }
        None => Evidence::Relayed,
    };
    let made = entry(act.index, report, act.received_ms, evidence, details);
    Opened { commitment: act.commitment, ..made }
}

fn of_document(index: u64, subject: B256, signed: &Signed, received_ms: u64) -> Opened {
    let report = Report { kind: Kind::Permission.number(), subject, ..Report::default() };
    let details = serde_json::to_value(PermissionDetails::of(signed.clone())).unwrap();
    entry(index, report, received_ms, Evidence::Relayed, details)
}

fn refusal(index: u64, change: &Opened, received_ms: u64) -> Opened {
    let report = Report {
        kind: Kind::Refusal.number(),
        subject: change.report.subject,
        permission: change.commitment,
        ..Report::default()
    };
    let details = json!({ "version": "medtrail/refusal-v1", "refused": "change" });
    entry(index, report, received_ms, Evidence::Relayed, details)
}

/// The last entry of each log: its clock went on.
fn closing(received_ms: u64) -> Opened {
    let report = Report { kind: Kind::Operation.number(), ..Report::default() };
    entry(9999, report, received_ms, Evidence::Relayed, json!({}))
}

/// The records that come to this state; none: some are not final, which an audit does not read.
fn records(state: &ChainState) -> Option<Vec<ConsentRecord>> {
    let mut events = Vec::new();
    for one in &state.standings {
        if let Some(granted) = one.granted {
            let event = ConsentEvent::Granted { permission: one.id, at_s: granted.at_s };
            events.push((granted.at_s, event, granted.is_final, one.subject));
        }
        if let Some(at_s) = one.revoked_s {
            let event = ConsentEvent::Revoked { permission: one.id, at_s };
            events.push((at_s, event, true, one.subject));
        }
    }
    for one in &state.epochs {
        let event = ConsentEvent::EpochStarted { epoch: one.epoch, at_s: one.at_s };
        events.push((one.at_s, event, true, one.subject));
    }
    for one in &state.controllers {
        let event = ConsentEvent::ControlMoved { controller: one.controller, at_s: one.at_s };
        events.push((one.at_s, event, one.is_final, one.subject));
    }
    for one in &state.freezes {
        events.push((one.from_s, ConsentEvent::Frozen { at_s: one.from_s }, true, one.subject));
        if let Some(until_s) = one.until_s {
            let event = ConsentEvent::UnfreezeStarted { until_s };
            events.push((one.from_s, event, true, one.subject));
        }
    }
    events.sort_by_key(|(at_s, ..)| *at_s);
    let is_plain =
        events.iter().all(|(_, _, is_final, subject)| *is_final && *subject == address(MARI));
    is_plain.then(|| {
        events.into_iter().map(|(_, event, ..)| ConsentRecord { event, is_final: true }).collect()
    })
}

/// A market, and what it says of every order.
type Asked = (Market, OrderSeen);

struct Log {
    entries: Vec<Opened>,
    chain: Vec<ConsentRecord>,
}

struct Replayed {
    tally: Tally,
    found: Found,
    evidence: Option<(OpenedEntry, Box<Judged>)>,
}

impl Log {
    fn replay(&self) -> Replayed {
        self.replay_with(0, END_MS)
    }

    fn replay_with(&self, grace_ms: u64, final_ms: u64) -> Replayed {
        self.replay_at(None, grace_ms, final_ms)
    }

    /// The same where a market has this to say of each order.
    fn replay_at(&self, asked: Option<Asked>, grace_ms: u64, final_ms: u64) -> Replayed {
        let trust = trust();
        let market = asked.map(|(market, _)| market);
        let setting = Setting {
            registries: REGISTRIES,
            market,
            cohort_market: None,
            trust: &trust,
            need,
            final_ms,
            grace_ms,
        };
        self.replay_in(setting, &mut |replay, entry| {
            if let Some(order) = replay.asks_order(entry) {
                replay.tell_order(order, asked.unwrap().1);
                assert_eq!(replay.asks_order(entry), None);
            }
        })
    }

    /// The same in a setting, where this tells what is asked of markets.
    fn replay_in(
        &self,
        setting: Setting<'_>,
        tell: &mut dyn FnMut(&mut Replay<'_>, &Opened),
    ) -> Replayed {
        let mut replay = Replay::new(setting);
        let mut tally = Tally::default();
        let mut ordinals = BTreeMap::<B256, u64>::new();
        for entry in &self.entries {
            let mut entry = entry.clone();
            if entry.header.ordinal == 0 && !entry.report.subject.is_zero() {
                let ordinal = ordinals.entry(entry.report.subject).or_default();
                *ordinal += 1;
                entry.header.ordinal = *ordinal;
            }
            let entry = &entry;
            if let Some(subject) = replay.asks(entry) {
                let is_mari = subject == address(MARI);
                replay.tell(subject, if is_mari { self.chain.clone() } else { Vec::new() });
                assert_eq!(replay.asks(entry), None);
            }
            tell(&mut replay, entry);
            replay.opened(entry, &mut tally);
        }
        replay.finish(&mut tally);
        Replayed { tally, found: replay.found().clone(), evidence: replay.evidence() }
    }

    /// With a refusal of the change `at` right after it.
    fn refusing(&self, at: usize) -> Self {
        let change = &self.entries[at];
        let refusal = refusal(change.index, change, change.place.receivedMs + 1);
        let mut entries = self.entries.clone();
        let later = |entry: &Opened| entry.place.receivedMs > change.place.receivedMs;
        let place = at + 1 + entries[at + 1..].iter().position(later).unwrap();
        entries.insert(place, refusal);
        Self { entries, chain: self.chain.clone() }
    }
}

impl Replayed {
    fn flaw(&self) -> Option<Flaw> {
        self.tally.first_fault().map(|fault| fault.flaw)
    }
}

/// The log of a case; none: an audit would never meet it so.
fn log_of(case: &Case) -> Option<(Log, usize)> {
    let Scene { act, world } = &case.scene;
    let kind = Kind::from_number(act.report.kind);
    let is_replayed = kind == Kind::Change || (kind == Kind::Access && act.in_vault);
    let is_mari = act.report.subject == address(MARI).into_word();
    let is_recorded = world.documents.iter().all(|held| held.received_ms.is_some());
    let party = act.signer.into_iter().collect::<Vec<Address>>();
    let is_party = act.signer.is_none() || act.party == party;
    let is_own = world.uses.iter().all(|one| one.index == act.index);
    // What is by an order has tests of its own.
    let is_sold = world.market.is_some() || !world.sales.is_empty();
    let is_here = world.registries == REGISTRIES && world.pseudonyms.is_empty() && !is_sold;
    if !(is_replayed && is_mari && is_recorded && is_party && is_own && is_here) {
        return None;
    }
    let chain = records(&world.chain)?;
    let mut documents = world.documents.clone();
    documents.sort_by_key(|held| held.received_ms);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (number, held) in documents.iter().enumerate() {
        let received_ms = held.received_ms.unwrap();
        let is_before = received_ms <= act.received_ms;
        let index = if is_before { number } else { 200 + number } as u64;
        let made = of_document(index, act.report.subject, &held.signed, received_ms);
        if is_before { before.push(made) } else { after.push(made) }
    }
    let at = before.len();
    let entries = before.into_iter().chain([of_act(act)]).chain(after);
    let end_ms = after_all(act, &documents);
    Some((Log { entries: entries.chain([closing(end_ms)]).collect(), chain }, at))
}

fn after_all(act: &Act, documents: &[Held]) -> u64 {
    let newest = documents.iter().filter_map(|held| held.received_ms).max();
    newest.unwrap_or_default().max(act.received_ms) + DAY_MS
}

#[test]
fn an_honest_log_of_every_case_replays_without_fault_and_a_dishonest_one_does_not() {
    let mut seen = [0; 4];
    for case in cases::all() {
        let Some((log, at)) = log_of(&case) else { continue };
        let name = case.name;
        let bare = log.replay();
        let refused = log.refusing(at).replay();
        if bare.found.both > 0 {
            // Both answers are honest.
            assert_eq!((bare.flaw(), refused.flaw()), (None, None), "{name}");
            seen[3] += 1;
            continue;
        }
        if case.scene.act.in_vault {
            let is_permitted = matches!(case.expected, Verdict::Counts { .. });
            let expected = (!is_permitted).then_some(Flaw::VaultUnpermitted);
            assert_eq!(bare.flaw(), expected, "{name}");
            continue;
        }
        match case.expected {
            Verdict::DoesNotCount { .. } if bare.found.contested == 1 => {
                assert_eq!(bare.flaw(), None, "{name}");
            }
            Verdict::DoesNotCount { .. } => {
                assert_eq!(bare.flaw(), Some(Flaw::RefusalMissing), "{name}");
                let judged = bare.evidence.unwrap().1;
                assert_eq!(
                    (judged.index, judged.verdict.as_str()),
                    (100, "doesNotCount"),
                    "{name}"
                );
                assert_eq!(refused.flaw(), None, "{name}");
                assert_eq!((refused.found.refused, refused.found.told), (1, 1), "{name}");
                seen[0] += 1;
            }
            Verdict::Counts { .. } => {
                assert_eq!(bare.flaw(), None, "{name}");
                assert_eq!(bare.found.permitted + bare.found.confirmed, 1, "{name}");
                assert_eq!(refused.flaw(), Some(Flaw::RefusalUnfounded), "{name}");
                seen[1] += 1;
            }
            Verdict::Unconfirmed { .. } => {
                assert_eq!((bare.flaw(), bare.found.unconfirmed), (None, 1), "{name}");
                assert_eq!(refused.flaw(), Some(Flaw::RefusalUnfounded), "{name}");
                seen[2] += 1;
            }
        }
    }
    println!("{seen:?}");
    assert!(seen[0] >= 20 && seen[1] >= 10 && seen[2] >= 2, "{seen:?}");
}

/// The hospital's change at noon, in a log with these documents of Mari before it.
fn log(scene: Scene) -> (Log, usize) {
    let any =
        Verdict::DoesNotCount { reason: medtrail_permit::permits::Refusal::Kind, document: None };
    log_of(&Case { name: "", scene, expected: any, until_ms: None }).unwrap()
}

#[test]
fn what_the_chain_took_back_well_before_counts_against_a_log_and_what_is_close_does_not() {
    let scene = change().naming(grant()).before(HOUR_MS, signed(MARI, grant()));
    let (log, at) = log(scene);
    let received_ms = log.entries[at].place.receivedMs;
    let revoked = |at_ms: u64| {
        let event = ConsentEvent::Revoked { permission: id(grant()), at_s: at_ms / 1000 };
        let chain = vec![ConsentRecord { event, is_final: true }];
        Log { entries: log.entries.clone(), chain }
    };
    let before = revoked(received_ms - EDGE_MS - 1000).replay();
    assert_eq!(before.flaw(), Some(Flaw::RefusalMissing));
    let (entry, judged) = before.evidence.unwrap();
    assert_eq!((judged.reason.as_str(), judged.chain.len()), ("revoked", 1));
    assert_eq!((judged.documents.len(), entry.report.permission), (1, id(grant())));
    let close = revoked(received_ms - EDGE_MS + 1000);
    assert_eq!((close.replay().flaw(), close.replay().found.both), (None, 1));
    assert_eq!(close.refusing(at).replay().flaw(), None);
    let after = revoked(received_ms + EDGE_MS + 1000);
    assert_eq!((after.replay().flaw(), after.replay().found.permitted), (None, 1));
    assert_eq!(after.refusing(at).replay().flaw(), Some(Flaw::RefusalUnfounded));
    // Newer than what is final on the chain: nobody can say.
    let new = after.refusing(at).replay_with(0, received_ms + EDGE_MS - 1);
    assert_eq!((new.flaw(), new.found.both), (None, 1));
}

#[test]
fn what_shares_a_millisecond_with_a_change_may_have_been_seen_or_not() {
    let scene = change().naming(grant()).before(HOUR_MS, signed(MARI, grant()));
    let (log, at) = log(scene.with(|scene| scene.act.received_ms = NOON_MS));
    let change = &log.entries[at];
    let revoke = revoke(address(MARI), id(grant()));
    let revoke = |received_ms| {
        let signed = signed(MARI, revoke.clone());
        let mut entries = log.entries.clone();
        entries.insert(at + 1, of_document(101, change.report.subject, &signed, received_ms));
        Log { entries, chain: Vec::new() }
    };
    let same = revoke(change.place.receivedMs);
    assert_eq!((same.replay().flaw(), same.replay().found.both), (None, 1));
    assert_eq!(same.refusing(at).replay().flaw(), None);
    let later = revoke(change.place.receivedMs + 1);
    assert_eq!((later.replay().flaw(), later.replay().found.permitted), (None, 1));
}

#[test]
fn an_approval_is_used_once_also_by_a_change_that_came_before_it_was_shown() {
    let approved = change().naming(approval()).before(HOUR_MS, signed(MARI, approval()));
    let (log, at) = log(approved);
    assert_eq!(log.replay().found.permitted, 1);
    let mut early = log.entries[at].clone();
    (early.index, early.place.receivedMs) = (50, NOON_MS - 2 * HOUR_MS);
    early.commitment = keccak256("early");
    let mut entries = log.entries.clone();
    entries.insert(0, early);
    let replayed = Log { entries, chain: Vec::new() }.replay();
    assert_eq!((replayed.found.refused, replayed.found.permitted), (2, 0));
    // Another organisation that learnt the id has not used it up.
    let mut stolen = log.entries[at].clone();
    (stolen.index, stolen.place.receivedMs) = (50, NOON_MS - 2 * HOUR_MS);
    (stolen.commitment, stolen.report.actor) = (keccak256("stolen"), address(LAB));
    let mut entries = log.entries;
    entries.insert(0, stolen);
    let replayed = Log { entries, chain: Vec::new() }.replay();
    assert_eq!((replayed.found.refused, replayed.found.permitted), (1, 1));
    assert_eq!(replayed.found.by[&address(LAB)].name, "Lab");
}

#[test]
fn a_key_that_was_enrolled_later_speaks_for_its_organisation() {
    let (log, at) = log(change().naming(grant()).before(HOUR_MS, signed(MARI, grant())));
    let mut entries = log.entries;
    entries[at].report.actor = address(NEW_KEY);
    let unknown = Log { entries: entries.clone(), chain: Vec::new() };
    assert_eq!(unknown.replay().flaw(), Some(Flaw::RefusalMissing));
    let operation = json!({
        "version": "medtrail/operation-v1", "act": "key-enrolled", "name": "Fjord Hospital",
        "organisation": address(HOSPITAL), "key": address(NEW_KEY),
    });
    let report = Report { kind: Kind::Operation.number(), ..Report::default() };
    entries.insert(0, entry(1, report, 0, Evidence::Relayed, operation));
    assert_eq!(Log { entries, chain: Vec::new() }.replay().flaw(), None);
}

#[test]
fn a_person_without_a_key_and_without_documents_waits_and_is_refused_by_nobody() {
    let (mut log, at) = log(change());
    log.entries[at].report.subject = JAAN;
    let replayed = log.replay();
    assert_eq!((replayed.flaw(), replayed.found.without_key), (None, 1));
    assert_eq!(log.refusing(at).replay().flaw(), Some(Flaw::RefusalUnfounded));
}

#[test]
fn what_an_erasure_ended_permits_nothing_when_a_copy_is_brought_back() {
    let scene = change().naming(grant()).before(HOUR_MS, signed(MARI, grant()));
    let (mut log, at) = log(scene);
    assert_eq!(log.replay().found.permitted, 1);
    let report = Report {
        kind: Kind::Erasure.number(),
        subject: address(MARI).into_word(),
        ..Report::default()
    };
    let done = json!({ "version": "medtrail/erasure-v1", "act": "done", "endsEpoch": 0 });
    let mut done = entry(90, report, NOON_MS - 2 * HOUR_MS, Evidence::Relayed, done);
    log.entries.insert(0, done.clone());
    assert_eq!(log.replay().flaw(), Some(Flaw::RefusalMissing));
    assert_eq!(log.refusing(at + 1).replay().flaw(), None);
    // Signed it is not the log's word, and ends nothing.
    done.evidence = signed_evidence();
    log.entries[0] = done;
    assert_eq!(log.replay().flaw(), None);
}
