//! A log in a temporary folder, a server on a port the system chose, and a disk between the two
//! that fails or stands still on request.

use crate::stall::{self, Stall};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_api::{Extras, Server, ServerError, ServerOptions};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_keys::seal::DirectorySeal;
use medtrail_keys::vault::VaultKeys;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::consents::ConsentRecord;
use medtrail_ledger::entry::{batch_root, details_hash, event_id};
use medtrail_ledger::notices::{Channels, MailText, Messenger, Parcel, Undelivered};
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef, Plan, PlanChange};
use medtrail_ledger::ports::{
    Batch, CommitError, Consents, EventKey, Journal, JournalError, KeyFile, KeyTag, Outbox,
    RegistryError, SubjectTag, Tail, TrailHead,
};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Report, ReportBatch, domain, log_id};
use medtrail_ledger::tile::TileId;
use medtrail_ledger::trust::{self, Key, LogKeys, Operator, Organisation, TrustFile};
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::calls::Calls;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::notices::Notices;
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::sales::Sales;
use medtrail_oracle::service::Service;
use medtrail_oracle::supervise::{self, Running, Setup};
use medtrail_oracle::vault::{Vault, VaultLimits};
use medtrail_permit::permits::Need;
use medtrail_store::{DirectoryDb, KeyFileDb, ParcelFolder, Store, StoreOptions, VaultDb};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const CHAIN: u64 = 4242;
pub(crate) const REGISTRY: Address = Address::repeat_byte(0x22);
pub(crate) const ORIGIN: &str = "log.example/test";
/// Where the server says it is: what is signed to sign in.
pub(crate) const SITE: &str = "https://medtrail.example";

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// What the disk does with the next commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It did not happen.
    Fails,
    /// It happened, but the writer is told that it failed.
    FailsButPersists,
    /// The disk is full; nothing is written.
    Full,
    /// The disk cannot be trusted any more; the writer ends.
    Fatal,
}

/// The store, with faults and a gate in front of `commit`.
pub(crate) struct Disk {
    store: Store,
    next: Mutex<Option<Fault>>,
    is_shut: Mutex<bool>,
    opened: Condvar,
    /// A row that is not what was written.
    damaged: Mutex<Option<u64>>,
}

impl Disk {
    pub(crate) fn fail_next(&self, fault: Fault) {
        *self.next.lock().unwrap() = Some(fault);
    }

    /// The row of this entry loses a bit.
    pub(crate) fn damage(&self, index: u64) {
        *self.damaged.lock().unwrap() = Some(index);
    }

    /// Commits wait from now on.
    pub(crate) fn shut(&self) {
        *self.is_shut.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }
}

impl Journal for Disk {
    fn commit(&self, tail: &Tail, batch: &Batch) -> Result<Tail, CommitError> {
        drop(self.opened.wait_while(self.is_shut.lock().unwrap(), |is_shut| *is_shut).unwrap());
        let why = || "on purpose".to_owned();
        match self.next.lock().unwrap().take() {
            None => self.store.commit(tail, batch),
            Some(Fault::Fails) => Err(CommitError::Unknown(why())),
            Some(Fault::Full) => Err(CommitError::Full(why())),
            Some(Fault::Fatal) => Err(CommitError::Fatal(why())),
            Some(Fault::FailsButPersists) => {
                self.store.commit(tail, batch)?;
                Err(CommitError::Unknown(why()))
            }
        }
    }
    fn tail(&self) -> Result<Tail, JournalError> {
        self.store.tail()
    }
    fn last_of(&self, subject: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
        self.store.last_of(subject)
    }
    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        self.store.find(event)
    }
    fn trail(&self, s: SubjectTag, from: u64, limit: usize) -> Result<Vec<u64>, JournalError> {
        self.store.trail(s, from, limit)
    }
    fn rows(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut rows = self.store.rows(range.clone())?;
        let damaged = self.damaged.lock().unwrap().filter(|index| range.contains(index));
        let row = damaged.and_then(|index| rows.get_mut((index - range.start) as usize));
        if let Some(last) = row.and_then(|row| row.last_mut()) {
            *last ^= 1;
        }
        Ok(rows)
    }
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, JournalError> {
        self.store.tile(id)
    }
    fn filed(&self) -> Result<u64, JournalError> {
        self.store.filed()
    }
    fn file_up_to(&self, size: u64) -> Result<u64, JournalError> {
        self.store.file_up_to(size)
    }
}

impl Outbox for Disk {
    fn load(&self) -> Result<Plan, JournalError> {
        self.store.load()
    }
    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError> {
        self.store.save(changes)
    }
    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.store.kept_checkpoint(size)
    }
}

/// The consent registry of one person's chain, which may be away.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) records: Mutex<Vec<ConsentRecord>>,
    pub(crate) is_away: AtomicBool,
    /// Whose they are; none: everybody's.
    pub(crate) only: Mutex<Option<Address>>,
}

pub(crate) const CONSENTS: Address = Address::repeat_byte(0x33);

impl Consents for Chain {
    fn registry(&self) -> Address {
        CONSENTS
    }

    fn about(&self, subject: Address) -> Result<Vec<ConsentRecord>, RegistryError> {
        let is_anothers = self.only.lock().unwrap().is_some_and(|only| only != subject);
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(RegistryError::Unreachable("on purpose".into())),
            false if is_anothers => Ok(Vec::new()),
            false => Ok(self.records.lock().unwrap().clone()),
        }
    }
}

/// Some details here say that the glass was broken, and nothing else that matters.
fn need(_: &Report, details: Option<&[u8]>) -> Need {
    let read = |details| serde_json::from_slice::<Value>(details).ok();
    let purpose =
        details.and_then(read).and_then(|told| Some(told["purpose"].as_str()?.to_owned()));
    Need { purposes: purpose.into_iter().collect(), ..Need::default() }
}

/// Takes every notice.
struct Mailbox;

impl Messenger for Mailbox {
    fn channels(&self) -> Channels {
        Channels { email: true, webhook: true }
    }

    fn send(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        if let Parcel::Mail { says: MailText::Confirm { code }, .. } = parcel {
            *CODE.lock().unwrap() = Some(code.clone());
        }
        Ok(())
    }
}

/// The newest code that left any log of these tests.
pub(crate) static CODE: Mutex<Option<String>> = Mutex::new(None);

/// A signed report, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) report: Report,
    /// JSON, in exactly these bytes.
    pub(crate) details: String,
    pub(crate) signature: String,
}

impl Sent {
    pub(crate) fn body(&self) -> String {
        format!(
            r#"{{"report":{},"details":{},"signature":"{}"}}"#,
            serde_json::to_string(&self.report).unwrap(),
            self.details,
            self.signature,
        )
    }
}

pub(crate) struct Log {
    pub(crate) service: Service,
    pub(crate) disk: Arc<Disk>,
    pub(crate) keys: LogKeys,
    pub(crate) custodian: ReporterKey,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) stall: Arc<Stall>,
    pub(crate) sales: Sales,
    pub(crate) calls: Calls,
    pub(crate) http: reqwest::Client,
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    pub(crate) stop: CancellationToken,
    serving: JoinHandle<Result<(), ServerError>>,
    running: Running,
    _folder: TempDir,
}

impl Log {
    pub(crate) async fn start() -> Self {
        Self::start_with(Extras::default()).await
    }

    pub(crate) async fn start_with(extras: Extras) -> Self {
        Self::start_for(extras, ServerOptions::default().session_ms).await
    }

    /// With sessions of so many milliseconds.
    pub(crate) async fn start_for(extras: Extras, session_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = Arc::new(OperatorKey::from_bytes(&[1; 32]).unwrap());
        let custodian = ReporterKey::from_bytes(&[2; 32]).unwrap();
        let note = NoteKey::from_seed(ORIGIN, &[3; 32]).unwrap();
        let log = log_id(CHAIN, REGISTRY, operator.address(), ORIGIN);
        let key = |address| vec![Key { address, from_ms: 0, until_ms: None }];
        let trust = TrustFile {
            version: trust::VERSION.into(),
            chain_id: CHAIN,
            registry: REGISTRY,
            log,
            origin: ORIGIN.into(),
            operator: Operator {
                name: "Test & <Operator>".into(),
                domain: "log.example".into(),
                note_key: note.verifier().to_string(),
                keys: key(operator.address()),
            },
            organisations: vec![Organisation {
                name: "Clinic".into(),
                register_number: None,
                domain: "clinic.example".into(),
                keys: key(custodian.address()),
            }],
        };
        let keys = trust.log_keys(operator.address()).unwrap();
        let disk = Arc::new(Disk {
            store: Store::open(folder.path(), StoreOptions::default()).unwrap(),
            next: Mutex::default(),
            is_shut: Mutex::default(),
            opened: Condvar::new(),
            damaged: Mutex::default(),
        });
        let keys_folder = folder.path().join("keys");
        medtrail_keys::file::create_folder(&keys_folder).unwrap();
        let master = MasterKey::from_bytes(&[9; 32], log);
        let key_file = Arc::new(KeyFileDb::open(&keys_folder, Box::new(master)).unwrap());
        let log_key = key_file.create(&[KeyTag::Log]).unwrap().remove(0);
        let seal = Box::new(DirectorySeal::new(&log_key, log));
        let (status, watched) = watch::channel(Status::default());
        let chain = Arc::new(Chain::default());
        let setup = Setup {
            journal: disk.clone(),
            outbox: disk.clone(),
            keys: key_file.clone(),
            notary: Arc::new(NotaryKeys::new(note, operator, log, CHAIN, REGISTRY)),
            trust,
            status: watched,
            permissions: Permissions { consents: chain.clone(), need },
            answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
            erasing: Erasing::default(),
            notices: Notices { messenger: Arc::new(Mailbox), gather_ms: 0, retry_ms: 1_000 },
            sources: medtrail_oracle::sources::Sources::nowhere(),
            now_ms,
        };
        let directory = folder.path().join("directory");
        std::fs::create_dir(&directory).unwrap();
        let directory = Arc::new(DirectoryDb::open(&directory, true, seal).unwrap());
        let (service, running) = supervise::start_with(setup, directory).unwrap();
        let seal = Box::new(VaultKeys::new(&log_key, log, key_file));
        let shelves = VaultDb::open(&folder.path().join("vault"), true, seal).unwrap();
        let vault =
            Vault::open(service.clone(), Arc::new(shelves), VaultLimits::default()).unwrap();
        let stall = Arc::<Stall>::default();
        let parcels = Arc::new(ParcelFolder::open(&folder.path().join("parcels")).unwrap());
        let sales =
            Sales::new(service.clone(), vault.clone(), stall.clone(), parcels, stall::rules());
        let called = Arc::new(ParcelFolder::open(&folder.path().join("calls")).unwrap());
        let calls = Calls::new(sales.clone(), stall.clone(), called, 300);
        let (sold, called) = (Some(sales.clone()), Some(calls.clone()));
        let extras = Extras { vault: Some(vault), sales: sold, calls: called, ..extras };
        let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
        let options = ServerOptions {
            public_url: SITE.into(),
            session_ms,
            listen: anywhere,
            metrics_listen: Some(anywhere),
            ..ServerOptions::default()
        };
        let server = Server::bind(service.clone(), options, extras).unwrap();
        let (address, metrics_address) = (server.addr(), server.metrics_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            service,
            disk,
            keys,
            custodian,
            status,
            chain,
            stall,
            sales,
            calls,
            http,
            address,
            metrics_address,
            stop,
            serving,
            running,
            _folder: folder,
        }
    }

    /// Ends the server, then the log; returns how long the server took.
    pub(crate) async fn end(self) -> Duration {
        let begun = Instant::now();
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        let took = begun.elapsed();
        let running = self.running;
        let _ = tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
        took
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    pub(crate) fn post(&self, media_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http.post(self.url("/v1/reports")).header("content-type", media_type).body(body)
    }

    pub(crate) async fn report(&self, sent: &Sent) -> Answer {
        Answer::of(self.post("application/json", sent.body())).await
    }

    /// A report of event `event` about person `person`.
    pub(crate) fn sent(&self, person: u64, event: u64) -> Sent {
        let details = format!(r#"{{ "resourceType":"AuditEvent",  "id":"{event}" , "é":1.50e0 }}"#);
        self.sign(self.fields(person, event, &details), details)
    }

    /// A report of event `event` about who has this address.
    pub(crate) fn about(&self, person: Address, event: u64) -> Sent {
        let details = format!(r#"{{"resourceType":"AuditEvent","id":"{event}"}}"#);
        let report = Report {
            subject: person.into_word(),
            timeMs: 1_767_605_400_120 + event * 3_600_000,
            ..self.fields(0, event, &details)
        };
        self.sign(report, details)
    }

    pub(crate) fn fields(&self, person: u64, event: u64, details: &str) -> Report {
        Report {
            log: self.keys.log,
            eventId: event_id(self.custodian.address(), &event.to_be_bytes()),
            kind: 1,
            action: b'R',
            timeMs: 1_767_605_400_120,
            subject: keccak256(person.to_be_bytes()),
            actor: self.custodian.address(),
            record: keccak256("a record"),
            details: details_hash(details.as_bytes()),
            ..Report::default()
        }
    }

    pub(crate) fn sign(&self, report: Report, details: String) -> Sent {
        let signature = self.custodian.sign(&report, &domain(CHAIN, REGISTRY)).to_string();
        Sent { report, details, signature }
    }

    /// The same said by another organisation, whose key is this byte, 32 times.
    pub(crate) fn by_other(&self, key: u8, sent: &Sent) -> Sent {
        let key = ReporterKey::from_bytes(&[key; 32]).unwrap();
        let event_id = event_id(key.address(), sent.report.eventId.as_slice());
        let report = Report { actor: key.address(), eventId: event_id, ..sent.report.clone() };
        let signature = key.sign(&report, &domain(CHAIN, REGISTRY)).to_string();
        Sent { report, signature, ..sent.clone() }
    }

    /// A signed batch of these reports.
    pub(crate) fn batch(&self, reports: &[Sent]) -> Value {
        let hashes: Vec<B256> = reports.iter().map(|sent| sent.report.hash()).collect();
        let batch =
            ReportBatch { root: B256::from(batch_root(&hashes)), count: hashes.len() as u64 };
        let items: Vec<Value> = reports
            .iter()
            .map(|sent| json!({ "report": sent.report, "details": raw(&sent.details) }))
            .collect();
        let signature = self.custodian.sign_batch(&batch, &domain(CHAIN, REGISTRY));
        json!({ "root": batch.root, "count": batch.count, "signature": signature, "items": items })
    }

    /// The receipt binds the log, and is for this report.
    pub(crate) fn assert_binding(&self, receipt: &Receipt, sent: &Sent) {
        receipt.verify(&self.keys).unwrap();
        assert_eq!(receipt.report_hash, sent.report.hash());
    }

    /// Makes the chain's follower say that the log as it stands is anchor `number`.
    pub(crate) fn anchor(&self, number: u64, is_final: bool) -> AnchorRecord {
        let head = self.service.head();
        let record = AnchorRecord {
            anchor: Anchor {
                number,
                size: head.size,
                root: head.root.into(),
                time_s: 1_767_605_500 + number,
            },
            tx: keccak256(number.to_be_bytes()),
            block: BlockRef { number: 100 + number, hash: B256::repeat_byte(number as u8) },
            is_final,
        };
        let note = head.checkpoint.clone().into();
        let changes = [
            PlanChange::KeepCheckpoint { size: head.size, note },
            PlanChange::PutAnchor(record.clone()),
        ];
        self.disk.save(&changes).unwrap();
        record
    }
}

/// Details as a JSON value. Written again by `serde_json`, so only for details it spells alike.
fn raw(details: &str) -> Value {
    let value: Value = serde_json::from_str(details).unwrap();
    assert_eq!(value.to_string(), details, "use plain details in a batch");
    value
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn receipt(&self) -> Receipt {
        assert_eq!(self.status, 201, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem, after checking what holds of every problem.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        for member in ["title", "detail", "advice"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        let told = problem["retryAfterS"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!(self.header("retry-after"), told.as_deref());
        problem
    }
}
