//! `medtrail call`: calls for data of many people, waits for the file of all of them, checks and opens
//! it.
//!
//! Nothing is kept of how far it is: each look asks the chain, the service and the folder again. So
//! the same command goes on after any break, and never pays twice.

mod buyer;
pub(super) mod folder;
mod look;
mod next;
pub(super) mod proofs;
mod words;

use super::PassphraseArgs;
use super::buy::recipient_of;
use super::market::data::Data;
use super::market::{OnChain, amounts, enter_calls};
use super::signing::{Signing, Words};
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::{Address, B256, U256};
pub(crate) use buyer::Caller;
pub(crate) use folder::CallFolder;
use medtrail_market::seal::{is_recipient, key_of};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::statements::Language;
use std::path::PathBuf;
use std::process::ExitCode;

/// Calls for the same data of many people: pays the same price to each who accepts, and gets the data
/// of all in one file.
///
/// Writes the call into a folder, opens it in the market contract with the money of all places, from
/// your own account, and lists it at the service. With --wait it stays until people have accepted and
/// the first were paid, downloads, checks and opens the file, and writes beside it what each of them
/// signed. Run the same command again after any break: with the same --into it goes on where it was,
/// and never pays twice, for whether a call is open the chain says. What the call asks for need not be
/// named again. It cannot be cancelled; run again after the time is over, it takes back what nobody
/// was paid for.
///
/// Exit code 0: all is done, or, without --wait, on its way. 3: opened, but something is amber. 1: it
/// ended without data, or could not go on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The call's folder, made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    data: Data,
    /// What for, one code of v3-PurposeOfUse: HRESCH is healthcare research
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
    /// The price to each person, in ether (0.05); with --token in its smallest units
    #[arg(long, value_name = "AMOUNT")]
    price: Option<String>,
    /// The ERC-20 token that is paid in; without it the chain's own coin
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// How many people at most
    #[arg(long, value_name = "NUMBER")]
    places: Option<u32>,
    /// Until when it must be delivered: a day, a moment, or a span from now (14d). People can accept
    /// until a day before, or until all places are taken
    #[arg(long, value_name = "WHEN", value_parser = amounts::until)]
    deliver_by: Option<u64>,
    /// How long after that people may still be paid for it
    #[arg(long, value_name = "SPAN", default_value = "2d", value_parser = amounts::span)]
    grace: u64,
    /// The language of what people sign
    #[arg(long, value_enum, default_value_t = Words::En)]
    language: Words,
    /// Whom it is encrypted to: age1…, of `medtrail keys buyer` or `age-keygen`
    #[arg(long, value_name = "AGE1")]
    recipient: Option<String>,
    /// The file of that key: opens the delivery at the end
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// A file (mode 0600) whose first line is the passphrase of the identity file, if it has another
    /// than --key
    #[arg(long, value_name = "FILE")]
    identity_passphrase_file: Option<PathBuf>,
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

/// What is called for; of an earlier call what must be the same.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) dataset: Option<Dataset>,
    pub(crate) purpose: Option<String>,
    pub(crate) price: Option<U256>,
    pub(crate) token: Option<Address>,
    pub(crate) places: Option<u32>,
    pub(crate) deliver_by_s: Option<u64>,
    pub(crate) grace_s: u64,
    pub(crate) recipient: Option<B256>,
    pub(crate) language: Language,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let Args { wait, show, .. } = args;
    let passphrase = match &args.identity_passphrase_file {
        Some(file) => PassphraseArgs { passphrase_file: Some(file.clone()), passphrase_fd: None },
        None => args.signing.passphrase().clone(),
    };
    let folder = CallFolder::at(args.into);
    let kept = folder.call()?;
    let named = args.recipient.as_deref().map(key_of).transpose()?;
    // Of several keys of an identity file, the call of an earlier run names one.
    let named = named.or(kept.as_ref().map(|(cohort, _)| cohort.recipient));
    let recipient = match (named, &args.identity) {
        (named, Some(path)) => Some(recipient_of(path, &passphrase, named)?),
        (named, None) => named,
    };
    if recipient.is_some_and(|recipient| !is_recipient(recipient)) {
        return Err(Failure::new("--recipient is no key that can be sealed to"));
    }
    // A price is written in the unit of its token, which an earlier run has named.
    let token = args.token.or(kept.as_ref().map(|(cohort, _)| cohort.token)).unwrap_or_default();
    let price = args.price.as_deref().map(|price| amounts::price(price, token));
    let wanted = Wanted {
        dataset: args.data.read()?,
        purpose: args.purpose,
        price: price.transpose().map_err(Failure::new)?,
        token: args.token,
        places: args.places,
        deliver_by_s: args.deliver_by,
        grace_s: args.grace,
        recipient,
        language: match args.language {
            Words::En => Language::En,
            Words::Et => Language::Et,
        },
    };
    if kept.is_none() {
        wanted.require_whole()?;
    }
    let trust = args.signing.trust_file().to_owned();
    let rpc = args.on.rpc.clone();
    let (signed, place, market) = enter_calls(args.signing, &args.on).await?;
    let identity = args.identity;
    let mut caller = Caller { folder, identity, passphrase, trust, rpc, signed, place, market };
    let cohort = match kept {
        Some((cohort, dataset)) => caller.resumed(cohort, &dataset, &wanted)?,
        None => match caller.call(&wanted, show).await? {
            Some(cohort) => cohort,
            None => return Ok(ExitCode::from(OK)),
        },
    };
    if show {
        caller.shown(&cohort);
        return Ok(ExitCode::from(OK));
    }
    caller.follow(&cohort, wait).await
}

impl Wanted {
    /// Says what is missing of a call that is to be made, before anybody is asked for a passphrase.
    fn require_whole(&self) -> Result<(), Failure> {
        let named = [
            ("--dataset, or --scopes with --from and --to", self.dataset.is_some()),
            ("--purpose", self.purpose.is_some()),
            ("--price", self.price.is_some()),
            ("--places", self.places.is_some()),
            ("--deliver-by", self.deliver_by_s.is_some()),
            ("--recipient or --identity", self.recipient.is_some()),
        ];
        let missing: Vec<&str> =
            named.iter().filter(|(_, is_named)| !is_named).map(|(name, _)| *name).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "there is no call in this folder yet; to make one, name {}",
                missing.join("; ")
            ))),
        }
    }
}
