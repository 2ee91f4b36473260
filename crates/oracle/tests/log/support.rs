//! A real log in a temporary folder, and a disk between it and the writer that fails on request.

use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::plan::{Plan, PlanChange};
use medtrail_ledger::ports::{
    Appending, Batch, CommitError, Era, EventKey, Journal, JournalError, KeyFile, KeyTag,
    MasterKeys, Notary, NotaryError, Outbox, SecretKey, SubjectTag, Tail, TrailHead, Vouched,
};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Report, domain, log_id};
use medtrail_ledger::tile::TileId;
use medtrail_ledger::trust::{self, Key, LogKeys, Operator, Organisation, TrustFile};
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::sequencer::SequencerError;
use medtrail_oracle::service::Service;
use medtrail_oracle::supervise::{self, Running, Setup};
use medtrail_store::{KeyFileDb, Store, StoreOptions, fsck};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::watch;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const ORIGIN: &str = "log.example/test";

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The notary; panics when it is asked about this many entries.
struct Pen {
    inner: NotaryKeys,
    panics_at: AtomicU64,
    /// The next signature is spoiled by a bit, as a fault of the memory would.
    is_spoiled: AtomicBool,
    /// It panics before it checks one, which is on disk by then or will be.
    dies_checking: AtomicBool,
}

impl Notary for Pen {
    fn vouch(&self, head: &Checkpoint, time_ms: u64) -> Result<Vouched, NotaryError> {
        assert_ne!(head.size, self.panics_at.load(Ordering::SeqCst), "on purpose");
        let mut vouched = self.inner.vouch(head, time_ms)?;
        vouched.signature[40] ^= u8::from(self.is_spoiled.swap(false, Ordering::SeqCst));
        Ok(vouched)
    }

    fn check(&self, head: &Checkpoint, vouched: &Vouched) -> Result<(), NotaryError> {
        assert!(!self.dies_checking.load(Ordering::SeqCst), "on purpose");
        self.inner.check(head, vouched)
    }

    fn is_ours(&self, signed: &SignedCheckpoint) -> bool {
        self.inner.is_ours(signed)
    }

    fn note(&self, head: &Checkpoint) -> [u8; 64] {
        self.inner.note(head)
    }

    fn assemble(&self, head: Checkpoint, note: [u8; 64], vouched: Vouched) -> SignedCheckpoint {
        self.inner.assemble(head, note, vouched)
    }
}

/// What the disk does with the next commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The commit did not happen.
    Fails,
    /// The commit happened, but the writer is told that it failed.
    FailsButPersists,
    /// The disk is full; nothing is written.
    Full,
}

/// The store, with faults in front of `commit`.
pub(crate) struct Disk {
    store: Store,
    pub(crate) next: Mutex<Vec<Fault>>,
    hold: Mutex<Option<Hold>>,
    filing: Mutex<Option<JournalError>>,
    /// What the looks into the index after these are told, the next one last.
    looks: Mutex<Vec<Option<JournalError>>>,
    /// What the next reading of the tail is told.
    reading: Mutex<Option<JournalError>>,
    /// The same for commits whose first rows went ahead.
    next_large: Mutex<Vec<Fault>>,
}

/// A commit in the making; the fault comes at its end.
struct Begun<'a> {
    disk: &'a Disk,
    inner: Box<dyn Appending + 'a>,
    /// Whether rows were handed over while the group gathered.
    is_large: bool,
}

impl Appending for Begun<'_> {
    fn push(&mut self, rows: Vec<Vec<u8>>, tiles: Vec<(TileId, Vec<u8>)>) {
        // Tiles come with the last rows.
        self.is_large |= tiles.is_empty();
        self.inner.push(rows, tiles);
    }
    fn finish(self: Box<Self>, rest: Batch) -> Result<Tail, CommitError> {
        let next = match self.is_large {
            true => &self.disk.next_large,
            false => &self.disk.next,
        };
        let fault = next.lock().unwrap().pop().unwrap_or_default();
        match fault {
            Fault::None => self.inner.finish(rest),
            Fault::Fails => Err(CommitError::Unknown("on purpose".into())),
            Fault::Full => Err(CommitError::Full("on purpose".into())),
            Fault::FailsButPersists => {
                self.inner.finish(rest)?;
                Err(CommitError::Unknown("on purpose".into()))
            }
        }
    }
}

/// Keeps the next look into the index back, once it has looked.
struct Hold {
    looked: mpsc::Sender<()>,
    released: mpsc::Receiver<()>,
}

impl Journal for Disk {
    fn tail(&self) -> Result<Tail, JournalError> {
        self.reading.lock().unwrap().take().map_or_else(|| self.store.tail(), Err)
    }
    fn commit(&self, tail: &Tail, batch: &Batch) -> Result<Tail, CommitError> {
        self.begin(tail).finish(batch.clone())
    }
    fn begin<'a>(&'a self, tail: &Tail) -> Box<dyn Appending + 'a> {
        Box::new(Begun { disk: self, inner: self.store.begin(tail), is_large: false })
    }
    fn last_of(&self, subject: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
        self.store.last_of(subject)
    }
    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        if let Some(Some(error)) = self.looks.lock().unwrap().pop() {
            return Err(error);
        }
        let found = self.store.find(event);
        let hold = self.hold.lock().unwrap().take();
        if let Some(Hold { looked, released }) = hold {
            looked.send(()).unwrap();
            let _ = released.recv_timeout(Duration::from_secs(20));
        }
        found
    }
    fn trail(&self, s: SubjectTag, from: u64, limit: usize) -> Result<Vec<u64>, JournalError> {
        self.store.trail(s, from, limit)
    }
    fn rows(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError> {
        self.store.rows(range)
    }
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, JournalError> {
        self.store.tile(id)
    }
    fn filed(&self) -> Result<u64, JournalError> {
        self.store.filed()
    }
    fn file_up_to(&self, size: u64) -> Result<u64, JournalError> {
        match self.filing.lock().unwrap().take() {
            Some(error) => Err(error),
            None => self.store.file_up_to(size),
        }
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

/// The key file, whose next new key may fail.
pub(crate) struct Keys {
    inner: Arc<dyn KeyFile>,
    next: Mutex<Option<JournalError>>,
}

impl KeyFile for Keys {
    fn open(&self, tag: KeyTag) -> Result<Option<SecretKey>, JournalError> {
        self.inner.open(tag)
    }
    fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError> {
        // As after a failed sync: the key stands where this process reads it, and perhaps nowhere
        // else.
        let keys = self.inner.create(tags)?;
        self.next.lock().unwrap().take().map_or(Ok(keys), Err)
    }
    fn destroy(&self, tag: KeyTag) -> Result<(), JournalError> {
        self.inner.destroy(tag)
    }
    fn end_era(&self, subject: SubjectTag, through: u64) -> Result<(), JournalError> {
        self.inner.end_era(subject, through)
    }
    fn era(&self, subject: SubjectTag, ordinal: u64) -> Result<Era, JournalError> {
        self.inner.era(subject, ordinal)
    }
    fn erase(&self, eras: &[(SubjectTag, u64)], others: &[KeyTag]) -> Result<(), JournalError> {
        self.inner.erase(eras, others)
    }
    fn is_rewrap_due(&self) -> Result<bool, JournalError> {
        self.inner.is_rewrap_due()
    }
    fn rewrap(&self, masters: &dyn MasterKeys) -> Result<u64, JournalError> {
        self.inner.rewrap(masters)
    }
}

pub(crate) struct Log {
    pub(crate) service: Service,
    running: Option<Running>,
    pub(crate) disk: Arc<Disk>,
    key_file: Arc<Keys>,
    pen: Arc<Pen>,
    pub(crate) custodian: ReporterKey,
    pub(crate) keys: LogKeys,
    _status: watch::Sender<Status>,
}

impl Log {
    pub(crate) fn start(folder: &TempDir) -> Self {
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
                name: "Test".into(),
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
            store: open(folder.path()),
            next: Mutex::default(),
            hold: Mutex::default(),
            filing: Mutex::default(),
            looks: Mutex::default(),
            reading: Mutex::default(),
            next_large: Mutex::default(),
        });
        let inner = key_file(folder.path(), log);
        let key_file = Arc::new(Keys { inner, next: Mutex::default() });
        let inner = NotaryKeys::new(note, operator, log, CHAIN, REGISTRY);
        let pen = Arc::new(Pen {
            inner,
            panics_at: AtomicU64::new(u64::MAX),
            is_spoiled: AtomicBool::default(),
            dies_checking: AtomicBool::default(),
        });
        let (status_in, status) = watch::channel(Status::default());
        let setup = Setup {
            journal: disk.clone(),
            outbox: disk.clone(),
            keys: key_file.clone(),
            notary: pen.clone(),
            trust,
            status,
            permissions: Permissions::of_the_log_alone(),
            answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
            erasing: Erasing::default(),
            notices: medtrail_oracle::notices::Notices::nowhere(),
            sources: medtrail_oracle::sources::Sources::nowhere(),
            now_ms,
        };
        let (service, running) = supervise::start(setup).unwrap();
        let running = Some(running);
        Self { service, running, disk, key_file, pen, custodian, keys, _status: status_in }
    }

    pub(crate) async fn stop(self) {
        self.outcome().await.unwrap();
    }

    /// Stops, and says how it ended.
    pub(crate) async fn outcome(mut self) -> Result<(), SequencerError> {
        let running = self.running.take().unwrap();
        tokio::task::spawn_blocking(|| running.stop()).await.unwrap()
    }

    /// The log ends by itself, soon.
    pub(crate) async fn ends(&self) {
        let ended = self.running.as_ref().unwrap().ended();
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the log goes on");
    }

    /// The writer panics when it signs a head of this many entries.
    pub(crate) fn panic_at(&self, size: u64) {
        self.pen.panics_at.store(size, Ordering::SeqCst);
    }

    /// The next signature of the operator is spoiled on its way to the disk.
    pub(crate) fn spoil_next_signature(&self) {
        self.pen.is_spoiled.store(true, Ordering::SeqCst);
    }

    /// The notary dies before it checks the next signature.
    pub(crate) fn die_checking(&self) {
        self.pen.dies_checking.store(true, Ordering::SeqCst);
    }

    /// The next filing fails.
    pub(crate) fn fail_next_filing(&self, error: JournalError) {
        *self.disk.filing.lock().unwrap() = Some(error);
    }

    /// The next new key is not known to be durable.
    pub(crate) fn fail_next_key(&self, error: JournalError) {
        *self.key_file.next.lock().unwrap() = Some(error);
    }

    /// The look into the index after the next one, which is the writer's, fails.
    pub(crate) fn fail_next_look_of_the_writer(&self, error: JournalError) {
        *self.disk.looks.lock().unwrap() = vec![Some(error), None];
    }

    /// The next reading of the log's end fails.
    pub(crate) fn fail_next_reading(&self, error: JournalError) {
        *self.disk.reading.lock().unwrap() = Some(error);
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.disk.next.lock().unwrap().push(fault);
    }

    pub(crate) fn fail_next_large(&self, fault: Fault) {
        self.disk.next_large.lock().unwrap().push(fault);
    }

    /// Keeps the next look into the index back: says when it has looked, and waits for its release.
    pub(crate) fn hold_next_look(&self) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let ((looked, has_looked), (release, released)) = (mpsc::channel(), mpsc::channel());
        *self.disk.hold.lock().unwrap() = Some(Hold { looked, released });
        (has_looked, release)
    }

    /// A report of event `event` about person `person`.
    pub(crate) fn submission(&self, person: u64, event: u64) -> Submission {
        let document = format!(r#"{{"resourceType":"AuditEvent","id":"{event}"}}"#).into_bytes();
        let report = Report {
            log: self.keys.log,
            eventId: event_id(self.custodian.address(), &event.to_be_bytes()),
            kind: 1,
            action: b'R',
            timeMs: 1_767_605_400_120,
            subject: match person {
                0 => B256::ZERO,
                _ => keccak256(person.to_be_bytes()),
            },
            actor: self.custodian.address(),
            record: keccak256("a record"),
            details: details_hash(&document),
            ..Report::default()
        };
        self.sign(report, Some(document))
    }

    pub(crate) fn sign(&self, report: Report, details: Option<Vec<u8>>) -> Submission {
        let signature = self.custodian.sign(&report, &domain(CHAIN, REGISTRY));
        Submission { report, evidence: Evidence::Signed(signature), details }
    }

    /// The receipt binds the log, and is for this report.
    pub(crate) fn assert_binding(&self, receipt: &Receipt, submission: &Submission) {
        receipt.verify(&self.keys).unwrap();
        assert_eq!(receipt.report_hash, submission.report.hash());
    }

    /// Everything on disk is whole, and each row is what the log committed to.
    /// The head has so many entries, and both keys signed it once more: under a time of its own, for
    /// two signatures of one digest, of which one is spoiled, give the key away.
    pub(crate) fn assert_signed_anew(&self, size: u64) {
        let head = self.service.head();
        let signed = SignedCheckpoint::parse(head.checkpoint.as_bytes()).unwrap();
        assert_eq!(signed.checkpoint.size, size);
        assert!(self.keys.verify(&signed).unwrap() > head.received_ms);
    }

    pub(crate) fn assert_whole(&self) {
        let mut open = |index: u64, _: &[u8]| {
            let entry = self.service.entry(index).unwrap();
            Some(medtrail_ledger::entry::commitment(&entry.report, &entry.place).0)
        };
        let report = fsck(&self.disk.store, Some(&mut open), |_, _| {}).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        assert_eq!(report.opened, report.entries);
    }
}

fn open(folder: &Path) -> Store {
    let log = folder.join("log");
    std::fs::create_dir_all(&log).unwrap();
    Store::open(&log, StoreOptions { rows_per_filing: 64, ..StoreOptions::default() }).unwrap()
}

fn key_file(folder: &Path, log: B256) -> Arc<dyn KeyFile> {
    let keys = folder.join("keys");
    medtrail_keys::file::create_folder(&keys).unwrap();
    let master = MasterKey::from_bytes(&[9; 32], log);
    Arc::new(KeyFileDb::open(&keys, Box::new(master)).unwrap())
}
