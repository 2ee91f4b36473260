//! The steps that need no chain, on the files that every version must open.

use super::*;
use medtrail_ledger::proof::Document;
use medtrail_market::cohort::manifest::CohortManifest;
use std::fs;

const PROOF: &[u8] = include_bytes!("../../../../../../tests/data/formats/proof-v1.json");

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/delivery")
}

/// What the buyer of the fixture holds, and what the chain would say.
fn given(name: &str) -> (Given, Settled) {
    let path = |ending: &str| fixtures().join(format!("cohort-v1-{name}{ending}"));
    let manifest = CohortManifest::parse(&fs::read(path(".manifest.json")).unwrap()).unwrap();
    let entries: Vec<Value> =
        serde_json::from_slice(&fs::read(path(".entries.json")).unwrap()).unwrap();
    let (mut proofs, mut details) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        let mut proof = Proof::parse(PROOF).unwrap();
        let bytes = entry["details"].as_str().unwrap().as_bytes();
        proof.index = index as u64;
        proof.report = serde_json::from_value(entry["report"].clone()).unwrap();
        proof.details = Some(Document::of(bytes));
        proofs.push(proof);
        details.push(bytes.to_vec());
    }
    let settled = Settled {
        key: LockKey::new([1; 32]),
        file: proofs[0].report.toVersion,
        paid: manifest.consents.iter().map(|consent| (consent.place, consent.seller)).collect(),
    };
    let given = Given {
        file: path(".age"),
        dataset: Dataset::parse(manifest.dataset.as_bytes()).unwrap(),
        cohort: manifest.cohort,
        market: manifest.market,
        trust: None,
        rpc: Rpc::new(&["http://127.0.0.1:1"]).unwrap(),
        proofs,
        details,
        buyers: vec![BuyerKey::parse(&LockKey::new([0x42; 32]).text()).unwrap()],
    };
    (given, settled)
}

fn steps(given: &Given, settled: Option<&Settled>) -> (Vec<Step>, Option<Checked>) {
    let mut steps = Vec::new();
    let opened = contents::steps(given, settled, &mut steps);
    (steps, opened)
}

/// The steps that are not green.
fn complaints(given: &Given, settled: Option<&Settled>) -> Vec<(&'static str, Verdict)> {
    let (steps, _) = steps(given, settled);
    let complains = steps.iter().filter(|step| step.verdict != Verdict::Green);
    complains.map(|step| (step.name, step.verdict)).collect()
}

#[test]
fn what_was_called_for_and_agreed_to_is_green_to_the_end() {
    for name in ["as-it-is", "de-identified"] {
        let (given, settled) = given(name);
        let (steps, opened) = steps(&given, Some(&settled));
        let told: Vec<_> = steps.iter().map(|step| step.name).collect();
        let expected =
            ["deliveries", "file", "key", "opened", "consents", "records", "removed", "form"];
        assert_eq!(told, expected);
        assert_eq!(complaints(&given, Some(&settled)), [], "{name}: {steps:?}");
        assert!(opened.is_some());
        assert_eq!(call(&given).verdict, Verdict::Green);
    }
}

#[test]
fn without_key_or_identity_it_says_what_can_be_said() {
    let (mut given, settled) = given("as-it-is");
    assert_eq!(complaints(&given, None), [("key", Verdict::Amber)]);
    given.buyers.clear();
    assert_eq!(complaints(&given, Some(&settled)), [("opened", Verdict::Amber)]);
    given.buyers = vec![BuyerKey::parse(&LockKey::new([0x43; 32]).text()).unwrap()];
    assert_eq!(complaints(&given, Some(&settled)), [("opened", Verdict::Red)]);
}

#[test]
fn another_file_key_or_settlement_is_never_opened() {
    let red = |given: &Given, settled: &Settled| {
        let (steps, opened) = steps(given, Some(settled));
        assert!(opened.is_none(), "{steps:?}");
        steps.into_iter().find(|step| step.verdict == Verdict::Red).map(|step| step.name)
    };
    let (mut changed, settled) = given("as-it-is");
    let home = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(&changed.file).unwrap();
    bytes[5_000] ^= 1;
    changed.file = home.path().join("delivery.age");
    fs::write(&changed.file, bytes).unwrap();
    assert_eq!(red(&changed, &settled), Some("file"));

    let (given, settled) = given("as-it-is");
    // The log made it anew after this one was downloaded.
    let anew = Settled { file: B256::repeat_byte(9), ..settled };
    assert_eq!(red(&given, &anew), Some("file"));
    let key = Settled { key: LockKey::new([2; 32]), file: given.named(), ..anew };
    assert_eq!(red(&given, &key), Some("key"));
}

#[test]
fn an_entry_too_few_or_too_many_is_red_and_who_was_paid_must_be_in_it() {
    let (mut fewer, settled) = given("de-identified");
    fewer.proofs.pop();
    fewer.details.pop();
    assert_eq!(complaints(&fewer, Some(&settled)), [("opened", Verdict::Red)]);
    fewer.proofs.push(fewer.proofs[0].clone());
    fewer.details.push(fewer.details[0].clone());
    assert_eq!(complaints(&fewer, Some(&settled)), [("deliveries", Verdict::Red)]);

    let (given, mut settled) = given("de-identified");
    settled.paid.push((8, Address::repeat_byte(0xbb)));
    assert_eq!(complaints(&given, Some(&settled)), [("opened", Verdict::Red)]);
}

#[test]
fn who_is_in_the_file_and_not_paid_is_named() {
    let (given, mut settled) = given("as-it-is");
    let (place, _) = settled.paid.remove(0);
    let (steps, opened) = steps(&given, Some(&settled));
    let consents = steps.iter().find(|step| step.name == "consents").unwrap();
    assert_eq!(consents.verdict, Verdict::Amber);
    assert!(consents.words.ends_with(&format!("places {place}.")), "{}", consents.words);
    let checked = CheckedCall { findings: Findings { steps }, settled: Some(settled), opened };
    assert_eq!(checked.report(&given)["unpaidPlaces"], json!([place]));
    let consents = checked.consents(&given).unwrap();
    let kept = consents["consents"].as_array().unwrap();
    assert_eq!(kept.len(), given.proofs.len());
    for consent in kept {
        let is_paid = consent["place"] != json!(place);
        assert_eq!(consent["isPaid"], json!(is_paid));
        assert!(consent["deliveryEntry"].is_u64(), "{consent}");
    }
}

#[test]
fn a_folder_has_all_the_files_or_does_not_exist() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("data");
    let (given, settled) = given("de-identified");
    let (steps, opened) = steps(&given, Some(&settled));
    let mut checked = CheckedCall { findings: Findings { steps }, settled: Some(settled), opened };
    let files = checked.open_into(&given, &out);
    let files = files.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), files + 1, "the manifest, and its files");

    let nothing = home.path().join("nothing");
    checked.findings.steps.push(step("call", Verdict::Red, String::new()));
    assert!(checked.open_into(&given, &nothing).is_err());
    checked.findings.steps.pop();
    checked.settled = None;
    assert!(checked.open_into(&given, &nothing).is_err());
    assert!(!nothing.exists());
}

#[test]
fn a_call_of_another_log_or_with_other_words_is_red() {
    let (mut given, _) = given("as-it-is");
    given.cohort.terms.statement.push('!');
    assert_eq!(call(&given).verdict, Verdict::Red);
}
