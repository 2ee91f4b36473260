//! `medtrail deploy`: puts the contracts on a chain.

use super::Configured;
use crate::exit::{Failure, OK, Outcome};
use crate::node::Keys;
use medtrail_chain::{Contract, Deployment, Rpc, deploy};
use std::process::ExitCode;

/// Puts the registries and both markets where they are on every chain (CREATE2), and checks that the
/// code there is the code of this build.
///
/// Safe to repeat: where one stands already, nothing is sent.
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
    let mut deployed = Vec::new();
    for contract in Contract::ALL {
        let deployment = deploy(&rpc, keys.operator.clone(), contract).await.map_err(|error| {
            Failure::new(format!("{}: {}", config.chain.rpc.join(", "), Failure::from(error)))
        })?;
        deployed.push((contract, deployment));
    }
    let log = config.log_of(keys.operator.address());
    if args.json {
        let of = |contract: Contract| {
            deployed.iter().find(|(found, _)| *found == contract).map(|(_, deployment)| deployment)
        };
        let registry = of(Contract::AnchorRegistry);
        let contracts: serde_json::Map<_, _> = deployed
            .iter()
            .map(|(contract, deployment)| {
                let Deployment { address, tx, .. } = deployment;
                (contract.name().to_owned(), serde_json::json!({ "address": address, "tx": tx }))
            })
            .collect();
        let printed = serde_json::json!({
            "registry": registry.map(|registry| registry.address),
            "tx": registry.and_then(|registry| registry.tx),
            "log": log,
            "contracts": contracts,
        });
        println!("{printed:#}");
        return Ok(ExitCode::from(OK));
    }
    for (contract, Deployment { address, tx, .. }) in &deployed {
        match tx {
            Some(tx) => println!("{} is at {address} (transaction {tx}).", contract.name()),
            None => println!("{} stands at {address} already.", contract.name()),
        }
    }
    println!("Their code is the code of this build.");
    println!(
        "Log {log} ({}) is opened in AnchorRegistry by the first `medtrail serve`.",
        config.origin
    );
    Ok(ExitCode::from(OK))
}
