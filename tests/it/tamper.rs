//! Proofs that somebody has changed, and proofs of something else than the reader meant: none of
//! them is green, and each says where it stops being right.

mod files;
mod tiles;
mod whose;

use crate::site::{Custodian, Node, Site, ticking_chain};
use alloy::primitives::{Address, B256};
use journeys::anvil::Anvil;
use medtrail_chain::{At, Chain, Finality, Rpc};
use medtrail_ledger::proof::{AnchorClaim, Document, Evidence, Proof};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::{AnchorSeen, ChainFacts, Findings, Verdict, verify};
use serde_json::Value;
use std::path::PathBuf;

/// Proofs and receipts out of a real log on a real chain.
struct Evidences {
    anvil: Anvil,
    site: Site,
    node: Node,
    trust: TrustFile,
    chain: Truth,
    /// Signed alone, with its details; of the first anchor.
    alone: Proof,
    /// One of a signed batch; of the second anchor.
    together: Proof,
    receipt: Receipt,
}

/// What the chain answers to whatever a proof claims.
struct Truth {
    chain_id: u64,
    registry: Address,
    log: B256,
    note_key: B256,
    anchors: Vec<AnchorSeen>,
    finalized: u64,
}

impl Truth {
    fn answer(&self, claim: &AnchorClaim) -> ChainFacts {
        let registry_stands = claim.chain_id == self.chain_id && claim.registry == self.registry;
        let is_open = registry_stands && claim.log == self.log;
        let is_asked =
            |seen: &&AnchorSeen| (seen.anchor.number, seen.block) == (claim.number, claim.block);
        ChainFacts {
            chain_id: self.chain_id,
            registry_stands,
            is_open,
            note_key: if is_open { self.note_key } else { B256::ZERO },
            anchor: self.anchors.iter().find(is_asked).filter(|_| is_open).cloned(),
            extension_lives: None,
            finalized: self.finalized,
        }
    }
}

impl Evidences {
    async fn gather() -> Self {
        let anvil = ticking_chain().await;
        let site = Site::on(&anvil).await;
        let node = site.serve();
        let trust = node.trust().await;
        site.write("trust.json", node.trust_bytes().await);
        let fjord = Custodian::fjord();

        let bodies: Vec<_> =
            (0..5).map(|n| fjord.saw(&trust, n % 2, &format!("alone {n}"))).collect();
        let receipts = node.report_all(&bodies).await;
        let mut alone = Proof::parse(&node.proof(&receipts[3]).await).unwrap();
        let body: Value = serde_json::from_str(&bodies[3]).unwrap();
        alone.details = Some(Document::Text(body["details"].to_string()));

        let names: Vec<_> = (0..4).map(|n| format!("together {n}")).collect();
        let batch = node.post("application/json", fjord.saw_together(&trust, 1, &names)).await;
        let outcomes: Value = batch.unwrap().json().await.unwrap();
        let second = serde_json::from_value(outcomes["outcomes"][2]["receipt"].clone()).unwrap();
        let together = Proof::parse(&node.proof(&second).await).unwrap();
        assert!(matches!(&together.evidence, Evidence::Batch(batch) if batch.path.len() == 2));
        assert!(together.anchor.number > alone.anchor.number && !alone.path.is_empty());

        let rpc = Rpc::new(&[anvil.url()]).unwrap();
        let chain = Chain::new(rpc, anvil.chain_id(), trust.registry, Finality::Tag);
        let mut anchors = Vec::new();
        for claim in [&alone.anchor, &together.anchor] {
            let seen = chain.anchor(trust.log, claim.number, claim.block).await.unwrap();
            let (record, operator) = seen.unwrap();
            let (anchor, tx, block) = (record.anchor, record.tx, record.block.number);
            anchors.push(AnchorSeen { anchor, operator, tx, block });
        }
        let chain = Truth {
            chain_id: anvil.chain_id(),
            registry: trust.registry,
            log: trust.log,
            note_key: chain.log_info(trust.log, At::Latest).await.unwrap().note_key,
            anchors,
            finalized: chain.finalized().await.unwrap().block.number,
        };
        let receipt = receipts[3].clone();
        Self { anvil, site, node, trust, chain, alone, together, receipt }
    }

    fn check(&self, proof: &Proof) -> Findings {
        verify(proof, Some(&self.trust), &self.chain.answer(&proof.anchor))
    }

    /// What the binary makes of some files: the verdict of each, and its steps.
    fn check_files(&self, files: &[PathBuf]) -> Vec<Value> {
        let (files, url) = (files.iter().map(|file| file.to_str().unwrap()), self.anvil.url());
        let more = ["--json", "--rpc", &url, "--trust", "trust.json"];
        let said = self.site.run(["verify"].into_iter().chain(files).chain(more));
        assert!(said.err.is_empty(), "{said:?}");
        serde_json::from_str(&said.out).unwrap()
    }
}

/// The field that each byte of a proof belongs to: `anchor.size`, `path`, …
fn fields(bytes: &[u8]) -> Vec<String> {
    let mut fields = Vec::with_capacity(bytes.len());
    let (mut outer, mut inner) = (String::new(), String::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let indent = text.len() - text.trim_start().len();
        let name = text.trim_start().strip_prefix('"').and_then(|rest| rest.split_once("\":"));
        match (indent, name) {
            (2, Some((name, _))) => (outer, inner) = (name.to_owned(), String::new()),
            (4, Some((name, _))) => inner = format!(".{name}"),
            _ => {}
        }
        fields.extend(line.iter().map(|_| format!("{outer}{inner}")));
    }
    fields
}

/// The step that a wrong value of this field makes red, and what its words hold.
fn step_of(field: &str) -> (&'static str, &str) {
    match field.split_once('.').map_or(field, |(outer, _)| outer) {
        "index" | "place" | "path" => ("path", ""),
        _ if field == "report.log" || field == "anchor.log" => ("log", "report.log"),
        "report" | "evidence" => ("report", ""),
        "details" => ("details", "details"),
        "checkpoint" => ("checkpoint", "checkpoint"),
        // An anchor of another number or block is asked for by both.
        "anchor" => ("anchor", field),
        other => panic!("no step checks {other}"),
    }
}

/// Each of the eight bits of each byte, one at a time: 40,000 proofs and more.
fn flip_every_bit(evidences: &Evidences, honest: &Proof) {
    let bytes = honest.to_bytes();
    assert_eq!(evidences.check(honest).verdict(), Verdict::Green, "{:#?}", evidences.check(honest));
    let fields = fields(&bytes);
    let lines: Vec<usize> = bytes
        .iter()
        .scan(1, |line, byte| {
            let here = *line;
            *line += usize::from(*byte == b'\n');
            Some(here)
        })
        .collect();
    let (mut unreadable, mut red) = (0, 0);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let place = || format!("bit {bit} of byte {at}, line {}, {}", lines[at], fields[at]);
            let proof = match Proof::parse(&changed) {
                Ok(proof) => proof,
                Err(error) => {
                    unreadable += 1;
                    let words = error.to_string();
                    let said = words.split("line ").nth(1).map(|rest| {
                        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                        digits.unwrap().parse::<usize>().unwrap()
                    });
                    // Another bracket is noticed at what follows, a missing name where its object
                    // ends.
                    let is_there = [lines[at], lines[at] + 1].map(Some).contains(&said);
                    let is_missed = words.contains("missing field");
                    let is_named = is_there || is_missed || words.starts_with("version: ");
                    assert!(is_named, "{}: {words}", place());
                    continue;
                }
            };
            red += 1;
            let findings = evidences.check(&proof);
            assert_eq!(findings.verdict(), Verdict::Red, "{}: {findings:#?}", place());
            let (step, words) = step_of(&fields[at]);
            let reds = || findings.steps.iter().filter(|step| step.verdict == Verdict::Red);
            let is_it = |found: &&medtrail_ledger::verify::Step| {
                found.name == step && found.words.contains(words)
            };
            // Chain and registry are part of what was signed: the signature is wrong, too, and
            // stands above.
            let is_signed = ["anchor.chainId", "anchor.registry"].contains(&fields[at].as_str());
            let named = if is_signed { reds().find(is_it) } else { reds().next().filter(is_it) };
            assert!(named.is_some(), "{}: {findings:#?}", place());
        }
    }
    // The test has looked at both kinds.
    assert!(unreadable > bytes.len() && red > bytes.len(), "{unreadable} unreadable, {red} red");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_with_one_bit_changed_anywhere_is_never_green_and_says_where() {
    let evidences = Evidences::gather().await;
    flip_every_bit(&evidences, &evidences.alone);
    flip_every_bit(&evidences, &evidences.together);
    facts_that_differ(&evidences);
    claims_of_another_anchor(&evidences);
    through_the_binary(&evidences);
    let Evidences { node, site, .. } = evidences;
    node.stop();
    site.must_be_clean();
}

/// Some of it as a stranger does it, with the chain itself to answer.
fn through_the_binary(evidences: &Evidences) {
    let receipt = medtrail_ledger::proof::spell(&evidences.receipt);
    for (name, honest, verdict) in
        [("proof", evidences.alone.to_bytes(), "green"), ("receipt", receipt, "amber")]
    {
        let write = |name: String, bytes: &[u8]| evidences.site.write(&name, bytes);
        let mut files = vec![write(format!("{name}.json"), &honest)];
        for number in 0..40 {
            let mut changed = honest.clone();
            let at = number * (honest.len() - 1) / 39;
            changed[at] ^= 1;
            files.push(write(format!("{name}-{at}.json"), &changed));
        }
        let checked = evidences.check_files(&files);
        assert_eq!(checked.len(), files.len());
        assert_eq!(checked[0]["verdict"], verdict, "{:#}", checked[0]);
        for one in &checked[1..] {
            assert_eq!(one["verdict"], "red", "{one:#}");
        }
    }
}

/// An honest proof, and a chain that says otherwise.
fn facts_that_differ(evidences: &Evidences) {
    let proof = &evidences.alone;
    let honest = evidences.chain.answer(&proof.anchor);
    let check = |what: &str, step: &str, change: &dyn Fn(&mut ChainFacts)| {
        let mut facts = honest.clone();
        change(&mut facts);
        let findings = verify(proof, Some(&evidences.trust), &facts);
        assert_eq!(findings.verdict(), Verdict::Red, "{what}: {findings:#?}");
        let mut reds = findings.steps.iter().filter(|step| step.verdict == Verdict::Red);
        let first = reds.next().unwrap();
        assert_eq!(first.name, step, "{what}: {findings:#?}");
        assert!(first.words.contains(what), "{what}: {findings:#?}");
    };
    fn seen(facts: &mut ChainFacts) -> &mut AnchorSeen {
        facts.anchor.as_mut().unwrap()
    }
    check("anchor.chainId", "anchor", &|facts| facts.chain_id += 1);
    check("anchor.registry", "anchor", &|facts| facts.registry_stands = false);
    check("anchor.log", "anchor", &|facts| facts.is_open = false);
    check("anchor.number, anchor.block", "anchor", &|facts| facts.anchor = None);
    check("anchor.number", "anchor", &|facts| seen(facts).anchor.number += 1);
    check("anchor.size", "anchor", &|facts| seen(facts).anchor.size += 1);
    check("anchor.root", "anchor", &|facts| seen(facts).anchor.root.0[31] ^= 1);
    check("anchor.timeS", "anchor", &|facts| seen(facts).anchor.time_s += 1);
    check("anchor.tx", "anchor", &|facts| seen(facts).tx.0[0] ^= 1);
    check("anchor.block", "anchor", &|facts| seen(facts).block += 1);
    check("checkpoint", "checkpoint", &|facts| facts.note_key.0[0] ^= 1);
    check("operator", "checkpoint", &|facts| seen(facts).operator = Address::repeat_byte(1));

    // A block that is not final yet: nothing is wrong, but it is said.
    let facts = ChainFacts { finalized: proof.anchor.block - 1, ..honest };
    let findings = verify(proof, Some(&evidences.trust), &facts);
    assert_eq!(findings.verdict(), Verdict::Amber, "{findings:#?}");
    let amber: Vec<_> = findings.steps.iter().filter(|s| s.verdict == Verdict::Amber).collect();
    assert_eq!((amber.len(), amber[0].name), (1, "final"), "{findings:#?}");
}

/// A proof that borrows, field by field, from another true anchor of the same log.
fn claims_of_another_anchor(evidences: &Evidences) {
    type Borrow = fn(&mut AnchorClaim, &AnchorClaim);
    let borrowed: [(&str, Borrow); 6] = [
        ("anchor.size", |claim, other| claim.size = other.size),
        ("anchor.root", |claim, other| claim.root = other.root),
        ("anchor.timeS", |claim, other| claim.time_s = other.time_s),
        ("anchor.tx", |claim, other| claim.tx = other.tx),
        ("anchor.block", |claim, other| claim.block = other.block),
        ("anchor.number", |claim, other| claim.number = other.number),
    ];
    let other = &evidences.together.anchor;
    let mut files = Vec::new();
    for (field, borrow) in &borrowed {
        let mut proof = evidences.alone.clone();
        borrow(&mut proof.anchor, other);
        files.push(evidences.site.write(&format!("{field}.json"), proof.to_bytes()));
    }
    // The whole anchor: a true one, but this path does not lead there.
    let whole = Proof { anchor: other.clone(), ..evidences.alone.clone() };
    files.push(evidences.site.write("whole.json", whole.to_bytes()));
    let with_head = Proof { checkpoint: evidences.together.checkpoint.clone(), ..whole };
    files.push(evidences.site.write("with-head.json", with_head.to_bytes()));

    let checked = evidences.check_files(&files);
    let first_red = |one: &Value| {
        assert_eq!(one["verdict"], "red", "{one:#}");
        let steps = one["steps"].as_array().unwrap();
        let red = steps.iter().find(|step| step["verdict"] == "red").unwrap();
        (red["name"].as_str().unwrap().to_owned(), red["words"].as_str().unwrap().to_owned())
    };
    for ((field, _), one) in borrowed.iter().zip(&checked) {
        let (name, words) = first_red(one);
        assert_eq!(name, "anchor", "{one:#}");
        assert!(words.contains(field), "{field}: {words}");
    }
    for one in &checked[borrowed.len()..] {
        assert_eq!(first_red(one).0, "path", "{one:#}");
    }
}
