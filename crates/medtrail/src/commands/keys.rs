//! `medtrail keys`: makes the keys of a log, or of a custodian.

use super::{Configured, PassphraseArgs};
use crate::exit::{Failure, OK, Outcome};
use medtrail_keys::file::{self, create_folder};
use medtrail_keys::local::LocalSigner;
use medtrail_keys::note::NoteKey;
use medtrail_keys::operator::Signer;
use medtrail_ledger::binding::minute;
use medtrail_market::identity;
use medtrail_market::seal::{BuyerKey, text_of};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Makes keys.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Makes note.key and, unless a remote signer holds the key, operator.json; never overwrites
    Init {
        #[command(flatten)]
        configured: Configured,
    },
    /// Makes relay.json: the account that carries settlements of sales, and pays their gas; never
    /// overwrites
    Relay {
        #[command(flatten)]
        configured: Configured,
    },
    /// Makes a custodian's key, to sign reports with; never overwrites
    Reporter {
        /// The keystore to make
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Makes a buyer's key, which deliveries are sealed to: a file for any age tool, under a
    /// passphrase if one is named; never overwrites
    Buyer {
        /// The identity file to make
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::Init { configured } => {
            let config = configured.load()?;
            create_folder(&config.keys_dir)?;
            let operator = match &config.operator.remote_signer {
                Some(remote) => remote.address,
                None => {
                    let passphrase = configured.passphrase().read()?;
                    let path = config.keys_dir.join("operator.json");
                    LocalSigner::create(&path, &passphrase)?.address()
                }
            };
            let note = NoteKey::create(&config.keys_dir.join("note.key"), &config.origin)?;
            println!("Operator:  {}", operator);
            println!("Note key:  {}", note.verifier());
            println!("Log:       {}", config.log_of(operator));
            println!(
                "Give the operator's address some coin for gas; it can do nothing but anchor."
            );
        }
        Command::Relay { configured } => {
            let config = configured.load()?;
            create_folder(&config.keys_dir)?;
            let path = config.keys_dir.join(crate::node::RELAY);
            let key = LocalSigner::create(&path, &configured.passphrase().read()?)?;
            println!("Relay:  {}", key.address());
            println!(
                "Give it some coin for gas. It carries settlements, which anybody may, and can do \
                 nothing else: keep no more on it than you want to spend."
            );
        }
        Command::Reporter { file, passphrase } => {
            let key = LocalSigner::create(&file, &passphrase.read()?)?;
            println!("{}", key.address());
        }
        Command::Buyer { file, passphrase } => buyer(&file, &passphrase)?,
    }
    Ok(ExitCode::from(OK))
}

fn buyer(path: &Path, passphrase: &PassphraseArgs) -> Result<(), Failure> {
    let passphrase = passphrase.is_named().then(|| passphrase.read()).transpose()?;
    let key = new_buyer(path, passphrase.as_ref())?;
    println!("Recipient:     {}", text_of(key.recipient()));
    println!("In the order:  {}", key.recipient());
    println!("Keep the file: without it nobody opens what is sealed to this key.");
    Ok(())
}

/// Makes a buyer's key and the file that holds it.
pub(crate) fn new_buyer(
    path: &Path,
    passphrase: Option<&SecretString>,
) -> Result<BuyerKey, Failure> {
    let mut random = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut random[..])
        .map_err(|_| Failure::new("the system gives no random bytes"))?;
    let key = BuyerKey::new(random);
    let created = format!("{} UTC", minute(crate::clock::now_ms() / 1000));
    let text = identity::text(&key, &created);
    match passphrase {
        None => file::create(path, text.as_bytes())?,
        Some(passphrase) => file::create(path, &identity::locked(&text, passphrase)?)?,
    }
    Ok(key)
}
