//! A vault over a log that runs: shared by the tests of the vault.

use crate::permits::{ANNA, told};
use crate::support::{CLINIC, Fault, Faults, REGISTRIES, World, address_of, now_ms};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_keys::vault::VaultKeys;
use medtrail_ledger::entry::{batch_paths, batch_root, details_hash, event_id, subject_of};
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag};
use medtrail_ledger::proof::{BatchEvidence, Evidence};
use medtrail_ledger::schema::{Report, ReportBatch, digest, domain};
use medtrail_ledger::vault::{
    About, READ_VERSION, ReadDetails, RecordRow, RequestRow, Shelf, Shelves, VERSION_VERSION,
    VaultChange, VersionDetails, version_of,
};
use medtrail_oracle::intake::Submission;
use medtrail_oracle::vault::{Content, Put, Reader, Vault, VaultError, VaultLimits, Why, Written};
use medtrail_permit::documents::{ChangeApproval, Document};
use medtrail_permit::permits::Refusal;
use medtrail_store::VaultDb;
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;

/// The shelves on disk, which fail on request.
pub(crate) struct Cellar {
    pub(crate) inner: VaultDb,
    pub(crate) faults: Faults,
    /// How the next fault is told.
    pub(crate) is_full: std::sync::atomic::AtomicBool,
    /// Done once, before the next bytes are written or read.
    pub(crate) meanwhile: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Cellar {
    fn meanwhile(&self) {
        let act = self.meanwhile.lock().unwrap().take();
        act.into_iter().for_each(|act| act());
    }
}

impl Shelves for Cellar {
    fn shelf(&self, subject: B256) -> Result<Shelf, JournalError> {
        self.inner.shelf(subject)
    }
    fn record(&self, subject: B256, record: B256) -> Result<Option<RecordRow>, JournalError> {
        self.inner.record(subject, record)
    }
    fn content(&self, s: B256, record: B256, v: B256) -> Result<Option<Vec<u8>>, JournalError> {
        self.meanwhile();
        self.inner.content(s, record, v)
    }
    fn request(&self, subject: B256, id: B256) -> Result<Option<RequestRow>, JournalError> {
        self.inner.request(subject, id)
    }
    fn proposed(&self, subject: B256, id: B256) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.proposed(subject, id)
    }
    fn asked_by(&self, organisation: Address) -> Result<Vec<(B256, B256)>, JournalError> {
        self.inner.asked_by(organisation)
    }
    fn open(&self) -> Result<Vec<B256>, JournalError> {
        self.inner.open()
    }
    fn save(&self, subject: B256, changes: &[VaultChange]) -> Result<(), JournalError> {
        self.meanwhile();
        let fault = self.faults.next();
        if fault != Some(Fault::Fails) {
            self.inner.save(subject, changes)?;
        }
        match (fault, self.is_full.load(std::sync::atomic::Ordering::SeqCst)) {
            (None, _) => Ok(()),
            (Some(_), true) => Err(JournalError::Full("on purpose".into())),
            (Some(_), false) => Err(JournalError::Storage("on purpose".into())),
        }
    }
    fn clear(&self, subject: B256) -> Result<(), JournalError> {
        self.inner.clear(subject)
    }
}

/// A log with its vault.
pub(crate) struct Safe {
    pub(crate) world: World,
    pub(crate) vault: Vault,
    pub(crate) cellar: Arc<Cellar>,
}

impl Safe {
    pub(crate) fn start(folder: &TempDir) -> Self {
        Self::start_at(folder, now_ms)
    }

    pub(crate) fn start_at(folder: &TempDir, now_ms: fn() -> u64) -> Self {
        Self::over(folder, World::start_at(folder, now_ms), VaultLimits::default())
    }

    pub(crate) fn over(folder: &TempDir, world: World, limits: VaultLimits) -> Self {
        let cellar = Arc::new(Cellar {
            inner: cellar(folder, &world),
            faults: Faults::default(),
            is_full: Default::default(),
            meanwhile: Default::default(),
        });
        let vault = Vault::open(world.service.clone(), cellar.clone(), limits).unwrap();
        Self { world, vault, cellar }
    }

    pub(crate) async fn stop(self) {
        let Self { world, vault, cellar } = self;
        drop((vault, cellar));
        world.stop().await;
    }

    pub(crate) async fn put(&self, write: &Write) -> Result<Written, VaultError> {
        self.vault.put(vec![write.signed(&self.world)]).await.pop().unwrap()
    }

    /// Why a write is refused.
    pub(crate) async fn refused(&self, write: &Write) -> Refusal {
        reason(self.put(write).await.map(drop))
    }

    pub(crate) async fn read(&self, who: u8, write: &Write) -> Result<Content, VaultError> {
        let reader = Reader::Signed(Box::new(self.look(who, write)));
        let (subject, record) = (write.subject, record(write.record));
        self.vault.read(reader, subject, record, None, vec![]).await
    }

    /// A look at a record, signed now by the key `who`.
    pub(crate) fn look(&self, who: u8, write: &Write) -> Submission {
        let key = ReporterKey::from_bytes(&[who; 32]).unwrap();
        let purposes = write.purpose.into_iter().map(str::to_owned).collect();
        let version = READ_VERSION.to_owned();
        let details = ReadDetails { version, purposes, listed: None, reader: None };
        let details = serde_json::to_vec(&details).unwrap();
        let report = Report {
            log: self.world.log,
            eventId: event_id(key.address(), &write.event.to_be_bytes()),
            kind: 1,
            action: b'R',
            timeMs: now_ms(),
            subject: write.subject,
            actor: key.address(),
            record: record(write.record),
            permission: write.permission,
            details: details_hash(&details),
            ..Report::default()
        };
        let signature = key.sign(&report, &domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry));
        Submission { report, evidence: Evidence::Signed(signature), details: Some(details) }
    }

    /// The bytes that Anna sees when she looks herself.
    pub(crate) async fn own(&self, name: &str) -> Option<Vec<u8>> {
        let reader = Reader::Person(address_of(ANNA));
        let read = self.vault.read(reader, anna(), record(name), None, vec![]).await;
        match read {
            Ok(content) => Some(content.bytes),
            Err(VaultError::NotFound) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// `refused` and `reason` of every refusal in Anna's trail, oldest first.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        self.told_about(address_of(ANNA))
    }

    pub(crate) fn told_about(&self, person: Address) -> Vec<(String, String)> {
        let mut entries = self.world.whole(person);
        entries.retain(|entry| entry.report.kind == 8);
        entries.reverse();
        let words = entries.into_iter().map(|entry| {
            let told: Value = serde_json::from_slice(&entry.details.unwrap()).unwrap();
            let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
            (word("refused"), word("reason"))
        });
        words.collect()
    }

    /// Entries of a kind in the whole log.
    pub(crate) fn entries_of(&self, kind: u8) -> usize {
        self.world.all().iter().filter(|entry| entry.report.kind == kind).count()
    }

    pub(crate) fn row(&self, name: &str) -> Option<RecordRow> {
        self.cellar.record(anna(), record(name)).unwrap()
    }
}

fn cellar(folder: &TempDir, world: &World) -> VaultDb {
    let log_key = KeyFile::open(&*world.keys, KeyTag::Log).unwrap().unwrap();
    let seal = Box::new(VaultKeys::new(&log_key, world.log, world.keys.clone()));
    VaultDb::open(&folder.path().join("vault"), true, seal).unwrap()
}

/// Why something was refused.
pub(crate) fn reason(outcome: Result<(), VaultError>) -> Refusal {
    match outcome {
        Err(VaultError::Refused { why: Why::Refused(reason), .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn anna() -> B256 {
    subject_of(address_of(ANNA))
}

pub(crate) fn record(name: &str) -> B256 {
    keccak256(name)
}

/// Bytes of a version of an allergy; each letter another.
pub(crate) fn bytes(letter: char) -> Vec<u8> {
    format!(r#"{{"resourceType":"AllergyIntolerance","id":"{letter}"}}"#).into_bytes()
}

/// The version of a letter; '0' is none.
pub(crate) fn version(letter: char) -> B256 {
    if letter == '0' { B256::ZERO } else { version_of(&bytes(letter)) }
}

pub(crate) fn allergy(letter: char) -> About {
    About {
        title: format!("Allergy {letter}"),
        media_type: "application/fhir+json".to_owned(),
        resource_type: Some("AllergyIntolerance".to_owned()),
        confidentiality: None,
        topics: vec![],
    }
}

/// A version on its way.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) event: u64,
    pub(crate) by: u8,
    pub(crate) subject: B256,
    pub(crate) record: &'static str,
    pub(crate) from: char,
    pub(crate) to: char,
    pub(crate) permission: B256,
    pub(crate) purpose: Option<&'static str>,
    pub(crate) time_ms: u64,
    pub(crate) about: About,
    /// The bytes, where they are not those of `to`.
    pub(crate) content: Option<Vec<u8>>,
}

/// Whoever has the key `by` writes version `to` of the penicillin allergy, over version `from`.
pub(crate) fn write(event: u64, by: u8, from: char, to: char) -> Write {
    let (subject, time_ms) = (anna(), now_ms());
    let (permission, purpose, content) = (B256::ZERO, Some("TREAT"), None);
    let (record, about) = ("penicillin", allergy(if to == '0' { from } else { to }));
    Write { event, by, subject, record, from, to, permission, purpose, time_ms, about, content }
}

impl Write {
    pub(crate) fn naming(self, document: &Document) -> Self {
        Self { permission: document.id(&REGISTRIES), ..self }
    }

    fn report(&self, world: &World) -> (Report, Vec<u8>, Option<Vec<u8>>) {
        let key = ReporterKey::from_bytes(&[self.by; 32]).unwrap();
        let content = match self.to {
            '0' => None,
            letter => Some(self.content.clone().unwrap_or_else(|| bytes(letter))),
        };
        let details = serde_json::to_vec(&VersionDetails {
            version: VERSION_VERSION.to_owned(),
            about: self.about.clone(),
            bytes: content.as_ref().map_or(0, Vec::len) as u64,
            purposes: self.purpose.into_iter().map(str::to_owned).collect(),
        });
        let details = details.unwrap();
        let action = match (self.from, self.to) {
            ('0', _) => b'C',
            (_, '0') => b'D',
            _ => b'U',
        };
        let to = content.as_deref().map_or(B256::ZERO, version_of);
        let report = Report {
            log: world.log,
            eventId: event_id(key.address(), &self.event.to_be_bytes()),
            kind: 2,
            action,
            timeMs: self.time_ms,
            subject: self.subject,
            actor: key.address(),
            record: record(self.record),
            fromVersion: version(self.from),
            toVersion: to,
            permission: self.permission,
            details: details_hash(&details),
        };
        (report, details, content)
    }

    pub(crate) fn signed(&self, world: &World) -> Put {
        let (report, details, content) = self.report(world);
        let key = ReporterKey::from_bytes(&[self.by; 32]).unwrap();
        let signature = key.sign(&report, &domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry));
        let evidence = Evidence::Signed(signature);
        Put { submission: Submission { report, evidence, details: Some(details) }, content }
    }
}

/// Many versions under one signature.
pub(crate) fn batch(world: &World, by: u8, writes: &[Write]) -> Vec<Put> {
    let made: Vec<_> = writes.iter().map(|write| write.report(world)).collect();
    let hashes: Vec<B256> = made.iter().map(|(report, ..)| report.hash()).collect();
    let (root, count) = (B256::from(batch_root(&hashes)), hashes.len() as u64);
    let domain = domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry);
    let signed = digest(&ReportBatch { root, count }, &domain);
    let signature = crate::support::sign_digest(by, signed);
    let puts = made.into_iter().zip(batch_paths(&hashes)).zip(0..).map(
        |(((report, details, content), path), index)| {
            let path = path.into_iter().map(B256::from).collect();
            let signature = signature.clone();
            let evidence = Evidence::Batch(BatchEvidence { count, index, root, path, signature });
            Put { submission: Submission { report, evidence, details: Some(details) }, content }
        },
    );
    puts.collect()
}

/// Anna allows the clinic exactly this change of the penicillin allergy.
pub(crate) fn approval(from: char, to: char, salt: u8) -> Document {
    told(Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: address_of(ANNA),
        custodian: address_of(CLINIC),
        record: record("penicillin"),
        fromVersion: version(from),
        toVersion: version(to),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(salt),
    }))
}
