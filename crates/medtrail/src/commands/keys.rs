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
    /// Makes operator.json and note.key of the configured log; never overwrites
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
            let passphrase = configured.passphrase().read()?;
            create_folder(&config.keys_dir)?;
            let operator =
                LocalSigner::create(&config.keys_dir.join("operator.json"), &passphrase)?;
            let note = NoteKey::create(&config.keys_dir.join("note.key"), &config.origin)?;
            println!("Operator:  {}", operator.address());
            println!("Note key:  {}", note.verifier());
            println!("Log:       {}", config.log_of(operator.address()));
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
