//! `medtrail proof`: asks a log for the proof of a receipt.

use super::report::details_as_sent;
use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::{Document, Proof};
use medtrail_ledger::receipt::Receipt;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Fetches the proof of a receipt's entry, once an anchor covers it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The receipt
    receipt: PathBuf,
    /// The service
    #[arg(long, value_name = "URL")]
    url: String,
    /// Where to keep the proof
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Put this details document into the proof: the log gives none out, the reporter has it
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,
    /// How long to wait for the anchor, in seconds
    #[arg(long, value_name = "S", default_value_t = 0)]
    wait: u64,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let bytes = std::fs::read(&args.receipt)
        .map_err(|error| Failure::new(format!("{}: {error}", args.receipt.display())))?;
    let receipt: Receipt = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(format!("{}: not a receipt: {error}", args.receipt.display()))
    })?;
    let details = match &args.details {
        None => None,
        Some(file) => {
            let failed = |error: &dyn std::error::Error| {
                Failure::new(format!("{}: {error}", file.display()))
            };
            let document = std::fs::read(file).map_err(|error| failed(&error))?;
            Some(details_as_sent(&document).map_err(|error| failed(&error))?)
        }
    };
    let client = Client::new(&args.url)?;
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        if let Some(proof) = client.proof(&receipt).await? {
            let proof = match &details {
                Some(document) => with_details(&proof, document)?,
                None => proof,
            };
            std::fs::write(&args.out, proof)?;
            println!("The proof of entry {} is in {}.", receipt.index, args.out.display());
            return Ok(ExitCode::from(OK));
        }
        if Instant::now() >= until {
            return Err(Failure::new(format!(
                "entry {} is recorded, but no anchor covers it yet; --wait SECONDS waits",
                receipt.index
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The proof with its details document, which must be the reported one.
pub(crate) fn with_details(proof: &[u8], document: &RawValue) -> Result<Vec<u8>, Failure> {
    let mut proof = Proof::parse(proof)?;
    let (bytes, expected) = (document.get().as_bytes(), proof.report.details);
    let found = details_hash(bytes);
    if found != expected {
        return Err(Failure::new(format!(
            "this document hashes to {found} (SHA-256), but the report names {expected}"
        )));
    }
    proof.details = Some(Document::of(bytes));
    Ok(proof.to_bytes())
}
