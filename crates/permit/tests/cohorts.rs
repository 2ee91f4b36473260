//! A buyer's call to many: hashed as viem hashes it (`cohorts.json`, made by viem; the contract's
//! tests and the page's are held to it too), read in both languages as the page reads it
//! (`calls.json`), and refused where one field was changed.

mod support;

use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::SolStruct;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::check::{GRACE_S_MAX, PLACES_MAX, PRICE_MAX, SaleError};
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms};
use medtrail_permit::statements::Language;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

fn market() -> CohortMarket {
    let cohort_market = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
    CohortMarket { chain_id: 31338, cohort_market }
}

/// viem writes every number as text; our JSON does so for prices only.
fn numbers(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let name = name.as_str();
        if matches!(name, "places" | "place" | "deliverBy" | "grace" | "epoch" | "expiresAt") {
            *value = value.as_str().unwrap().parse::<u64>().unwrap().into();
        }
        numbers(value);
    }
}

fn agrees<T: SolStruct + DeserializeOwned>(vector: &Value) -> T {
    let mut message = vector["message"].clone();
    numbers(&mut message);
    let document: T = serde_json::from_value(message).unwrap();
    let found = json!({
        "typeString": T::eip712_encode_type(),
        "typeHash": document.eip712_type_hash(),
        "structHash": document.eip712_hash_struct(),
        "digest": document.eip712_signing_hash(&market().domain()),
    });
    for (name, hash) in found.as_object().unwrap() {
        assert_eq!(*hash, vector[name], "{name} of {}", vector["primaryType"]);
    }
    document
}

#[test]
fn documents_of_a_cohort_hash_as_a_wallet_hashes_them() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/cohorts.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let documents = file["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 6);
    let mut cohort = Cohort::default();
    for vector in documents {
        match vector["primaryType"].as_str().unwrap() {
            "Cohort" => cohort = agrees(vector),
            "CohortAcceptance" => {
                let read: CohortAcceptance = agrees(vector);
                let CohortAcceptance { place, seller, epoch, expiresAt, .. } = read;
                let asked = cohort.acceptance(&market(), place, seller, epoch, expiresAt);
                assert_eq!(asked, read);
                assert_eq!(json!(asked.id(&market())), vector["digest"]);
            }
            other => panic!("{other}"),
        }
    }
}

fn dataset_of(form: Form) -> Dataset {
    let codes = vec!["http://loinc.org|15074-8".to_owned()];
    let day = support::NOON_S;
    let scopes = "patient/Observation.rs";
    Dataset::new(scopes, codes, day - 90 * 86_400, day, form, Origin::Signed).unwrap()
}

fn glucose() -> Dataset {
    dataset_of(Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson))
}

fn cohort() -> Cohort {
    let bare = Cohort {
        buyer: support::address(support::STRANGER),
        log: B256::repeat_byte(0x10),
        token: Address::ZERO,
        price: U256::from(50_000_000_000_000_000_u64),
        places: 50,
        recipient: B256::repeat_byte(9),
        deliverBy: support::NOON_S + 3 * 86_400,
        grace: 86_400,
        terms: Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: glucose().id(),
            salt: B256::repeat_byte(0x61),
        },
        salt: B256::repeat_byte(0x62),
    };
    cohort::worded(bare, &glucose(), Language::En).unwrap()
}

fn acceptance() -> CohortAcceptance {
    let (cohort, mari) = (cohort(), support::address(support::MARI));
    cohort.acceptance(&market(), 49, mari, 0, cohort.settled_by().unwrap())
}

#[test]
fn a_call_reads_as_it_should() {
    let buyer = support::address(support::STRANGER);
    assert_eq!(
        cohort().terms.statement,
        format!(
            "I sell to {buyer} a copy of health data of the person who signs this: measurements, \
             from 2025-10-07 12:00 UTC to 2026-01-05 12:00 UTC. Only data with one of these codes: \
             http://loinc.org|15074-8. Form: without names, places, personal numbers and free \
             text; of dates only the year (hipaa-safe-harbor-v1). Who knows much about me may \
             still recognise me. Origin: only what organisations signed. Only for: health research \
             of any kind. Price: 0.05 ETH (50000000000000000 wei), paid to the address that signs \
             this. The buyer pays up to 50 people alike and gets the data of all in one file, by \
             2026-01-08 12:00 UTC; the money waits for 24 hours more. I can take this back until \
             the first of them is paid; after that I am paid, and the copy cannot be called back. \
             The sale is public forever: both addresses, price and time. (Medtrail cohort 1)"
        )
    );
    let text = cohort::render(&cohort(), &glucose(), Language::Et).unwrap();
    assert!(text.starts_with(&format!("Müün ostjale {buyer} koopia")), "{text}");
    assert!(text.contains("kuni 50 inimesele"), "{text}");
    assert!(text.ends_with("(Medtrail ühismüük 1)"), "{text}");
}

#[test]
fn a_call_is_known_in_its_language_and_no_other_text_is() {
    for language in Language::ALL {
        let worded = cohort::worded(cohort(), &glucose(), language).unwrap();
        assert_eq!(cohort::language_of(&worded, &glucose()), Some(language));
        cohort::check(&worded, &glucose()).unwrap();
        let mut other = worded;
        other.terms.statement.push(' ');
        assert_eq!(cohort::check(&other, &glucose()), Err(SaleError::Statement));
    }
}

/// Every turn that the templates can take.
fn told() -> Vec<(Dataset, Cohort)> {
    let of = |dataset: Dataset, change: &dyn Fn(&mut Cohort)| {
        let mut cohort = cohort();
        cohort.terms.dataset = dataset.id();
        cohort.terms.statement.clear();
        change(&mut cohort);
        (dataset, cohort)
    };
    let day = support::NOON_S;
    let mut all = Vec::new();
    for form in [Form::AsItIs, Form::DeIdentified(Profile::ShiftedDates, Layout::Bundle)] {
        for origin in [Origin::Signed, Origin::SignedAndUploaded] {
            let scopes = "patient/*.rs patient/*.rs?_security=PSY";
            let dataset = Dataset::new(scopes, vec![], day - 60, day, form, origin).unwrap();
            all.push(of(dataset, &|_| {}));
        }
    }
    // Hours are counted up: half an hour is told as one.
    for grace in [1, 3_600, 3_601, 86_400, GRACE_S_MAX] {
        all.push(of(glucose(), &|cohort| cohort.grace = grace));
    }
    for places in [1, PLACES_MAX] {
        all.push(of(glucose(), &|cohort| cohort.places = places));
    }
    for price in [U256::ONE, U256::from(10).pow(U256::from(18)), PRICE_MAX] {
        for token in [Address::ZERO, Address::repeat_byte(0x70)] {
            all.push(of(glucose(), &|cohort| (cohort.price, cohort.token) = (price, token)));
        }
    }
    all
}

#[test]
fn the_vectors_hold_every_call_in_both_languages() {
    let lines: Vec<String> = told()
        .iter()
        .map(|(dataset, cohort)| {
            let [en, et] =
                Language::ALL.map(|language| cohort::render(cohort, dataset, language).unwrap());
            let dataset = String::from_utf8(dataset.bytes()).unwrap();
            json!({"dataset": dataset, "cohort": cohort, "en": en, "et": et}).to_string()
        })
        .collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/calls.json");
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(stored == text, "calls.json is not what this makes; MEDTRAIL_BLESS=1 rewrites it");
}

#[test]
fn a_call_with_a_field_changed_is_refused() {
    let changed = |change: fn(&mut Cohort)| {
        let mut cohort = cohort();
        change(&mut cohort);
        cohort::check(&cohort, &glucose()).unwrap_err()
    };
    cohort::check(&cohort(), &glucose()).unwrap();
    assert_eq!(changed(|one| one.price = U256::ONE), SaleError::Statement);
    assert_eq!(changed(|one| one.token = Address::repeat_byte(7)), SaleError::Statement);
    assert_eq!(changed(|one| one.places = 51), SaleError::Statement);
    assert_eq!(changed(|one| one.buyer = Address::repeat_byte(8)), SaleError::Statement);
    assert_eq!(changed(|one| one.deliverBy += 60), SaleError::Statement);
    assert_eq!(changed(|one| one.grace += 3600), SaleError::Statement);
    assert_eq!(changed(|one| one.terms.purpose = "HMARKT".into()), SaleError::Statement);
    assert_eq!(changed(|one| one.terms.statement = "x".repeat(16_385)), SaleError::Statement);
    assert_eq!(changed(|one| one.terms.salt = B256::ZERO), SaleError::Zero("salt"));
    let twice = changed(|one| one.terms.purpose = "HRESCH TREAT".into());
    assert_eq!(twice, SaleError::Purpose("HRESCH TREAT".into()));
    assert_eq!(changed(|one| one.buyer = Address::ZERO), SaleError::Zero("buyer"));
    assert_eq!(changed(|one| one.log = B256::ZERO), SaleError::Zero("log"));
    assert_eq!(changed(|one| one.recipient = B256::ZERO), SaleError::Zero("recipient"));
    assert_eq!(changed(|one| one.salt = B256::ZERO), SaleError::Zero("salt"));
    assert_eq!(changed(|one| one.price = U256::ZERO), SaleError::Price);
    assert_eq!(changed(|one| one.price = PRICE_MAX + U256::ONE), SaleError::Price);
    assert_eq!(changed(|one| one.places = 0), SaleError::Places(0));
    let many = PLACES_MAX + 1;
    assert_eq!(changed(|one| one.places = PLACES_MAX + 1), SaleError::Places(many));
    assert_eq!(changed(|one| one.grace = 0), SaleError::Grace(0));
    let long = GRACE_S_MAX + 1;
    assert_eq!(changed(|one| one.grace = GRACE_S_MAX + 1), SaleError::Grace(long));
    assert_eq!(changed(|one| one.deliverBy = u64::MAX), SaleError::Time("deliverBy"));
    let last = |one: &mut Cohort| one.deliverBy = 253_402_300_799;
    assert_eq!(changed(last), SaleError::Time("deliverBy"), "grace goes beyond the calendar");
    assert_eq!(cohort::check(&cohort(), &dataset_of(Form::AsItIs)), Err(SaleError::Dataset));
}

#[test]
fn an_acceptance_is_of_one_place_of_one_call_and_outlives_it() {
    let judged = |change: fn(&mut CohortAcceptance)| {
        let mut acceptance = acceptance();
        change(&mut acceptance);
        cohort::check_acceptance(&acceptance, &cohort(), &market(), &glucose())
    };
    judged(|_| ()).unwrap();
    let changed = |change| judged(change).unwrap_err();
    assert_eq!(changed(|one| one.cohort = B256::ZERO), SaleError::Differs("cohort"));
    assert_eq!(changed(|one| one.place = 50), SaleError::Place(50, 50));
    assert_eq!(changed(|one| one.seller = Address::ZERO), SaleError::Zero("seller"));
    let oneself = |one: &mut CohortAcceptance| one.seller = support::address(support::STRANGER);
    assert_eq!(changed(oneself), SaleError::Oneself);
    assert_eq!(changed(|one| one.token = Address::repeat_byte(7)), SaleError::Differs("token"));
    assert_eq!(changed(|one| one.price = U256::ONE), SaleError::Differs("price"));
    let softer = |one: &mut CohortAcceptance| one.terms.statement = "Nothing is sold.".into();
    assert_eq!(changed(softer), SaleError::Differs("terms"));
    assert_eq!(changed(|one| one.epoch = 1 << 53), SaleError::Number("epoch"));
    let settled_by = cohort().settled_by().unwrap();
    let early = changed(|one| one.expiresAt -= 1);
    assert_eq!(early, SaleError::EndsEarly(settled_by - 1, settled_by));
    assert_eq!(changed(|one| one.expiresAt = u64::MAX), SaleError::Time("expiresAt"));

    // The same buyer calls once more, or through a market beside this one or on another chain.
    let again = Cohort { salt: B256::repeat_byte(0x63), ..cohort() };
    let beside = CohortMarket { cohort_market: Address::repeat_byte(5), ..market() };
    let elsewhere = CohortMarket { chain_id: 1, ..market() };
    for (call, market) in [(again, market()), (cohort(), beside), (cohort(), elsewhere)] {
        let replayed = cohort::check_acceptance(&acceptance(), &call, &market, &glucose());
        assert_eq!(replayed, Err(SaleError::Differs("cohort")));
    }
}

#[test]
fn no_word_of_the_log_stands_in_a_call() {
    let text = cohort().terms.statement.to_lowercase();
    for word in ["subject", "controller", "entry", "commitment", "anchor", "merkle", "hash"] {
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.all(|found| found != word), "{word}");
    }
}
