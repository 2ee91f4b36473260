//! `/v1/calls`: a buyer lists a call that was opened, a seller accepts the place that is proposed and
//! takes it back; strangers learn nothing of who accepted.

use crate::people::Person;
use crate::stall::FAIR;
use crate::support::{Answer, Log, now_ms};
use alloy_primitives::{Address, B256, U256};
use medtrail_permit::dataset::{Dataset, Form, Origin};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Deletion, Terms, cohort};
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

fn cohort_of(log: &Log, buyer: &Person) -> Cohort {
    cohort_for(log, buyer, 3)
}

fn cohort_for(log: &Log, buyer: &Person, places: u32) -> Cohort {
    let dataset = dataset();
    let terms = Terms {
        statement: String::new(),
        purpose: "HRESCH".into(),
        dataset: dataset.id(),
        salt: B256::repeat_byte(1),
    };
    let cohort = Cohort {
        buyer: buyer.address,
        log: log.keys.log,
        token: Address::ZERO,
        price: U256::from(20_000_000_000_000_000_u64),
        places,
        // A point that an age tool made.
        recipient: "0x2fe57da347cd62431528daac5fbb290730fff684afc4cfc2ed90995f58cb3b74"
            .parse()
            .unwrap(),
        deliverBy: now_ms() / 1000 + 3600,
        grace: 3600,
        terms,
        salt: B256::repeat_byte(2),
    };
    cohort::worded(cohort, &dataset, Language::En).unwrap()
}

fn listing(cohort: &Cohort) -> Value {
    json!({ "cohort": cohort, "dataset": String::from_utf8(dataset().bytes()).unwrap() })
}

fn yes(acceptance: &CohortAcceptance, by: &Person) -> Value {
    let signature = by.sign_digest(acceptance.id(&FAIR).0);
    json!({ "acceptance": acceptance, "signature": signature, "country": "EE" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_listed_accepted_and_taken_back_and_tells_strangers_of_nobody() {
    let log = Log::start().await;
    let (anna, buyer, other) = (Person::new(ANNA), Person::new(BUYER), Person::new(0xc1));
    let (own, theirs) = (anna.sign_in(&log).await, buyer.sign_in(&log).await);
    let strangers = other.sign_in(&log).await;
    log.keep(&anna, 1).await;
    let market = Answer::of(log.get("/v1/market")).await.json();
    assert_eq!(market["cohortMarket"], json!(FAIR.cohort_market));

    let cohort = cohort_of(&log, &buyer);
    let id = cohort.id(&FAIR);
    let path = format!("/v1/calls/{id}");
    let unpaid = post(&log, &theirs, "/v1/calls", &listing(&cohort)).await;
    unpaid.problem(409, "not-opened");
    log.stall.open(id);
    let by_other = post(&log, &strangers, "/v1/calls", &listing(&cohort)).await;
    by_other.problem(422, "invalid-field");
    assert_eq!(by_other.json()["field"], json!("cohort.buyer"));
    let listed = post(&log, &theirs, "/v1/calls", &listing(&cohort)).await;
    assert_eq!(listed.status, 201, "{listed:?}");
    assert_eq!(
        (&listed.json()["version"], &listed.json()["state"]),
        (&json!("medtrail/call-view-v1"), &json!("open"))
    );
    assert_eq!(post(&log, &theirs, "/v1/calls", &listing(&cohort)).await.status, 200);

    let seen = get(&log, &own, &path).await.json();
    let proposed: CohortAcceptance = serde_json::from_value(seen["proposed"].clone()).unwrap();
    assert_eq!((proposed.seller, proposed.epoch), (anna.address, 0));
    assert!(proposed.place < 3);
    let accepted = post(&log, &own, &format!("{path}/acceptances"), &yes(&proposed, &anna)).await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    assert_eq!(accepted.json()["own"][0]["state"], json!("accepted"));
    let again = post(&log, &own, &format!("{path}/acceptances"), &yes(&proposed, &anna)).await;
    assert_eq!(again.status, 200);
    let until_s = cohort.settled_by().unwrap();
    let second = cohort.acceptance(&FAIR, (proposed.place + 1) % 3, anna.address, 0, until_s);
    let twice = post(&log, &own, &format!("{path}/acceptances"), &yes(&second, &anna)).await;
    twice.problem(409, "already-accepted");
    let stolen = post(&log, &strangers, &format!("{path}/acceptances"), &yes(&second, &anna)).await;
    stolen.problem(422, "invalid-field");
    let raced = cohort.acceptance(&FAIR, proposed.place, other.address, 0, until_s);
    log.keep(&other, 2).await;
    let raced = post(&log, &strangers, &format!("{path}/acceptances"), &yes(&raced, &other)).await;
    raced.problem(409, "place-taken");

    // Nobody but Anna finds her in what is said of the call.
    let catalogue = Answer::of(log.get("/v1/calls?type=AllergyIntolerance&limit=5")).await;
    assert_eq!(catalogue.json()["calls"][0]["buyer"], json!(buyer.address));
    let views = [catalogue, get(&log, &theirs, &path).await, get(&log, &strangers, &path).await];
    for view in &views {
        let text = String::from_utf8_lossy(&view.body).to_lowercase();
        assert!(!text.contains(&format!("{:x}", anna.address)), "it names nobody: {text}");
    }
    let counts = views.map(|view| view.json()["accepted"].clone());
    assert_eq!(counts, [json!(null), json!(1), json!(null)]);
    for (token, side, count) in
        [(&own, "seller", 1), (&own, "buyer", 0), (&theirs, "buyer", 1), (&strangers, "seller", 0)]
    {
        let list = get(&log, token, &format!("/v1/calls?as={side}")).await.json();
        assert_eq!(list["calls"].as_array().unwrap().len(), count, "{side}");
    }
    let as_anna = get(&log, &strangers, &format!("{path}?seller={}", anna.address)).await;
    as_anna.problem(422, "invalid-field");

    let taking = |token: String| {
        let request = log.http.delete(log.url(&format!("{path}/acceptances"))).bearer_auth(token);
        Answer::of(request)
    };
    taking(strangers.clone()).await.problem(404, "not-accepted");
    let back = taking(own.clone()).await;
    assert_eq!((back.status.as_u16(), &back.json()["own"][0]["state"]), (200, &json!("withdrawn")));
    let spent = post(&log, &own, &format!("{path}/acceptances"), &yes(&proposed, &anna)).await;
    spent.problem(422, "invalid-field");
    let nothing = get(&log, &own, &format!("/v1/calls/0x{}", "11".repeat(32))).await;
    let word = get(&log, &own, "/v1/calls/anything").await;
    assert_eq!(nothing.problem(404, "no-such-call"), word.problem(404, "no-such-call"));
    let calls = log.calls.clone();
    tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().unwrap();
    assert_eq!(log.calls.called().problem, None);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buyer_of_a_call_and_nobody_else_reads_its_file_and_its_proofs_each_with_a_line() {
    let log = Log::start().await;
    let people = [Person::new(ANNA), Person::new(0xa2)];
    let (buyer, other) = (Person::new(BUYER), Person::new(0xc1));
    let (theirs, strangers) = (buyer.sign_in(&log).await, other.sign_in(&log).await);
    let cohort = cohort_for(&log, &buyer, 2);
    let id = cohort.id(&FAIR);
    let path = format!("/v1/calls/{id}");
    log.stall.open(id);
    assert_eq!(post(&log, &theirs, "/v1/calls", &listing(&cohort)).await.status, 201);
    let (mut own, mut places) = (Vec::new(), Vec::new());
    for (number, person) in (1..).zip(&people) {
        log.keep(person, number).await;
        let session = person.sign_in(&log).await;
        let seen = get(&log, &session, &path).await.json();
        let proposed: CohortAcceptance = serde_json::from_value(seen["proposed"].clone()).unwrap();
        places.push(proposed.place);
        let path = format!("{path}/acceptances");
        assert_eq!(post(&log, &session, &path, &yes(&proposed, person)).await.status, 201);
        own.push(session);
    }
    let delivery = get(&log, &theirs, &path).await.json()["delivery"].clone();
    let none = json!({ "state": "collecting", "refusal": null, "file": null, "bytes": null,
        "sellers": 0, "paid": 0, "lock": null });
    assert_eq!(delivery, none);
    for what in ["delivery", "proofs"] {
        get(&log, &theirs, &format!("{path}/{what}")).await.problem(404, "no-delivery");
    }
    let tick = || async {
        let calls = log.calls.clone();
        tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().unwrap();
        assert_eq!(log.calls.called().problem, None);
    };
    tick().await;
    let delivery = get(&log, &theirs, &path).await.json()["delivery"].clone();
    assert_eq!((&delivery["state"], &delivery["sellers"]), (&json!("ready"), &json!(2)));
    for token in [&own[0], &strangers] {
        assert_eq!(get(&log, token, &path).await.json()["delivery"], json!(null));
        for what in ["delivery", "proofs"] {
            get(&log, token, &format!("{path}/{what}")).await.problem(404, "no-such-call");
        }
    }
    assert_eq!(get(&log, &own[0], &path).await.json()["own"][0]["state"], json!("delivered"));

    let file = format!("{path}/delivery");
    let request = || log.get(&file).bearer_auth(&theirs);
    let lines = log.service.head().size;
    let whole = request().send().await.unwrap();
    assert_eq!(whole.status(), 200);
    let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", &delivery["file"].as_str().unwrap()[2..]));
    let bytes = whole.bytes().await.unwrap();
    assert_eq!(json!(bytes.len()), delivery["bytes"]);
    let piece = request().header("range", "bytes=7-19").header("if-range", &etag).send().await;
    let piece = piece.unwrap();
    assert_eq!(piece.status(), 206);
    assert_eq!(piece.bytes().await.unwrap(), bytes[7..20]);
    let beyond = request().header("range", format!("bytes={}-", bytes.len()));
    Answer::of(beyond).await.problem(416, "range");
    // One line for each of both, however it was fetched.
    assert_eq!(log.service.head().size, lines + 2);

    let proofs = format!("{path}/proofs");
    get(&log, &theirs, &proofs).await.problem(404, "not-anchored");
    let anchor = log.anchor(1, true).anchor;
    log.status.send_modify(|status| status.settled = Some(anchor));
    let first = get(&log, &theirs, &format!("{proofs}?limit=1")).await.json();
    let rest = get(&log, &theirs, &format!("{proofs}?before=0")).await.json();
    assert_eq!(
        (&first["version"], &first["next"], &rest["next"]),
        (&json!("medtrail/call-proofs-v1"), &json!("0"), &json!(null))
    );
    for (page, place) in [(&first, 0), (&rest, 1)] {
        let person = &people[places.iter().position(|one| *one == place).unwrap()];
        let [proof] = &page["proofs"].as_array().unwrap()[..] else { panic!("{page}") };
        assert_eq!(proof["version"], json!("medtrail/proof-v1"));
        assert!(proof["details"]["text"].as_str().unwrap().contains("medtrail/delivery-v1"));
        let subject = format!("{:x}", person.address);
        assert!(proof["report"]["subject"].as_str().unwrap().ends_with(&subject));
    }
    let word = get(&log, &theirs, &format!("{proofs}?before=x")).await;
    word.problem(422, "invalid-query");

    // The key may be out: nobody takes anything back.
    tick().await;
    assert_eq!(get(&log, &theirs, &path).await.json()["delivery"]["state"], json!("settling"));
    let back = log.http.delete(log.url(&format!("{path}/acceptances"))).bearer_auth(&own[0]);
    Answer::of(back).await.problem(409, "call-too-far");

    // What she can do still is to ask for hers to be deleted.
    let (wish, said) = (format!("{path}/withdrawal"), format!("{path}/deletion"));
    for (token, code) in [(&strangers, "not-accepted"), (&theirs, "not-accepted")] {
        post(&log, token, &wish, &json!({})).await.problem(404, code);
    }
    let asked = post(&log, &own[0], &wish, &json!({})).await.json();
    assert_eq!(asked["own"][0]["withdrawal"]["state"], json!("waiting"));
    assert_eq!(asked["withdrawals"], json!([]));
    let view = get(&log, &theirs, &path).await;
    let wishes = view.json()["withdrawals"].clone();
    let [part] = &wishes.as_array().unwrap()[..] else { panic!("{view:?}") };
    assert_eq!((&part["state"], part["label"].as_str().unwrap().len()), (&json!("waiting"), 16));
    let text = String::from_utf8_lossy(&view.body).to_lowercase();
    assert!(!text.contains(&format!("{:x}", people[0].address)), "it names nobody: {text}");
    let of = serde_json::from_value(part["part"].clone()).unwrap();
    let deletion = Deletion::of_part(of, buyer.address, now_ms() / 1000);
    let sign = |by: &Person| {
        let signature = by.sign_digest(deletion.id_in_calls(&FAIR).0);
        json!({ "deletion": deletion, "signature": signature })
    };
    post(&log, &theirs, &said, &sign(&people[0])).await.problem(422, "not-their-word");
    post(&log, &own[0], &said, &sign(&people[0])).await.problem(404, "no-such-call");
    let told = post(&log, &theirs, &said, &sign(&buyer)).await.json();
    assert_eq!(told["withdrawals"][0]["state"], json!("deleted"));
    let own = get(&log, &own[0], &path).await.json()["own"][0]["withdrawal"].clone();
    assert_eq!(own["state"], json!("deleted"));
    let health = Answer::of(log.get("/readyz")).await.json();
    assert_eq!(health["calls"], json!({ "open": 1, "problem": null }));
    log.end().await;
}
