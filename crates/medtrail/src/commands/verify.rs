//! `medtrail verify`: a stranger's check. Needs the file, an RPC URL, and nothing of ours.

use crate::exit::{Failure, Outcome, exit_code};
use crate::render;
use alloy_primitives::{Address, B256};
use medtrail_chain::{At, Chain, Finality, Rpc, RpcError};
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::proof::{AnchorClaim, PROOF_BYTES_MAX, Proof, require_spelling, spell};
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::trust::{LogKeys, TrustFile};
use medtrail_ledger::verify::{AnchorSeen, ChainFacts, Findings, Step, Verdict, verify};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Anchors the registry's ring holds.
const RING: u64 = 64;

/// Checks proofs and receipts against the chain, and says each step with its numbers.
///
/// Exit code 0: all green. 3: nothing wrong, but something is missing (a log you have not named, a
/// block that is not final). 1: something is wrong, or a file cannot be read. A receipt names no log:
/// without --trust there is nothing to check it against, and it ends with 1.
///
/// The chain is what the endpoint says it is. An endpoint that lies can show any checkpoint that
/// the log has signed as anchored and final, at any time; with a trust file it cannot show one
/// that the log has not signed. Use a node of your own, or ask two.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Proof or receipt files (medtrail/proof-v1, medtrail/receipt-v1)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// Whose log you mean: the operator's /.well-known/medtrail.json, as you have it
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let rpc = Rpc::new(&[&args.rpc])?;
    let mut worst = Verdict::Green;
    let mut printed = Vec::new();
    for file in &args.files {
        let findings = match check_file(file, trust.as_ref(), &rpc).await {
            Ok(findings) => findings,
            Err(Failed::File(words)) => {
                Findings { steps: vec![Step { name: "file", verdict: Verdict::Red, words }] }
            }
            Err(Failed::Chain(failure)) => {
                return Err(Failure::new(format!("{}: {failure}", args.rpc)));
            }
        };
        let findings = printable(findings);
        worst = worst.max(findings.verdict());
        match args.json {
            true => printed.push(serde_json::json!({
                "file": file, "verdict": findings.verdict(), "steps": findings.steps,
            })),
            false => render::findings(&file.display().to_string(), &findings),
        }
    }
    if args.json {
        println!("{:#}", serde_json::Value::Array(printed));
    }
    Ok(exit_code(worst))
}

/// Reads a trust file, or says what is wrong with it.
pub(crate) fn read_trust(path: &Path) -> Result<TrustFile, Failure> {
    let bytes = read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    TrustFile::parse(&bytes).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// Reads no more than shows that it is too much: the name may be that of a device without end.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(PROOF_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Words of a file stand in findings, and whoever made it may be the enemy.
pub(super) fn printable(mut findings: Findings) -> Findings {
    for step in &mut findings.steps {
        step.words = render::harmless(&step.words);
    }
    findings
}

enum Failed {
    /// The file is no proof: that is a finding.
    File(String),
    /// The chain cannot be read: nothing was checked.
    Chain(Failure),
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Chain(error.into())
    }
}

async fn check_file(file: &Path, trust: Option<&TrustFile>, rpc: &Rpc) -> Result<Findings, Failed> {
    let bytes = read(file).map_err(|error| Failed::File(error.to_string()))?;
    check_bytes(&bytes, trust, rpc).await
}

async fn check_bytes(
    bytes: &[u8],
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<Findings, Failed> {
    if bytes.starts_with(b"age-encryption.org/") {
        let words = "A sealed delivery, no proof: medtrail delivery check FILE --proof PROOF \
                     --order ORDER --rpc URL";
        return Err(Failed::File(words.to_owned()));
    }
    if bytes.len() > PROOF_BYTES_MAX {
        return Err(Failed::File(format!("more than {PROOF_BYTES_MAX} bytes; proofs have fewer")));
    }
    if is_receipt(bytes) {
        return check_receipt(bytes, trust, rpc).await;
    }
    let proof = Proof::parse(bytes).map_err(|error| Failed::File(error.to_string()))?;
    let facts = chain_facts(&proof, trust, rpc).await?;
    Ok(verify(&proof, trust, &facts))
}

/// Checks a proof against the chain; for `demo`, which shows what a stranger would see.
pub(crate) async fn check_proof(
    bytes: &[u8],
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<Findings, Failure> {
    check_bytes(bytes, trust, rpc).await.map_err(|failed| match failed {
        Failed::File(words) => Failure::new(words),
        Failed::Chain(failure) => failure,
    })
}

fn is_receipt(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: String,
    }
    serde_json::from_slice::<Versioned>(bytes).is_ok_and(|file| file.version == receipt::VERSION)
}

/// Checks many proofs. What the chain says of an anchor it is asked once.
pub(super) struct Checker<'a> {
    trust: Option<&'a TrustFile>,
    rpc: &'a Rpc,
    asked: Vec<(AnchorClaim, Option<Anchor>, ChainFacts)>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(trust: Option<&'a TrustFile>, rpc: &'a Rpc) -> Self {
        Self { trust, rpc, asked: Vec::new() }
    }

    /// The same findings as of this proof alone.
    pub(super) async fn check(&mut self, proof: &Proof) -> Result<Findings, Failure> {
        let later = proof.extension.as_ref().map(|extension| extension.anchor);
        let is_same = |(claim, anchor, _): &&(AnchorClaim, Option<Anchor>, ChainFacts)| {
            *claim == proof.anchor && *anchor == later
        };
        if let Some((_, _, facts)) = self.asked.iter().find(is_same) {
            return Ok(verify(proof, self.trust, facts));
        }
        let facts = match chain_facts(proof, self.trust, self.rpc).await {
            Ok(facts) => facts,
            Err(Failed::File(words)) => return Err(Failure::new(words)),
            Err(Failed::Chain(failure)) => return Err(failure),
        };
        let findings = verify(proof, self.trust, &facts);
        self.asked.push((proof.anchor.clone(), later, facts));
        Ok(findings)
    }
}

/// Asks the chain what the proof's log and anchor are. The proof only says where to ask.
async fn chain_facts(
    proof: &Proof,
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<ChainFacts, Failed> {
    let claim = &proof.anchor;
    let chain_id = rpc.chain_id().await?;
    let mut facts = ChainFacts {
        chain_id,
        registry_stands: false,
        is_open: false,
        note_key: B256::ZERO,
        anchor: None,
        extension_lives: None,
        finalized: 0,
    };
    if chain_id != claim.chain_id {
        return Ok(facts);
    }
    facts.registry_stands = registry_stands(claim.registry, trust, rpc).await?;
    if !facts.registry_stands {
        return Ok(facts);
    }
    let chain = Chain::new(rpc.clone(), chain_id, claim.registry, Finality::Tag);
    facts.finalized = chain.finalized().await?.block.number;
    // A closed log has no operator any more, but its cold key stays, and so do its proofs.
    let info = chain.log_info(claim.log, At::Latest).await?;
    facts.is_open = !info.cold_key.is_zero();
    if !facts.is_open {
        return Ok(facts);
    }
    facts.note_key = info.note_key;
    // The block says only where to look for the event: in a wrong one there is none.
    let seen = chain.anchor(claim.log, claim.number, claim.block).await?;
    facts.anchor = seen.map(|(record, operator)| AnchorSeen {
        anchor: record.anchor,
        operator,
        tx: record.tx,
        block: record.block.number,
    });
    if let Some(extension) = &proof.extension {
        let lives = chain.living(claim.log, &extension.anchor, At::Latest).await?;
        // Read after it: an anchor that left the ring in between is counted as gone.
        let count = chain.log_head(claim.log, At::Latest).await?.count;
        facts.extension_lives = said_by_ring(lives, extension.anchor.number, count);
    }
    Ok(facts)
}

/// What the ring says of an anchor with this number, after `count` of them: nothing, once the
/// anchor of that number has left it.
fn said_by_ring(lives: bool, number: u64, count: u64) -> Option<bool> {
    let has_left = number > 0 && number.checked_add(RING).is_some_and(|end| end <= count);
    (lives || !has_left).then_some(lives)
}

/// Whether the registry's rules are known: its address commits to our code (CREATE2, EIP-1014),
/// or the verifier's own trust file names it.
pub(crate) async fn registry_stands(
    registry: Address,
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<bool, RpcError> {
    let is_known = registry == medtrail_chain::Contract::AnchorRegistry.address()
        || trust.is_some_and(|trust| trust.registry == registry);
    Ok(is_known && rpc.has_code(registry).await?)
}

/// A receipt shows no anchor yet: it is the log's signed promise.
async fn check_receipt(
    bytes: &[u8],
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<Findings, Failed> {
    let receipt: Receipt =
        serde_json::from_slice(bytes).map_err(|error| Failed::File(error.to_string()))?;
    require_spelling(bytes, &spell(&receipt)).map_err(|error| Failed::File(error.to_string()))?;
    let step = |name, verdict, words: String| Step { name, verdict, words };
    let Some(trust) = trust else {
        let words = "A receipt names no log that the chain could be asked for. Give --trust FILE \
                     to say whose log you mean."
            .to_owned();
        return Ok(Findings { steps: vec![step("log", Verdict::Red, words)] });
    };
    let chain_id = rpc.chain_id().await?;
    if chain_id != trust.chain_id {
        let words =
            format!("Your trust file names chain {}, the endpoint is {chain_id}.", trust.chain_id);
        return Ok(Findings { steps: vec![step("log", Verdict::Red, words)] });
    }
    let chain = Chain::new(rpc.clone(), chain_id, trust.registry, Finality::Tag);
    let head = chain.log_head(trust.log, At::Latest).await?;
    let info = chain.log_info(trust.log, At::Latest).await?;
    let registered = Registered {
        // A closed log has no operator any more, but its cold key stays.
        is_open: !info.cold_key.is_zero(),
        note_key: info.note_key,
        anchored: head.size,
        anchor_within_s: info.anchor_within_s,
    };
    judge_receipt(&receipt, trust, &registered)
}

/// What the registry says of the log that a trust file names.
struct Registered {
    /// Whether it was ever opened.
    is_open: bool,
    note_key: B256,
    /// Entries that are anchored.
    anchored: u64,
    /// Its promise, in seconds.
    anchor_within_s: u32,
}

fn judge_receipt(
    receipt: &Receipt,
    trust: &TrustFile,
    registered: &Registered,
) -> Result<Findings, Failed> {
    let step = |name, verdict, words: String| Step { name, verdict, words };
    let mut steps = vec![step(
        "log",
        Verdict::Green,
        format!(
            "Log {} is that of {} ({}).",
            trust.log, trust.operator.name, trust.operator.domain
        ),
    )];
    let keys = operators(trust)?;
    let differs = |keys: &LogKeys| B256::from(*keys.note_key.as_bytes()) != registered.note_key;
    if registered.is_open && keys.iter().any(differs) {
        let words = "The note key in your trust file is not the one the registry has.".into();
        steps.push(step("keys", Verdict::Red, words));
        return Ok(Findings { steps });
    }
    // Keys follow one another: the newest that signed it counts, or the newest one's complaint.
    let checked = keys.iter().map(|keys| (keys.operator, receipt.verify(keys)));
    let signed = checked.reduce(|best, next| if best.1.is_ok() { best } else { next });
    let Some((operator, checked)) = signed else {
        let words = "Your trust file names no key of the operator.".into();
        steps.push(step("keys", Verdict::Red, words));
        return Ok(Findings { steps });
    };
    match checked {
        Err(error) => steps.push(step("receipt", Verdict::Red, error.to_string())),
        Ok((signed, time_ms)) => {
            let size = signed.checkpoint.size;
            let words = format!(
                "{} hashes lead from entry {} to a head of {size} entries that the log and \
                 operator {operator} signed at {time_ms} ms.",
                receipt.path.len(),
                receipt.index,
            );
            steps.push(match trust.operator_speaks(operator, time_ms) {
                true => step("receipt", Verdict::Green, words),
                false => {
                    let words = format!("{words} By your trust file it did not speak then.");
                    step("receipt", Verdict::Amber, words)
                }
            });
            let words = match registered {
                Registered { is_open: false, .. } => {
                    "The registry does not know this log yet: no anchor is promised there.".into()
                }
                Registered { anchored, .. } if *anchored > receipt.index => format!(
                    "The log is anchored up to {anchored} entries: ask the log for the proof of \
                     entry {}.",
                    receipt.index
                ),
                Registered { anchored, anchor_within_s, .. } => format!(
                    "Not anchored yet ({anchored} entries are). The log promises an anchor within \
                     {anchor_within_s} s."
                ),
            };
            steps.push(step("anchor", Verdict::Amber, words));
        }
    }
    Ok(Findings { steps })
}

/// The operator's keys of a trust file, newest first.
fn operators(trust: &TrustFile) -> Result<Vec<LogKeys>, Failed> {
    let keys = trust.operator.keys.iter().rev().map(|key| trust.log_keys(key.address));
    Ok(keys.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIPT: &[u8] = include_bytes!("../../../../tests/data/formats/receipt-v1.json");
    const TRUST: &[u8] = include_bytes!("../../../../tests/data/formats/trust-v1.json");

    fn verdicts(trust: &TrustFile, registered: &Registered) -> Vec<(&'static str, Verdict)> {
        let receipt = serde_json::from_slice(RECEIPT).unwrap();
        let Ok(findings) = judge_receipt(&receipt, trust, registered) else { panic!("no finding") };
        findings.steps.iter().map(|step| (step.name, step.verdict)).collect()
    }

    fn registered(trust: &TrustFile) -> Registered {
        let keys = operators(trust).ok().unwrap();
        let note_key = B256::from(*keys[0].note_key.as_bytes());
        Registered { is_open: true, note_key, anchored: 0, anchor_within_s: 3600 }
    }

    #[test]
    fn a_receipt_is_a_promise_and_never_green() {
        use Verdict::{Amber, Green};
        let trust = TrustFile::parse(TRUST).unwrap();
        let promised = vec![("log", Green), ("receipt", Green), ("anchor", Amber)];
        for anchored in [0, 4, 5, u64::MAX] {
            let registered = Registered { anchored, ..registered(&trust) };
            assert_eq!(verdicts(&trust, &registered), promised);
        }
    }

    #[test]
    fn a_receipt_of_a_log_that_the_registry_does_not_know_yet_is_not_wrong() {
        use Verdict::{Amber, Green};
        let trust = TrustFile::parse(TRUST).unwrap();
        let unknown =
            Registered { is_open: false, note_key: B256::ZERO, anchored: 0, anchor_within_s: 0 };
        let promised = vec![("log", Green), ("receipt", Green), ("anchor", Amber)];
        assert_eq!(verdicts(&trust, &unknown), promised);
        let another = Registered { note_key: B256::ZERO, ..registered(&trust) };
        assert_eq!(verdicts(&trust, &another), [("log", Green), ("keys", Verdict::Red)]);
    }

    #[test]
    fn a_receipt_by_a_key_that_had_retired_is_said_to_be_so() {
        use Verdict::{Amber, Green};
        let mut trust = TrustFile::parse(TRUST).unwrap();
        trust.operator.keys[0].until_ms = Some(2);
        let told = vec![("log", Green), ("receipt", Amber), ("anchor", Amber)];
        assert_eq!(verdicts(&trust, &registered(&trust)), told);
    }

    #[test]
    fn the_ring_says_nothing_of_an_anchor_that_has_left_it() {
        for (lives, number, count, said) in [
            (true, 70, 70, Some(true)),
            (false, 70, 70, Some(false)),
            (false, 7, 70, Some(false)),
            (false, 6, 70, None),
            (false, 71, 70, Some(false)),
            (false, 0, 70, Some(false)),
            (false, u64::MAX, 70, Some(false)),
        ] {
            assert_eq!(said_by_ring(lives, number, count), said, "{number} of {count}");
        }
    }

    #[test]
    fn no_word_of_a_file_moves_the_cursor_or_turns_the_line() {
        let error = Proof::parse(br#"{"\u001b[2J\u001b[32mVerified.\r\u202e": 1}"#).unwrap_err();
        let step = Step { name: "file", verdict: Verdict::Red, words: error.to_string() };
        assert!(step.words.contains('\u{1b}'), "the message quotes the file");
        let shown = printable(Findings { steps: vec![step] });
        let words = &shown.steps[0].words;
        assert!(words.contains("Verified."), "{words}");
        assert!(!words.contains(['\u{1b}', '\r', '\u{202e}']), "{words:?}");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        assert_eq!(read(Path::new("/dev/zero")).unwrap().len(), PROOF_BYTES_MAX + 1);
    }
}
