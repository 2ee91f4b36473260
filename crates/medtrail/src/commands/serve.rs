//! `medtrail serve`: runs a log.

use super::Configured;
use crate::exit::{OK, Outcome};
use crate::node::{self, Keys};
use std::process::ExitCode;

/// Runs the log until Ctrl-C or a termination signal.
///
/// Ends with 1 if the disk failed so that nothing held in memory may be trusted: a supervisor
/// should start it anew.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let (config, keys) = Keys::unlock(&args.configured).await?;
    let node = node::start(&config, keys, None).await?;
    tracing::info!("taking reports at http://{}", node.address);
    if let Some(address) = node.metrics_address {
        tracing::info!("metrics at http://{address}/metrics");
    }
    node.run_until(asked_to_end()).await?;
    Ok(ExitCode::from(OK))
}

/// Resolves at Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
