//! `/v1/calls`: a buyer lists a call that was opened, a seller accepts the place that is proposed and
//! takes it back; strangers learn nothing of who accepted.

use crate::people::Person;
use crate::stall::FAIR;
use crate::support::{Answer, Log, now_ms};
use alloy_primitives::{Address, B256, U256};
use medtrail_permit::dataset::{Dataset, Form, Origin};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms, cohort};
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
        places: 3,
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
    assert_eq!((proposed.place, proposed.seller, proposed.epoch), (0, anna.address, 0));
    let accepted = post(&log, &own, &format!("{path}/acceptances"), &yes(&proposed, &anna)).await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    assert_eq!(accepted.json()["own"][0]["state"], json!("accepted"));
    let again = post(&log, &own, &format!("{path}/acceptances"), &yes(&proposed, &anna)).await;
    assert_eq!(again.status, 200);
    let second = cohort.acceptance(&FAIR, 1, anna.address, 0, cohort.settled_by().unwrap());
    let twice = post(&log, &own, &format!("{path}/acceptances"), &yes(&second, &anna)).await;
    twice.problem(409, "already-accepted");
    let stolen = post(&log, &strangers, &format!("{path}/acceptances"), &yes(&second, &anna)).await;
    stolen.problem(422, "invalid-field");
    let raced = cohort.acceptance(&FAIR, 0, other.address, 0, cohort.settled_by().unwrap());
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
