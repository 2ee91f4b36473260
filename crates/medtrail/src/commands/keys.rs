//! `medtrail keys`: makes the keys of a log, or of a custodian.

use super::{Configured, PassphraseArgs};
use crate::exit::{OK, Outcome};
use medtrail_keys::file::create_folder;
use medtrail_keys::local::LocalSigner;
use medtrail_keys::note::NoteKey;
use medtrail_keys::operator::Signer;
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes keys.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Makes note.key and, unless a remote signer holds the key, operator.json; never overwrites
    Init {
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
        Command::Reporter { file, passphrase } => {
            let key = LocalSigner::create(&file, &passphrase.read()?)?;
            println!("{}", key.address());
        }
    }
    Ok(ExitCode::from(OK))
}
