//! `medtrail decrypt`: the buyer's files out of a delivery, once all of it is checked.

pub(super) mod folder;

use super::delivery::input::Given;
use super::delivery::{Checked, Inputs, check, open};
use crate::exit::{Failure, Outcome, exit_code};
use crate::render;
use folder::NewFolder;
use medtrail_ledger::verify::Verdict;
use std::path::{Path, PathBuf};

/// Opens both seals of a delivery and writes its files, after every check of `medtrail delivery
/// check`. Nothing is written if one of them is red.
///
/// The folder is new: it has all the files or does not exist, whatever happens meanwhile. The key
/// comes from the market (--rpc) or from you (--key). Exit codes are those of `delivery check`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Your key: the file that `medtrail keys buyer` or `age-keygen` made
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let Args { inputs, identity, out } = args;
    // Told before anything is asked or opened.
    NewFolder::require_free(&out)?;
    let (given, rpc) = Given::read(&inputs, Some(&identity)).await?;
    let checked = check(&given, rpc.as_ref()).await?;
    render::findings(&given.path.display().to_string(), &checked.findings);
    let files = into_folder(&given, &checked, &out)?;
    println!("{}", words(files, &out));
    Ok(exit_code(checked.findings.verdict()))
}

/// Opens a delivery that was checked into a new folder; how many files the manifest names.
pub(super) fn into_folder(given: &Given, checked: &Checked, out: &Path) -> Result<usize, Failure> {
    if checked.findings.verdict() == Verdict::Red {
        return Err(Failure::new("nothing was written: see the lines marked ✗"));
    }
    let Some(key) = &checked.key else {
        return Err(Failure::new(
            "nothing was written: there is no key yet. The market shows it when the seller is \
             paid: give --rpc URL then, or --key KEY",
        ));
    };
    let Some(buyer) = given.buyer() else {
        return Err(Failure::new("nothing was written: --identity is not the order's recipient"));
    };
    let mut folder = NewFolder::begin(out)?;
    // All is checked once more as it is written: the file may be another by now.
    let manifest = open(given, key, buyer, &mut |path, bytes| folder.write(path, bytes))?;
    folder.publish()?;
    Ok(manifest.files.len())
}

/// Where the files are.
pub(super) fn words(files: usize, out: &Path) -> String {
    format!("manifest.json and its files ({files}) are in {}.", out.display())
}
