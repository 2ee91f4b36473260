//! `medtrail deploy`: puts the registry on a chain.

use super::Configured;
use crate::exit::{Failure, OK, Outcome};
use crate::node::Keys;
use medtrail_chain::{Rpc, deploy};
use std::process::ExitCode;

/// Puts AnchorRegistry where it is on every chain (CREATE2), and checks that the code there is the
/// code of this build.
///
/// Safe to repeat: where it stands already, nothing is sent.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let (config, keys) = Keys::unlock(&args.configured).await?;
    let rpc = Rpc::new(&config.chain.rpc)?;
    let deployment = deploy(&rpc, keys.operator.clone()).await.map_err(|error| {
        Failure::new(format!("{}: {}", config.chain.rpc.join(", "), Failure::from(error)))
    })?;
    let log = config.log_of(keys.operator.address());
    if args.json {
        let printed = serde_json::json!({
            "registry": deployment.registry, "tx": deployment.tx, "log": log,
        });
        println!("{printed:#}");
        return Ok(ExitCode::from(OK));
    }
    match deployment.tx {
        Some(tx) => println!("AnchorRegistry is at {} (transaction {tx}).", deployment.registry),
        None => println!("AnchorRegistry stands at {} already.", deployment.registry),
    }
    println!("Its code is the code of this build.");
    println!("Log {log} ({}) is opened there by the first `medtrail serve`.", config.origin);
    Ok(ExitCode::from(OK))
}
