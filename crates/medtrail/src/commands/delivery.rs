//! `medtrail delivery`: whether a file is what was ordered and paid. Needs the file, its proof, the
//! order, and nothing of ours.

pub(super) mod call;
mod contents;
mod described;
pub(super) mod input;
pub(super) mod money;

use super::PassphraseArgs;
use crate::exit::{Failure, Outcome, exit_code};
use crate::render;
pub(super) use contents::open;
use input::Given;
use medtrail_chain::{Chain, Finality, Rpc};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::{Evidence, Proof};
use medtrail_ledger::verify::{Findings, Step, Verdict};
use medtrail_market::seal::LockKey;
use std::path::{Path, PathBuf};

/// Checks what was delivered.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Checks a delivery against its entry in the log, its order and the money, and says each step
    /// with its numbers
    ///
    /// Before the seller is paid there is no key, and it says what can be said without: that the
    /// file is the one that was logged for this order. With the key and your identity it opens the
    /// file in memory; nothing is written.
    ///
    /// Exit code 0: all green. 3: nothing wrong, but something is missing (the chain was not asked,
    /// a block that is not final, a seal that was not opened). 1: something is wrong, a file cannot
    /// be read, or the chain could not be asked.
    Check {
        #[command(flatten)]
        inputs: Inputs,
        /// Your key: the file that `medtrail keys buyer` or `age-keygen` made
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Checks the file of a call to many: the entry of each seller, what each signed, who was paid, and
    /// what is in it
    ///
    /// Exit codes are those of `delivery check`. Nothing is written.
    CheckCall {
        #[command(flatten)]
        inputs: call::Inputs,
    },
}

/// What a delivery is checked by.
#[derive(clap::Args)]
pub(crate) struct Inputs {
    /// The delivery as it was downloaded
    file: PathBuf,
    /// The proof of its entry (medtrail/proof-v1)
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
    /// The order that was paid (JSON)
    #[arg(long, value_name = "FILE")]
    order: PathBuf,
    /// The description of the dataset that was sold (medtrail/dataset-v1): whether form and origin
    /// are as sold
    #[arg(long, value_name = "FILE")]
    dataset: Option<PathBuf>,
    /// A JSON-RPC endpoint of the chain, of your own choice; without it nothing is asked
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    /// Whose log you mean: the operator's /.well-known/medtrail.json, as you have it
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The chain's id, where neither --rpc nor --trust says it
    #[arg(long, value_name = "NUMBER")]
    chain_id: Option<u64>,
    /// The market contract, if the order was for another than this program's
    #[arg(long, value_name = "ADDRESS")]
    market: Option<alloy_primitives::Address>,
    /// The key that the market showed when the seller was paid; with --rpc it is read there
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Inputs {
    /// Those of a purchase's folder.
    pub(super) fn of_purchase(
        folder: &Path,
        rpc: String,
        trust: PathBuf,
        passphrase: PassphraseArgs,
    ) -> Self {
        Self {
            file: folder.join("delivery.age"),
            proof: folder.join("proof.json"),
            order: folder.join("order.json"),
            dataset: Some(folder.join("dataset.json")),
            rpc: Some(rpc),
            trust: Some(trust),
            chain_id: None,
            market: None,
            key: None,
            passphrase,
        }
    }
}

pub(crate) async fn run(command: Command) -> Outcome {
    let (inputs, identity, json) = match command {
        Command::Check { inputs, identity, json } => (inputs, identity, json),
        Command::CheckCall { inputs } => return call::run(inputs).await,
    };
    let (given, rpc) = Given::read(&inputs, identity.as_deref()).await?;
    let checked = check(&given, rpc.as_ref()).await?;
    let (name, verdict) = (given.path.display().to_string(), checked.findings.verdict());
    match json {
        true => println!(
            "{:#}",
            serde_json::json!([{
                "file": name, "order": given.id(), "verdict": verdict,
                "steps": checked.findings.steps,
            }])
        ),
        false => render::findings(&name, &checked.findings),
    }
    Ok(exit_code(verdict))
}

/// A check, and the key that it found or was given.
pub(super) struct Checked {
    pub(super) findings: Findings,
    pub(super) key: Option<LockKey>,
}

/// Takes every step that the inputs allow. Only a chain that cannot be read is a failure.
pub(super) async fn check(given: &Given, rpc: Option<&Rpc>) -> Result<Checked, Failure> {
    let mut steps = Vec::new();
    let mut key = given.key.clone();
    match rpc {
        Some(rpc) => {
            steps.extend(entry(given, rpc).await?);
            let chain = Chain::new(
                rpc.clone(),
                given.market.chain_id,
                given.proof.anchor.registry,
                Finality::Tag,
            );
            let shown = money::steps(given, rpc, &chain, &mut steps).await?;
            key = key.or(shown);
        }
        None => {
            let words = "The chain was not asked: whether this entry stands in an anchored log, \
                         and where the money is, nobody has checked. Give --rpc URL.";
            steps.push(step("chain", Verdict::Amber, words.to_owned()));
        }
    }
    contents::steps(given, key.as_ref(), &mut steps);
    Ok(Checked { findings: super::verify::printable(Findings { steps }), key })
}

/// The entry, as `medtrail verify` checks any.
async fn entry(given: &Given, rpc: &Rpc) -> Result<Vec<Step>, Failure> {
    let findings = super::verify::check_proof(&given.proof_bytes, given.trust.as_ref(), rpc).await;
    let mut steps = findings?.steps;
    own_entry(&given.proof, &mut steps);
    Ok(steps)
}

/// The operator delivers: of its own acts its own word is what there is to have.
fn own_entry(proof: &Proof, steps: &mut [Step]) {
    let report = &proof.report;
    let is_own =
        proof.evidence == Evidence::Relayed && Kind::from_number(report.kind) == Kind::Delivery;
    for step in steps.iter_mut().filter(|step| step.name == "report") {
        if is_own && step.verdict == Verdict::Amber {
            step.verdict = Verdict::Green;
            step.words = format!("This delivery is operator {}'s own entry.", report.actor);
        }
    }
}

pub(super) fn step(name: &'static str, verdict: Verdict, words: String) -> Step {
    Step { name, verdict, words }
}
