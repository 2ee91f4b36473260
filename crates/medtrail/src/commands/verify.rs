//! `medtrail verify`: a stranger's check. Needs the file, an RPC URL, and nothing of ours.

use crate::exit::{AMBER, FAILED, Failure, OK, Outcome};
use crate::render;
use alloy_primitives::{Address, B256};
use medtrail_chain::{At, Chain, Finality, Rpc};
use medtrail_ledger::proof::{PROOF_BYTES_MAX, Proof, require_spelling, spell};
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::trust::{LogKeys, TrustFile};
use medtrail_ledger::verify::{AnchorSeen, ChainFacts, Findings, Step, Verdict, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks proofs and receipts against the chain, and says each step with its numbers.
///
/// Exit code 0: all green. 3: nothing wrong, but something is missing (a log you have not named, a
/// block that is not final). 1: something is wrong, or a file cannot be read.
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
            Err(Failed::Chain(failure)) => return Err(failure),
        };
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
    Ok(ExitCode::from(match worst {
        Verdict::Green => OK,
        Verdict::Amber => AMBER,
        Verdict::Red => FAILED,
    }))
}

/// Reads a trust file, or says what is wrong with it.
pub(crate) fn read_trust(path: &Path) -> Result<TrustFile, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    TrustFile::parse(&bytes).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
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
    let bytes = std::fs::read(file).map_err(|error| Failed::File(error.to_string()))?;
    check_bytes(&bytes, trust, rpc).await
}

async fn check_bytes(
    bytes: &[u8],
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<Findings, Failed> {
    if bytes.len() > PROOF_BYTES_MAX {
        return Err(Failed::File(format!("has {} bytes; proofs have fewer", bytes.len())));
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
        facts.extension_lives = Some(lives);
    }
    Ok(facts)
}

/// Whether the registry's rules are known: its address commits to our code (CREATE2, EIP-1014),
/// or the verifier's own trust file names it.
async fn registry_stands(
    registry: Address,
    trust: Option<&TrustFile>,
    rpc: &Rpc,
) -> Result<bool, Failed> {
    let is_known = registry == medtrail_chain::registry_address()
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
    let mut steps = vec![step(
        "log",
        Verdict::Green,
        format!(
            "Log {} is that of {} ({}).",
            trust.log, trust.operator.name, trust.operator.domain
        ),
    )];
    let keys = operators(trust)?;
    if keys.iter().any(|keys| B256::from(*keys.note_key.as_bytes()) != info.note_key) {
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
            steps.push(step(
                "receipt",
                Verdict::Green,
                format!(
                    "{} hashes lead from entry {} to a head of {size} entries that the log and \
                     operator {} signed at {time_ms} ms.",
                    receipt.path.len(),
                    receipt.index,
                    operator
                ),
            ));
            let anchored = head.size > receipt.index;
            let words = match anchored {
                true => format!(
                    "The log is anchored up to {} entries: ask the log for the proof of entry {}.",
                    head.size, receipt.index
                ),
                false => format!(
                    "Not anchored yet ({} entries are). The log promises an anchor within {} s.",
                    head.size, info.anchor_within_s
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
