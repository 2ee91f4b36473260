//! A gateway before a log that is away, loses its answers, refuses, or lies; and a spool that is
//! full. The log is a small one of this test: each of its receipts stands for a tree of one entry.

use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use alloy_primitives::{Address, B256};
use futures::future::BoxFuture;
use medtrail_gateway::clock::Clock;
use medtrail_gateway::{ENROLMENT_VERSION, Enrolment, Gateway, Options, Running};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::custodian::{ReportState, Spool, SpoolLimits};
use medtrail_ledger::entry::{Kind, commitment_of};
use medtrail_ledger::merkle::leaf_hash;
use medtrail_ledger::ports::Notary;
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::schema::{Report, log_id};
use medtrail_ledger::trust::{self, Key, Operator, TrustFile};
use medtrail_store::SpoolDb;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const ORIGIN: &str = "log.example/test";
const READ: &str = include_str!("../../../tests/data/fhir/patient-read.json");
const HOUR_MS: u64 = 3_600_000;

/// Waiting costs nothing but the time that it says passed.
struct Fast(AtomicU64);

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
enum Deed {
    Takes,
    /// It is away until this time.
    AwayUntil(u64),
    /// It takes each report at its second sending; the first answer is lost after it was taken.
    LosesFirstAnswers,
    /// It refuses deletions for good.
    RefusesDeletions,
    /// Its receipts are for another report.
    Lies,
    /// It says that every patient moved to an address.
    Moves,
}

struct Log {
    deed: Deed,
    clock: Arc<Fast>,
    notary: NotaryKeys,
    /// How often each event came.
    came: Mutex<HashMap<B256, (Report, u64)>>,
}

impl Log {
    fn answer(&self, report: &Report) -> (u16, Value) {
        let mut came = self.came.lock().unwrap();
        let times = &mut came.entry(report.eventId).or_insert((report.clone(), 0)).1;
        *times += 1;
        let problem = |status: u16, slug: &str, more: Value| {
            let mut told = json!({ "type": format!("https://log.example/problems/{slug}"),
                "title": slug, "status": status, "detail": "on purpose" });
            told.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            (status, told)
        };
        match self.deed {
            Deed::LosesFirstAnswers if *times == 1 => (502, json!({})),
            Deed::RefusesDeletions if report.action == b'D' => {
                problem(422, "invalid-field", json!({}))
            }
            Deed::Moves => problem(
                409,
                "subject-moved",
                json!({ "subject": B256::left_padding_from(&[7; 20]) }),
            ),
            Deed::Lies => (201, self.receipt(B256::repeat_byte(9))),
            _ => (201, self.receipt(report.hash())),
        }
    }

    fn receipt(&self, report_hash: B256) -> Value {
        let place_hash = B256::repeat_byte(5);
        let root = leaf_hash(&commitment_of(report_hash, place_hash).0);
        let head = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root };
        let note = self.notary.sign(&head, 1).unwrap().to_bytes();
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
    let outcomes: Vec<Value> = items
        .iter()
        .enumerate()
        .map(|(item, one)| {
            let (status, told) = log.answer(&read(&one["report"]));
            let name = if status == 201 { "receipt" } else { "problem" };
            json!({ "item": item, "status": status, name: told })
        })
        .collect();
    HttpResponse::Ok().json(json!({ "outcomes": outcomes }))
}

struct Site {
    log: Data<Log>,
    clock: Arc<Fast>,
    spool: Arc<SpoolDb>,
    gateway: Running,
    server: actix_web::dev::ServerHandle,
    _folder: TempDir,
}

impl Site {
    async fn start(deed: impl FnOnce(u64) -> Deed, limits: SpoolLimits) -> Self {
        let operator = Arc::new(OperatorKey::from_bytes(&[1; 32]).unwrap());
        let note = NoteKey::from_seed(ORIGIN, &[3; 32]).unwrap();
        let log_id = log_id(CHAIN, REGISTRY, operator.address(), ORIGIN);
        let trust = TrustFile {
            version: trust::VERSION.into(),
            chain_id: CHAIN,
            registry: REGISTRY,
            log: log_id,
            origin: ORIGIN.into(),
            operator: Operator {
                name: "Test".into(),
                domain: "log.example".into(),
                note_key: note.verifier().to_string(),
                keys: vec![Key { address: operator.address(), from_ms: 0, until_ms: None }],
            },
            organisations: vec![],
        };
        // Ten in the morning of some day.
        let start_ms = 1_795_600_800_000;
        let clock = Arc::new(Fast(AtomicU64::new(start_ms)));
        let log = Data::new(Log {
            deed: deed(start_ms),
            clock: clock.clone(),
            notary: NotaryKeys::new(note, operator, log_id, CHAIN, REGISTRY),
            came: Mutex::default(),
        });
        let served = log.clone();
        let app = move || {
            App::new()
                .app_data(served.clone())
                .app_data(web::JsonConfig::default().limit(8 << 20))
                .route("/v1/reports", web::post().to(reports))
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
        let key = ReporterKey::from_bytes(&[2; 32]).unwrap();
        let enrolment = Enrolment {
            version: ENROLMENT_VERSION.to_owned(),
            upstream,
            organisation: key.address(),
            name: "Clinic".to_owned(),
            shared_key: B256::repeat_byte(8),
            trust,
        };
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            clock: clock.clone(),
            ..Options::default()
        };
        let gateway =
            Gateway::start(options, enrolment, spool.clone(), Arc::new(key)).await.unwrap();
        Self { log, clock, spool, gateway, server: handle, _folder: folder }
    }

    /// Sends an event; returns the status.
    async fn send(&self, id: &str, action: &str) -> u16 {
        let mut event: Value = serde_json::from_str(READ).unwrap();
        (event["id"], event["action"]) = (json!(id), json!(action));
        let url = format!("http://{}/fhir/AuditEvent", self.gateway.addr());
        let sent = reqwest::Client::new().post(url).json(&event);
        sent.send().await.unwrap().status().as_u16()
    }

    /// Waits until no report of these numbers waits any more; how each ended.
    async fn ends(&self, count: u64) -> Vec<ReportState> {
        for _ in 0..2_000 {
            let states: Vec<_> = (1..=count)
                .map_while(|number| self.spool.report(number).unwrap().map(|row| row.state))
                .filter(|state| *state != ReportState::Waiting)
                .collect();
            if states.len() as u64 == count {
                return states;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not all of {count} reports ended");
    }

    fn came(&self) -> Vec<(Report, u64)> {
        self.log.came.lock().unwrap().values().cloned().collect()
    }

    async fn stop(self) {
        self.gateway.stop().await;
        self.server.stop(false).await;
    }
}

const ROOM: SpoolLimits = SpoolLimits { count: 1_000, bytes: 64 << 20 };

fn is_receipted(state: &ReportState) -> bool {
    matches!(state, ReportState::Receipted(_))
}

#[actix_web::test]
async fn an_hour_s_outage_is_waited_out_and_everything_arrives_once() {
    let site = Site::start(|now| Deed::AwayUntil(now + HOUR_MS), ROOM).await;
    let began = site.clock.now_ms();
    for n in 0..40 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    let ends = site.ends(40).await;
    assert!(ends.iter().all(is_receipted));
    assert!(site.clock.now_ms() >= began + HOUR_MS);
    let came = site.came();
    let events = came.iter().filter(|(report, _)| report.kind == Kind::Access.number());
    assert_eq!(events.count(), 40);
    site.stop().await;
}

#[actix_web::test]
async fn an_answer_that_was_lost_leads_to_the_same_report_again_and_to_no_other() {
    let site = Site::start(|_| Deed::LosesFirstAnswers, ROOM).await;
    for n in 0..3 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    assert!(site.ends(3).await.iter().all(is_receipted));
    let accesses: Vec<_> = site
        .came()
        .into_iter()
        .filter(|(report, _)| report.kind == Kind::Access.number())
        .collect();
    assert_eq!(accesses.len(), 3);
    assert!(accesses.iter().all(|(_, times)| *times >= 2));
    site.stop().await;
}

#[actix_web::test]
async fn a_report_that_the_log_refuses_is_set_aside_and_holds_up_no_other() {
    let site = Site::start(|_| Deed::RefusesDeletions, ROOM).await;
    for (id, action) in [("one", "R"), ("two", "D"), ("three", "R")] {
        assert_eq!(site.send(id, action).await, 201);
    }
    let ends = site.ends(3).await;
    assert_eq!(ends.iter().filter(|end| is_receipted(end)).count(), 2);
    let aside = ends.iter().find_map(|end| match end {
        ReportState::SetAside(reason) => Some(reason),
        _ => None,
    });
    assert!(aside.unwrap().contains("invalid-field: on purpose"), "{aside:?}");
    site.stop().await;
}

#[actix_web::test]
async fn a_receipt_for_another_report_is_believed_by_nobody_and_kept_as_evidence() {
    let site = Site::start(|_| Deed::Lies, ROOM).await;
    assert_eq!(site.send("one", "R").await, 201);
    match &site.ends(1).await[..] {
        [ReportState::WrongReceipt { answer, reason }] => {
            assert!(reason.contains("another report"), "{reason}");
            let kept: Value = serde_json::from_slice(answer).unwrap();
            assert_eq!(kept["reportHash"], json!(B256::repeat_byte(9)));
        }
        other => panic!("{other:?}"),
    }
    let status = reqwest::get(format!("http://{}/status", site.gateway.addr())).await.unwrap();
    let status: Value = status.json().await.unwrap();
    assert!(status["alarms"][0].as_str().unwrap().contains("receipt"), "{status}");
    site.stop().await;
}

#[actix_web::test]
async fn a_patient_moves_nowhere_without_this_gateway_s_countersignature() {
    let site = Site::start(|_| Deed::Moves, ROOM).await;
    assert_eq!(site.send("one", "R").await, 201);
    match &site.ends(1).await[..] {
        [ReportState::SetAside(reason)] => {
            assert!(reason.contains("nobody here countersigned"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    site.stop().await;
}

#[actix_web::test]
async fn a_full_spool_acknowledges_nothing_and_takes_the_same_event_once_there_is_room() {
    let limits = SpoolLimits { count: 3, bytes: 64 << 20 };
    let site = Site::start(|now| Deed::AwayUntil(now + 200 * HOUR_MS), limits).await;
    for n in 0..3 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    assert_eq!(site.send("event-3", "R").await, 507);
    assert_eq!(site.send("event-0", "R").await, 201, "what it has it knows");
    site.clock.0.fetch_add(200 * HOUR_MS, Ordering::SeqCst);
    site.ends(3).await;
    assert_eq!(site.send("event-3", "R").await, 201);
    site.ends(4).await;
    site.stop().await;
}

#[actix_web::test]
async fn each_day_is_covered_by_a_signed_count() {
    let site = Site::start(|_| Deed::Takes, ROOM).await;
    for n in 0..5 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    site.ends(5).await;
    site.clock.0.fetch_add(24 * HOUR_MS, Ordering::SeqCst);
    assert!(site.ends(6).await.iter().all(is_receipted));
    let covered = site
        .came()
        .into_iter()
        .filter(|(report, _)| report.kind == Kind::Coverage.number() && report.subject.is_zero());
    assert!(covered.count() >= 1);
    site.stop().await;
}
