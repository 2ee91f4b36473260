//! The log is a small one: each of its receipts stands for a tree of one entry.

use actix_web::web::{self, Data, Json, Path};
use actix_web::{App, HttpResponse, HttpServer};
use alloy_primitives::{Address, B256, Bytes};
use futures::future::BoxFuture;
use medtrail_gateway::clock::Clock;
use medtrail_gateway::{ENROLMENT_VERSION, Enrolment, Gateway, Options, Running};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::custodian::{ReportSigner, ReportState, Spool, SpoolLimits};
use medtrail_ledger::entry::{Kind, commitment_of};
use medtrail_ledger::merkle::leaf_hash;
use medtrail_ledger::ports::Notary;
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::schema::{Binding, Report, digest, domain, log_id};
use medtrail_ledger::trust::{self, Key, Operator, Organisation, TrustFile};
use medtrail_store::SpoolDb;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const ORIGIN: &str = "log.example/test";
pub(crate) const READ: &str = include_str!("../../../../tests/data/fhir/patient-read.json");
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Ten in the morning of some day.
pub(crate) const START_MS: u64 = 1_795_600_800_000;
/// A year that a wrong clock says it is: 2036.
pub(crate) const FAR_MS: u64 = 2_100_000_000_000;
/// The gateway's key.
pub(crate) const OWN: u8 = 2;
pub(crate) const SHARED: [u8; 32] = [8; 32];
pub(crate) const ROOM: SpoolLimits = SpoolLimits { count: 1_000, bytes: 64 << 20 };

/// Waiting costs nothing but the time that it says passed.
pub(crate) struct Fast(pub(crate) AtomicU64);

impl Clock for Fast {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }
}

/// What the log does with a report.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Deed {
    Takes,
    /// It is away until this time.
    AwayUntil(u64),
    /// It takes each report at its second sending; the first answer is lost after it was taken.
    LosesFirstAnswers,
    /// It refuses deletions for good.
    RefusesDeletions,
    /// It fails on whatever holds a deletion.
    FailsOnDeletions,
    /// Until this time its clock is behind every event.
    BehindUntil(u64),
    /// It refuses coverage for good, until this time.
    RefusesCoverageUntil(u64),
    /// It refuses what lies far ahead.
    KnowsTheYear,
    /// Its receipts are for another report.
    Lies,
    /// It says that every patient but this address moved there.
    Moves(Address),
}

pub(crate) struct Log {
    pub(crate) deed: Deed,
    clock: Arc<Fast>,
    notary: NotaryKeys,
    /// How often each report of each event came, and how last.
    came: Mutex<HashMap<(B256, B256), (Report, u64)>>,
    /// What it shows of a binding.
    pub(crate) binding: Mutex<Option<Value>>,
    /// Bindings that wait for the organisation.
    pub(crate) pending: Mutex<Vec<Value>>,
    /// How many countersignatures came.
    pub(crate) countersigned: AtomicUsize,
    /// How often they were asked for.
    pub(crate) asked: AtomicUsize,
    /// Where it wants keys to sign in, if not at itself.
    pub(crate) elsewhere: Mutex<Option<String>>,
    /// How often somebody signed in.
    pub(crate) sign_ins: AtomicUsize,
    /// Whom it says that a question is to.
    pub(crate) asked_of: Mutex<Address>,
    /// Answers, byte for byte.
    pub(crate) answers: Mutex<Vec<String>>,
}

impl Log {
    fn answer(&self, report: &Report) -> (u16, Value) {
        let mut came = self.came.lock().unwrap();
        let known = came.entry((report.eventId, report.details)).or_default();
        *known = (report.clone(), known.1 + 1);
        let times = known.1;
        let problem = |status: u16, slug: &str, more: Value| {
            let mut told = json!({ "type": format!("https://log.example/problems/{slug}"),
                "title": slug, "status": status, "detail": "on purpose" });
            told.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            (status, told)
        };
        let refuse = |status, slug| problem(status, slug, json!({}));
        match self.deed {
            Deed::LosesFirstAnswers if times == 1 => (502, json!({})),
            Deed::RefusesDeletions if report.action == b'D' => refuse(422, "invalid-field"),
            Deed::FailsOnDeletions if report.action == b'D' => refuse(500, "internal"),
            Deed::BehindUntil(until)
                if report.kind == Kind::Access.number() && self.clock.now_ms() < until =>
            {
                refuse(422, "time-ahead")
            }
            Deed::RefusesCoverageUntil(until)
                if report.kind == Kind::Coverage.number() && report.timeMs < until =>
            {
                refuse(422, "invalid-field")
            }
            Deed::KnowsTheYear if report.timeMs > FAR_MS - HOUR_MS => refuse(422, "time-ahead"),
            Deed::Moves(to) if !report.subject.is_zero() && report.subject != to.into_word() => {
                problem(409, "subject-moved", json!({ "subject": to.into_word() }))
            }
            Deed::Lies => (201, self.receipt(B256::repeat_byte(9))),
            _ => (201, self.receipt(report.hash())),
        }
    }

    fn receipt(&self, report_hash: B256) -> Value {
        let place_hash = B256::repeat_byte(5);
        let root = leaf_hash(&commitment_of(report_hash, place_hash).0);
        let head = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root };
        let note = self.notary.sign(head, 1).unwrap().to_bytes();
        serde_json::to_value(Receipt {
            version: receipt::VERSION.to_owned(),
            index: 0,
            report_hash,
            place_hash,
            path: Vec::new(),
            checkpoint: String::from_utf8(note).unwrap(),
        })
        .unwrap()
    }
}

async fn reports(body: Json<Value>, log: Data<Log>) -> HttpResponse {
    if let Deed::AwayUntil(until) = log.deed
        && log.clock.now_ms() < until
    {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let read = |value: &Value| serde_json::from_value::<Report>(value.clone()).unwrap();
    let Some(items) = body["items"].as_array() else {
        let (status, told) = log.answer(&read(&body["report"]));
        return HttpResponse::build(status.try_into().unwrap()).json(told);
    };
    let answers: Vec<_> = items.iter().map(|one| log.answer(&read(&one["report"]))).collect();
    if let Some((_, told)) = answers.iter().find(|(status, _)| *status == 500) {
        return HttpResponse::InternalServerError().json(told);
    }
    let outcome = |(item, (status, told)): (usize, (u16, Value))| {
        let name = if status == 201 { "receipt" } else { "problem" };
        json!({ "item": item, "status": status, name: told })
    };
    let outcomes: Vec<Value> = answers.into_iter().enumerate().map(outcome).collect();
    HttpResponse::Ok().json(json!({ "outcomes": outcomes }))
}

async fn nonce(
    asked: web::Query<HashMap<String, String>>,
    request: actix_web::HttpRequest,
    log: Data<Log>,
) -> HttpResponse {
    let here = request.connection_info().host().to_owned();
    let host = log.elsewhere.lock().unwrap().clone().unwrap_or(here);
    let address = &asked["address"];
    let text = format!("{host} wants you to sign in with your Ethereum account:\n{address}\n\nx");
    HttpResponse::Ok().json(json!({ "message": text, "expiresMs": FAR_MS }))
}

async fn sign_in(log: Data<Log>) -> HttpResponse {
    log.sign_ins.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok().json(json!({ "token": "mts_test", "expiresMs": FAR_MS }))
}

async fn binding(_: Path<String>, log: Data<Log>) -> HttpResponse {
    match log.binding.lock().unwrap().clone() {
        Some(bound) => HttpResponse::Ok().json(bound),
        None => HttpResponse::NotFound().json(json!({
            "type": "/problems/no-such-binding", "status": 404, "detail": "no such binding" })),
    }
}

async fn questions(request: actix_web::HttpRequest) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "questions": [], "asked": request.query_string() }))
}

async fn question(log: Data<Log>) -> HttpResponse {
    let organisation = *log.asked_of.lock().unwrap();
    let subject = B256::repeat_byte(0xa1);
    HttpResponse::Ok().json(json!({ "subject": subject, "organisation": { "id": organisation } }))
}

/// The first answer stands.
async fn take_answer(body: String, log: Data<Log>) -> HttpResponse {
    let mut answers = log.answers.lock().unwrap();
    answers.push(body);
    match answers.len() {
        1 => HttpResponse::Created().json(json!({ "index": 7 })),
        _ => HttpResponse::Conflict().json(json!({ "detail": "answered" })),
    }
}

async fn bindings(log: Data<Log>) -> HttpResponse {
    log.asked.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok().json(json!({ "own": [], "pending": *log.pending.lock().unwrap() }))
}

async fn countersign(log: Data<Log>) -> HttpResponse {
    log.countersigned.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok().json(json!({ "entries": [1, 2] }))
}

/// What a test changes before the gateway starts.
pub(crate) struct Setup {
    pub(crate) deed: Deed,
    pub(crate) limits: SpoolLimits,
    /// The key that signs the log's receipts.
    pub(crate) signs: u8,
    /// The trust file that the gateway enrolled with.
    pub(crate) trust: TrustFile,
}

impl Setup {
    pub(crate) fn new(deed: Deed) -> Self {
        Self { deed, limits: ROOM, signs: 1, trust: trust_of(&[1]) }
    }
}

fn note() -> NoteKey {
    NoteKey::from_seed(ORIGIN, &[3; 32]).unwrap()
}

/// The trust file with these keys of the operator.
pub(crate) fn trust_of(operators: &[u8]) -> TrustFile {
    let key = |address| Key { address, from_ms: 0, until_ms: None };
    let operator = |seed: &u8| OperatorKey::from_bytes(&[*seed; 32]).unwrap().address();
    TrustFile {
        version: trust::VERSION.into(),
        chain_id: CHAIN,
        registry: REGISTRY,
        log: log_id(CHAIN, REGISTRY, operator(&1), ORIGIN),
        origin: ORIGIN.into(),
        operator: Operator {
            name: "Test".into(),
            domain: "log.example".into(),
            note_key: note().verifier().to_string(),
            keys: operators.iter().map(|seed| key(operator(seed))).collect(),
        },
        organisations: vec![Organisation {
            name: "Clinic".into(),
            register_number: None,
            domain: "clinic.example".into(),
            keys: vec![key(address_of(OWN))],
        }],
    }
}

/// Under which reports are signed here.
pub(crate) fn domain_of() -> medtrail_ledger::schema::Eip712Domain {
    domain(CHAIN, REGISTRY)
}

pub(crate) fn address_of(seed: u8) -> Address {
    ReporterKey::from_bytes(&[seed; 32]).unwrap().address()
}

pub(crate) fn sign(seed: u8, document: &Binding) -> Bytes {
    let key = ReporterKey::from_bytes(&[seed; 32]).unwrap();
    ReportSigner::sign(&key, digest(document, &domain(CHAIN, REGISTRY)))
}

pub(crate) struct Site {
    pub(crate) log: Data<Log>,
    pub(crate) clock: Arc<Fast>,
    pub(crate) spool: Arc<SpoolDb>,
    pub(crate) gateway: Running,
    enrolment: Enrolment,
    server: actix_web::dev::ServerHandle,
    _folder: TempDir,
}

/// A log that does this, and a gateway before it.
pub(crate) async fn site(deed: impl FnOnce(u64) -> Deed, limits: SpoolLimits) -> Site {
    Site::start(Setup { limits, ..Setup::new(deed(START_MS)) }).await
}

async fn gateway(clock: &Arc<Fast>, spool: &Arc<SpoolDb>, enrolment: &Enrolment) -> Running {
    let options = Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        clock: clock.clone(),
        ..Options::default()
    };
    let key = Arc::new(ReporterKey::from_bytes(&[OWN; 32]).unwrap());
    Gateway::start(options, enrolment.clone(), spool.clone(), key).await.unwrap()
}

impl Site {
    pub(crate) async fn start(setup: Setup) -> Self {
        let Setup { deed, limits, signs, trust } = setup;
        let clock = Arc::new(Fast(AtomicU64::new(START_MS)));
        let signs = Arc::new(OperatorKey::from_bytes(&[signs; 32]).unwrap());
        let log = Data::new(Log {
            deed,
            clock: clock.clone(),
            notary: NotaryKeys::new(note(), signs, trust.log, CHAIN, REGISTRY),
            came: Mutex::default(),
            binding: Mutex::default(),
            pending: Mutex::default(),
            countersigned: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            elsewhere: Mutex::default(),
            sign_ins: AtomicUsize::new(0),
            asked_of: Mutex::new(address_of(OWN)),
            answers: Mutex::default(),
        });
        let served = log.clone();
        let app = move || {
            App::new()
                .app_data(served.clone())
                .app_data(web::JsonConfig::default().limit(8 << 20))
                .route("/v1/reports", web::post().to(reports))
                .route("/v1/session/nonce", web::get().to(nonce))
                .route("/v1/session", web::post().to(sign_in))
                .route("/v1/questions", web::get().to(questions))
                .route("/v1/questions/{id}", web::get().to(question))
                .route("/v1/questions/{id}/answer", web::post().to(take_answer))
                .route("/v1/bindings", web::get().to(bindings))
                .route("/v1/bindings/codes", web::post().to(HttpResponse::NoContent))
                .route("/v1/bindings/of/{pseudonym}", web::get().to(binding))
                .route("/v1/bindings/{id}/countersignature", web::post().to(countersign))
        };
        let server =
            HttpServer::new(app).workers(1).disable_signals().bind((Ipv4Addr::LOCALHOST, 0));
        let server = server.unwrap();
        let upstream = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);

        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(SpoolDb::open(folder.path(), limits).unwrap());
        let enrolment = Enrolment {
            version: ENROLMENT_VERSION.to_owned(),
            upstream,
            organisation: address_of(OWN),
            name: "Clinic".to_owned(),
            shared_key: B256::from(SHARED),
            trust,
        };
        let gateway = gateway(&clock, &spool, &enrolment).await;
        Self { log, clock, spool, gateway, enrolment, server: handle, _folder: folder }
    }

    /// Starts the gateway anew, with another trust file.
    pub(crate) async fn restart_with(self, trust: TrustFile) -> Self {
        let Self { log, clock, spool, gateway: old, enrolment, server, _folder } = self;
        old.stop().await;
        let enrolment = Enrolment { trust, ..enrolment };
        let gateway = gateway(&clock, &spool, &enrolment).await;
        Self { log, clock, spool, gateway, enrolment, server, _folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.addr())
    }

    /// Sends an event; returns the status.
    pub(crate) async fn send(&self, id: &str, action: &str) -> u16 {
        let mut event: Value = serde_json::from_str(READ).unwrap();
        (event["id"], event["action"]) = (json!(id), json!(action));
        self.post(&event).await.0
    }

    /// Sends any JSON as an event; returns the status and the answer.
    pub(crate) async fn post(&self, event: &Value) -> (u16, Value) {
        let sent = reqwest::Client::new().post(self.url("/fhir/AuditEvent")).json(event);
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn status(&self) -> Value {
        reqwest::get(self.url("/status")).await.unwrap().json().await.unwrap()
    }

    /// Waits until one of the alarms says this.
    pub(crate) async fn alarm(&self, text: &str) -> String {
        let mut alarms = Value::Null;
        for _ in 0..1_000 {
            alarms = self.status().await["alarms"].take();
            let said = alarms.as_array().unwrap().iter().filter_map(Value::as_str);
            if let Some(said) = said.into_iter().find(|said| said.contains(text)) {
                return said.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing says {text:?}: {alarms}");
    }

    /// Waits until so many of the first `count` reports ended; how.
    pub(crate) async fn some_ends(&self, count: u64, ended: usize) -> Vec<(u64, ReportState)> {
        for _ in 0..2_000 {
            let states: Vec<_> = (1..=count)
                .filter_map(|number| {
                    self.spool.report(number).unwrap().map(|row| (number, row.state))
                })
                .filter(|(_, state)| *state != ReportState::Waiting)
                .collect();
            if states.len() == ended {
                return states;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {ended} of {count} reports ended");
    }

    /// Waits until no report of these numbers waits any more; how each ended.
    pub(crate) async fn ends(&self, count: u64) -> Vec<ReportState> {
        let ends = self.some_ends(count, count as usize).await;
        ends.into_iter().map(|(_, state)| state).collect()
    }

    /// Waits until nothing waits.
    pub(crate) async fn settled(&self) {
        for _ in 0..1_000 {
            let usage = self.spool.usage().unwrap();
            if usage.unsigned + usage.waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("something waits: {:?}", self.spool.usage());
    }

    pub(crate) fn came(&self) -> Vec<(Report, u64)> {
        self.log.came.lock().unwrap().values().cloned().collect()
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        self.server.stop(false).await;
    }
}

pub(crate) fn is_receipted(state: &ReportState) -> bool {
    matches!(state, ReportState::Receipted(_))
}
