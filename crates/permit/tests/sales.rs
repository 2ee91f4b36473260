//! What is signed in a sale: hashed as viem hashes it (`sales.json`, made by viem; the contract's
//! tests are held to it too; `deletion.json` likewise, which no contract sees), read in both languages
//! (`offers.json`), and refused where one field was changed.

mod support;

use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::SolStruct;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::check::{self, GRACE_S_MAX, PRICE_MAX, SaleError, Windows};
use medtrail_permit::sale::{Deletion, Market, Offer, Order, SaleApproval, Terms, words};
use medtrail_permit::statements::Language;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn market() -> Market {
    let data_market = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
    Market { chain_id: 31338, data_market }
}

/// viem writes every number as text; our JSON does so for prices only.
fn numbers(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        if matches!(
            &**name,
            "accessS" | "expiresAt" | "epoch" | "deliverBy" | "grace" | "deletedAt"
        ) {
            *value = value.as_str().unwrap().parse::<u64>().unwrap().into();
        }
        numbers(value);
    }
}

fn agrees<T: SolStruct + DeserializeOwned>(vector: &Value) {
    let mut message = vector["message"].clone();
    numbers(&mut message);
    let document: T = serde_json::from_value(message).unwrap();
    let domain = medtrail_ledger::schema::domain(31338, market().data_market);
    let found = json!({
        "typeString": T::eip712_encode_type(),
        "typeHash": document.eip712_type_hash(),
        "structHash": document.eip712_hash_struct(),
        "digest": document.eip712_signing_hash(&domain),
    });
    for (name, hash) in found.as_object().unwrap() {
        assert_eq!(*hash, vector[name], "{name} of {}", vector["primaryType"]);
    }
}

#[test]
fn documents_of_a_sale_hash_as_a_wallet_hashes_them() {
    let text = std::fs::read_to_string(vectors().join("sales.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let documents = file["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 7);
    for vector in documents {
        match vector["primaryType"].as_str().unwrap() {
            "Terms" => agrees::<Terms>(vector),
            "Offer" => agrees::<Offer>(vector),
            "Order" => agrees::<Order>(vector),
            "SaleApproval" => agrees::<SaleApproval>(vector),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_buyers_word_hashes_as_a_wallet_hashes_it_and_the_page_makes_the_same() {
    let text = std::fs::read_to_string(vectors().join("deletion.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let documents = file["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 2);
    for vector in documents {
        assert_eq!(vector["primaryType"], "Deletion");
        agrees::<Deletion>(vector);
    }
    // The page is held to the same words, which it cannot take from here.
    assert_eq!(documents[0]["message"]["statement"], Deletion::STATEMENT);
}

const SAFE: Form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);

fn dataset_of(scopes: &str, codes: &[&str], form: Form, origin: Origin) -> Dataset {
    let codes = codes.iter().map(|code| (*code).to_owned()).collect();
    let day = support::NOON_S;
    Dataset::new(scopes, codes, day - 90 * 86_400, day, form, origin).unwrap()
}

fn glucose() -> Dataset {
    dataset_of("patient/Observation.rs", &["http://loinc.org|15074-8"], SAFE, Origin::Signed)
}

fn bare(dataset: &Dataset) -> Offer {
    Offer {
        seller: support::address(support::MARI),
        log: B256::repeat_byte(0x10),
        token: Address::ZERO,
        price: U256::from(50_000_000_000_000_000_u64),
        accessS: 0,
        expiresAt: support::NOON_S + 30 * 86_400,
        epoch: 0,
        terms: Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(0x61),
        },
    }
}

fn offer() -> Offer {
    words::worded(bare(&glucose()), &glucose(), Language::En).unwrap()
}

fn order() -> Order {
    Order {
        offer: offer(),
        buyer: support::address(support::STRANGER),
        recipient: B256::repeat_byte(9),
        deliverBy: support::NOON_S + 3 * 86_400,
        grace: 86_400,
        salt: B256::repeat_byte(0x62),
    }
}

fn approval() -> SaleApproval {
    let order = order();
    order.approval(&market(), order.settled_by().unwrap())
}

/// Every turn that the templates can take.
fn told() -> Vec<(Dataset, Offer)> {
    let mut all = Vec::new();
    let forms = [Form::AsItIs, SAFE, Form::DeIdentified(Profile::ShiftedDates, Layout::Bundle)];
    let laboratory =
        "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
    let listed = format!("patient/Observation.rs?{laboratory} patient/Condition.rs");
    for form in forms {
        for origin in [Origin::Signed, Origin::SignedAndUploaded] {
            all.push((dataset_of("patient/*.rs patient/*.rs?_security=PSY", &[], form, origin), 0));
        }
    }
    all.push((dataset_of(&listed, &["a|b", "http://loinc.org|15074-8"], SAFE, Origin::Signed), 0));
    for access_s in [86_400, 90 * 86_400, 3600, 7200, 60, 120, 1, 61] {
        all.push((glucose(), access_s));
    }
    let mut all: Vec<(Dataset, Offer)> = all
        .into_iter()
        .map(|(dataset, access_s)| {
            let offer = Offer { accessS: access_s, ..bare(&dataset) };
            (dataset, offer)
        })
        .collect();
    for price in [U256::ONE, U256::from(10).pow(U256::from(18)), PRICE_MAX] {
        for token in [Address::ZERO, Address::repeat_byte(0x70)] {
            all.push((glucose(), Offer { price, token, ..bare(&glucose()) }));
        }
    }
    all
}

#[test]
fn the_vectors_hold_every_offer_in_both_languages() {
    let lines: Vec<String> = told()
        .iter()
        .map(|(dataset, offer)| {
            let [en, et] =
                Language::ALL.map(|language| words::render(offer, dataset, language).unwrap());
            let dataset = String::from_utf8(dataset.bytes()).unwrap();
            json!({"dataset": dataset, "offer": offer, "en": en, "et": et}).to_string()
        })
        .collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let file = vectors().join("offers.json");
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(stored == text, "offers.json is not what this makes; MEDTRAIL_BLESS=1 rewrites it");
}

#[test]
fn an_offer_reads_as_it_should() {
    let mari = support::address(support::MARI);
    assert_eq!(
        offer().terms.statement,
        format!(
            "I offer for sale a copy of health data of {mari}: measurements, from 2025-10-07 \
             12:00 UTC to 2026-01-05 12:00 UTC. Only data with one of these codes: \
             http://loinc.org|15074-8. Form: without names, places, personal numbers and free \
             text; of dates only the year (hipaa-safe-harbor-v1). Who knows much about me may \
             still recognise me. Origin: only what organisations signed. Only for: health \
             research of any kind. Price of each copy: 0.05 ETH (50000000000000000 wei), paid to \
             {mari}. Each sale needs an approval of its own, in which I name the buyer; buyers \
             can pay until 2026-02-04 12:00 UTC. A sold copy cannot be called back. A sale is \
             public forever: both addresses, price and time. (Medtrail sale 1)"
        )
    );
    let (dataset, bare) = (glucose(), Offer { accessS: 90 * 86_400, ..bare(&glucose()) });
    assert_eq!(
        words::render(&bare, &dataset, Language::Et).unwrap(),
        format!(
            "Pakun müügiks koopiat isiku {mari} terviseandmetest, mis hõlmab järgmist: \
             mõõtmistulemusi, ajavahemikust 07.10.2025 kell 12:00 UTC kuni 05.01.2026 kell 12:00 \
             UTC. Ainult andmed, millel on üks neist koodidest: http://loinc.org|15074-8. Kuju: \
             ilma nimede, kohtade, isiklike numbrite ja vabatekstita; kuupäevadest ainult aasta \
             (hipaa-safe-harbor-v1). Kes minust palju teab, võib mu siiski ära tunda. Päritolu: \
             ainult see, mille on allkirjastanud asutused. Lubatud eesmärk: igasugused \
             terviseuuringud. Ühe koopia hind: 0.05 ETH (50000000000000000 wei), mille saab \
             {mari}. Iga müük vajab eraldi heakskiitu, milles nimetan ostja; ostjad saavad maksta \
             kuni 04.02.2026 kell 12:00 UTC. Pärast müüki võib ostja 90 päeva jooksul neid andmeid \
             ka nende hoiukohas vaadata; saan selle igal ajal lõpetada. Müüdud koopiat ei saa \
             tagasi võtta. Müük jääb igaveseks avalikuks: mõlemad aadressid, hind ja aeg. \
             (Medtrail müük 1)"
        )
    );
}

#[test]
fn an_offer_is_known_in_its_language_and_no_other_text_is() {
    for (dataset, bare) in told() {
        for language in Language::ALL {
            let offer = words::worded(bare.clone(), &dataset, language).unwrap();
            assert_eq!(words::language_of(&offer, &dataset), Some(language));
            check::offer(&offer, &dataset).unwrap();
            let mut other = offer.clone();
            other.terms.statement.push(' ');
            assert_eq!(check::offer(&other, &dataset), Err(SaleError::Statement));
        }
    }
}

#[test]
fn a_statement_of_other_words_price_or_data_is_refused() {
    let dataset = glucose();
    let changed = |change: fn(&mut Offer)| {
        let mut offer = offer();
        change(&mut offer);
        check::offer(&offer, &dataset).unwrap_err()
    };
    assert_eq!(changed(|offer| offer.price = U256::ONE), SaleError::Statement);
    assert_eq!(changed(|offer| offer.token = Address::repeat_byte(7)), SaleError::Statement);
    assert_eq!(changed(|offer| offer.accessS = 86_400), SaleError::Statement);
    assert_eq!(changed(|offer| offer.expiresAt += 60), SaleError::Statement);
    assert_eq!(changed(|offer| offer.seller = Address::repeat_byte(8)), SaleError::Statement);
    assert_eq!(changed(|offer| offer.terms.purpose = "HMARKT".into()), SaleError::Statement);
    assert_eq!(changed(|offer| offer.terms.statement = "x".repeat(16_385)), SaleError::Statement);
    assert_eq!(changed(|offer| offer.terms.dataset = B256::ZERO), SaleError::Zero("dataset"));
    let twice = changed(|offer| offer.terms.purpose = "HRESCH TREAT".into());
    assert_eq!(twice, SaleError::Purpose("HRESCH TREAT".into()));
    assert_eq!(changed(|offer| offer.terms.salt = B256::ZERO), SaleError::Zero("salt"));
    assert_eq!(changed(|offer| offer.price = U256::ZERO), SaleError::Price);
    assert_eq!(changed(|offer| offer.price = PRICE_MAX + U256::ONE), SaleError::Price);
    assert_eq!(changed(|offer| offer.accessS = u64::MAX), SaleError::AccessS(u64::MAX));
    assert_eq!(changed(|offer| offer.expiresAt = u64::MAX), SaleError::Time("expiresAt"));
    assert_eq!(changed(|offer| offer.epoch = 1 << 53), SaleError::Number("epoch"));
    assert_eq!(changed(|offer| offer.log = B256::ZERO), SaleError::Zero("log"));
    let wider = dataset_of("patient/*.rs", &[], Form::AsItIs, Origin::Signed);
    assert_eq!(check::offer(&offer(), &wider), Err(SaleError::Dataset));
}

#[test]
fn an_order_names_a_buyer_a_key_and_an_end() {
    let dataset = glucose();
    let changed = |change: fn(&mut Order)| {
        let mut order = order();
        change(&mut order);
        check::order(&order, &dataset).unwrap_err()
    };
    check::order(&order(), &dataset).unwrap();
    assert_eq!(changed(|order| order.buyer = order.offer.seller), SaleError::Oneself);
    assert_eq!(changed(|order| order.buyer = Address::ZERO), SaleError::Zero("buyer"));
    assert_eq!(changed(|order| order.recipient = B256::ZERO), SaleError::Zero("recipient"));
    assert_eq!(changed(|order| order.salt = B256::ZERO), SaleError::Zero("salt"));
    assert_eq!(changed(|order| order.grace = 0), SaleError::Grace(0));
    let long = GRACE_S_MAX + 1;
    assert_eq!(changed(|order| order.grace = GRACE_S_MAX + 1), SaleError::Grace(long));
    assert_eq!(changed(|order| order.deliverBy = u64::MAX), SaleError::Time("deliverBy"));
    let last = |order: &mut Order| order.deliverBy = 253_402_300_799;
    assert_eq!(changed(last), SaleError::Time("deliverBy"), "grace goes beyond the calendar");
}

#[test]
fn an_approval_is_of_one_order_and_outlives_it() {
    let dataset = glucose();
    let changed = |change: fn(&mut SaleApproval)| {
        let mut approval = approval();
        change(&mut approval);
        check::approval(&approval, &order(), &market(), &dataset).unwrap_err()
    };
    check::approval(&approval(), &order(), &market(), &dataset).unwrap();
    assert_eq!(changed(|one| one.buyer = Address::repeat_byte(7)), SaleError::Differs("buyer"));
    assert_eq!(changed(|one| one.seller = one.buyer), SaleError::Differs("seller"));
    assert_eq!(changed(|one| one.price = U256::ONE), SaleError::Differs("price"));
    assert_eq!(changed(|one| one.token = Address::repeat_byte(7)), SaleError::Differs("token"));
    assert_eq!(changed(|one| one.order = B256::ZERO), SaleError::Differs("order"));
    let salted = |one: &mut SaleApproval| one.terms.salt = B256::repeat_byte(1);
    assert_eq!(changed(salted), SaleError::Differs("terms"));
    let softer = |one: &mut SaleApproval| one.terms.statement = "Nothing is sold.".into();
    assert_eq!(changed(softer), SaleError::Differs("terms"));
    let settled_by = order().settled_by().unwrap();
    let early = changed(|one| one.expiresAt -= 1);
    assert_eq!(early, SaleError::EndsEarly(settled_by - 1, settled_by));
    assert_eq!(changed(|one| one.expiresAt = u64::MAX), SaleError::Time("expiresAt"));

    // The same buyer orders once more: the old approval is of the old order.
    let again = Order { salt: B256::repeat_byte(0x63), ..order() };
    let replayed = check::approval(&approval(), &again, &market(), &dataset);
    assert_eq!(replayed, Err(SaleError::Differs("order")));
    // The same order on a market beside this one, or on another chain.
    let beside = Market { data_market: Address::repeat_byte(5), ..market() };
    let replayed = check::approval(&approval(), &order(), &beside, &dataset);
    assert_eq!(replayed, Err(SaleError::Differs("order")));
}

#[test]
fn an_order_must_leave_time_to_deliver_and_to_settle() {
    let order = order();
    let now_s = order.deliverBy - 48 * 3600;
    assert!(Windows::DEFAULT.leave(&order, now_s));
    assert!(!Windows::DEFAULT.leave(&order, now_s + 1));
    assert!(!Windows::DEFAULT.leave(&order, u64::MAX));
    let hasty = Order { grace: 86_399, ..order };
    assert!(!Windows::DEFAULT.leave(&hasty, now_s));
}

/// The example in docs/formats.md.
#[test]
fn the_example_of_the_format_is_read() {
    let formats = include_str!("../../../docs/formats.md");
    let start = formats.find("{\"version\":\"medtrail/dataset-v1\"").unwrap();
    let line = formats[start..].lines().next().unwrap();
    Dataset::parse(line.as_bytes()).unwrap();
}

#[test]
fn no_word_of_the_log_stands_in_an_offer() {
    const WORDS: [&str; 14] = [
        "subject",
        "controller",
        "custodian",
        "actor",
        "entry",
        "commitment",
        "roster",
        "checkpoint",
        "anchor",
        "refusal",
        "binding",
        "withheld",
        "merkle",
        "hash",
    ];
    for (dataset, offer) in told() {
        let text = words::render(&offer, &dataset, Language::En).unwrap().to_lowercase();
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.all(|word| !WORDS.contains(&word)), "{text}");
    }
}
