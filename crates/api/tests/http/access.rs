//! Who may do what: every route that the interface describes, asked by everybody.
//!
//! A route without a row here fails [`every_route_answers_everybody_as_the_table_says`]: nobody
//! adds one without having said who may use it.

use crate::people::{Person, World};
use crate::support::{Answer, Log};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What everybody is answered, in the order of [`WHO`].
type Statuses = [u16; 9];

const WHO: [&str; 9] = [
    "nobody",
    "the person",
    "another person",
    "the organisation that reported",
    "another organisation",
    "the operator",
    "an API key",
    "a revoked API key",
    "who signed out",
];

const ANYBODY: Statuses = [200; 9];
/// Bodies are bad where a good one would change something: 422 says that the caller may.
const OPERATOR_422: Statuses = [401, 403, 403, 403, 403, 422, 403, 401, 401];
const OPERATOR_404: Statuses = [401, 403, 403, 403, 403, 404, 403, 401, 401];
const SIGNED_IN: Statuses = [401, 200, 200, 200, 200, 200, 403, 401, 401];
/// An organisation names the patient; a person need not.
const SEARCHES: Statuses = [401, 200, 200, 422, 422, 200, 422, 401, 401];
const ONLY_THE_PERSON: Statuses = [401, 200, 404, 404, 404, 404, 404, 401, 401];
/// An organisation is told that nobody permitted it, whether or not there is anything.
const RECORD: Statuses = [401, 200, 404, 403, 403, 404, 403, 401, 401];
const REQUEST: Statuses = [401, 404, 404, 404, 404, 404, 404, 401, 401];
const PERSON_AND_REPORTER: Statuses = [404, 200, 404, 200, 404, 404, 404, 401, 401];

/// Lists of one's own.
const ANY_SIDE: Statuses = [401, 200, 200, 200, 200, 200, 200, 401, 401];
/// One that is nobody's.
const NOT_THEIRS: Statuses = [401, 404, 404, 404, 404, 404, 404, 401, 401];
/// The same, of what only people have.
const NOBODY_S: Statuses = [401, 404, 404, 404, 404, 404, 403, 401, 401];
/// What organisations say; the body is bad.
const SPEAKS: Statuses = [401, 403, 403, 422, 422, 403, 422, 401, 401];

struct Row {
    method: Method,
    /// As the description has it.
    route: &'static str,
    /// As it is asked.
    path: String,
    body: Option<&'static str>,
    statuses: Statuses,
}

fn table(person: &Person, index: u64, record: &str) -> Vec<Row> {
    let get = |route: &'static str, path: &str, statuses| Row {
        method: Method::GET,
        route,
        path: path.to_owned(),
        body: None,
        statuses,
    };
    let same = |route: &'static str, statuses| get(route, route, statuses);
    let post = |route: &'static str, path: &str, body: &'static str, statuses| Row {
        method: Method::POST,
        body: Some(body),
        ..get(route, path, statuses)
    };
    let delete = |route: &'static str, path: &str, statuses| Row {
        method: Method::DELETE,
        ..get(route, path, statuses)
    };
    let entry = |what: &str| format!("/v1/entries/{index}{what}");
    let own = |what: &str| format!("/v1/subjects/{}/{what}", person.address);
    let none = "0x0000000000000000000000000000000000000001";
    let word = format!("0x{}", "11".repeat(32));
    let kept = |what: &str| format!("/v1/records/{record}{what}?subject={}", person.address);
    let request = format!("/v1/approvals/0x{}", "11".repeat(32));
    let binding = format!("/v1/bindings/0x{}/", "11".repeat(32));
    vec![
        same("/.well-known/medtrail.json", ANYBODY),
        same("/docs", ANYBODY),
        same("/docs/style.css", ANYBODY),
        same("/openapi.json", ANYBODY),
        same("/healthz", ANYBODY),
        same("/readyz", ANYBODY),
        get("/problems/{slug}", "/problems/busy", ANYBODY),
        same("/log/checkpoint", ANYBODY),
        get("/log/tile/{level}/{path}", "/log/tile/0/000.p/1", ANYBODY),
        get("/log/tile/entries/{path}", "/log/tile/entries/000.p/1", ANYBODY),
        same("/v1/anchors", ANYBODY),
        same("/v1/organisations", ANYBODY),
        // Whoever signed a report shows it by the signature, not by a session.
        post("/v1/reports", "/v1/reports", "{}", [422; 9]),
        get("/v1/session/nonce", &format!("/v1/session/nonce?address={none}"), ANYBODY),
        post("/v1/session", "/v1/session", "{}", [422; 9]),
        same("/v1/session", SIGNED_IN),
        get("/v1/subjects/{subject}/trail", &own("trail"), ONLY_THE_PERSON),
        get(
            "/v1/subjects/{subject}/chain",
            &own(&format!("chain?record=0x{}", "11".repeat(32))),
            ONLY_THE_PERSON,
        ),
        get("/v1/subjects/{subject}/feed", &own("feed"), ONLY_THE_PERSON),
        get("/v1/subjects/{subject}/permissions", &own("permissions"), ONLY_THE_PERSON),
        get("/v1/subjects/{subject}/accounting", &own("accounting"), ONLY_THE_PERSON),
        get("/v1/subjects/{subject}/erasure", &own("erasure"), ONLY_THE_PERSON),
        // Nothing waits: only its person is told so.
        delete(
            "/v1/subjects/{subject}/erasure",
            &own("erasure"),
            [401, 404, 404, 404, 404, 404, 404, 401, 401],
        ),
        same("/v1/holds", [401, 403, 403, 403, 403, 200, 403, 401, 401]),
        post("/v1/holds", "/v1/holds", "{}", OPERATOR_422),
        post(
            "/v1/holds/{id}/lift",
            &format!("/v1/holds/0x{}/lift", "11".repeat(32)),
            r#"{"reason":"settled","orderedBy":"a court"}"#,
            OPERATOR_404,
        ),
        same("/v1/permissions", ANYBODY),
        // Whoever signed a document shows it by the signature: anybody may carry it.
        post("/v1/permissions", "/v1/permissions", "{}", [422; 9]),
        get("/v1/entries/{index}", &entry(""), PERSON_AND_REPORTER),
        get("/v1/entries/{index}/receipt", &entry("/receipt"), PERSON_AND_REPORTER),
        get("/v1/entries/{index}/proof", &entry("/proof"), PERSON_AND_REPORTER),
        post("/v1/organisations", "/v1/organisations", "{}", OPERATOR_422),
        post(
            "/v1/organisations/{id}/invites",
            &format!("/v1/organisations/{none}/invites"),
            "",
            OPERATOR_404,
        ),
        post(
            "/v1/organisations/{id}/api-keys",
            &format!("/v1/organisations/{none}/api-keys"),
            "",
            OPERATOR_404,
        ),
        delete("/v1/api-keys/{id}", "/v1/api-keys/none", OPERATOR_404),
        post(
            "/v1/enrolments",
            "/v1/enrolments",
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        same("/v1/bindings", [401, 200, 200, 200, 200, 200, 200, 401, 401]),
        get(
            "/v1/bindings/of/{pseudonym}",
            &format!("/v1/bindings/of/0x{}", "11".repeat(32)),
            [401, 403, 403, 404, 404, 403, 403, 401, 401],
        ),
        same("/v1/bindings/aliases", SIGNED_IN),
        post(
            "/v1/bindings/aliases",
            "/v1/bindings/aliases",
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        post("/v1/bindings", "/v1/bindings", "{}", [401, 422, 422, 422, 422, 422, 403, 401, 401]),
        post(
            "/v1/bindings/codes",
            "/v1/bindings/codes",
            "{}",
            [401, 403, 403, 422, 422, 403, 422, 401, 401],
        ),
        post(
            "/v1/bindings/{id}/signature",
            &format!("{binding}signature"),
            r#"{"signature":"0x"}"#,
            [401, 404, 404, 404, 404, 404, 403, 401, 401],
        ),
        post(
            "/v1/bindings/{id}/countersignature",
            &format!("{binding}countersignature"),
            r#"{"signature":"0x"}"#,
            [401, 403, 403, 404, 404, 403, 404, 401, 401],
        ),
        get("/v1/subjects/{subject}/notices", &own("notices"), ONLY_THE_PERSON),
        Row {
            method: Method::PUT,
            body: Some("{}"),
            ..get("/v1/subjects/{subject}/notices", &own("notices"), ONLY_THE_PERSON)
        },
        // Whoever reads the mail has the code.
        post("/v1/notices/confirm", "/v1/notices/confirm", r#"{"code":"0"}"#, [404; 9]),
        same("/v1/questions", ANY_SIDE),
        post("/v1/questions", "/v1/questions", "{}", [401, 422, 422, 422, 422, 422, 403, 401, 401]),
        same("/v1/sources", ANY_SIDE),
        // Who signed it is who says it.
        post("/v1/sources", "/v1/sources", "{}", [422; 9]),
        get("/v1/questions/{id}", &format!("/v1/questions/{word}"), NOT_THEIRS),
        post("/v1/questions/{id}/answer", &format!("/v1/questions/{word}/answer"), "{}", SPEAKS),
        post("/v1/corrections", "/v1/corrections", "{}", SPEAKS),
        same("/v1/emergencies", ANY_SIDE),
        same("/v1/claims", ANY_SIDE),
        post("/v1/claims", "/v1/claims", "{}", SPEAKS),
        post(
            "/v1/claims/{id}/answer",
            &format!("/v1/claims/{word}/answer"),
            r#"{"answer":"no"}"#,
            [401, 404, 404, 404, 404, 404, 403, 401, 401],
        ),
        same("/v1/records", [401, 200, 200, 200, 200, 200, 422, 401, 401]),
        get("/v1/records/{record}", &kept(""), RECORD),
        get("/v1/records/{record}/versions", &kept("/versions"), RECORD),
        get("/v1/records/{record}/content", &kept("/content"), RECORD),
        // Whoever signed a version, a look or a request shows it by the signature.
        post("/v1/records", "/v1/records", "{}", [422; 9]),
        post("/v1/records/{record}/versions", &kept("/versions"), "{}", [422; 9]),
        post("/v1/records/{record}/content", &kept("/content"), "{}", [422; 9]),
        same("/v1/approvals", [401, 200, 200, 200, 200, 200, 200, 401, 401]),
        post("/v1/approvals", "/v1/approvals", "{}", [422; 9]),
        get("/v1/approvals/{id}", &request, REQUEST),
        get("/v1/approvals/{id}/content", &format!("{request}/content"), REQUEST),
        post(
            "/v1/approvals/{id}/decline",
            &format!("{request}/decline"),
            "",
            [401, 404, 404, 404, 404, 404, 403, 401, 401],
        ),
        post(
            "/v1/approvals/{id}/withdraw",
            &format!("{request}/withdraw"),
            "",
            [401, 403, 403, 404, 404, 403, 404, 401, 401],
        ),
        same("/v1/market", ANYBODY),
        same("/v1/market/opt-out", SIGNED_IN),
        Row {
            method: Method::PUT,
            body: Some("{}"),
            ..same("/v1/market/opt-out", [401, 422, 422, 422, 422, 422, 403, 401, 401])
        },
        // The catalogue is everybody's, also of whoever's session has ended.
        same("/v1/offers", ANYBODY),
        post("/v1/offers", "/v1/offers", "{}", [401, 422, 422, 422, 422, 422, 403, 401, 401]),
        get("/v1/offers/{id}", &format!("/v1/offers/{word}"), NOBODY_S),
        post("/v1/offers/{id}/withdrawal", &format!("/v1/offers/{word}/withdrawal"), "", NOBODY_S),
        same("/v1/calls", ANYBODY),
        post("/v1/calls", "/v1/calls", "{}", [401, 422, 422, 422, 422, 422, 403, 401, 401]),
        get("/v1/calls/{id}", &format!("/v1/calls/{word}"), NOBODY_S),
        post(
            "/v1/calls/{id}/acceptances",
            &format!("/v1/calls/{word}/acceptances"),
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        delete("/v1/calls/{id}/acceptances", &format!("/v1/calls/{word}/acceptances"), NOBODY_S),
        post("/v1/calls/{id}/withdrawal", &format!("/v1/calls/{word}/withdrawal"), "", NOBODY_S),
        post(
            "/v1/calls/{id}/deletion",
            &format!("/v1/calls/{word}/deletion"),
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        get("/v1/calls/{id}/delivery", &format!("/v1/calls/{word}/delivery"), NOBODY_S),
        get("/v1/calls/{id}/proofs", &format!("/v1/calls/{word}/proofs"), NOBODY_S),
        same("/v1/sales", SIGNED_IN),
        post("/v1/sales", "/v1/sales", "{}", [401, 422, 422, 422, 422, 422, 403, 401, 401]),
        get("/v1/sales/{order}", &format!("/v1/sales/{word}"), NOBODY_S),
        post(
            "/v1/sales/{order}/approval",
            &format!("/v1/sales/{word}/approval"),
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        post("/v1/sales/{order}/decline", &format!("/v1/sales/{word}/decline"), "", NOBODY_S),
        post("/v1/sales/{order}/withdrawal", &format!("/v1/sales/{word}/withdrawal"), "", NOBODY_S),
        post(
            "/v1/sales/{order}/deletion",
            &format!("/v1/sales/{word}/deletion"),
            "{}",
            [401, 422, 422, 422, 422, 422, 403, 401, 401],
        ),
        get("/v1/sales/{order}/delivery", &format!("/v1/sales/{word}/delivery"), NOBODY_S),
        get("/v1/sales/{order}/proof", &format!("/v1/sales/{word}/proof"), NOBODY_S),
        get("/v1/sales/{order}/records", &format!("/v1/sales/{word}/records"), NOBODY_S),
        get(
            "/v1/sales/{order}/records/{record}/content",
            &format!("/v1/sales/{word}/records/{word}/content"),
            NOBODY_S,
        ),
        same("/fhir/metadata", ANYBODY),
        same("/fhir/.well-known/smart-configuration", ANYBODY),
        post(
            "/fhir/AuditEvent",
            "/fhir/AuditEvent",
            "{}",
            [401, 403, 403, 403, 403, 403, 422, 401, 401],
        ),
        post(
            "/fhir/Provenance",
            "/fhir/Provenance",
            "{}",
            [401, 403, 403, 403, 403, 403, 422, 401, 401],
        ),
        get("/fhir/Provenance", "/fhir/Provenance", SEARCHES),
        // The line of this table is a look: no change and no hand-over.
        get(
            "/fhir/Provenance/{index}",
            &format!("/fhir/Provenance/{index}"),
            [404, 404, 404, 404, 404, 404, 404, 401, 401],
        ),
        post("/fhir", "/fhir/", "{}", [401, 403, 403, 403, 403, 403, 400, 401, 401]),
        same("/fhir/AuditEvent", SEARCHES),
        post("/fhir/AuditEvent/_search", "/fhir/AuditEvent/_search", "", SEARCHES),
        get("/fhir/AuditEvent/{index}", &format!("/fhir/AuditEvent/{index}"), PERSON_AND_REPORTER),
        // An organisation finds nothing, whoever it asks for.
        same("/fhir/Consent", ANY_SIDE),
        post("/fhir/Consent/_search", "/fhir/Consent/_search", "", ANY_SIDE),
        // The line of this table records no permission.
        get(
            "/fhir/Consent/{index}",
            &format!("/fhir/Consent/{index}"),
            [404, 404, 404, 404, 404, 404, 404, 401, 401],
        ),
        get(
            "/fhir/Patient/{id}/$accounting",
            &format!("/fhir/Patient/{}/$accounting", person.address),
            ONLY_THE_PERSON,
        ),
        post(
            "/fhir/Patient/{id}/$accounting",
            &format!("/fhir/Patient/{}/$accounting", person.address),
            r#"{"resourceType":"Parameters"}"#,
            ONLY_THE_PERSON,
        ),
        same("/fhir/OperationDefinition/accounting", ANYBODY),
        // The last one: whoever asks is signed out.
        delete("/v1/session", "/v1/session", [401, 204, 204, 204, 204, 204, 403, 401, 401]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_everybody_as_the_table_says() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let index = log.report(&log.about(world.anna.address, 1)).await.receipt().index;
    log.anchor(1, true);
    let record = log.keep(&world.anna, 1).await;
    let table = table(&world.anna, index, &record);

    let described = Answer::of(log.get("/openapi.json")).await.json();
    let mut routes = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    let rows: BTreeSet<_> =
        table.iter().map(|row| (row.method.to_string(), row.route.to_owned())).collect();
    assert_eq!(rows, routes, "each route that is described has its row, and no other");

    let mut wrong = Vec::new();
    for (number, row) in table.iter().enumerate() {
        for (place, (who, token)) in WHO.iter().zip(world.tokens()).enumerate() {
            let mut request = log.http.request(row.method.clone(), log.url(&row.path));
            // Whoever guesses too often is stopped: each of these comes from elsewhere.
            request = request.header("x-forwarded-for", format!("192.0.{number}.{place}"));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = row.body {
                request = request.header("content-type", "application/json").body(body);
            }
            // Not read to its end: a feed has none.
            let status = request.send().await.unwrap().status().as_u16();
            if status != row.statuses[place] {
                let expected = row.statuses[place];
                wrong.push(format!(
                    "{} {} by {who}: {status}, not {expected}",
                    row.method, row.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    log.end().await;
}

/// What differs from answer to answer whatever was asked.
fn without_chance(answer: Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_is_answered_byte_for_byte_like_what_does_not_exist() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let index = log.report(&log.about(world.anna.address, 1)).await.receipt().index.to_string();
    log.anchor(1, true);
    // Each from elsewhere, so that nobody is stopped for guessing.
    let asked = AtomicUsize::new(0);
    for (who, token) in WHO.iter().zip(world.tokens()) {
        if ["the person", "the organisation that reported"].contains(who) {
            continue;
        }
        let ask = |path: String| {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let from = format!("192.0.{}.{}", number / 256, number % 256);
            let request = log.get(&path).header("x-forwarded-for", from);
            Answer::of(match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            })
        };
        for what in [
            "/v1/entries/{}",
            "/v1/entries/{}/receipt",
            "/v1/entries/{}/proof",
            "/v1/entries/{}/proof?open=true",
            "/fhir/AuditEvent/{}",
            "/fhir/Consent/{}",
        ] {
            let hidden = without_chance(ask(what.replace("{}", &index)).await);
            assert!([401, 404].contains(&hidden.0), "{what} by {who}: {hidden:?}");
            for absent in ["999", "18446744073709551616", "x", "-1"] {
                let absent = without_chance(ask(what.replace("{}", absent)).await);
                assert_eq!(hidden, absent, "{what} by {who}");
            }
        }
        let nobody = Person::new(0x77).address;
        for what in [
            "trail",
            "feed",
            "permissions",
            "erasure",
            "accounting",
            "notices",
            "trail?counts=day",
            "trail?limit=0",
            "feed?after=x",
        ] {
            if *who == "another person" && what.contains("limit") {
                continue;
            }
            let hers = ask(format!("/v1/subjects/{}/{what}", world.anna.address)).await;
            let hers = without_chance(hers);
            assert!([401, 404].contains(&hers.0), "{what} by {who}: {hers:?}");
            for absent in [nobody.to_string(), nobody.into_word().to_string(), "x".to_owned()] {
                let absent = ask(format!("/v1/subjects/{absent}/{what}")).await;
                assert_eq!(hers, without_chance(absent), "{what} by {who}");
            }
        }
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_the_subject_the_place_and_the_reporter_only_its_hash() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let sent = log.about(world.anna.address, 1);
    let receipt = log.report(&sent).await.receipt();
    let ask = |what: &'static str, token: &str| {
        let path = format!("/v1/entries/{}{what}", receipt.index);
        Answer::of(log.get(&path).bearer_auth(token))
    };

    let hers = ask("", &world.anna_token).await.json();
    assert_eq!(hers["version"], "medtrail/line-v1");
    assert_eq!(hers["report"], serde_json::to_value(&sent.report).unwrap());
    assert_eq!(hers["details"], json!({ "text": sent.details }));
    assert_eq!(hers["evidence"], json!({ "signed": sent.signature }));
    assert_eq!(hers["place"]["open"]["ordinal"], 1);
    assert_eq!((&hers["state"], &hers["anchor"]), (&json!("recorded"), &Value::Null));

    let theirs = ask("", &world.clinic_token).await.json();
    assert_eq!(theirs["place"], json!({ "hash": receipt.place_hash }));
    assert_eq!(theirs["report"], hers["report"]);

    let record = log.anchor(1, false);
    log.status.send_modify(|status| status.mined = Some(record.anchor));
    let mined = ask("", &world.anna_token).await.json();
    assert_eq!((&mined["state"], &mined["anchor"]["number"]), (&json!("mined"), &json!(1)));
    let record = log.anchor(1, true);
    log.status.send_modify(|status| status.settled = Some(record.anchor));
    let settled = ask("", &world.anna_token).await.json();
    assert_eq!((&settled["state"], &settled["anchor"]["tx"]), (&json!("final"), &json!(record.tx)));

    // A proof is made to be shown: opened only for its subject, and only where she says so.
    let closed = ask("/proof", &world.anna_token).await.json();
    assert_eq!(
        (&closed["place"]["hash"], &closed["details"]),
        (&json!(receipt.place_hash), &Value::Null)
    );
    let open = ask("/proof?open=true", &world.anna_token).await;
    let open = medtrail_ledger::proof::Proof::parse(&open.body).unwrap();
    assert_eq!(open.place.hash(), receipt.place_hash);
    assert_eq!(open.details.unwrap().bytes().unwrap(), sent.details.as_bytes());
    let refused = ask("/proof?open=true", &world.clinic_token).await;
    assert_eq!(refused.problem(403, "not-person")["field"], "open");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_reads_nothing_of_the_person_whose_address_is_its_id() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    // The clinic's first key is a patient of the harbour's; a later key of the clinic is not.
    let first = Person::new(2);
    let later = Person::new(0x57);
    let path = format!("/v1/organisations/{}/invites", log.custodian.address());
    let invited = log.http.post(log.url(&path)).bearer_auth(&world.operator_token);
    let code = Answer::of(invited).await.json()["invite"]["code"].clone();
    let later = later.sign_in(&log).await;
    let enrol = log.send(Method::POST, "/v1/enrolments", &json!({ "code": code }));
    assert_eq!(Answer::of(enrol.bearer_auth(&later)).await.status, 201);

    let own = log.report(&log.about(first.address, 1)).await.receipt().index;
    let harbours = log.by_other(0x44, &log.about(first.address, 2));
    let harbours = log.report(&harbours).await.receipt().index;
    let ask = |index: u64, token: &str| {
        Answer::of(log.get(&format!("/v1/entries/{index}")).bearer_auth(token))
    };
    ask(harbours, &later).await.problem(404, "no-such-entry");
    assert_eq!(ask(harbours, &world.harbour_token).await.status, 200);
    assert!(ask(harbours, &world.clinic_token).await.json()["place"]["open"].is_object());
    assert!(ask(own, &later).await.json()["place"]["hash"].is_string());
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_session_has_run_out_is_signed_out_everywhere() {
    let log = Log::start_for(Default::default(), 700).await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let path = format!("/v1/subjects/{}/trail", anna.address);
    let ask = || Answer::of(log.get(&path).bearer_auth(&token));
    assert_eq!(ask().await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    ask().await.problem(401, "signed-out");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_without_end_is_told_to_wait_in_the_words_of_the_path() {
    let log = Log::start().await;
    let ask = |path: &'static str| Answer::of(log.get(path).header("x-forwarded-for", "192.0.2.1"));
    let mut refused = None;
    for _ in 0..40 {
        let asked = (0..100).map(|_| ask("/v1/session"));
        let answers = futures::future::join_all(asked).await;
        refused = answers.into_iter().find(|answer| answer.status == 429);
        if refused.is_some() {
            break;
        }
    }
    refused.expect("a limit").problem(429, "too-many-requests");
    // The bucket refills: ask until it is empty again.
    let mut outcome = ask("/fhir/metadata").await;
    for _ in 0..2000 {
        if outcome.status == 429 {
            break;
        }
        outcome = ask("/fhir/metadata").await;
        let more = (0..50).map(|_| ask("/v1/session"));
        futures::future::join_all(more).await;
    }
    assert_eq!(outcome.json()["issue"][0]["code"], "throttled");
    // Supervisors are answered, and so are others.
    assert_eq!(ask("/readyz").await.status, 200);
    assert_eq!(Answer::of(log.get("/fhir/metadata")).await.status, 200);
    log.end().await;
}
