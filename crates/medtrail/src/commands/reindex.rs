//! `medtrail reindex`: makes the indexes of a stopped log anew.

use super::Configured;
use crate::exit::{OK, Outcome};
use crate::render::Progress;
use medtrail_store::{StoreOptions, reindex};
use std::process::ExitCode;

/// Makes the indexes of a stopped log anew from its rows. Needs no key.
///
/// If it is cut short, the log does not start until it was run to the end.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
}

pub(crate) fn run(args: Args) -> Outcome {
    let config = args.configured.load()?;
    let progress = Progress::new("entries");
    let covered = reindex(&config.existing_log_dir()?, StoreOptions::default(), |done, of| {
        progress.at(done, of);
    })?;
    progress.finish();
    println!("The indexes cover {covered} entries.");
    Ok(ExitCode::from(OK))
}
