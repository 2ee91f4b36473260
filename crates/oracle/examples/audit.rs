//! How fast a log is audited, in process and on one core: from public data, and with keys and
//! signatures. For whoever works on the audit; `cargo xtask bench` does not run it.

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use alloy_primitives::{Address, B256, hex};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::person::PersonKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::audit::content::{LastBatch, Opened, Rules, Word};
use medtrail_ledger::audit::doubles::{Doubles, EventAt};
use medtrail_ledger::audit::order::{Clock, InOrder};
use medtrail_ledger::audit::rows::{RowsReplay, SealedRow};
use medtrail_ledger::audit::tree::{TreeReplay, Wanted};
use medtrail_ledger::audit::{Check, Tally};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::merkle::{Hash, leaf_hash};
use medtrail_ledger::ports::{Journal, KeyFile, KeyTag};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Place, Report, digest, domain, log_id};
use medtrail_ledger::signature;
use medtrail_ledger::trust::{self, Key, Operator, Organisation, TrustFile};
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::opener::{Entry, Opener, tags};
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::supervise::{self, Setup};
use medtrail_permit::documents::{Document, Grant, Registries};
use medtrail_permit::permits::Need;
use medtrail_permit::replay::{Replay, Setting};
use medtrail_permit::signed::{PermissionDetails, Signed};
use medtrail_permit::statements::{Language, worded};
use medtrail_store::{KeyFileDb, Store, StoreOptions, export};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
const ORIGIN: &str = "bench.example/log";
const ENTRIES: u64 = 1 << 18;
const PEOPLE: u64 = 20_000;
const CLIENTS: u64 = 256;
const DETAILS_BYTES: usize = 300;
/// Entries of the log whose permissions are replayed, and people in it who gave a grant.
const REPLAYED: u64 = 1 << 16;
const GRANTED: u64 = 2_000;
/// Signatures that are recovered by themselves.
const RECOVERED: u64 = 1 << 16;

struct Made {
    log: B256,
    trust: TrustFile,
    store: Arc<Store>,
    keys: Arc<KeyFileDb>,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn main() {
    let folder = tempfile::tempdir_in("target").expect("a folder on this disk");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let made = runtime.expect("a runtime").block_on(make(folder.path()));
    let (commitments, lines) = published(&made.store);
    let bytes: usize = lines.iter().map(Vec::len).sum();
    println!("{ENTRIES} entries about {PEOPLE} people, {} bytes a line", bytes as u64 / ENTRIES);
    let rows = without_keys(&commitments, &lines);
    drop(lines);
    with_keys(&made, rows);
}

/// A log of signed reports.
async fn make(folder: &Path) -> Made {
    let operator = Arc::new(OperatorKey::from_bytes(&[1; 32]).expect("a key"));
    let reporter = Arc::new(ReporterKey::from_bytes(&[2; 32]).expect("a key"));
    let note = NoteKey::from_seed(ORIGIN, &[3; 32]).expect("a name");
    let log = log_id(CHAIN, REGISTRY, operator.address(), ORIGIN);
    let key = |address| vec![Key { address, from_ms: 0, until_ms: None }];
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
            keys: key(operator.address()),
        },
        organisations: vec![Organisation {
            name: "Clinic".into(),
            register_number: None,
            domain: "clinic.example".into(),
            keys: key(reporter.address()),
        }],
    };
    let (data, keys) = (folder.join("log"), folder.join("keys"));
    std::fs::create_dir_all(&data).expect("a folder");
    medtrail_keys::file::create_folder(&keys).expect("a folder");
    let store = Arc::new(Store::open(&data, StoreOptions::default()).expect("a log"));
    let master = MasterKey::from_bytes(&[9; 32], log);
    let keys = Arc::new(KeyFileDb::open(&keys, Box::new(master)).expect("a key file"));
    let (_status, status) = tokio::sync::watch::channel(Status::default());
    let setup = Setup {
        journal: store.clone(),
        outbox: store.clone(),
        keys: keys.clone(),
        notary: Arc::new(NotaryKeys::new(note, operator, log, CHAIN, REGISTRY)),
        trust: trust.clone(),
        status,
        permissions: Permissions::of_the_log_alone(),
        answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
        erasing: Erasing::default(),
        notices: medtrail_oracle::notices::Notices::nowhere(),
        sources: medtrail_oracle::sources::Sources::nowhere(),
        now_ms,
    };
    let (service, running) = supervise::start(setup).expect("a running log");
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (service, reporter) = (service.clone(), reporter.clone());
        clients.spawn(async move {
            for number in (client..ENTRIES).step_by(CLIENTS as usize) {
                let details = vec![b'x'; DETAILS_BYTES];
                let report = Report {
                    log,
                    kind: 1,
                    action: b'R',
                    timeMs: 1_767_605_400_120,
                    actor: reporter.address(),
                    eventId: B256::left_padding_from(&(number + 1).to_be_bytes()),
                    subject: B256::left_padding_from(&(number % PEOPLE + 1).to_be_bytes()),
                    details: details_hash(&details),
                    ..Report::default()
                };
                let signature = reporter.sign(&report, &domain(CHAIN, REGISTRY));
                let evidence = Evidence::Signed(signature.to_vec().into());
                let submission = Submission { report, evidence, details: Some(details) };
                service.report(submission).await.expect("a place");
            }
        });
    }
    clients.join_all().await;
    let stopped = tokio::task::spawn_blocking(move || running.stop()).await;
    stopped.expect("a thread").expect("a clean end");
    Made { log, trust, store, keys }
}

/// As an export writes it.
fn published(store: &Store) -> (Vec<Hash>, Vec<Vec<u8>>) {
    assert_eq!(store.tail().expect("a tail").size, ENTRIES);
    let (mut commitments, mut lines) = (Vec::new(), Vec::new());
    for entry in export(store, 0..ENTRIES).expect("the log") {
        let entry = entry.expect("an entry");
        commitments.push(entry.commitment);
        lines.push(
            format!(
                r#"{{"index":{},"commitment":"{}","row":"{}"}}"#,
                entry.index,
                hex::encode_prefixed(entry.commitment),
                hex::encode_prefixed(&entry.row)
            )
            .into_bytes(),
        );
    }
    (commitments, lines)
}

fn without_keys(commitments: &[Hash], lines: &[Vec<u8>]) -> Vec<SealedRow> {
    let bundles: Vec<Vec<u8>> = commitments
        .chunks(256)
        .map(|tile| tile.iter().flat_map(|one| [&[0, 32], one.as_slice()].concat()).collect())
        .collect();
    let leaves: Vec<Vec<u8>> = commitments
        .chunks(256)
        .map(|tile| tile.iter().map(leaf_hash).collect::<Vec<_>>().concat())
        .collect();
    let (mut kept, mut lines) = (Vec::with_capacity(lines.len()), lines.iter());
    let started = on_processor();
    let mut tally = Tally::default();
    let (mut tree, mut rows) = (TreeReplay::new(ENTRIES, []), RowsReplay::new());
    let mut events = Vec::new();
    while let Some(Wanted { id, .. }) = tree.wanted() {
        let at = id.index as usize;
        let read = tree.take(Some(&bundles[at]), Some(&leaves[at]), &mut tally);
        for made in tree.made() {
            made.compare(Some(&made.bytes.clone()), &mut tally);
        }
        for commitment in &read.expect("a bundle") {
            let line = lines.next().map(Vec::as_slice);
            let row = rows.take(line, commitment, &mut tally).expect("a row");
            events.push(EventAt { event: row.header.event, index: row.index });
            kept.push(row);
        }
    }
    events.sort_unstable();
    let run = events.into_iter().map(Ok::<_, Infallible>);
    assert_eq!(Doubles::among(vec![run]).expect("events").count(), 0);
    rate("without keys", started, ENTRIES);
    assert_eq!(tally.first_fault(), None);
    kept
}

fn with_keys(made: &Made, rows: Vec<SealedRow>) {
    let log_key = made.keys.open(KeyTag::Log).expect("the key file").expect("a key");
    let opener = Opener::new(made.log, made.keys.clone()).expect("the key file").expect("a key");
    let domain = domain(CHAIN, REGISTRY);
    let rules = Rules::new(made.log, domain, tags(&log_key), Some(&made.trust), &[]);
    let started = on_processor();
    for row in &rows {
        opener.open(row.index, &row.row).expect("an entry");
    }
    rate("opening alone", started, ENTRIES);
    recovering(&opener, &rows[..RECOVERED as usize]);
    let started = on_processor();
    let (mut tally, mut batch, mut clock) =
        (Tally::default(), LastBatch::default(), Clock::default());
    for row in &rows {
        let entry = opener.open(row.index, &row.row).expect("an entry");
        let SealedRow { index, header, commitment, previous, .. } = *row;
        let entry = Opened {
            index,
            header,
            commitment,
            previous,
            report: entry.report,
            place: entry.place,
            evidence: entry.evidence,
            details: entry.details,
        };
        assert_eq!(rules.check(&entry, &mut batch), Ok(Word::Named));
        clock.opened(&entry, &mut tally);
    }
    rate("with keys and signatures, on top", started, ENTRIES);
    assert_eq!(tally.of(Check::Times).map(|checked| checked.count), Some(ENTRIES));
    let one = opener.open(rows[0].index, &rows[0].row).expect("an entry");
    replaying(&made.trust, &rows[0], &one);
}

/// The replay of permissions by itself: of a log in which one entry in four is a change that its
/// person's grant permits.
fn replaying(trust: &TrustFile, row: &SealedRow, like: &Entry) {
    let registries =
        Registries { chain_id: CHAIN, consent_registry: Address::ZERO, anchor_registry: REGISTRY };
    let reporter = trust.organisations[0].keys[0].address;
    let opened = |index: u64, report: Report, evidence: Evidence, details: Vec<u8>| Opened {
        index,
        header: row.header,
        commitment: B256::left_padding_from(&index.to_be_bytes()),
        previous: B256::ZERO,
        place: Place { receivedMs: now_ms(), ..like.place.clone() },
        report,
        evidence,
        details: Some(details),
    };
    let people: Vec<PersonKey> = (1..=GRANTED).map(person).collect();
    let grants = people.iter().enumerate().map(|(number, key)| {
        let grant = Document::Grant(Grant {
            statement: String::new(),
            subject: key.address(),
            grantee: reporter,
            scopes: "patient/*.cruds".into(),
            purposes: "TREAT".into(),
            epoch: 0,
            expiresAt: now_ms() / 1000 + 86_400,
            salt: B256::repeat_byte(5),
        });
        let document = worded(grant, Language::En).expect("words");
        let Document::Grant(grant) = &document else { unreachable!("it was one") };
        let domain = domain(CHAIN, registries.consent_registry);
        let signature = Some(key.sign_document(grant, &domain));
        let signed = Signed { document, signature, countersignature: None };
        let details = serde_json::to_vec(&PermissionDetails::of(signed)).expect("JSON");
        let subject = key.address().into_word();
        let report = Report { kind: 4, subject, ..Report::default() };
        opened(number as u64, report, Evidence::Relayed, details)
    });
    let mut log: Vec<Opened> = grants.collect();
    for index in GRANTED..REPLAYED {
        let subject = people[(index % GRANTED) as usize].address().into_word();
        let is_change = index % 4 == 0;
        let (kind, action) = if is_change { (2, b'U') } else { (1, b'R') };
        let time_ms = now_ms() + 1;
        let report = Report { kind, action, subject, timeMs: time_ms, ..like.report.clone() };
        let mut entry = opened(index, report, like.evidence.clone(), vec![b'x'; DETAILS_BYTES]);
        entry.place.receivedMs = time_ms;
        log.push(entry);
    }
    let need =
        |_: &Report, _: Option<&[u8]>| Need { purposes: vec!["TREAT".into()], ..Need::default() };
    let final_ms = now_ms() + 3_600_000;
    let mut replay = Replay::new(Setting {
        registries,
        market: None,
        cohort_market: None,
        trust,
        need,
        final_ms,
        grace_ms: 0,
    });
    let mut tally = Tally::default();
    let started = on_processor();
    for entry in &log {
        if let Some(subject) = replay.asks(entry) {
            replay.tell(subject, Vec::new());
        }
        replay.opened(entry, &mut tally);
    }
    replay.finish(&mut tally);
    rate("replaying permissions alone, one in four a change", started, REPLAYED);
    assert_eq!(tally.first_fault(), None);
    assert!(replay.found().permitted > REPLAYED / 5, "{:?}", replay.found());
}

fn person(number: u64) -> PersonKey {
    let mut secret = [7; 32];
    secret[24..].copy_from_slice(&number.to_be_bytes());
    PersonKey::from_bytes(&secret).expect("a key")
}

/// How long this thread has had a processor: others that want it do not count (proc(5), schedstat).
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = told.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(first.expect("Linux tells a thread's time"))
}

/// What a signature costs here and now: all else is beside it.
fn recovering(opener: &Opener, rows: &[SealedRow]) {
    let signed = |row: &SealedRow| {
        let entry = opener.open(row.index, &row.row).expect("an entry");
        let Evidence::Signed(bytes) = entry.evidence else { panic!("not signed") };
        (bytes, digest(&entry.report, &domain(CHAIN, REGISTRY)))
    };
    let signed: Vec<_> = rows.iter().map(signed).collect();
    let started = on_processor();
    for (bytes, digest) in signed {
        let signature = signature::parse(&bytes).expect("a signature");
        signature.recover(digest).expect("a signer");
    }
    rate("recovering signers alone", started, RECOVERED);
}

fn rate(what: &str, started: Duration, entries: u64) {
    let took = (on_processor() - started).as_secs_f64();
    println!("{what}: {took:.2} s of one core, {:.0} entries/s", entries as f64 / took);
}
