//! `/v1/market`, `/v1/offers`, `/v1/sales`: an offer is listed, bought, approved, downloaded in
//! pieces; strangers are answered as if there was nothing.

use crate::people::Person;
use crate::stall::MARKET;
use crate::support::{Answer, Log, now_ms};
use alloy_primitives::{Address, B256, U256};
use medtrail_permit::dataset::{Dataset, Form, Origin};
use medtrail_permit::sale::{Offer, Order, Terms, words};
use medtrail_permit::statements::Language;
use reqwest::Method;
use serde_json::{Value, json};

const ANNA: u8 = 0xa1;
const BUYER: u8 = 0xb1;

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

async fn post(log: &Log, token: &str, path: &str, body: &Value) -> Answer {
    Answer::of(log.send(Method::POST, path, body).bearer_auth(token)).await
}

fn dataset() -> Dataset {
    let origin = Origin::SignedAndUploaded;
    Dataset::new("patient/*.rs", vec![], 0, 4_102_444_800, Form::AsItIs, origin).unwrap()
}

fn offer(log: &Log, seller: &Person) -> Offer {
    let dataset = dataset();
    let terms = Terms {
        statement: String::new(),
        purpose: "HRESCH".into(),
        dataset: dataset.id(),
        salt: B256::repeat_byte(1),
    };
    let offer = Offer {
        seller: seller.address,
        log: log.keys.log,
        token: Address::ZERO,
        price: U256::from(50_000_000_000_000_000_u64),
        accessS: 0,
        expiresAt: now_ms() / 1000 + 86_400,
        epoch: 0,
        terms,
    };
    words::worded(offer, &dataset, Language::En).unwrap()
}

fn signed(offer: &Offer, by: &Person) -> Value {
    let text = String::from_utf8(dataset().bytes()).unwrap();
    let signature = by.sign_digest(offer.id(&MARKET).0);
    json!({ "offer": offer, "dataset": text, "signature": signature, "country": "EE" })
}

fn order(offer: &Offer, buyer: &Person) -> Order {
    Order {
        offer: offer.clone(),
        buyer: buyer.address,
        // A point that an age tool made.
        recipient: "0x2fe57da347cd62431528daac5fbb290730fff684afc4cfc2ed90995f58cb3b74"
            .parse()
            .unwrap(),
        deliverBy: now_ms() / 1000 + 3600,
        grace: 3600,
        salt: B256::repeat_byte(2),
    }
}

async fn tick(log: &Log) {
    let sales = log.sales.clone();
    tokio::task::spawn_blocking(move || sales.tick()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_becomes_a_sale_and_the_file_comes_in_pieces() {
    let log = Log::start().await;
    let (anna, buyer, other) = (Person::new(ANNA), Person::new(BUYER), Person::new(0xc1));
    let (own, theirs) = (anna.sign_in(&log).await, buyer.sign_in(&log).await);
    let strangers = other.sign_in(&log).await;
    log.keep(&anna, 1).await;

    let market = Answer::of(log.get("/v1/market")).await.json();
    assert_eq!(market["dataMarket"], json!(MARKET.data_market));
    assert_eq!(market["rules"]["countries"], json!({ "EE": "on" }));

    let offer = offer(&log, &anna);
    let listed = post(&log, &theirs, "/v1/offers", &signed(&offer, &anna)).await;
    assert_eq!(listed.status, 201, "anybody may carry it: {listed:?}");
    let again = post(&log, &own, "/v1/offers", &signed(&offer, &anna)).await;
    assert_eq!(again.status, 200);
    let id = listed.json()["id"].as_str().unwrap().to_owned();

    let catalogue = Answer::of(log.get("/v1/offers?type=AllergyIntolerance&limit=5")).await;
    assert_eq!(catalogue.json()["offers"][0]["id"], json!(id));
    let text = String::from_utf8_lossy(&catalogue.body).to_lowercase();
    assert!(!text.contains(&format!("{:x}", anna.address)), "it names nobody: {text}");
    let whole = get(&log, &theirs, &format!("/v1/offers/{id}")).await.json();
    assert_eq!((&whole["state"], &whole["country"]), (&json!("open"), &json!(null)));
    let mine = get(&log, &own, "/v1/offers?as=seller").await.json();
    assert_eq!(
        (mine["offers"].as_array().unwrap().len(), &mine["offers"][0]["country"]),
        (1, &json!("EE"))
    );

    let order = order(&offer, &buyer);
    let sale = order.id(&MARKET);
    let path = format!("/v1/sales/{sale}");
    let unpaid = post(&log, &theirs, "/v1/sales", &json!({ "order": order })).await;
    unpaid.problem(409, "not-paid");
    log.stall.pay(sale);
    let told = post(&log, &theirs, "/v1/sales", &json!({ "order": order })).await;
    assert_eq!((told.status.as_u16(), &told.json()["role"]), (201, &json!("buyer")));
    tick(&log).await;
    assert_eq!(get(&log, &own, &path).await.json()["state"], json!("waiting"));
    let early = get(&log, &theirs, &format!("{path}/delivery")).await;
    early.problem(404, "no-delivery");

    let approval = order.approval(&MARKET, order.settled_by().unwrap());
    let yes =
        json!({ "approval": approval, "signature": anna.sign_digest(approval.id(&MARKET).0) });
    let forged =
        json!({ "approval": approval, "signature": buyer.sign_digest(approval.id(&MARKET).0) });
    let refused = post(&log, &theirs, &format!("{path}/approval"), &forged).await;
    refused.problem(422, "not-their-word");
    let approved = post(&log, &own, &format!("{path}/approval"), &yes).await;
    assert_eq!(approved.json()["isApproved"], json!(true), "{approved:?}");
    tick(&log).await;

    let view = get(&log, &theirs, &path).await.json();
    let bytes = view["delivery"]["bytes"].as_u64().unwrap();
    assert_eq!((&view["state"], &view["leftOut"]), (&json!("delivered"), &json!(null)));
    assert!(get(&log, &own, &path).await.json()["leftOut"].is_object());
    // Strangers: byte for byte as for what is not there.
    let nothing = format!("/v1/sales/0x{}", "11".repeat(32));
    for what in ["", "/delivery", "/proof"] {
        let one = get(&log, &strangers, &format!("{path}{what}")).await;
        let other = get(&log, &strangers, &format!("{nothing}{what}")).await;
        let problem = one.problem(404, "no-such-sale");
        assert_eq!(problem, other.problem(404, "no-such-sale"), "{what}");
    }
    let lines = log.service.head().size;
    let whole = log.get(&format!("{path}/delivery")).bearer_auth(&theirs).send().await.unwrap();
    let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", view["delivery"]["file"].as_str().unwrap().trim_start_matches("0x"))
    );
    let whole = whole.bytes().await.unwrap();
    assert_eq!((whole.len() as u64, log.service.head().size), (bytes, lines + 1));
    // In pieces: one line for all of them.
    let mut joined = Vec::new();
    for (range, status) in [("bytes=0-99", 206), ("bytes=100-", 206)] {
        let piece = log.get(&format!("{path}/delivery")).bearer_auth(&theirs);
        let piece = piece.header("range", range).header("if-range", &etag).send().await.unwrap();
        assert_eq!(piece.status().as_u16(), status);
        let told = piece.headers()["content-range"].to_str().unwrap();
        assert!(told.ends_with(&format!("/{bytes}")), "{told}");
        joined.extend(piece.bytes().await.unwrap());
    }
    assert_eq!((joined, log.service.head().size), (whole.to_vec(), lines + 1));
    let beyond = log.get(&format!("{path}/delivery")).bearer_auth(&theirs);
    let beyond = Answer::of(beyond.header("range", format!("bytes={bytes}-"))).await;
    beyond.problem(416, "range");
    let other = log.get(&format!("{path}/delivery")).bearer_auth(&theirs);
    let other = other.header("range", "bytes=5-9").header("if-range", "\"another\"");
    assert_eq!(other.send().await.unwrap().status().as_u16(), 200, "another file: all of it");

    let early = get(&log, &theirs, &format!("{path}/proof")).await;
    early.problem(404, "not-anchored");
    let anchor = log.anchor(1, true).anchor;
    log.status.send_modify(|status| status.settled = Some(anchor));
    tick(&log).await;
    let proof = get(&log, &theirs, &format!("{path}/proof")).await.json();
    assert_eq!(
        (&proof["version"], proof["details"]["text"].is_string()),
        (&json!("medtrail/proof-v1"), true)
    );
    let late = post(&log, &own, &format!("{path}/decline"), &json!({})).await;
    late.problem(409, "sale-too-far");
    log.stall.settle(sale);
    tick(&log).await;
    let settled = get(&log, &theirs, &path).await.json();
    assert_eq!((&settled["state"], settled["key"].is_string()), (&json!("settled"), true));
    for (token, side, count) in
        [(&own, "seller", 1), (&own, "buyer", 0), (&theirs, "buyer", 1), (&strangers, "seller", 0)]
    {
        let list = get(&log, token, &format!("/v1/sales?as={side}")).await.json();
        assert_eq!(list["sales"].as_array().unwrap().len(), count, "{side}");
    }
    // No time of access was sold.
    let refused = get(&log, &theirs, &format!("{path}/records")).await;
    refused.problem(403, "no-look");
    assert_eq!(refused.json()["reason"], json!("deliveryOnly"));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_with_time_of_access_looks_and_strangers_see_nothing_of_it() {
    let log = Log::start().await;
    let (anna, buyer, other) = (Person::new(ANNA), Person::new(BUYER), Person::new(0xc1));
    let (own, theirs) = (anna.sign_in(&log).await, buyer.sign_in(&log).await);
    let strangers = other.sign_in(&log).await;
    log.keep(&anna, 1).await;
    let offer = Offer { accessS: 3600, ..offer(&log, &anna) };
    let offer = words::worded(offer, &dataset(), Language::En).unwrap();
    assert_eq!(post(&log, &own, "/v1/offers", &signed(&offer, &anna)).await.status, 201);
    let order = order(&offer, &buyer);
    let sale = order.id(&MARKET);
    log.stall.pay(sale);
    post(&log, &theirs, "/v1/sales", &json!({ "order": order })).await;
    let path = format!("/v1/sales/{sale}/records");
    let early = get(&log, &theirs, &path).await;
    early.problem(403, "no-look");
    assert_eq!(early.json()["reason"], json!("notSettled"));
    let approval = order.approval(&MARKET, order.settled_by().unwrap());
    let yes =
        json!({ "approval": approval, "signature": anna.sign_digest(approval.id(&MARKET).0) });
    post(&log, &own, &format!("/v1/sales/{sale}/approval"), &yes).await;
    tick(&log).await;
    let anchor = log.anchor(1, true).anchor;
    log.status.send_modify(|status| status.settled = Some(anchor));
    tick(&log).await;
    log.stall.settle(sale);
    tick(&log).await;

    let lines = log.service.head().size;
    let listed = get(&log, &theirs, &path).await;
    assert_eq!((listed.status.as_u16(), log.service.head().size), (200, lines + 1), "{listed:?}");
    let text = String::from_utf8_lossy(&listed.body).to_lowercase();
    assert!(!text.contains(&format!("{:x}", anna.address)), "it names nobody: {text}");
    let listed = listed.json();
    assert_eq!(listed["version"], json!("medtrail/sale-records-v1"));
    let [record] = &listed["records"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(record["word"], json!("uploadedByPerson"));
    let origin = &record["origin"];
    let content = format!("{path}/{}/content", origin["record"].as_str().unwrap());
    let read = log.get(&content).bearer_auth(&theirs).send().await.unwrap();
    let header = |name: &str| read.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("etag"), format!("\"{}\"", origin["version"].as_str().unwrap()));
    assert_eq!(header("medtrail-entry"), (lines + 1).to_string());
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(read.bytes().await.unwrap().len() as u64, record["bytes"].as_u64().unwrap());
    // Her trail shows who looked.
    let line = get(&log, &own, &format!("/v1/entries/{}", lines + 1)).await;
    assert_eq!(line.status, 200);
    let told = String::from_utf8_lossy(&line.body).to_lowercase();
    for shown in [sale.to_string(), format!("{:x}", buyer.address)] {
        assert!(told.contains(&shown), "{shown}: {told}");
    }

    // What is not there, what is no id, and strangers.
    let lines = log.service.head().size;
    let none = get(&log, &theirs, &format!("{path}/0x{}/content", "11".repeat(32))).await;
    let problem = none.problem(404, "no-such-record");
    let word = get(&log, &theirs, &format!("{path}/anything/content")).await;
    assert_eq!(problem, word.problem(404, "no-such-record"));
    let nothing = format!("/v1/sales/0x{}/records", "11".repeat(32));
    let tail = content.strip_prefix(&path).unwrap();
    for token in [&strangers, &own] {
        for tail in ["", tail] {
            let one = get(&log, token, &format!("{path}{tail}")).await;
            let other = get(&log, token, &format!("{nothing}{tail}")).await;
            let problem = one.problem(404, "no-such-sale");
            assert_eq!(problem, other.problem(404, "no-such-sale"), "{tail}");
        }
    }
    assert_eq!(log.service.head().size, lines);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_offer_is_refused_by_its_field_and_an_opt_out_by_its_name() {
    let log = Log::start().await;
    let anna = Person::new(ANNA);
    let token = anna.sign_in(&log).await;
    log.keep(&anna, 1).await;
    let good = signed(&offer(&log, &anna), &anna);
    for (place, value, field) in [
        ("/offer/price", json!("0"), "price"),
        ("/offer/expiresAt", json!(1), "statement"),
        ("/offer/terms/purpose", json!("WEATHER"), "purpose"),
        ("/offer/terms/statement", json!("I give it all away."), "statement"),
        ("/dataset", json!("{}"), "dataset"),
        ("/country", json!("FR"), "country"),
        ("/country", json!("Estonia"), "country"),
        ("/signature", json!("0x00"), "signature"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let refused = post(&log, &token, "/v1/offers", &bad).await;
        assert!([403, 422].contains(&refused.status.as_u16()), "{place}: {refused:?}");
        assert_eq!(refused.json()["field"], json!(field), "{place}: {refused:?}");
    }
    let out = log.send(Method::PUT, "/v1/market/opt-out", &json!({ "isOut": true }));
    assert_eq!(Answer::of(out.bearer_auth(&token)).await.json()["isOut"], json!(true));
    let refused = post(&log, &token, "/v1/offers", &good).await;
    refused.problem(409, "opted-out");
    let back = log.send(Method::PUT, "/v1/market/opt-out", &json!({ "isOut": false }));
    assert_eq!(Answer::of(back.bearer_auth(&token)).await.status, 200);
    assert_eq!(post(&log, &token, "/v1/offers", &good).await.status, 201);
    let known = get(&log, &token, "/v1/market/opt-out").await.json();
    assert_eq!(known["isOut"], json!(false));
    log.end().await;
}
