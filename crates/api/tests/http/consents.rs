//! `/fhir/Consent`: a person's permissions, for whom the permissions route shows them, and never as
//! more than was signed.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY, now_ms};
use alloy_primitives::{Address, B256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::documents::{
    ChangeApproval, Delegation, Document, Grant, Registries, Revoke, RevokeAll,
};
use medtrail_permit::scopes::{self, Data};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };
const LATER_S: u64 = 4_000_000_000;

fn grant(of: &Person, salt: u8, scopes: &str, until_s: u64) -> Document {
    let grant = Grant {
        statement: String::new(),
        subject: of.address,
        // The clinic, an organisation of the directory.
        grantee: Person::new(2).address,
        scopes: scopes.into(),
        purposes: "TREAT PATRQT".into(),
        epoch: 0,
        expiresAt: until_s,
        salt: B256::repeat_byte(salt),
    };
    worded(Document::Grant(grant), Language::En).unwrap()
}

fn delegation(of: &Person, to: &Person, rights: &str) -> Document {
    let delegation = Delegation {
        statement: String::new(),
        subject: of.address,
        delegate: to.address,
        rights: rights.into(),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(3),
    };
    worded(Document::Delegation(delegation), Language::En).unwrap()
}

fn id(document: &Document) -> B256 {
    document.id(&REGISTRIES)
}

async fn record(log: &Log, by: &Person, document: &Document) {
    let body = json!({
        "version": "medtrail/permission-v1", "document": document,
        "signature": by.sign_digest(id(document).0),
    });
    let answer = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

async fn find(log: &Log, token: &str, query: &str) -> Vec<Value> {
    let answer = get(log, token, &format!("/fhir/Consent?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    found(&answer.json())
}

fn found(bundle: &Value) -> Vec<Value> {
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("searchset")));
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|mut entry| entry["resource"].take()).collect()
}

fn outcome(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    let told = answer.json();
    assert_eq!(told["resourceType"], "OperationOutcome");
    assert_eq!(told["issue"][0]["code"], code, "{told}");
    told["issue"][0]["diagnostics"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_what_they_gave_as_consents_with_the_document_that_was_signed() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    assert_eq!(find(&log, &token, "patient=me").await, Vec::<Value>::new());
    let document = grant(&anna, 7, "patient/Observation.rs", LATER_S);
    record(&log, &anna, &document).await;
    // Who speaks for a person is no permission to use data.
    record(&log, &anna, &delegation(&anna, &Person::new(0xb2), "SEE")).await;
    // One change of one record, once: no Consent can say so little.
    let approval = Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: anna.address,
        custodian: Person::new(2).address,
        record: B256::repeat_byte(1),
        fromVersion: B256::repeat_byte(2),
        toVersion: B256::repeat_byte(3),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(8),
    });
    record(&log, &anna, &worded(approval, Language::En).unwrap()).await;

    let all = find(&log, &token, "patient=me").await;
    assert_eq!(all.len(), 1, "{all:#?}");
    let consent = &all[0];
    assert_eq!((&consent["id"], &consent["status"]), (&json!("0"), &json!("active")));
    assert_eq!(consent["identifier"][0]["value"], json!(id(&document)));
    assert_eq!(consent["policy"][0]["uri"], format!("urn:eip712:{}", id(&document)));
    assert_eq!(consent["patient"]["identifier"]["value"], json!(anna.address.into_word()));
    assert_eq!(consent["performer"][0], consent["patient"]);
    let rule = &consent["provision"]["provision"][0];
    assert_eq!(rule["actor"][0]["reference"]["display"], "Clinic");
    assert_eq!(rule["class"][0]["code"], "Observation");
    assert_eq!(rule["period"]["end"], "2096-10-02T07:06:39.999Z");
    let words = consent["text"]["div"].as_str().unwrap();
    assert!(
        words.contains("This permission stands.") && words.contains("xml:lang=\"en\""),
        "{words}"
    );

    // The very bytes of the line, signature and all.
    let line = get(&log, &token, "/v1/entries/0").await.json();
    let data = BASE64.decode(consent["sourceAttachment"]["data"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), line["details"]["text"].as_str().unwrap());

    let read = get(&log, &token, "/fhir/Consent/0").await;
    assert_eq!(read.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    assert_eq!(&read.json(), consent);
    for query in [
        String::new(),
        format!("patient={}", anna.address),
        format!("patient=Patient/{}", anna.address.into_word()),
        format!("patient.identifier=urn:medtrail:subject%7C{}", anna.address.into_word()),
        format!("patient=me&identifier={}&status=active", id(&document)),
        format!("actor={:#x}&purpose=TREAT&_id=0", Person::new(2).address),
    ] {
        assert_eq!(find(&log, &token, &query).await, all, "{query}");
    }
    for query in
        ["patient=Patient/p1", "status=inactive", "patient.identifier=urn:ee%7C38001085718"]
    {
        assert_eq!(find(&log, &token, query).await, Vec::<Value>::new(), "{query}");
    }
    let form = log.http.post(log.url("/fhir/Consent/_search")).bearer_auth(&token);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let posted = Answer::of(form.body("patient=me&status=active")).await;
    assert_eq!(found(&posted.json()), all);

    let estonian = log.get("/fhir/Consent/0").bearer_auth(&token);
    let estonian = estonian.header("accept-language", "fr, en;q=0.5, et-EE;q=0.9");
    let estonian = Answer::of(estonian).await.json();
    let words = estonian["text"]["div"].as_str().unwrap();
    assert!(words.contains("See luba kehtib.") && estonian["language"] == "et", "{words}");
    assert_eq!(estonian["sourceAttachment"]["data"], consent["sourceAttachment"]["data"]);
    // Of what is no permission, and of what is none of a grant.
    for index in ["1", "2", "999", "x"] {
        outcome(&get(&log, &token, &format!("/fhir/Consent/{index}")).await, 404, "not-found");
    }
    log.end().await;
}

/// Each grant of the permissions route is a Consent that says the same.
async fn as_the_permissions_say(log: &Log, token: &str, subject: Address) -> Vec<(String, String)> {
    let path = format!("/v1/subjects/{subject}/permissions");
    let told = get(log, token, &path).await.json();
    let grants = told["permissions"].as_array().unwrap().iter();
    let grants: Vec<_> = grants.filter(|one| !one["document"]["grant"].is_null()).collect();
    let consents = find(log, token, &format!("patient={subject}")).await;
    assert_eq!(consents.len(), grants.len());
    let mut states = Vec::new();
    for (grant, consent) in grants.iter().zip(&consents) {
        assert_eq!(consent["identifier"][0]["value"], grant["id"]);
        assert_eq!(consent["extension"][0]["valueCode"], grant["state"]);
        let is_standing = grant["state"] == "standing";
        assert_eq!(consent["status"] == "active", is_standing, "{consent:#}");
        assert_eq!(!consent["provision"]["provision"].is_null(), is_standing, "{consent:#}");
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        states.push((word(&grant["state"]), word(&consent["status"])));
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_stands_is_active_whatever_ended_it() {
    let log = Log::start().await;
    let (anna, new) = (Person::new(0xa1), Person::new(0xb2));
    let token = anna.sign_in(&log).await;
    let until_s = now_ms() / 1000 + 3;
    let short = grant(&anna, 1, "patient/*.r", until_s);
    let taken = grant(&anna, 2, "patient/*.r", LATER_S);
    let chained = grant(&anna, 3, "patient/*.r", LATER_S);
    let stays = grant(&anna, 4, "patient/*.r", LATER_S);
    for document in [&short, &taken, &chained, &stays] {
        record(&log, &anna, document).await;
    }
    let states = async |token: &str| {
        let told = as_the_permissions_say(&log, token, anna.address).await;
        told.into_iter().map(|(state, _)| state).collect::<Vec<_>>()
    };
    assert_eq!(states(&token).await, ["standing"; 4]);
    let no = Document::Revoke(Revoke { subject: anna.address, permission: id(&taken) });
    record(&log, &anna, &no).await;
    // Not final, and yet it acts at once.
    let push = |event, is_final| {
        log.chain.records.lock().unwrap().push(ConsentRecord { event, is_final });
    };
    push(ConsentEvent::Revoked { permission: id(&chained), at_s: now_ms() / 1000 + 1 }, false);
    while now_ms() < until_s * 1000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(states(&token).await, ["standing", "revoked", "revoked", "expired"]);
    // What was given before a freeze goes on.
    push(ConsentEvent::Frozen { at_s: now_ms() / 1000 }, true);
    assert_eq!(states(&token).await[0], "standing");
    assert_eq!(find(&log, &token, "status=active").await.len(), 1);
    let over = find(&log, &token, "status=inactive&period=le2090").await;
    assert_eq!(over.len(), 3, "{over:#?}");
    assert!(over.iter().all(|one| one["provision"]["period"]["end"].as_str().unwrap() < "2090"));

    // Control moves: the new key sees the same, each as it stands.
    push(ConsentEvent::ControlMoved { controller: new.address, at_s: now_ms() / 1000 }, true);
    let hers = new.sign_in(&log).await;
    let told = states(&hers).await;
    assert_eq!(told, states(&token).await);
    let all = Document::RevokeAll(RevokeAll { subject: anna.address, epoch: 0 });
    record(&log, &new, &all).await;
    assert_eq!(states(&hers).await, ["ended", "revoked", "revoked", "expired"]);
    assert_eq!(find(&log, &token, "status=active").await.len(), 0);

    // By the log alone it might still read as standing: then nothing is told.
    log.chain.is_away.store(true, Ordering::SeqCst);
    for path in ["/fhir/Consent", "/fhir/Consent?status=inactive", "/fhir/Consent/0"] {
        let answer = get(&log, &token, path).await;
        let told = outcome(&answer, 503, "transient");
        assert!(told.contains("/permissions"), "{told}");
        assert!(answer.header("retry-after").is_some());
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_contract_gave_counts_from_its_block_and_goes_with_it() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let document = grant(&anna, 1, "patient/*.r", LATER_S);
    let event = ConsentEvent::Granted { permission: id(&document), at_s: 1_767_605_400 };
    let granted = |is_final| {
        *log.chain.records.lock().unwrap() = vec![ConsentRecord { event, is_final }];
    };
    granted(true);
    let body = json!({ "version": "medtrail/permission-v1", "document": document });
    let answer = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let consent = &find(&log, &token, "status=active").await[0];
    assert_eq!(consent.get("performer"), None, "nobody's key signed it");
    assert_eq!(consent["provision"]["period"]["start"], "2026-01-05T09:30:00.000Z");
    // A reorganisation took it back into doubt: it permits nothing.
    granted(false);
    let consent = &find(&log, &token, "").await[0];
    assert_eq!(
        (&consent["status"], &consent["provision"]["provision"]),
        (&json!("inactive"), &Value::Null)
    );
    assert_eq!(as_the_permissions_say(&log, &token, anna.address).await.len(), 1);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_answered_byte_for_byte_as_if_there_were_nothing() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let anna = &world.anna;
    let document = grant(anna, 7, "patient/Observation.rs", LATER_S);
    record(&log, anna, &document).await;
    let tiit = Person::new(0xb3);
    // Who may only permit sees no more than a stranger.
    record(&log, anna, &delegation(anna, &tiit, "PERMIT")).await;
    let his = tiit.sign_in(&log).await;
    let size = log.service.head().size;
    let index = size - 2;
    let nobody = Person::new(0x77).address;
    let same = |body: &[u8], patient: Address| {
        String::from_utf8(body.to_vec()).unwrap().replace(&patient.to_string(), "-")
    };
    for token in [
        &world.other_token,
        // It is the grantee.
        &world.clinic_token,
        &world.harbour_token,
        &world.operator_token,
        &world.api_key,
        &his,
    ] {
        let search = |patient: Address| {
            let path = format!("/fhir/Consent?patient={patient}&identifier={}", id(&document));
            async { get(&log, token, &{ path }).await }
        };
        let (hers, absent) = (search(anna.address).await, search(nobody).await);
        assert_eq!((hers.status.as_u16(), absent.status.as_u16()), (200, 200));
        assert_eq!(found(&hers.json()), Vec::<Value>::new());
        assert_eq!(same(&hers.body, anna.address), same(&absent.body, nobody));
        let read = get(&log, token, &format!("/fhir/Consent/{index}")).await;
        let absent = get(&log, token, "/fhir/Consent/999").await;
        outcome(&read, 404, "not-found");
        assert_eq!(read.body, absent.body);
    }
    for token in [&world.revoked_key, &world.signed_out_token] {
        outcome(&get(&log, token, "/fhir/Consent").await, 401, "login");
        outcome(&get(&log, token, &format!("/fhir/Consent/{index}")).await, 401, "login");
    }
    outcome(&Answer::of(log.get("/fhir/Consent")).await, 401, "login");
    assert_eq!(log.service.head().size, size, "who may not see leaves no line");
    assert_eq!(find(&log, &world.anna_token, "").await.len(), 1);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_with_see_reads_them_and_a_line_says_so_first() {
    let log = Log::start().await;
    let (anna, kadri) = (Person::new(0xa1), Person::new(0xb2));
    let (token, hers) = (anna.sign_in(&log).await, kadri.sign_in(&log).await);
    let given = delegation(&anna, &kadri, "SEE PERMIT");
    record(&log, &anna, &given).await;
    let document = grant(&anna, 7, "patient/Observation.rs", LATER_S);
    record(&log, &kadri, &document).await;
    let size = log.service.head().size;
    let read = get(&log, &hers, "/fhir/Consent/1").await;
    assert_eq!(log.service.head().size, size + 1, "a line of the look");
    let looked = log.service.entry(size).unwrap();
    let details = String::from_utf8(looked.details.unwrap().to_vec()).unwrap();
    assert!(details.contains("medtrail/look-v1"), "{details}");
    let consent = read.json();
    assert_eq!(consent["performer"][0]["type"], "RelatedPerson");
    let theirs = find(&log, &hers, &format!("patient={}", anna.address)).await;
    assert_eq!(theirs, std::slice::from_ref(&consent));
    assert_eq!(find(&log, &token, "patient=me").await, [consent]);
    // Of their own there is nothing.
    assert_eq!(find(&log, &hers, "").await, Vec::<Value>::new());
    assert_eq!(log.service.head().size, size + 1, "one a day");

    // With the delegation goes what was given by it, and the look.
    let no = Document::Revoke(Revoke { subject: anna.address, permission: id(&given) });
    record(&log, &anna, &no).await;
    assert_eq!(find(&log, &hers, &format!("patient={}", anna.address)).await, Vec::<Value>::new());
    outcome(&get(&log, &hers, "/fhir/Consent/1").await, 404, "not-found");
    let ended = find(&log, &token, "").await;
    assert_eq!(
        (&ended[0]["status"], &ended[0]["extension"][0]["valueCode"]),
        (&json!("inactive"), &json!("ended"))
    );
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_once_and_what_is_wrong_is_told() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    for salt in 1..6 {
        record(&log, &anna, &grant(&anna, salt, "patient/*.r", LATER_S)).await;
    }
    let mut path = "/fhir/Consent?patient=me&status=active&_count=2".to_owned();
    let mut ids = Vec::new();
    for page in 0..3 {
        let bundle = get(&log, &token, &path).await.json();
        ids.extend(found(&bundle).iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let links = bundle["link"].as_array().unwrap();
        let next = links.iter().find(|link| link["relation"] == "next");
        assert_eq!(next.is_some(), page < 2, "{bundle:#}");
        if let Some(next) = next {
            let url = next["url"].as_str().unwrap();
            assert!(url.contains("status=active") && url.contains("_count=2"), "{url}");
            path = url[url.find("/fhir/").unwrap()..].to_owned();
        }
        assert!(bundle.get("total").is_none());
    }
    assert_eq!(ids, ["4", "3", "2", "1", "0"]);
    assert_eq!(find(&log, &token, "_count=0").await, Vec::<Value>::new());

    for wrong in [
        "status=alive",
        "period=soon",
        "date=ap2026",
        "_count=many",
        "_cursor=x",
        "patient=",
        "patient=a&patient=b",
        "_sort=status",
        "actor=",
    ] {
        let answer = get(&log, &token, &format!("/fhir/Consent?{wrong}")).await;
        outcome(&answer, 400, "invalid");
        let name = wrong.split('=').next().unwrap();
        assert_eq!(answer.json()["issue"][0]["expression"], json!([format!("http.{name}")]));
    }
    let lenient = get(&log, &token, "/fhir/Consent?category=x").await.json();
    let notes = lenient["entry"].as_array().unwrap().last().unwrap();
    assert_eq!(notes["search"]["mode"], "outcome", "{lenient:#}");
    let strict = log.get("/fhir/Consent?category=x").bearer_auth(&token);
    let strict = Answer::of(strict.header("prefer", "handling=strict")).await;
    outcome(&strict, 400, "not-supported");
    let xml = log.get("/fhir/Consent").bearer_auth(&token).header("accept", "text/xml");
    outcome(&Answer::of(xml).await, 406, "not-supported");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_or_changes_one_here_and_is_told_where_it_is_signed() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    record(&log, &anna, &grant(&anna, 1, "patient/*.r", LATER_S)).await;
    for (method, path) in [
        (Method::POST, "/fhir/Consent"),
        (Method::POST, "/fhir/Consent/"),
        (Method::PUT, "/fhir/Consent/0"),
        (Method::PATCH, "/fhir/Consent/0"),
        (Method::DELETE, "/fhir/Consent/0"),
        (Method::PUT, "/fhir/Consent/no-such-one"),
        (Method::PUT, "/fhir/Consent?identifier=x"),
    ] {
        let request = log.http.request(method.clone(), log.url(path)).bearer_auth(&token);
        let answer = Answer::of(request.json(&json!({ "resourceType": "Consent" }))).await;
        let told = outcome(&answer, 405, "not-supported");
        assert!(told.contains("signature of the person"), "{told}");
        assert!(told.contains("POST /v1/permissions"), "{told}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
    }
    assert_eq!(log.service.head().size, 1);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_names_consent_and_the_operation() {
    let log = Log::start().await;
    let told = Answer::of(log.get("/fhir/metadata")).await.json();
    let resources = told["rest"][0]["resource"].as_array().unwrap();
    let of = |name: &str| resources.iter().find(|one| one["type"] == name).unwrap();
    assert_eq!(of("Consent")["interaction"], json!([{"code": "read"}, {"code": "search-type"}]));
    let operation = of("Patient")["operation"][0]["definition"].as_str().unwrap();
    let path = &operation[operation.find("/fhir/").unwrap()..];
    let definition = Answer::of(log.get(path)).await.json();
    assert_eq!(
        (&definition["url"], &definition["code"]),
        (&json!(operation), &json!("accounting"))
    );
    let smart = Answer::of(log.get("/fhir/.well-known/smart-configuration")).await.json();
    let scopes = smart["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("patient/Consent.rs")), "{smart}");
    log.end().await;
}

/// What software does with a Consent that reads it by R4 alone. `knows` says whether it knows our
/// modifier extension; who does not must not use a rule that has one.
fn reads_as_permitted(consent: &Value, letter: char, data: &Data, knows: bool) -> bool {
    let list = |rule: &Value, element: &str| rule[element].as_array().cloned().unwrap_or_default();
    let level = data.confidentiality.unwrap_or(Confidentiality::N);
    let bears = |label: &Value| {
        let code = label["code"].as_str().unwrap();
        match label["system"].as_str().unwrap() {
            // A high-water mark.
            "http://terminology.hl7.org/CodeSystem/v3-Confidentiality" => {
                level <= serde_json::from_value(json!(code)).unwrap()
            }
            _ => data.topics.iter().any(|topic| topic == code),
        }
    };
    let interaction = match letter {
        'c' => "create",
        'r' => "read",
        'u' => "update",
        'd' => "delete",
        _ => "search-type",
    };
    let rules = list(&consent["provision"], "provision");
    consent["status"] == "active"
        && rules.iter().any(|rule| {
            let within = list(rule, "modifierExtension").into_iter().all(|modifier| {
                assert_eq!(modifier["url"], "urn:medtrail:only-where");
                let fact = modifier["valueString"].as_str().unwrap().to_owned();
                knows
                    && match fact.strip_prefix("_security=") {
                        Some(_) => level < Confidentiality::V,
                        None => data.parameters.contains(&fact),
                    }
            });
            let classes = list(rule, "class");
            let is_class =
                |class: &Value| Some(class["code"].as_str().unwrap()) == data.resource.as_deref();
            let codes = list(rule, "action").into_iter().flat_map(|action| list(&action, "coding"));
            within
                && rule["type"] == "permit"
                && (classes.is_empty() || classes.iter().any(is_class))
                && codes.into_iter().any(|coding| {
                    coding["code"] == interaction
                        // Software that knows HL7's consent actions alone.
                        || (letter == 'r' && coding["code"] == "access")
                })
                && list(rule, "securityLabel").iter().all(bears)
                && !list(rule, "provision").iter().any(|inner| {
                    assert_eq!(inner["type"], "deny");
                    list(inner, "securityLabel").iter().all(bears)
                })
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_consent_reads_as_more_than_what_was_signed_and_who_knows_all_of_it_reads_the_same() {
    use Confidentiality::{L, N, R, V};
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let all = [
        "patient/*.r",
        "patient/*.cruds",
        "patient/Observation.rs patient/Condition.cu",
        "patient/*.read patient/Observation.c",
        "patient/*.r?_security=R",
        "patient/Condition.rs?_security=V patient/Condition.r",
        "patient/*.rs?_security=HIV patient/Observation.u",
        "patient/Observation.rs?category=http://x.example|laboratory",
        "patient/Observation.r?code=8867-4 patient/Condition.d",
    ];
    for (salt, scopes) in all.iter().enumerate() {
        record(&log, &anna, &grant(&anna, salt as u8 + 1, scopes, LATER_S)).await;
    }
    let consents = find(&log, &token, "_count=100").await;
    assert_eq!(consents.len(), all.len());
    let (mut cases, mut permitted) = (0, 0);
    for (consent, signed) in consents.iter().rev().zip(all) {
        assert_eq!(consent["provision"]["extension"][0]["valueString"], json!(canonical(signed)));
        let scopes = scopes::parse_list(signed).unwrap();
        for letter in "cruds".chars() {
            let one: scopes::Scope = format!("patient/*.{letter}").parse().unwrap();
            for resource in [None, Some("Observation"), Some("Condition"), Some("Immunization")] {
                for level in [None, Some(L), Some(N), Some(R), Some(V)] {
                    for topics in [&[][..], &["HIV"], &["PSY"], &["PSY", "HIV"]] {
                        for facts in
                            [&[][..], &["category=http://x.example|laboratory"], &["code=8867-4"]]
                        {
                            let data = Data {
                                resource: resource.map(str::to_owned),
                                confidentiality: level,
                                topics: topics.iter().map(|&one| one.to_owned()).collect(),
                                parameters: facts.iter().map(|&one| one.to_owned()).collect(),
                            };
                            let is_signed =
                                scopes.iter().any(|scope| scope.allows(one.interactions, &data));
                            let case = format!("{signed} {letter} {data:?}");
                            let plain = reads_as_permitted(consent, letter, &data, false);
                            assert!(!plain || is_signed, "wider: {case}");
                            let whole = reads_as_permitted(consent, letter, &data, true);
                            assert_eq!(whole, is_signed, "{case}");
                            cases += 1;
                            permitted += usize::from(whole);
                        }
                    }
                }
            }
        }
    }
    assert!(cases == 9 * 5 * 4 * 5 * 4 * 3 && permitted > 500, "{permitted} of {cases}");
    log.end().await;
}

fn canonical(scopes: &str) -> String {
    let all: Vec<String> =
        scopes::parse_list(scopes).unwrap().iter().map(ToString::to_string).collect();
    all.join(" ")
}
