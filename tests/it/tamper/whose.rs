//! True proofs of somebody else's: another log, another registry, another custodian, nobody's
//! signature. A reader who named one log takes none of them for its own.

use crate::site::{Custodian, ORIGIN, Said, Settings, Site, person_id, ticking_chain};
use alloy::primitives::{Address, B256};
use journeys::anvil::{ACCOUNTS, Anvil};
use medtrail_keys::local::LocalSigner;
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::proof::{Evidence, Proof, spell};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::supervise::{self, Setup};
use medtrail_store::{KeyFileDb, Store, StoreOptions};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// A site whose log is open, its first entry anchored and final.
struct Named {
    site: Site,
    trust: TrustFile,
    proof: Proof,
}

impl Named {
    async fn new(anvil: &Anvil, site: Site) -> Self {
        site.give_coin(anvil).await;
        let node = site.serve();
        let trust = node.trust().await;
        let receipt = node.report(&Custodian::fjord().saw(&trust, 1, "the event")).await;
        let proof = Proof::parse(&node.proof(&receipt).await).unwrap();
        node.stop();
        Self { site, trust, proof }
    }
}

/// Checks a proof by somebody who means the log of `trust`.
fn check(site: &Site, proof: &Proof, trust: Option<&TrustFile>, rpc: &str) -> Said {
    let file = site.write("checked.json", proof.to_bytes());
    let mut arguments = vec!["verify", file.to_str().unwrap(), "--rpc", rpc];
    if let Some(trust) = trust {
        site.write("named.json", spell(trust));
        arguments.extend(["--trust", "named.json"]);
    }
    site.run(arguments)
}

fn assert_says(said: &Said, code: i32, step: &str, words: &str) {
    assert_eq!(said.code, Some(code), "{}", said.out);
    let mark = if code == 3 { "!" } else { "✗" };
    let line = said.out.lines().find(|line| line.starts_with(&format!("  {mark} {step} ")));
    assert!(line.is_some_and(|line| line.contains(words)), "{step}, {words}:\n{}", said.out);
}

/// The registry's code at an address that no build knows.
async fn deploy_elsewhere(anvil: &Anvil) -> Address {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/AnchorRegistry.json");
    let artifact: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let creation = json!([{ "from": ACCOUNTS[1], "data": artifact["bytecode"] }]);
    let tx = anvil.call("eth_sendTransaction", creation).await.unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let receipt = anvil.call("eth_getTransactionReceipt", json!([tx])).await.unwrap();
        if receipt["status"] == "0x1" {
            return serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
        }
        assert!(receipt.is_null() && Instant::now() < end, "{receipt}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_true_proof_of_somebody_else_s_is_never_green_for_the_log_you_named() {
    let anvil = ticking_chain().await;
    let url = anvil.url();
    let ours = Named::new(&anvil, Site::on(&anvil).await).await;
    let site = &ours.site;
    assert_eq!(check(site, &ours.proof, Some(&ours.trust), &url).code, Some(0));

    // Another log in the same registry, run by somebody else.
    let origin = "other.example/log".to_owned();
    let other = Site::new(Settings { origin, ..Settings::on(&anvil) });
    let other = Named::new(&anvil, other).await;
    assert_eq!(check(site, &other.proof, Some(&other.trust), &url).code, Some(0));
    let unnamed = check(site, &other.proof, Some(&ours.trust), &url);
    assert_says(&unnamed, 3, "log", "is not the one your trust file names");
    // … that is passed off as ours.
    let mut relabelled = other.proof.clone();
    relabelled.anchor.log = ours.trust.log;
    let said = check(site, &relabelled, Some(&ours.trust), &url);
    assert_says(&said, 1, "log", "report.log");
    relabelled.report.log = ours.trust.log;
    let said = check(site, &relabelled, Some(&ours.trust), &url);
    assert_says(&said, 1, "report", "signed by");
    // … or told of by a trust file with its keys under our log's id.
    let mut mixed = ours.trust.clone();
    (mixed.origin, mixed.operator) = (other.trust.origin.clone(), other.trust.operator.clone());
    let said = check(site, &ours.proof, Some(&mixed), &url);
    assert_says(&said, 1, "checkpoint", "note key");

    // Another registry: only who names it takes its word.
    let registry = Some(deploy_elsewhere(&anvil).await);
    let elsewhere = Site::new(Settings { registry, ..Settings::on(&anvil) });
    let elsewhere = Named::new(&anvil, elsewhere).await;
    assert_eq!(elsewhere.trust.origin, ORIGIN);
    assert_ne!(elsewhere.trust.log, ours.trust.log);
    assert_eq!(check(site, &elsewhere.proof, Some(&elsewhere.trust), &url).code, Some(0));
    for trust in [None, Some(&ours.trust)] {
        let said = check(site, &elsewhere.proof, trust, &url);
        assert_says(&said, 1, "anchor", "anchor.registry");
    }

    // A custodian whom the reader does not know, or whose key spoke only later.
    let mut stranger = ours.trust.clone();
    stranger.organisations.clear();
    let said = check(site, &ours.proof, Some(&stranger), &url);
    assert_says(&said, 3, "report", "nobody your trust file names");
    let mut later = ours.trust.clone();
    later.organisations[0].keys[0].from_ms = ours.proof.report.timeMs + 1;
    let said = check(site, &ours.proof, Some(&later), &url);
    assert_says(&said, 3, "report", "at that time");
    // An operator's key that the reader's file does not name, whatever the node says.
    let mut retired = ours.trust.clone();
    retired.operator.keys[0].until_ms = Some(retired.operator.keys[0].from_ms);
    let said = check(site, &ours.proof, Some(&retired), &url);
    assert_says(&said, 3, "checkpoint", "no such key");

    relayed(&anvil, &ours).await;
}

/// What nobody but the operator says is said to be just that.
async fn relayed(anvil: &Anvil, ours: &Named) {
    let (site, trust, url) = (&ours.site, &ours.trust, anvil.url());
    let receipt = relay(site, trust).await;
    let node = site.serve();
    let proof = Proof::parse(&node.proof(&receipt).await).unwrap();
    assert_eq!(proof.evidence, Evidence::Relayed);
    assert_says(&check(site, &proof, Some(trust), &url), 3, "report", "relayed, not signed");
    node.stop();

    // The clinic's own report without its signature is no relayed one.
    let stripped = Proof { evidence: Evidence::Relayed, ..ours.proof.clone() };
    let said = check(site, &stripped, Some(trust), &url);
    assert_says(&said, 1, "report", "evidence: relayed");
    // And the operator's word under a custodian's name is nobody's.
    let mut pinned = proof;
    pinned.report.actor = Custodian::fjord().address();
    let said = check(site, &pinned, Some(trust), &url);
    assert_says(&said, 1, "report", "is no operator");
}

/// Enters a report without a signature, as the operator may: no command does that, so it is done
/// on the stopped log, with the operator's own keys.
async fn relay(site: &Site, trust: &TrustFile) -> Receipt {
    let key = |name: &str| site.keys_dir().join(name);
    let passphrase = std::fs::read_to_string(site.path("passphrase")).unwrap();
    let operator = LocalSigner::load(&key("operator.json"), &passphrase.trim().into()).unwrap();
    let operator = Arc::new(OperatorKey::from(operator));
    let note = NoteKey::load(&key("note.key")).unwrap();
    let notary = NotaryKeys::new(note, operator.clone(), trust.log, trust.chain_id, trust.registry);
    let store =
        Arc::new(Store::open(&site.data_dir().join("log"), StoreOptions::default()).unwrap());
    let master = MasterKey::load(&key("master.key"), trust.log).unwrap();
    let (_said, status) = watch::channel(Status::default());
    let setup = Setup {
        journal: store.clone(),
        outbox: store,
        keys: Arc::new(KeyFileDb::open(&site.keys_dir(), Box::new(master)).unwrap()),
        notary: Arc::new(notary),
        trust: trust.clone(),
        status,
        permissions: Permissions::of_the_log_alone(),
        answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
        erasing: medtrail_oracle::erasure::Erasing::default(),
        notices: medtrail_oracle::notices::Notices::nowhere(),
        sources: medtrail_oracle::sources::Sources::nowhere(),
        now_ms: || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
    };
    let (service, running) = supervise::start(setup).unwrap();
    let details = br#"{"custodian":"a practice without a key"}"#.to_vec();
    let report = Report {
        log: trust.log,
        eventId: event_id(operator.address(), b"relayed"),
        kind: 1,
        action: b'R',
        timeMs: 1_770_000_000_000,
        subject: person_id(1),
        actor: operator.address(),
        record: B256::ZERO,
        details: details_hash(&details),
        ..Report::default()
    };
    let submission = Submission { report, evidence: Evidence::Relayed, details: Some(details) };
    let receipt = service.relay(submission).await.unwrap();
    drop(service);
    tokio::task::spawn_blocking(move || running.stop()).await.unwrap().unwrap();
    receipt
}
