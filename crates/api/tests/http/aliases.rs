//! `/v1/bindings/aliases`: a person sells under a fresh address and sees it in their trail; nobody
//! else learns that the two are one person's, by any route.

use crate::feed::Feed;
use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY, now_ms};
use alloy_primitives::{Address, B256};
use medtrail_ledger::binding::alias::{Language, document};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::schema::{digest, domain};
use medtrail_permit::documents::{Delegation, Document, Registries};
use medtrail_permit::statements::worded;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const PATH: &str = "/v1/bindings/aliases";
const LATER_S: u64 = 4_000_000_000;

fn joining(own: &Person, fresh: &Person, language: Language) -> Value {
    let expires_at = now_ms() / 1000 + 3600;
    let document = document(own.address, fresh.address, expires_at, language);
    let digest = digest(&document, &domain(CHAIN, REGISTRY)).0;
    json!({
        "alias": fresh.address, "expiresAt": expires_at, "language": language,
        "signature": own.sign_digest(digest), "countersignature": fresh.sign_digest(digest),
    })
}

async fn post(log: &Log, token: &str, body: &Value) -> Answer {
    Answer::of(log.send(Method::POST, PATH, body).bearer_auth(token)).await
}

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

async fn lets_see(log: &Log, of: &Person, whom: &Person) {
    let delegation = Document::Delegation(Delegation {
        statement: String::new(),
        subject: of.address,
        delegate: whom.address,
        rights: "SEE".into(),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(3),
    });
    let told = worded(delegation, medtrail_permit::statements::Language::En).unwrap();
    let registries =
        Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };
    let signature = of.sign_digest(told.id(&registries).0);
    let body = json!({
        "version": "medtrail/permission-v1", "document": told, "signature": signature,
    });
    let recorded = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(recorded.status, 201, "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signatures_join_an_address_and_its_lines_stand_in_the_trail() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let rose = Person::new(0xc1);
    let its_token = rose.sign_in(&log).await;
    let sold = log.report(&log.about(rose.address, 1)).await.receipt();
    let path = format!("/v1/subjects/{}/trail", world.anna.address);
    let mut feed =
        Feed::open_of(&log, &world.anna.address.to_string(), &world.anna_token, None).await;

    let body = joining(&world.anna, &rose, Language::Et);
    let joined = post(&log, &world.anna_token, &body).await;
    assert_eq!(joined.status, 200, "{joined:?}");
    let entries = joined.json()["entries"].clone();
    let again = post(&log, &world.anna_token, &body).await.json();
    assert_eq!((&again["entries"], &again["alias"]), (&entries, &json!(rose.address)));
    for place in [0, 1] {
        assert_eq!(feed.line().await.id, entries[place].as_u64());
    }
    let listed = get(&log, &world.anna_token, PATH).await.json();
    assert_eq!(listed, json!({ "aliases": [{ "alias": rose.address, "entries": entries }] }));
    assert_eq!(get(&log, &its_token, PATH).await.json(), json!({ "aliases": [] }));

    // Nothing moves: an organisation reports on, and the feed tells it.
    let next = log.report(&log.about(rose.address, 2)).await.receipt();
    assert_eq!(feed.line().await.id, Some(next.index));
    let page = get(&log, &world.anna_token, &path).await.json();
    let lines = page["lines"].as_array().unwrap();
    let indexes: Vec<_> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert!([sold.index, next.index].iter().all(|index| indexes.contains(index)), "{indexes:?}");
    let part = &page["parts"][1];
    assert_eq!(
        (&part["subject"], &part["lines"], &part["organisation"]),
        (&json!(rose.address.into_word()), &json!(3), &Value::Null)
    );
    let days = get(&log, &world.anna_token, &format!("{path}?counts=day")).await.json();
    let counted: u64 =
        days["days"].as_array().unwrap().iter().map(|day| day["lines"].as_u64().unwrap()).sum();
    assert_eq!(counted, lines.len() as u64);

    // A single line of it, opened, and its proof.
    let line = format!("/v1/entries/{}", sold.index);
    assert!(get(&log, &world.anna_token, &line).await.json()["place"]["open"].is_object());
    log.anchor(1, true);
    let proof = get(&log, &world.anna_token, &format!("{line}/proof?open=true")).await;
    assert_eq!(proof.status, 200, "{proof:?}");
    // What a proof of it shows names nobody but the alias.
    assert!(!names(&proof, world.anna.address));
    let erasure = format!("/v1/subjects/{}/erasure", world.anna.address);
    let told = get(&log, &world.anna_token, &erasure).await.json();
    assert_eq!(told["aliases"], json!([rose.address]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_join_is_told_why_and_nothing_of_whose_it_is() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (rose, lily) = (Person::new(0xc1), Person::new(0xc2));
    let other = Person::new(0xb2);
    let good = joining(&world.anna, &rose, Language::En);
    let with = |changes: Value| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    for (changes, slug, field) in [
        (json!({ "countersignature": good["signature"] }), "signature-refused", "countersignature"),
        (json!({ "signature": good["countersignature"] }), "signature-refused", "signature"),
        (json!({ "signature": "0x" }), "signature-refused", "signature"),
        (json!({ "language": "et" }), "signature-refused", "signature"),
        (json!({ "alias": lily.address }), "signature-refused", "signature"),
    ] {
        let refused = post(&log, &world.anna_token, &with(changes)).await.problem(422, slug);
        assert_eq!(refused["field"], field);
    }
    post(&log, &world.other_token, &good).await.problem(422, "signature-refused");
    post(&log, &world.anna_token, &with(json!({ "language": "fi" })))
        .await
        .problem(422, "invalid-field");
    assert_eq!(log.service.aliases(world.anna.address), []);
    assert_eq!(post(&log, &world.anna_token, &good).await.status, 200);

    // Whoever has the alias's key is told that it is one, and not whose.
    let taken = post(&log, &world.other_token, &joining(&other, &rose, Language::En)).await;
    assert!(!names(&taken, world.anna.address));
    taken.problem(409, "alias-taken");
    let its_token = rose.sign_in(&log).await;
    let chain = post(&log, &its_token, &joining(&rose, &lily, Language::En)).await;
    assert!(!names(&chain, world.anna.address));
    chain.problem(409, "is-alias");
    let circle = post(&log, &world.other_token, &joining(&other, &world.anna, Language::En)).await;
    assert!(!names(&circle, rose.address));
    circle.problem(409, "alias-not-fresh");
    let claimed = log.send(Method::POST, "/v1/bindings", &json!({ "code": "no code" }));
    Answer::of(claimed.bearer_auth(&its_token)).await.problem(409, "is-alias");
    log.end().await;
}

fn names(answer: &Answer, who: Address) -> bool {
    String::from_utf8_lossy(&answer.body).to_lowercase().contains(&format!("{who:x}"))
}

/// The story: Kadri sees Anna's trail for her, Tiit sees that of the address she sells under, a
/// hospital reports about both, a thief has the new key; each asks for all that there is.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_person_learns_by_any_route_that_two_addresses_are_hers() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (anna, rose) = (&world.anna, Person::new(0xc1));
    let (kadri, tiit) = (Person::new(0xd1), Person::new(0xd2));
    lets_see(&log, anna, &kadri).await;
    lets_see(&log, &rose, &tiit).await;
    for (who, event) in [(anna.address, 1), (rose.address, 2)] {
        log.report(&log.about(who, event)).await.receipt();
    }
    let (hers, his) = (kadri.sign_in(&log).await, tiit.sign_in(&log).await);
    let its_token = rose.sign_in(&log).await;
    let mut acting = Feed::open_of(&log, &anna.address.to_string(), &hers, None).await;
    let size = log.service.head().size;
    assert_eq!(
        post(&log, &world.anna_token, &joining(anna, &rose, Language::En)).await.status,
        200
    );
    let own = acting.line().await;
    assert_eq!(own.id, Some(size + 1), "of the two lines the one in her own part");
    assert_eq!(own.data["details"], Value::Null);

    let index_max = log.service.head().size;
    let mut paths: Vec<String> = vec![PATH.into(), "/v1/bindings".into(), "/v1/session".into()];
    for who in [anna.address, rose.address] {
        for what in ["trail", "permissions", "accounting", "notices", "erasure", "trail?counts=day"]
        {
            paths.push(format!("/v1/subjects/{who}/{what}"));
        }
        paths.push(format!("/v1/subjects/{who}/chain?record=0x{}", "11".repeat(32)));
        for what in ["questions", "claims", "records"] {
            paths.push(format!("/v1/{what}?subject={who}"));
        }
        paths.push(format!("/fhir/AuditEvent?patient={who}"));
        paths.push(format!("/v1/bindings/of/{}", who.into_word()));
    }
    for index in 0..index_max {
        for what in ["", "/receipt", "/proof", "/proof?open=true"] {
            paths.push(format!("/v1/entries/{index}{what}"));
        }
    }
    log.anchor(1, true);
    // Whoever may see the one must not read the other; of whom nothing was given neither is told.
    for (who, token, sees) in [
        ("who acts for her", &hers, anna.address),
        ("who acts for the alias", &his, rose.address),
        ("the thief of its key", &its_token, rose.address),
    ] {
        let other = if sees == anna.address { rose.address } else { anna.address };
        for path in &paths {
            let answer = get(&log, token, path).await;
            // What was asked is told back.
            let is_asked = path.to_lowercase().contains(&format!("{other:x}"));
            assert!(is_asked || !names(&answer, other), "{path} by {who}: {answer:?}");
            if is_asked {
                assert!([200, 403, 404].contains(&answer.status.as_u16()), "{path} by {who}");
                assert!(!names(&answer, sees), "{path} by {who}: {answer:?}");
            }
        }
        let page = get(&log, token, &format!("/v1/subjects/{sees}/trail")).await.json();
        assert_eq!(page["parts"].as_array().unwrap().len(), 1, "{who}");
        let lines = page["lines"].as_array().unwrap();
        let join = lines.iter().find(|line| line["report"]["kind"] == 11).expect("it stands there");
        assert_eq!(
            (&join["details"], &join["report"]["permission"]),
            (&Value::Null, &json!(B256::ZERO))
        );
    }
    // The other part's lines are, to each of them, lines that do not exist.
    let absent = |token: String| {
        let log = &log;
        async move { get(log, &token, "/v1/entries/999999").await }
    };
    for (token, index) in [(&hers, size), (&his, size + 1), (&its_token, size + 1)] {
        let hidden = get(&log, token, &format!("/v1/entries/{index}")).await;
        let none = absent(token.clone()).await;
        assert_eq!((hidden.status, hidden.body), (none.status, none.body));
    }
    // Who reports about both sees its reports, and neither line that joins.
    for token in
        [&world.clinic_token, &world.harbour_token, &world.operator_token, &world.other_token]
    {
        for index in [size, size + 1] {
            let hidden = get(&log, token, &format!("/v1/entries/{index}")).await;
            hidden.problem(404, "no-such-entry");
        }
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_recovery_the_new_key_sees_the_aliases_and_a_delegate_still_does_not() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (anna, rose) = (&world.anna, Person::new(0xc1));
    let (heir, kadri) = (Person::new(0xd3), Person::new(0xd1));
    lets_see(&log, anna, &kadri).await;
    let joined = post(&log, &world.anna_token, &joining(anna, &rose, Language::En)).await;
    assert_eq!(joined.status, 200, "{joined:?}");
    let (its, hers) = (heir.sign_in(&log).await, kadri.sign_in(&log).await);
    let path = format!("/v1/subjects/{}/trail", anna.address);
    get(&log, &its, &path).await.problem(404, "no-such-trail");

    // This chain says the same of every address.
    let moved = ConsentEvent::ControlMoved { controller: heir.address, at_s: 1_700_000_000 };
    log.chain.records.lock().unwrap().push(ConsentRecord { event: moved, is_final: true });
    let page = get(&log, &its, &path).await;
    assert!(names(&page, rose.address));
    assert_eq!(page.json()["parts"].as_array().unwrap().len(), 2);
    let mut feed = Feed::open_of(&log, &anna.address.to_string(), &its, None).await;
    let sold = log.report(&log.about(rose.address, 5)).await.receipt();
    assert_eq!(feed.line().await.id, Some(sold.index));
    let page = get(&log, &hers, &path).await;
    assert!(page.status == 404 || !names(&page, rose.address), "{page:?}");
    // Each line by itself too, and nobody else, where control of her own address alone has moved.
    *log.chain.only.lock().unwrap() = Some(anna.address);
    let line = format!("/v1/entries/{}", sold.index);
    assert_eq!(get(&log, &its, &line).await.status, 200);
    get(&log, &hers, &line).await.problem(404, "no-such-entry");
    *log.chain.only.lock().unwrap() = None;
    // Whoever got control of the alias alone still is not told whose it is.
    let path = format!("/v1/subjects/{}/trail", rose.address);
    let page = get(&log, &its, &path).await;
    assert_eq!(page.json()["parts"].as_array().unwrap().len(), 1);
    assert!(!names(&page, anna.address));
    // From now on neither key joins anything.
    let lily = Person::new(0xc2);
    let refused = post(&log, &world.anna_token, &joining(anna, &lily, Language::En)).await;
    refused.problem(409, "control-moved");
    log.chain.is_away.store(true, Ordering::SeqCst);
    let refused = post(&log, &world.anna_token, &joining(anna, &lily, Language::En)).await;
    refused.problem(503, "chain-unreadable");
    log.end().await;
}
