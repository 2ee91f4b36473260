//! What a buyer of a call to many is given is held to its entries, to the chain and to what each
//! seller signed; its formats stay what they are.

#[path = "support/sold.rs"]
mod sold;
mod support;

use alloy_primitives::{Address, B256, U256, hex};
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::schema::{Place, Report};
use medtrail_market::cohort::entry::report;
use medtrail_market::cohort::manifest::{CohortManifest, ConsentOf};
use medtrail_market::cohort::verify::{Called, CohortFault, Entered, before_key};
use medtrail_market::entry::{Delivered, DeliveryDetails};
use medtrail_market::manifest::ManifestError;
use medtrail_market::seal::{LockKey, Sealed};
use medtrail_market::verify::Fault;
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::check::SaleError;
use serde_json::{Value, json};
use sold::{MARKET, Sold, World, address, signed};
use std::path::PathBuf;
use support::{NOON_S, SAFE};

#[test]
fn a_file_with_other_sellers_entries_keys_or_words_is_told_apart() {
    let world = World::new(SAFE);
    let checked = |change: &dyn Fn(&mut Sold)| {
        let mut sold = world.sell();
        change(&mut sold);
        sold.check()
    };
    checked(&|_| {}).unwrap();
    let entry = |field| move |fault: CohortFault| matches!(fault, CohortFault::Delivery(Fault::Entry(found)) if found == field);
    let report = |change: fn(&mut Report)| move |sold: &mut Sold| change(&mut sold.entries[1].0);
    for (field, change) in [
        ("log", report(|it| it.log = B256::ZERO)),
        ("kind", report(|it| it.kind = 5)),
        ("action", report(|it| it.action = b'R')),
        ("permission", report(|it| it.permission = B256::ZERO)),
    ] {
        assert!(entry(field)(checked(&change).unwrap_err()), "{field}");
    }
    let key = checked(&|sold| sold.key = LockKey::new([2; 32]));
    assert!(matches!(key, Err(CohortFault::Delivery(Fault::Key))));
    let other = checked(&|sold| sold.sealed.hash = B256::ZERO);
    assert!(matches!(other, Err(CohortFault::Settled { .. })));
    let old = checked(&|sold| sold.entries[2].0.fromVersion = B256::ZERO);
    assert!(matches!(old, Err(CohortFault::Entries)));
    let details = checked(&|sold| sold.entries[2].1.push(b' '));
    assert!(matches!(details, Err(CohortFault::Delivery(Fault::OtherDetails))));
    // The same call, made anew: one entry of the old file among the new.
    let old = checked(&|sold| {
        let details = DeliveryDetails::new(B256::repeat_byte(7), B256::repeat_byte(8)).bytes();
        sold.entries[2].0.details = details_hash(&details);
        sold.entries[2].1 = details;
    });
    assert!(matches!(old, Err(CohortFault::Entries)));
    assert!(matches!(checked(&|sold| sold.entries.clear()), Err(CohortFault::NoEntry)));
    let twice = checked(&|sold| sold.entries.push(sold.entries[0].clone()));
    assert!(matches!(twice, Err(CohortFault::Entries)));
    let missing = checked(&|sold| drop(sold.entries.remove(1)));
    assert!(matches!(missing, Err(CohortFault::NotEntered(20))));
    let swapped = checked(&|sold| sold.entries[1].0.subject = subject_of(address(1)));
    assert!(matches!(swapped, Err(CohortFault::NotEntered(20))));
    let stranger = checked(&|sold| {
        let mut more = sold.entries[0].clone();
        (more.0.record, more.0.permission) = (B256::repeat_byte(5), B256::repeat_byte(5));
        sold.entries.push(more);
    });
    assert!(matches!(stranger, Err(CohortFault::NotInFile(_))));
    let robbed = checked(&|sold| sold.paid.push((40, address(4))));
    assert!(matches!(robbed, Err(CohortFault::PaidForNothing(40, _))));
    let late = checked(&|sold| sold.paid.truncate(2)).unwrap();
    assert_eq!(late.unpaid, [30]);
    let cut = checked(&|sold| sold.file.truncate(sold.file.len() - 1));
    assert!(matches!(cut, Err(CohortFault::Delivery(_))), "{cut:?}");
    let grown = checked(&|sold| sold.file.push(0));
    assert!(grown.is_err());
    let again = checked(&|sold| sold.file = world.sell().file);
    assert!(matches!(again, Err(CohortFault::Delivery(Fault::File { .. }))), "{again:?}");
    let other = checked(&|sold| sold.cohort.salt = B256::repeat_byte(1));
    assert!(matches!(other, Err(CohortFault::Delivery(Fault::Manifest("cohort")))), "{other:?}");
    let dear = checked(&|sold| sold.cohort.price = U256::from(8));
    assert!(matches!(dear, Err(CohortFault::Call(SaleError::Statement))), "{dear:?}");
}

#[test]
fn before_the_key_is_shown_the_file_is_held_to_its_entries() {
    let sold = World::new(SAFE).sell();
    let entries: Vec<Entered<'_>> =
        sold.entries.iter().map(|(report, details)| Entered { report, details }).collect();
    let called = Called { market: &MARKET, cohort: &sold.cohort, dataset: &sold.dataset };
    before_key(&called, &entries, &*sold.file).unwrap();
    let cut = before_key(&called, &entries, &sold.file[1..]);
    assert!(matches!(cut, Err(CohortFault::Delivery(Fault::File { .. }))));
    assert!(matches!(before_key(&called, &[], &*sold.file), Err(CohortFault::NoEntry)));
}

#[test]
fn a_consent_that_another_key_signed_is_named() {
    let world = World::new(SAFE);
    let mut consents = world.consents();
    // Who took over the account, a contract wallet, and a signature over other terms.
    consents[0].1.signature = signed(7, world.id(1));
    consents[1].1.signature = vec![1; 130].into();
    consents[2].1.signature = signed(3, world.id(2));
    assert_eq!(world.sell_to(&consents).check().unwrap().by_others, [10, 20, 30]);
}

#[test]
fn a_manifest_has_one_spelling_and_holds_together() {
    for form in [Form::AsItIs, SAFE] {
        let manifest = World::new(form).sell().manifest;
        let bytes = manifest.bytes();
        assert_eq!(CohortManifest::parse(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        let blank = text.replacen("\",\"", "\", \"", 1);
        assert!(matches!(CohortManifest::parse(blank.as_bytes()), Err(ManifestError::Spelling)));
        let more = text.replacen('{', "{\"mood\":1,", 1);
        assert!(matches!(CohortManifest::parse(more.as_bytes()), Err(ManifestError::Json(_))));
        let newer = text.replacen("manifest-v1", "manifest-v2", 1);
        let newer = CohortManifest::parse(newer.as_bytes());
        assert!(matches!(newer, Err(ManifestError::CohortVersion(_))));
        let with = |change: fn(&mut CohortManifest)| {
            let mut other = manifest.clone();
            change(&mut other);
            CohortManifest::parse(&other.bytes())
        };
        let torn: [fn(&mut CohortManifest); 14] = [
            |it| it.consents.swap(0, 1),
            |it| it.consents[1].seller = it.consents[0].seller,
            |it| drop(it.consents.pop()),
            |it| drop(it.persons.pop()),
            |it| it.persons.swap(0, 1),
            |it| it.persons[1].label = it.persons[0].label.clone(),
            |it| it.persons[0].label = "../../../../../a".into(),
            |it| it.persons[0].records.clear(),
            |it| it.persons[0].consent = ConsentOf::Place(40),
            |it| it.persons[0].consent = it.persons[1].consent.opposite(),
            |it| it.persons[0].records = it.persons[1].records.clone(),
            |it| it.cohort.terms.dataset = B256::ZERO,
            |it| it.dataset = it.dataset.replace("patient/*", "patient/Observation"),
            |it| it.consents[0].signature = vec![0; 2049].into(),
        ];
        for (number, change) in torn.into_iter().enumerate() {
            let read = with(change);
            let is_refused =
                matches!(read, Err(ManifestError::Cohort(_) | ManifestError::Entry(_)));
            assert!(is_refused, "{number}: {read:?}");
        }
        assert!(matches!(with(|it| it.files.swap(0, 1)), Err(ManifestError::Paths)));
        let stray = with(|it| {
            let mut file = it.files[0].clone();
            file.path = "zz.json".into();
            it.files.push(file);
        });
        assert!(matches!(stray, Err(ManifestError::Cohort("a file is nobody's"))));
    }
}

trait Opposite {
    fn opposite(self) -> Self;
}

impl Opposite for ConsentOf {
    /// What does not belong into a file of this form.
    fn opposite(self) -> Self {
        match self {
            Self::Place(_) => Self::Hidden(B256::ZERO),
            Self::Hidden(_) => Self::Place(10),
        }
    }
}

/// `tests/vectors/cohort-deliveries.json`: the contract makes the same commitments of the same
/// claims (`tests/contracts/vectors/cohortDeliveries.t.sol`). The acceptances are those that viem
/// hashed. `MEDTRAIL_BLESS=1` writes it.
#[test]
fn a_delivery_is_the_entry_that_the_contract_asks_the_log_for() {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(vectors.join(name)).unwrap()).unwrap()
    };
    let documents = read("cohorts.json");
    let mut made = Vec::new();
    for (number, document) in documents["documents"].as_array().unwrap().iter().enumerate() {
        if document["primaryType"] != "CohortAcceptance" {
            continue;
        }
        let number = number as u8;
        let acceptance: B256 = document["digest"].as_str().unwrap().parse().unwrap();
        let seller: Address = document["message"]["seller"].as_str().unwrap().parse().unwrap();
        let key = LockKey::new([0x70 + number; 32]);
        let details =
            DeliveryDetails::new(B256::repeat_byte(number), B256::repeat_byte(0x80 + number));
        let report = report(&Delivered {
            log: B256::repeat_byte(0x10),
            order: acceptance,
            seller,
            actor: Address::repeat_byte(0x09),
            time_ms: NOON_S * 1000 + u64::from(number),
            lock: key.lock(),
            sealed: Sealed { hash: B256::repeat_byte(0x90 + number), bytes: 1 },
            details: &details,
        });
        let event = [acceptance.0, key.lock().0].concat();
        assert_eq!(report.eventId, event_id(report.actor, &event));
        assert_eq!((report.record, report.permission), (acceptance, acceptance));
        let place = Place {
            ordinal: u64::from(number),
            previous: B256::repeat_byte(1),
            receivedMs: NOON_S * 1000,
            salt: B256::repeat_byte(2),
        };
        made.push(json!({
            "log": report.log,
            "acceptance": acceptance,
            "k": B256::from(*key.bytes()),
            "lock": report.fromVersion,
            "toVersion": report.toVersion,
            "actor": report.actor,
            "seller": seller,
            "eventId": report.eventId,
            "timeMs": report.timeMs.to_string(),
            "details": report.details,
            "entryPlace": place.hash(),
            "commitment": medtrail_ledger::entry::commitment(&report, &place),
        }));
    }
    assert_eq!(made.len(), 4);
    let made = json!({"version": 1, "deliveries": made});
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(vectors.join("cohort-deliveries.json"), text).unwrap();
    }
    assert_eq!(read("cohort-deliveries.json"), made);
}

#[test]
fn a_part_is_named_as_its_manifest_has_it_and_as_no_other() {
    for form in [Form::AsItIs, SAFE] {
        let world = World::new(form);
        let manifest = world.sell().manifest;
        let names: Vec<(String, B256)> = (world.consents().iter())
            .map(|(_, consent)| {
                let name = world.call().named(consent);
                (hex::encode(name.label), name.part)
            })
            .collect();
        for (label, part) in &names {
            for (other, of) in &names {
                assert_eq!(manifest.has_part(label, *of), (label, part) == (other, of), "{form:?}");
            }
            assert!(!manifest.has_part(label, B256::ZERO) && !manifest.has_part("", *part));
        }
    }
}

/// Files as they were sealed when this format was new: they open for ever. `MEDTRAIL_BLESS=1`
/// writes others, which only a new version of a format may need.
#[test]
fn the_fixtures_still_open() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/delivery");
    for (form, name) in [(Form::AsItIs, "as-it-is"), (SAFE, "de-identified")] {
        let path = |ending: &str| folder.join(format!("cohort-v1-{name}{ending}"));
        let mut sold = World::new(form).sell();
        if std::env::var_os("MEDTRAIL_BLESS").is_some() {
            std::fs::write(path(".age"), &sold.file).unwrap();
            std::fs::write(path(".manifest.json"), sold.manifest.bytes()).unwrap();
            let entries: Vec<Value> = sold
                .entries
                .iter()
                .map(|(report, details)| {
                    json!({"report": report, "details": std::str::from_utf8(details).unwrap()})
                })
                .collect();
            let text = serde_json::to_string_pretty(&entries).unwrap() + "\n";
            std::fs::write(path(".entries.json"), text).unwrap();
        }
        sold.file = std::fs::read(path(".age")).unwrap();
        sold.sealed.hash = details_hash(&sold.file);
        let entries: Vec<Value> =
            serde_json::from_slice(&std::fs::read(path(".entries.json")).unwrap()).unwrap();
        sold.entries = entries
            .into_iter()
            .map(|entry| {
                let report = serde_json::from_value(entry["report"].clone()).unwrap();
                (report, entry["details"].as_str().unwrap().as_bytes().to_vec())
            })
            .collect();
        let checked = sold.check().unwrap();
        assert_eq!(checked.manifest.bytes(), std::fs::read(path(".manifest.json")).unwrap());
        assert!(checked.unpaid.is_empty() && checked.by_others.is_empty());
    }
}
