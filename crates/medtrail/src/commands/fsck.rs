//! `medtrail fsck`: checks a stopped log on disk.

use super::Configured;
use crate::exit::{FAILED, OK, Outcome};
use crate::node::{Keys, open_keys};
use crate::render::Progress;
use medtrail_ledger::ports::KeyFile;
use medtrail_oracle::opener::Opener;
use medtrail_store::{Store, StoreOptions, fsck};
use std::process::ExitCode;
use std::sync::Arc;

/// Checks every row, index and tile of a stopped log, and that the rows are what the log committed
/// to.
///
/// Changes nothing. Exit code 1 if anything is wrong; each finding names file, place and damage.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Do not open rows with the subjects' keys: checks all but their content
    #[arg(long)]
    without_keys: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let config = args.configured.load()?;
    let options = StoreOptions { check_every_page: true, ..StoreOptions::default() };
    let store = Store::open(&config.existing_log_dir()?, options)?;
    let opener = match args.without_keys {
        true => None,
        false => {
            let keys = Keys::load(&config, args.configured.passphrase())?;
            let log = config.log_of(keys.operator.address());
            let keys: Arc<dyn KeyFile> = Arc::new(open_keys(&config, log, false)?);
            Opener::new(log, keys)?
        }
    };
    let progress = Progress::new("entries");
    let mut open = |index: u64, row: &[u8]| opener.as_ref().and_then(|o| o.commitment(index, row));
    let open_row: Option<medtrail_store::OpenRow<'_>> = match opener {
        Some(_) => Some(&mut open),
        None => None,
    };
    let report = fsck(&store, open_row, |done, of| progress.at(done, of))?;
    progress.finish();
    for finding in &report.findings {
        println!("{finding}");
    }
    println!(
        "{} entries, {} of them filed; {} were opened and compared with their commitment.",
        report.entries, report.filed, report.opened
    );
    if report.is_clean() {
        println!("Nothing is wrong.");
        return Ok(ExitCode::from(OK));
    }
    let found = report.findings.len() as u64 + report.more;
    println!("{found} things are wrong. Indexes: `medtrail reindex`. Rows and tiles: a backup.");
    Ok(ExitCode::from(FAILED))
}
