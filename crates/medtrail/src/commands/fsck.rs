//! `medtrail fsck`: checks a stopped log on disk.

use super::Configured;
use crate::exit::{FAILED, OK, Outcome};
use crate::files::{existing_vault, open_keys};
use crate::node::Keys;
use crate::render::Progress;
use medtrail_ledger::entry::commitment;
use medtrail_ledger::ports::KeyFile;
use medtrail_oracle::opener::{EntryError, Opener};
use medtrail_oracle::vault::{VaultCheck, VaultReport};
use medtrail_store::{Store, StoreOptions, fsck};
use std::process::ExitCode;
use std::sync::Arc;

/// Checks every row, index and tile of a stopped log, and that the rows are what the log committed
/// to; with the keys also the vault: that it holds what the log's entries made, byte for byte.
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
    let (opener, shelves) = match args.without_keys {
        true => (None, None),
        false => {
            let keys = Keys::load(&config, args.configured.passphrase())?;
            let log = config.log_of(keys.operator.address());
            let keys: Arc<dyn KeyFile> = Arc::new(open_keys(&config, log, false)?);
            let shelves = existing_vault(&config, &store, log, keys.clone())?;
            (Opener::new(log, keys)?, shelves)
        }
    };
    let progress = Progress::new("entries");
    let mut vault = VaultCheck::default();
    let mut open = |index: u64, row: &[u8]| match opener.as_ref()?.open(index, row) {
        Ok(entry) => {
            vault.see(&entry);
            Some(commitment(&entry.report, &entry.place).0)
        }
        Err(EntryError::Erased(_)) => None,
        Err(_) => Some([0; 32]),
    };
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
    let vault = match shelves {
        Some(shelves) => vault.finish(&shelves)?,
        None => VaultReport::default(),
    };
    for finding in &vault.findings {
        println!("{finding}");
    }
    if vault.records > 0 {
        let VaultReport { records, versions, read, .. } = &vault;
        println!("{records} records of {versions} versions in the vault; {read} were hashed.");
    }
    if report.is_clean() && vault.findings.is_empty() {
        println!("Nothing is wrong.");
        return Ok(ExitCode::from(OK));
    }
    let found = report.findings.len() as u64 + report.more + vault.findings.len() as u64;
    println!(
        "{found} things are wrong. Indexes: `medtrail reindex`. Rows, tiles and the vault: a backup."
    );
    Ok(ExitCode::from(FAILED))
}
