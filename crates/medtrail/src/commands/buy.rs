//! `medtrail buy`: pays for an offer, waits for the delivery, checks and opens it.
//!
//! Nothing is kept of how far it is: each look asks the chain, the service and the folder again. So
//! the same command goes on after any break, and never pays twice.

mod buyer;
pub(crate) mod fetch;
mod judge;
mod next;
mod purchase;
mod words;

use super::PassphraseArgs;
use super::delivery;
use super::market::{OnChain, amounts, enter};
use super::signing::Signing;
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::B256;
pub(crate) use buyer::{Buyer, Wanted};
use medtrail_market::seal::{is_recipient, key_of};
pub(crate) use purchase::Purchase;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Buys a copy of what is offered: checks the offer against its signature and the chain, writes the
/// order into a folder, pays with your own account, and tells the service.
///
/// With --wait it stays until the seller has approved and was paid, downloads, checks and opens the
/// delivery. Run the same command again after any break: it goes on where it was, and never pays
/// twice, for whether an order is paid the chain says.
///
/// Exit code 0: all is done, or, without --wait, on its way. 3: opened, but something is amber. 1: it
/// ended without data, or could not go on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The offer
    offer: B256,
    /// Whom it is encrypted to: age1…, of `medtrail keys buyer` or `age-keygen`
    #[arg(long, value_name = "AGE1", required_unless_present = "identity")]
    recipient: Option<String>,
    /// The file of that key: opens the delivery at the end
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// A file (mode 0600) whose first line is the passphrase of the identity file, if it has another
    /// than --key
    #[arg(long, value_name = "FILE")]
    identity_passphrase_file: Option<PathBuf>,
    /// In what time it must be delivered
    #[arg(long, value_name = "SPAN", default_value = "3d", value_parser = amounts::span)]
    deliver_within: u64,
    /// How long after that the seller may still be paid for it
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = amounts::span)]
    grace: u64,
    /// The purchase's folder, made if it is not there; by default purchase- and the offer's first digits
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Stay until it is opened, or ended
    #[arg(long)]
    wait: bool,
    /// Only show what would be paid for
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    on: OnChain,
    #[command(flatten)]
    signing: Signing,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let Args { offer, deliver_within, grace, wait, show, .. } = args;
    let passphrase = identity_passphrase(&args);
    let named = args.recipient.as_deref().map(key_of).transpose()?;
    let recipient = match (named, &args.identity) {
        (named, Some(path)) => recipient_of(path, &passphrase, named)?,
        (Some(named), None) => named,
        (None, None) => return Err(Failure::new("name --recipient or --identity")),
    };
    if !is_recipient(recipient) {
        return Err(Failure::new("--recipient is no key that can be sealed to"));
    }
    let trust = args.signing.trust_file().to_owned();
    let rpc = args.on.rpc.clone();
    let (signed, place) = enter(args.signing, &args.on).await?;
    let into =
        args.into.unwrap_or_else(|| format!("purchase-{}", &offer.to_string()[2..10]).into());
    let mut buyer = Buyer {
        purchase: Purchase::at(into),
        identity: args.identity,
        passphrase,
        trust,
        rpc,
        offer,
        signed,
        place,
    };
    let order = match buyer.purchase.order()? {
        Some(order) => buyer.resumed(order, recipient)?,
        None => {
            let wanted = Wanted { recipient, deliver_within, grace };
            match buyer.order(&wanted, show).await? {
                Some(order) => order,
                None => return Ok(ExitCode::from(OK)),
            }
        }
    };
    buyer.follow(&order, wait).await
}

fn identity_passphrase(args: &Args) -> PassphraseArgs {
    match &args.identity_passphrase_file {
        Some(file) => PassphraseArgs { passphrase_file: Some(file.clone()), passphrase_fd: None },
        None => args.signing.passphrase().clone(),
    }
}

/// The key of an identity file that the order is to name: its only one, or the one that was named.
pub(super) fn recipient_of(
    path: &Path,
    passphrase: &PassphraseArgs,
    named: Option<B256>,
) -> Result<B256, Failure> {
    let keys = delivery::input::read_identity(path, passphrase)?;
    let path = path.display();
    match (named, &keys[..]) {
        (None, [key]) => Ok(key.recipient()),
        (Some(named), keys) if keys.iter().any(|key| key.recipient() == named) => Ok(named),
        (Some(_), _) => Err(Failure::new(format!("{path} has not the key of --recipient"))),
        (None, keys) => Err(Failure::new(format!(
            "{path} holds {} keys: name the one by --recipient",
            keys.len()
        ))),
    }
}
