//! From nothing to a proof that a stranger checks: by hand, and by the demo.

mod demo;

use crate::site::{Custodian, NO_CHAIN, ORIGIN, Settings, Site, must, skipped, ticking_chain};
use alloy::primitives::{Address, B256};
use journeys::anvil::Anvil;
use medtrail_ledger::receipt::Receipt;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What somebody else wrote: the official BALP events, if this machine has them.
fn foreign_events() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("MEDTRAIL_TEST_DATA").map_or(beside, PathBuf::from).join("balp");
    let events = json_files(&folder);
    if events.is_empty() {
        skipped(&format!(
            "no official BALP events in {} (MEDTRAIL_TEST_DATA): only our own two are reported",
            folder.display()
        ));
    }
    events
}

/// The JSON files of a folder, sorted; none if there is no folder.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let items = fs::read_dir(folder).into_iter().flatten();
    let paths = items.map(|item| item.unwrap().path());
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut files: Vec<_> = paths.filter(is_json).collect();
    files.sort();
    files
}

/// Everything by the binary alone, as documented: what an operator types, what a custodian types,
/// what a stranger types.
#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_proofs_that_a_stranger_checks() {
    let anvil = ticking_chain().await;
    let mut site = Site::new(Settings::on(&anvil));
    site.give_coin(&anvil).await;
    let again = site.run(["keys", "init"]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("never overwritten"), "{again:?}");
    let deployed: Value = serde_json::from_str(&must(site.run(["deploy", "--json"]))).unwrap();
    assert!(deployed["tx"].is_string(), "{deployed}");
    assert!(must(site.run(["deploy"])).contains("already"));

    // The custodian makes its key; the operator writes it into the configuration.
    site.write_secret("clinic.passphrase", "the clinic's own passphrase\n");
    let clinic = ["--passphrase-file", "clinic.passphrase"];
    let address =
        must(site.run([["keys", "reporter", "clinic.json"].as_slice(), &clinic].concat()));
    let clinic_address: Address = address.trim().parse().unwrap();
    site.settings.organisations = vec![("Fjord Clinic".to_owned(), clinic_address, 0)];
    site.configure();

    let node = site.serve();
    let trust = node.trust().await;
    assert_eq!(
        (trust.log, trust.origin.as_str()),
        (serde_json::from_value(deployed["log"].clone()).unwrap(), ORIGIN)
    );
    site.write("trust.json", node.trust_bytes().await);

    // Every event twice: our two, and the official ones where they are.
    let ours = json_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/balp"));
    let foreign = foreign_events();
    assert!(foreign.is_empty() || foreign.len() == 23, "{} official events", foreign.len());
    let events: Vec<_> = ours.into_iter().chain(foreign).collect();
    let mut places = HashSet::new();
    for (number, event) in events.iter().enumerate() {
        let action = json_file(event)["action"].as_str().unwrap().to_owned();
        let kind = if "CUD".contains(&action) { "change" } else { "access" };
        let receipt = format!("receipt-{number}.json");
        let details = event.to_str().unwrap();
        let person = if number % 2 == 0 {
            "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
        } else {
            "0x9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e0000000000000007"
        };
        let report =
            ["report", "--url", &node.url, "--trust", "trust.json", "--key", "clinic.json"];
        let about = ["--subject", person, "--kind", kind, "--action", &action];
        let files = ["--details", details, "--receipt", &receipt];
        let command = [report.as_slice(), &about, &files, &clinic].concat();
        let said = must(site.run(&command));
        let first: Receipt =
            serde_json::from_slice(&fs::read(site.path(&receipt)).unwrap()).unwrap();
        // Between them the log tells the person of changes that they did not permit.
        assert!(first.index >= number as u64, "{first:?}");
        assert!(said.contains(&format!("Entry {} is recorded", first.index)), "{said}");
        assert!(places.insert((first.index, first.place_hash)), "{first:?}");

        // The answer was lost: the very same command again.
        must(site.run(&command));
        let second: Receipt =
            serde_json::from_slice(&fs::read(site.path(&receipt)).unwrap()).unwrap();
        assert_eq!((second.index, second.place_hash), (first.index, first.place_hash), "{event:?}");
    }
    assert_eq!(places.len(), events.len());

    let check = |files: &[String], more: &[&str]| {
        let files = files.iter().map(String::as_str);
        let args = ["verify"].into_iter().chain(files).chain(more.iter().copied());
        site.run(args.collect::<Vec<_>>())
    };
    let named = ["--rpc", &anvil.url(), "--trust", "trust.json"];
    let numbered = |what: &str| -> Vec<String> {
        (0..events.len()).map(|number| format!("{what}-{number}.json")).collect()
    };

    // A receipt is a promise: right, and amber until there is more to show.
    let receipts = check(&numbered("receipt"), &named);
    assert_eq!(receipts.code, Some(3), "{receipts:?}");
    assert_eq!(receipts.out.matches("  ✓ receipt ").count(), events.len(), "{}", receipts.out);

    let prove = |number: usize, event: &Path| {
        let (receipt, proof) = (format!("receipt-{number}.json"), format!("proof-{number}.json"));
        let asked = ["proof", &receipt, "--url", &node.url, "--out", &proof, "--wait", "60"];
        site.run([asked.as_slice(), &["--details", event.to_str().unwrap()]].concat())
    };
    let foreign = prove(0, &events[1]);
    assert_eq!(foreign.code, Some(1), "another event's document: {foreign:?}");
    assert!(!site.path("proof-0.json").exists());
    for (number, event) in events.iter().enumerate() {
        must(prove(number, event));
    }
    let last = places.iter().map(|(index, _)| *index).max().unwrap();
    node.wait_until_final(last + 1).await;
    let proofs = numbered("proof");
    let green = check(&proofs, &named);
    assert_eq!(green.code, Some(0), "{}", green.out);
    assert_eq!(green.out.matches("  Verified.").count(), events.len(), "{}", green.out);
    assert!(green.out.contains("is signed by Fjord Clinic"), "{}", green.out);

    // The proof holds the document as the custodian wrote it, byte for byte.
    let proof = json_file(&site.path("proof-0.json"));
    let sent = fs::read_to_string(&events[0]).unwrap();
    assert_eq!(proof["details"]["text"].as_str(), Some(sent.trim()));

    // Whose log? Nobody said.
    let amber = check(&proofs[..1], &["--rpc", &anvil.url()]);
    assert_eq!(amber.code, Some(3), "{amber:?}");
    assert!(amber.out.contains("  ! log ") && amber.out.contains("--trust"), "{}", amber.out);
    let unnamed = check(&numbered("receipt")[..1], &["--rpc", &anvil.url()]);
    assert_eq!(unnamed.code, Some(1), "{unnamed:?}");
    assert!(unnamed.out.contains("--trust"), "{}", unnamed.out);

    // Another chain knows nothing of it, and says which one it is.
    let other = Anvil::start().await;
    for files in [&proofs[..1], &numbered("receipt")[..1]] {
        let red = check(files, &["--rpc", &other.url(), "--trust", "trust.json"]);
        assert_eq!(red.code, Some(1), "{red:?}");
        for chain in [anvil.chain_id(), other.chain_id()] {
            assert!(red.out.contains(&chain.to_string()), "{}", red.out);
        }
    }
    let url = other.url();
    drop(other);
    let silent = check(&proofs[..1], &["--rpc", &url, "--trust", "trust.json"]);
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.err.contains(&url), "an endpoint that is down is named: {silent:?}");

    // The same as JSON, for programs.
    let json = check(&proofs[..2], &[&named[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&must(json)).unwrap();
    assert_eq!(json[1]["verdict"], "green");
    assert_eq!(json[1]["steps"].as_array().unwrap().len(), 8);

    // The log ends, its proofs do not.
    node.stop();
    assert_eq!(check(&proofs, &named).code, Some(0));
    let said = site.must_be_clean();
    let entries: u64 = said.split(' ').next().and_then(|count| count.parse().ok()).unwrap();
    assert!(entries > last && said.contains("Nothing is wrong"), "{said}");
}

#[tokio::test]
async fn a_proof_is_waited_for_and_never_made_up() {
    let anvil = Anvil::start().await;
    let mut site = Site::new(Settings::on(&anvil));
    site.settings.rpc = NO_CHAIN.to_owned();
    site.configure();
    let node = site.serve();
    let receipt = node.report(&Custodian::fjord().saw(&node.trust().await, 1, "e1")).await;
    let file = site.write("receipt.json", medtrail_ledger::proof::spell(&receipt));
    let asked = ["proof", file.to_str().unwrap(), "--url", &node.url, "--out", "proof.json"];
    let waited = Instant::now();
    let early = site.run([asked.as_slice(), &["--wait", "2"]].concat());
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("no anchor covers it yet"), "{early:?}");
    assert!(waited.elapsed() >= Duration::from_secs(2));
    assert!(!site.path("proof.json").exists());

    // Whoever does not know the place sees no entry at all.
    let stranger = Receipt { place_hash: B256::ZERO, ..receipt };
    site.write("receipt.json", medtrail_ledger::proof::spell(&stranger));
    let refused = site.run(asked);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("404") && refused.err.contains("Medtrail-Place"), "{refused:?}");
    node.stop();
}

#[test]
fn a_taken_port_of_the_log_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    let site = Site::new(Settings::without_a_chain());
    let refused = site.run(["serve", "--listen", &address.to_string()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(&address.to_string()), "{refused:?}");
}
