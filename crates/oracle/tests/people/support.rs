//! A log with its directory in a temporary folder, over files that fail on request.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use medtrail_keys::masters::MasterFolder;
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_keys::seal::DirectorySeal;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::directory::{Contents, Directory, DirectoryChange};
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::notices::{Channels, Messenger, Parcel, Undelivered};
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef, PlanChange};
use medtrail_ledger::ports::{
    Batch, CommitError, Consents, Era, EventKey, Journal, JournalError, KeyFile, KeyTag,
    MasterKeys, Outbox, RegistryError, SecretKey, SubjectTag, Tail, TrailHead,
};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Binding, Report, digest, domain, log_id};
use medtrail_ledger::tile::TileId;
use medtrail_ledger::trust::{self, Key, Operator, Organisation, TrustFile};
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::inquiries::ANSWER_WITHIN_MS;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::notices::Notices;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::service::Service;
use medtrail_oracle::sources::Sources;
use medtrail_oracle::supervise::{self, Running, Setup};
use medtrail_oracle::trail::TrailQuery;
use medtrail_permit::documents::Registries;
use medtrail_permit::permits::{Data, Need};
use medtrail_store::{DirectoryDb, KeyFileDb, Store, StoreOptions};
use secp256k1::ecdsa::RecoverableSignature;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::watch;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const CONSENTS: Address = Address::repeat_byte(0x33);
const ORIGIN: &str = "log.example/people";

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// What a file does with its next write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It did not happen.
    Fails,
    /// It happened, but the caller is told that it failed.
    FailsButPersists,
}

pub(crate) const FAULTS: [Fault; 2] = [Fault::Fails, Fault::FailsButPersists];

/// Writes that pass, and then one that fails.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Option<(usize, Fault)>>);

impl Faults {
    /// The write after `passing` more of them fails.
    pub(crate) fn fail_after(&self, passing: usize, fault: Fault) {
        *self.0.lock().unwrap() = Some((passing, fault));
    }

    /// Whether the fault is still to come.
    pub(crate) fn is_armed(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    /// Nothing fails any more.
    pub(crate) fn disarm(&self) {
        *self.0.lock().unwrap() = None;
    }

    pub(crate) fn next(&self) -> Option<Fault> {
        let mut armed = self.0.lock().unwrap();
        match armed.take() {
            Some((0, fault)) => Some(fault),
            later => {
                *armed = later.map(|(passing, fault)| (passing - 1, fault));
                None
            }
        }
    }
}

pub(crate) struct Disk {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    /// Done once, in the middle of the next look at where a trail ends.
    pub(crate) meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Journal for Disk {
    fn tail(&self) -> Result<Tail, JournalError> {
        self.store.tail()
    }
    fn commit(&self, tail: &Tail, batch: &Batch) -> Result<Tail, CommitError> {
        let unknown = || CommitError::Unknown("on purpose".into());
        match self.faults.next() {
            None => self.store.commit(tail, batch),
            Some(Fault::Fails) => Err(unknown()),
            Some(Fault::FailsButPersists) => {
                self.store.commit(tail, batch)?;
                Err(unknown())
            }
        }
    }
    fn last_of(&self, subject: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
        let last = self.store.last_of(subject);
        let meanwhile = self.meanwhile.lock().unwrap().take();
        meanwhile.into_iter().for_each(|act| act());
        last
    }
    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        self.store.find(event)
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
        self.store.file_up_to(size)
    }
}

impl Outbox for Disk {
    fn load(&self) -> Result<medtrail_ledger::plan::Plan, JournalError> {
        self.store.load()
    }
    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError> {
        self.store.save(changes)
    }
    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.store.kept_checkpoint(size)
    }
}

pub(crate) struct Book {
    inner: DirectoryDb,
    pub(crate) faults: Faults,
}

impl Directory for Book {
    fn load(&self) -> Result<Contents, JournalError> {
        self.inner.load()
    }
    fn save(&self, changes: &[DirectoryChange]) -> Result<(), JournalError> {
        let fault = self.faults.next();
        if fault != Some(Fault::Fails) {
            self.inner.save(changes)?;
        }
        fault.map_or(Ok(()), |_| Err(JournalError::Storage("on purpose".into())))
    }
}

pub(crate) struct Keys {
    inner: KeyFileDb,
    pub(crate) faults: Faults,
    /// Of whatever ends or erases keys.
    pub(crate) erasing: Faults,
}

impl Keys {
    fn faulty(
        &self,
        act: impl FnOnce(&KeyFileDb) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let fault = self.erasing.next();
        if fault != Some(Fault::Fails) {
            act(&self.inner)?;
        }
        fault.map_or(Ok(()), |_| Err(JournalError::Storage("on purpose".into())))
    }
}

impl KeyFile for Keys {
    fn open(&self, tag: KeyTag) -> Result<Option<SecretKey>, JournalError> {
        self.inner.open(tag)
    }
    fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError> {
        let is_counted = |tag: &KeyTag| matches!(tag, KeyTag::Custodian(_) | KeyTag::Sale(_));
        let fault = if tags.iter().any(is_counted) { self.faults.next() } else { None };
        match fault {
            None => self.inner.create(tags),
            Some(fault) => {
                if fault == Fault::FailsButPersists {
                    self.inner.create(tags)?;
                }
                Err(JournalError::Storage("on purpose".into()))
            }
        }
    }
    fn destroy(&self, tag: KeyTag) -> Result<(), JournalError> {
        self.faulty(|keys| keys.destroy(tag))
    }
    fn end_era(&self, subject: SubjectTag, through: u64) -> Result<(), JournalError> {
        self.faulty(|keys| keys.end_era(subject, through))
    }
    fn era(&self, subject: SubjectTag, ordinal: u64) -> Result<Era, JournalError> {
        self.inner.era(subject, ordinal)
    }
    fn erase(&self, eras: &[(SubjectTag, u64)], others: &[KeyTag]) -> Result<(), JournalError> {
        self.faulty(|keys| keys.erase(eras, others))
    }
    fn is_rewrap_due(&self) -> Result<bool, JournalError> {
        self.inner.is_rewrap_due()
    }
    fn rewrap(&self, masters: &dyn MasterKeys) -> Result<u64, JournalError> {
        let mut wrapped = 0;
        self.faulty(|keys| keys.rewrap(masters).map(|keys| wrapped = keys))?;
        Ok(wrapped)
    }
}

/// The consent registry, whose chain may be away.
#[derive(Default)]
pub(crate) struct Chain {
    records: Mutex<HashMap<Address, Vec<ConsentRecord>>>,
    /// About whom the node answers with an error.
    pub(crate) unreadable: Mutex<Option<Address>>,
    is_away: AtomicBool,
    slow_about: Mutex<Option<Address>>,
    /// Somebody waits for its answer.
    pub(crate) is_waited_for: AtomicBool,
}

impl Chain {
    /// Whoever asks about this person gets no answer until it is quick again.
    pub(crate) fn go_slow(&self, about: Option<Address>) {
        *self.slow_about.lock().unwrap() = about;
    }

    pub(crate) fn go(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    pub(crate) fn record(&self, subject: Address, event: ConsentEvent, is_final: bool) {
        let mut records = self.records.lock().unwrap();
        records.entry(subject).or_default().push(ConsentRecord { event, is_final });
    }

    /// A reorganisation takes back what was not final.
    pub(crate) fn reorganise(&self) {
        let mut records = self.records.lock().unwrap();
        records.values_mut().for_each(|records| records.retain(|record| record.is_final));
    }

    pub(crate) fn finalise(&self) {
        let mut records = self.records.lock().unwrap();
        records.values_mut().flatten().for_each(|record| record.is_final = true);
    }
}

impl Consents for Chain {
    fn registry(&self) -> Address {
        CONSENTS
    }

    fn about(&self, subject: Address) -> Result<Vec<ConsentRecord>, RegistryError> {
        while *self.slow_about.lock().unwrap() == Some(subject) {
            self.is_waited_for.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
        }
        if *self.unreadable.lock().unwrap() == Some(subject) {
            return Err(RegistryError::Node { code: -32000, message: "on purpose".into() });
        }
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(RegistryError::Unreachable("on purpose".into())),
            false => Ok(self.records.lock().unwrap().get(&subject).cloned().unwrap_or_default()),
        }
    }
}

/// Takes notices, or fails to.
#[derive(Default)]
pub(crate) struct Post {
    pub(crate) sent: Mutex<Vec<Parcel>>,
    /// The next ones fail in this way, after they arrived or not.
    pub(crate) fails: Mutex<Vec<(bool, Undelivered)>>,
}

impl Messenger for Post {
    fn channels(&self) -> Channels {
        Channels { email: true, webhook: true }
    }

    fn send(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let failure = self.fails.lock().unwrap().pop();
        if failure.as_ref().is_none_or(|(arrives, _)| *arrives) {
            self.sent.lock().unwrap().push(parcel.clone());
        }
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// In these tests the details say what the act was for, and of what.
fn need(_: &Report, details: Option<&[u8]>) -> Need {
    #[derive(serde::Deserialize)]
    struct Told {
        purpose: Option<String>,
        data: Option<String>,
    }
    let told = details.and_then(|bytes| serde_json::from_slice::<Told>(bytes).ok());
    let Some(Told { purpose, data }) = told else { return Need::default() };
    let data = data.map(|resource| Data { resource: Some(resource), ..Data::default() });
    let (data, purposes) = (data.into_iter().collect(), purpose.into_iter().collect());
    Need { data, purposes, is_search: false }
}

/// A log that runs.
pub(crate) struct World {
    pub(crate) service: Service,
    running: Running,
    pub(crate) disk: Arc<Disk>,
    pub(crate) book: Arc<Book>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) operator: Address,
    pub(crate) log: B256,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) post: Arc<Post>,
}

/// The configured organisation's key.
pub(crate) const CLINIC: u8 = 2;

impl World {
    pub(crate) fn start(folder: &TempDir) -> Self {
        Self::start_at(folder, now_ms)
    }

    /// Starts with another clock.
    pub(crate) fn start_at(folder: &TempDir, now_ms: fn() -> u64) -> Self {
        Self::start_as(folder, now_ms, &[])
    }

    /// Starts with so many milliseconds for an answer.
    pub(crate) fn start_waiting(folder: &TempDir, answer_within_ms: u64) -> Self {
        let sources = Sources::nowhere();
        Self::start_whole(folder, now_ms, &[], answer_within_ms, Erasing::default(), sources)
    }

    /// Starts with places where records are kept.
    pub(crate) fn start_watching(folder: &TempDir, now_ms: fn() -> u64, sources: Sources) -> Self {
        let erasing = Erasing::default();
        Self::start_whole(folder, now_ms, &[], ANSWER_WITHIN_MS, erasing, sources)
    }

    /// Starts with further keys of the operator, newest last.
    pub(crate) fn start_as(folder: &TempDir, now_ms: fn() -> u64, newer: &[u8]) -> Self {
        let sources = Sources::nowhere();
        Self::start_whole(folder, now_ms, newer, ANSWER_WITHIN_MS, Erasing::default(), sources)
    }

    /// Starts with other periods of erasure, and the master keys in its folder.
    pub(crate) fn start_erasing(
        folder: &TempDir,
        now_ms: fn() -> u64,
        newer: &[u8],
        erasing: Erasing,
    ) -> Self {
        Self::start_whole(folder, now_ms, newer, ANSWER_WITHIN_MS, erasing, Sources::nowhere())
    }

    fn start_whole(
        folder: &TempDir,
        now_ms: fn() -> u64,
        newer: &[u8],
        answer_within_ms: u64,
        erasing: Erasing,
        sources: Sources,
    ) -> Self {
        let chain = Arc::<Chain>::default();
        let post = Arc::<Post>::default();
        let operator = Arc::new(OperatorKey::from_bytes(&[1; 32]).unwrap());
        let note = NoteKey::from_seed(ORIGIN, &[3; 32]).unwrap();
        let log = log_id(CHAIN, REGISTRY, operator.address(), ORIGIN);
        let key = |address| vec![Key { address, from_ms: 0, until_ms: None }];
        let address = operator.address();
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
                keys: std::iter::once(address)
                    .chain(newer.iter().map(|seed| address_of(*seed)))
                    .flat_map(key)
                    .collect(),
            },
            organisations: vec![Organisation {
                name: "Clinic".into(),
                register_number: None,
                domain: "clinic.example".into(),
                keys: key(address_of(CLINIC)),
            }],
        };
        let options = StoreOptions { rows_per_filing: 64, ..StoreOptions::default() };
        let store = Store::open(&made(folder.path(), "log"), options).unwrap();
        let disk = Arc::new(Disk { store, faults: Faults::default(), meanwhile: Mutex::default() });
        let keys = folder.path().join("keys");
        medtrail_keys::file::create_folder(&keys).unwrap();
        let masters = MasterFolder::new(&keys, log);
        let inner = open_keys(&keys, &masters, log);
        let erasing = Erasing { masters: Some(Arc::new(masters)), ..erasing };
        let keys = Arc::new(Keys { inner, faults: Faults::default(), erasing: Faults::default() });
        let log_key = KeyFile::create(&*keys, &[KeyTag::Log]).unwrap().remove(0);
        let seal = Box::new(DirectorySeal::new(&log_key, log));
        let inner = DirectoryDb::open(&made(folder.path(), "directory"), true, seal).unwrap();
        let book = Arc::new(Book { inner, faults: Faults::default() });
        let (status, statuses) = watch::channel(Status::default());
        let setup = Setup {
            journal: disk.clone(),
            outbox: disk.clone(),
            keys: keys.clone(),
            notary: Arc::new(NotaryKeys::new(note, operator, log, CHAIN, REGISTRY)),
            trust,
            status: statuses,
            permissions: Permissions { consents: chain.clone(), need },
            answer_within_ms,
            erasing,
            notices: Notices { messenger: post.clone(), gather_ms: 50, retry_ms: 20 },
            sources,
            now_ms,
        };
        let (service, running) = supervise::start_with(setup, book.clone()).unwrap();
        Self { service, running, disk, book, keys, operator: address, log, status, chain, post }
    }

    pub(crate) async fn stop(self) {
        tokio::task::spawn_blocking(|| self.running.stop()).await.unwrap().unwrap();
    }

    /// A report of event `event` about `subject`, signed by the key `seed`.
    pub(crate) fn report(&self, seed: u8, subject: B256, event: u64) -> Submission {
        self.report_of_kind(seed, subject, event, 1)
    }

    pub(crate) fn report_of_kind(
        &self,
        seed: u8,
        subject: B256,
        event: u64,
        kind: u8,
    ) -> Submission {
        let key = ReporterKey::from_bytes(&[seed; 32]).unwrap();
        let document = format!(r#"{{"resourceType":"AuditEvent","id":"{event}"}}"#).into_bytes();
        let report = Report {
            log: self.log,
            eventId: event_id(key.address(), &event.to_be_bytes()),
            kind,
            action: b'R',
            timeMs: 1_767_605_400_000 + event,
            subject,
            actor: key.address(),
            record: keccak256([(event % 3) as u8]),
            details: details_hash(&document),
            ..Report::default()
        };
        let signature = key.sign(&report, &domain(CHAIN, REGISTRY));
        Submission { report, evidence: Evidence::Signed(signature), details: Some(document) }
    }

    /// What nobody signed: the operator's word about `subject`.
    pub(crate) fn relayed(&self, subject: B256, event: u64) -> Submission {
        let mut submission = self.report(CLINIC, subject, event);
        submission.report.actor = self.operator;
        Submission { evidence: Evidence::Relayed, ..submission }
    }

    /// The whole trail, walked in pages of `limit`.
    pub(crate) fn walk(&self, person: Address, query: &TrailQuery) -> Vec<Entry> {
        let (mut entries, mut query) = (Vec::new(), query.clone());
        loop {
            let page = self.service.trail(person, &query).unwrap();
            assert!(page.entries.len() <= query.limit.max(1));
            entries.extend(page.entries);
            match page.next {
                Some(next) => {
                    assert!(query.before.is_none_or(|before| next < before), "it goes on");
                    query.before = Some(next);
                }
                None => return entries,
            }
        }
    }

    pub(crate) fn whole(&self, person: Address) -> Vec<Entry> {
        self.walk(person, &TrailQuery { limit: 1000, ..TrailQuery::default() })
    }

    /// Every entry of the log, oldest first.
    pub(crate) fn all(&self) -> Vec<Entry> {
        (0..self.service.head().size).map(|index| self.service.entry(index).unwrap()).collect()
    }

    /// The details of every entry of a kind, as JSON.
    pub(crate) fn details_of_kind(&self, kind: u8) -> Vec<serde_json::Value> {
        let of_kind = self.all().into_iter().filter(|entry| entry.report.kind == kind);
        of_kind.map(|entry| serde_json::from_slice(&entry.details.unwrap()).unwrap()).collect()
    }

    pub(crate) fn put_anchor(&self, number: u64, size: u64, is_final: bool) -> AnchorRecord {
        let anchor = Anchor { number, size, root: B256::repeat_byte(number as u8), time_s: number };
        let block = BlockRef { number: number + 100, hash: B256::repeat_byte(number as u8) };
        let record = AnchorRecord { anchor, tx: B256::repeat_byte(7), block, is_final };
        self.disk.store.save(&[PlanChange::PutAnchor(record.clone())]).unwrap();
        self.status.send_modify(|status| match is_final {
            true => status.settled = Some(anchor),
            false => status.mined = Some(anchor),
        });
        record
    }

    /// The desk of the clinic gives `code` out for `pseudonym`.
    pub(crate) async fn issue(&self, pseudonym: B256, code: &str) {
        let hash = medtrail_ledger::directory::code_hash(code);
        let expires_ms = now_ms() + 3_600_000;
        let issued = self.service.issue_code(address_of(CLINIC), None, pseudonym, hash, expires_ms);
        issued.await.unwrap();
    }

    /// Code and the person's signature; returns the id, and the clinic's signature.
    pub(crate) async fn until_countersignature(
        &self,
        pseudonym: B256,
        person: u8,
        code: &str,
    ) -> (B256, Bytes) {
        self.issue(pseudonym, code).await;
        let (id, document) = self.service.binding_for(address_of(person), code).unwrap();
        let signature = sign(person, &document);
        self.service.sign_binding(address_of(person), id, signature).await.unwrap();
        (id, sign(CLINIC, &document))
    }

    pub(crate) async fn bind(&self, pseudonym: B256, person: u8, code: &str) -> [u64; 2] {
        let (id, countersignature) = self.until_countersignature(pseudonym, person, code).await;
        self.service.countersign(address_of(CLINIC), id, countersignature).await.unwrap()
    }

    pub(crate) async fn wait_until_filed(&self) {
        for _ in 0..400 {
            if self.service.filed().unwrap() == self.service.head().size {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the filer stands still");
    }
}

/// As the binary does it: by whichever master key opens the file.
fn open_keys(folder: &Path, masters: &MasterFolder, log: B256) -> KeyFileDb {
    let path = folder.join("master.key");
    if !path.exists() {
        MasterKey::create(&path, log).unwrap();
    }
    if let Ok(master) = MasterKey::load(&path, log) {
        let keys = KeyFileDb::open(folder, Box::new(master)).unwrap();
        if !matches!(keys.open(KeyTag::Log), Err(JournalError::Damaged(_))) {
            masters.drop_next().unwrap();
            return keys;
        }
    }
    masters.take_next().unwrap();
    KeyFileDb::open(folder, Box::new(MasterKey::load(&path, log).unwrap())).unwrap()
}

fn made(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

pub(crate) fn pseudonym(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

pub(crate) fn address_of(seed: u8) -> Address {
    ReporterKey::from_bytes(&[seed; 32]).unwrap().address()
}

pub(crate) const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };

pub(crate) fn sign(seed: u8, document: &Binding) -> Bytes {
    sign_digest(seed, digest(document, &domain(CHAIN, REGISTRY)))
}

pub(crate) fn sign_digest(seed: u8, digest: B256) -> Bytes {
    let secret = secp256k1::SecretKey::from_secret_bytes([seed; 32]).unwrap();
    let message = secp256k1::Message::from_digest(digest.0);
    let signed = RecoverableSignature::sign_ecdsa_recoverable(message, &secret);
    let (recovery, compact) = signed.serialize_compact();
    [compact.as_slice(), &[27 + recovery.to_u8()]].concat().into()
}
