//! The engine under load, as `medtrail serve` runs it but without HTTP, chain and signatures.

use crate::Burst;
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::ports::Journal;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, log_id};
use medtrail_ledger::tile::TileReader;
use medtrail_ledger::trust::{self, Key, Operator, TrustFile};
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_oracle::service::Service;
use medtrail_oracle::supervise::{self, Running, Setup};
use medtrail_store::{KeyFileDb, Store, StoreOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const ORIGIN: &str = "bench.example/log";
/// Bytes of each report's details document.
pub(crate) const DETAILS_BYTES: usize = 300;

pub(crate) struct Engine {
    service: Service,
    running: Running,
    store: Arc<Store>,
    folder: PathBuf,
    report: Arc<Report>,
    details: Arc<Vec<u8>>,
    people: u64,
    next: Arc<AtomicU64>,
    _status: watch::Sender<Status>,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl Engine {
    pub(crate) fn start(folder: &Path, people: u64) -> Self {
        let operator = Arc::new(OperatorKey::from_bytes(&[1; 32]).expect("a key"));
        let note = NoteKey::from_seed(ORIGIN, &[3; 32]).expect("a name");
        let log = log_id(CHAIN, REGISTRY, operator.address(), ORIGIN);
        let trust = TrustFile {
            version: trust::VERSION.into(),
            chain_id: CHAIN,
            registry: REGISTRY,
            log,
            origin: ORIGIN.into(),
            operator: Operator {
                name: "Bench".into(),
                domain: "bench.example".into(),
                note_key: note.verifier().to_string(),
                keys: vec![Key { address: operator.address(), from_ms: 0, until_ms: None }],
            },
            organisations: vec![],
        };
        let (data, keys) = (folder.join("log"), folder.join("keys"));
        std::fs::create_dir_all(&data).expect("a folder");
        medtrail_keys::file::create_folder(&keys).expect("a folder");
        let store = Arc::new(Store::open(&data, StoreOptions::default()).expect("a log"));
        let master = MasterKey::from_bytes(&[9; 32], log);
        let (status_in, status) = watch::channel(Status::default());
        let actor = operator.address();
        let setup = Setup {
            journal: store.clone(),
            outbox: store.clone(),
            keys: Arc::new(KeyFileDb::open(&keys, Box::new(master)).expect("a key file")),
            notary: Arc::new(NotaryKeys::new(note, operator, log, CHAIN, REGISTRY)),
            trust,
            status,
            permissions: Permissions::of_the_log_alone(),
            answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
            erasing: Erasing::default(),
            notices: medtrail_oracle::notices::Notices::nowhere(),
            sources: medtrail_oracle::sources::Sources::nowhere(),
            now_ms,
        };
        let (service, running) = supervise::start(setup).expect("a running log");
        let details = vec![b'x'; DETAILS_BYTES];
        let report = Report {
            log,
            kind: 1,
            action: b'R',
            timeMs: 1_767_605_400_120,
            actor,
            record: keccak256("record"),
            details: details_hash(&details),
            ..Report::default()
        };
        Self {
            service,
            running,
            store,
            folder: folder.to_owned(),
            report: Arc::new(report),
            details: Arc::new(details),
            people,
            next: Arc::default(),
            _status: status_in,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.service.head().size
    }

    pub(crate) fn unfiled(&self) -> u64 {
        self.size() - self.service.filed().expect("a count")
    }

    pub(crate) async fn wait_until_filed(&self) {
        while self.unfiled() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `clients` that each send one report after another, for so many seconds.
    pub(crate) async fn burst(&self, clients: usize, seconds: u64) -> Burst {
        let until = Instant::now() + Duration::from_secs(seconds);
        self.clients(clients, move |_, now| now < until).await
    }

    /// `clients` that send `entries` in all.
    pub(crate) async fn some(&self, clients: usize, entries: u64) -> Burst {
        let last = self.next.load(Ordering::Relaxed) + entries;
        self.clients(clients, move |number, _| number < last).await
    }

    async fn clients(
        &self,
        clients: usize,
        goes_on: impl Fn(u64, Instant) -> bool + Clone + Send + 'static,
    ) -> Burst {
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..clients {
            let (service, next, people) = (self.service.clone(), self.next.clone(), self.people);
            let (report, details) = (self.report.clone(), self.details.clone());
            let goes_on = goes_on.clone();
            tasks.spawn(async move {
                let mut waits = Vec::new();
                let mut asked = Instant::now();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if !goes_on(number, asked) {
                        return waits;
                    }
                    // The first `people` numbers name each of them once, the others any of them.
                    let person = match number < people {
                        true => number,
                        false => number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % people,
                    };
                    while !sent(&service, &report, &details, number, person).await {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    let answered = Instant::now();
                    waits.push(answered - std::mem::replace(&mut asked, answered));
                }
            });
        }
        let waits = tasks.join_all().await.concat();
        Burst::of(waits, started.elapsed())
    }

    /// The inclusion path of `index`; how many tiles it took.
    pub(crate) fn path(&self, index: u64, size: u64) -> usize {
        let mut reader = TileReader::new(|id| self.store.tile(id));
        let path = reader.inclusion_path(index, size).expect("a path");
        assert!(!path.is_empty());
        reader.tiles_read()
    }

    /// Bytes of a sealed row.
    pub(crate) fn row_bytes(&self) -> usize {
        let rows = self.store.rows(0..1).expect("a row");
        rows.first().map_or(0, Vec::len)
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        let files = ["log/head.redb", "log/log.redb", "keys/keys.redb"];
        files.iter().map(|name| allocated(&self.folder.join(name))).sum()
    }

    pub(crate) async fn stop(self) {
        let running = self.running;
        let stopped = tokio::task::spawn_blocking(move || running.stop()).await;
        stopped.expect("a thread").expect("a clean end");
    }
}

/// Whether the report was taken; a full log is asked again.
async fn sent(
    service: &Service,
    report: &Report,
    details: &[u8],
    number: u64,
    person: u64,
) -> bool {
    let report = Report {
        eventId: B256::left_padding_from(&(number + 1).to_be_bytes()),
        subject: B256::left_padding_from(&(person + 1).to_be_bytes()),
        ..report.clone()
    };
    let details = Some(details.to_vec());
    let submission = Submission { report, evidence: Evidence::Relayed, details };
    // Checked right here: a hop to another thread would be the dearest part of it.
    let outcome = match service.check_relayed(submission) {
        Ok(checked) => service.enter(checked).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(_) => true,
        Err(ReportError::Place(PlaceError::Busy)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Bytes a file really takes.
fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(0, |meta| meta.blocks() * 512)
}

/// The most memory this process ever had, in MiB (proc(5), VmHWM).
pub(crate) fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
