//! `medtrail decrypt`: the buyer's files out of a delivery, once all of it is checked.

mod folder;

use super::delivery::input::Given;
use super::delivery::{Inputs, check, open};
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
    into_folder(&args.inputs, &args.identity, &args.out).await
}

/// Checks a delivery, and opens it into a new folder.
pub(super) async fn into_folder(inputs: &Inputs, identity: &Path, out: &Path) -> Outcome {
    // Told before anything is asked or opened.
    NewFolder::require_free(out)?;
    let (given, rpc) = Given::read(inputs, Some(identity)).await?;
    let checked = check(&given, rpc.as_ref()).await?;
    let verdict = checked.findings.verdict();
    render::findings(&given.path.display().to_string(), &checked.findings);
    if verdict == Verdict::Red {
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
    let manifest = open(&given, key, buyer, &mut |path, bytes| folder.write(path, bytes))?;
    folder.publish()?;
    println!("manifest.json and its files ({}) are in {}.", manifest.files.len(), out.display());
    Ok(exit_code(verdict))
}
