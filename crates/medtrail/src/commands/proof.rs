//! `medtrail proof`: asks a log for the proof of a receipt.

use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use medtrail_ledger::receipt::Receipt;
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
    /// Put the details document into the proof
    #[arg(long)]
    details: bool,
    /// How long to wait for the anchor, in seconds
    #[arg(long, value_name = "S", default_value_t = 0)]
    wait: u64,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let bytes = std::fs::read(&args.receipt)
        .map_err(|error| Failure::new(format!("{}: {error}", args.receipt.display())))?;
    let receipt: Receipt = serde_json::from_slice(&bytes)?;
    let client = Client::new(&args.url)?;
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        if let Some(proof) = client.proof(&receipt, args.details).await? {
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
