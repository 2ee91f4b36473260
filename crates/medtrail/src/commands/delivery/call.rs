//! Whether the file of a call to many is what was called for, what each of its people agreed to, and
//! who of them was paid. Needs the call's folder, the chain, and nothing of ours.

mod chain;
mod contents;
mod entries;
#[cfg(test)]
mod tests;

use super::{input, step};
use crate::clock::now_ms;
use crate::commands::PassphraseArgs;
use crate::commands::buy::fetch::DELIVERY;
use crate::commands::call::folder::{CALL, DATASET, PROOFS};
use crate::commands::call::proofs;
use crate::commands::calls::read_call;
use crate::commands::decrypt::folder::NewFolder;
use crate::exit::{Failure, Outcome, exit_code};
use crate::render;
use alloy_primitives::{Address, B256};
use medtrail_chain::{Contract, Rpc};
use medtrail_ledger::entry::address_of;
use medtrail_ledger::proof::Proof;
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::{Findings, Step, Verdict};
use medtrail_market::cohort::verify::{self, Called, Checked, CohortFault, Entered};
use medtrail_market::seal::{BuyerKey, LockKey};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::cohort::CohortMarket;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Which call's folder, and by what it is checked.
#[derive(clap::Args)]
pub(crate) struct Inputs {
    /// The call's folder, as `medtrail call` made it: call.json, dataset.json, delivery.age,
    /// proofs.json
    folder: PathBuf,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// Whose log you mean: the operator's /.well-known/medtrail.json, as you have it
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The buyer's key: the file that `medtrail keys buyer` or `age-keygen` made
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) async fn run(inputs: Inputs) -> Outcome {
    let trust = inputs.trust.as_deref().map(crate::commands::verify::read_trust).transpose()?;
    let buyers = match &inputs.identity {
        Some(path) => input::read_identity(path, &inputs.passphrase)?,
        None => Vec::new(),
    };
    let rpc = Rpc::new(&[&inputs.rpc])?;
    let given = Given::read(&inputs.folder, rpc, trust, buyers).await?;
    let checked = check(&given).await?;
    let verdict = checked.findings.verdict();
    match inputs.json {
        true => println!("{:#}", checked.report(&given)),
        false => render::findings(&given.file.display().to_string(), &checked.findings),
    }
    Ok(exit_code(verdict))
}

/// A call's delivery, and what it is checked by.
pub(in crate::commands) struct Given {
    pub(super) file: PathBuf,
    pub(super) cohort: Cohort,
    pub(super) dataset: Dataset,
    pub(super) market: CohortMarket,
    pub(super) trust: Option<TrustFile>,
    pub(super) rpc: Rpc,
    /// By index of the entry.
    pub(super) proofs: Vec<Proof>,
    /// The details of each; empty where the proof has none.
    details: Vec<Vec<u8>>,
    buyers: Vec<BuyerKey>,
}

impl Given {
    /// Reads a call's folder.
    pub(in crate::commands) async fn read(
        folder: &Path,
        rpc: Rpc,
        trust: Option<TrustFile>,
        buyers: Vec<BuyerKey>,
    ) -> Result<Self, Failure> {
        let cohort = read_call(&folder.join(CALL))?;
        let dataset = input::read_dataset(&folder.join(DATASET))?;
        let file = folder.join(DELIVERY);
        // Told before anything is asked.
        File::open(&file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        let mut proofs = proofs::read(&folder.join(PROOFS))?.proofs;
        proofs.sort_by_key(|proof| proof.index);
        let bytes = |proof: &Proof| proof.details.as_ref().and_then(|details| details.bytes());
        let details = proofs.iter().map(|proof| bytes(proof).unwrap_or_default()).collect();
        let chain_id = rpc.chain_id().await?;
        if let Some(trust) = trust.as_ref().filter(|trust| trust.chain_id != chain_id) {
            return Err(Failure::new(format!(
                "--rpc is of chain {chain_id}, --trust of chain {}: give those of one chain",
                trust.chain_id
            )));
        }
        let cohort_market = Contract::CohortMarket.address();
        let market = CohortMarket { chain_id, cohort_market };
        Ok(Self { file, cohort, dataset, market, trust, rpc, proofs, details, buyers })
    }

    /// The call's id.
    pub(in crate::commands) fn id(&self) -> B256 {
        self.cohort.id(&self.market)
    }

    fn called(&self) -> Called<'_> {
        Called { market: &self.market, cohort: &self.cohort, dataset: &self.dataset }
    }

    fn entered(&self) -> Vec<Entered<'_>> {
        let both = self.proofs.iter().zip(&self.details);
        both.map(|(proof, details)| Entered { report: &proof.report, details }).collect()
    }

    /// The file that the entries name; all of one, or it is found out.
    fn named(&self) -> B256 {
        self.proofs.first().map(|proof| proof.report.toVersion).unwrap_or_default()
    }

    /// Who sold, as the entries say it.
    pub(super) fn sellers(&self) -> BTreeSet<Address> {
        self.proofs.iter().filter_map(|proof| address_of(proof.report.subject)).collect()
    }

    /// The key that the call names, among those of the identity file.
    fn buyer(&self) -> Option<&BuyerKey> {
        self.buyers.iter().find(|key| key.recipient() == self.cohort.recipient)
    }

    /// Opens the file and checks all of it, as it is now.
    fn open(
        &self,
        key: &LockKey,
        settled: &Settled,
        buyer: &BuyerKey,
        take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
    ) -> Result<Checked, CohortFault> {
        let file = File::open(&self.file).map_err(medtrail_market::verify::Fault::from)?;
        let chain = verify::Settled { key, file: settled.file, paid: &settled.paid };
        let file = io::BufReader::new(file);
        verify::verify(&self.called(), &chain, &self.entered(), buyer, file, take)
    }
}

/// What the chain says of the settlement.
pub(in crate::commands) struct Settled {
    pub(super) key: LockKey,
    /// The file that it was settled for.
    pub(super) file: B256,
    /// Who of the entries' sellers was paid, for which place, at the final block.
    pub(super) paid: Vec<(u32, Address)>,
}

/// A check, and what it found.
pub(in crate::commands) struct CheckedCall {
    pub(in crate::commands) findings: Findings,
    settled: Option<Settled>,
    opened: Option<Checked>,
}

/// Takes every step that the inputs allow. Only a chain that cannot be read is a failure.
pub(in crate::commands) async fn check(given: &Given) -> Result<CheckedCall, Failure> {
    let mut steps = vec![call(given)];
    entries::steps(given, &mut steps).await?;
    let settled = chain::steps(given, &mut steps).await?;
    let opened = contents::steps(given, settled.as_ref(), &mut steps);
    let findings = crate::commands::verify::printable(Findings { steps });
    Ok(CheckedCall { findings, settled, opened })
}

/// The call is valid by itself, and of the log that is meant.
fn call(given: &Given) -> Step {
    let Given { cohort, dataset, market, trust, .. } = given;
    if let Err(error) = medtrail_permit::sale::cohort::check(cohort, dataset) {
        return step("call", Verdict::Red, format!("The call is not what it must be: {error}."));
    }
    if let Some(trust) = trust.as_ref().filter(|trust| trust.log != cohort.log) {
        let words = format!(
            "The call is for log {}, your trust file is that of log {}.",
            cohort.log, trust.log
        );
        return step("call", Verdict::Red, words);
    }
    let words = format!(
        "Call {} of {}, for up to {} people, at market {} of chain {}; its words say what its fields \
         do.",
        given.id(),
        cohort.buyer,
        cohort.places,
        market.cohort_market,
        market.chain_id
    );
    step("call", Verdict::Green, words)
}

impl CheckedCall {
    /// Opens a delivery that was checked into a new folder; what is in it, checked once more.
    pub(in crate::commands) fn open_into(
        &self,
        given: &Given,
        out: &Path,
    ) -> Result<usize, Failure> {
        if self.findings.verdict() == Verdict::Red {
            return Err(Failure::new("nothing was written: see the lines marked ✗"));
        }
        let Some(settled) = &self.settled else {
            return Err(Failure::new(
                "nothing was written: there is no key yet. The market shows it when the first are paid",
            ));
        };
        let Some(buyer) = given.buyer() else {
            return Err(Failure::new(
                "nothing was written: --identity is not the call's recipient",
            ));
        };
        let mut folder = NewFolder::begin(out)?;
        let take = &mut |path: &str, bytes: &[u8]| folder.write(path, bytes);
        let opened = given.open(&settled.key, settled, buyer, take)?;
        folder.publish()?;
        Ok(opened.manifest.files.len())
    }

    /// What the check found, for whoever keeps it.
    pub(in crate::commands) fn report(&self, given: &Given) -> Value {
        let key = self.settled.as_ref().map(|settled| B256::from(*settled.key.bytes()));
        let paid = self.settled.as_ref().map(|settled| settled.paid.len());
        json!({
            "version": "medtrail/call-report-v1",
            "call": given.id(),
            "market": given.market,
            "checkedMs": now_ms(),
            "verdict": self.findings.verdict(),
            "steps": self.findings.steps,
            "file": given.named(),
            "key": key,
            "sellers": given.proofs.len(),
            "paid": paid,
            "unpaidPlaces": self.opened.as_ref().map(|opened| &opened.unpaid),
            "signedByOthersPlaces": self.opened.as_ref().map(|opened| &opened.by_others),
        })
    }

    /// What each seller in the file signed; none: it was not opened.
    pub(in crate::commands) fn consents(&self, given: &Given) -> Option<Value> {
        let opened = self.opened.as_ref()?;
        let entry = |acceptance: B256| {
            let of = given.proofs.iter().find(|proof| proof.report.record == acceptance);
            of.map(|proof| proof.index)
        };
        let consents: Vec<Value> = (opened.manifest.consents.iter())
            .map(|consent| {
                let acceptance = consent.acceptance(&given.cohort, &given.market);
                let id = acceptance.id(&given.market);
                json!({
                    "place": consent.place,
                    "seller": consent.seller,
                    "id": id,
                    "acceptance": acceptance,
                    "signature": consent.signature,
                    "isSignedBySeller": !opened.by_others.contains(&consent.place),
                    "isPaid": !opened.unpaid.contains(&consent.place),
                    "acceptedEntry": consent.logged,
                    "deliveryEntry": entry(id),
                })
            })
            .collect();
        Some(json!({
            "version": "medtrail/call-consents-v1",
            "call": given.id(),
            "market": given.market,
            "cohort": given.cohort,
            "consents": consents,
        }))
    }
}
