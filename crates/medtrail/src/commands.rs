//! One file a command.

pub(crate) mod accounting;
pub(crate) mod alias;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod buy;
pub(crate) mod call;
pub(crate) mod calls;
pub(crate) mod decrypt;
pub(crate) mod delivery;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod erase;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod gateway;
pub(crate) mod holds;
pub(crate) mod keys;
pub(crate) mod market;
pub(crate) mod notices;
pub(crate) mod offer;
pub(crate) mod offers;
pub(crate) mod organisations;
pub(crate) mod permit;
pub(crate) mod proof;
pub(crate) mod questions;
pub(crate) mod records;
pub(crate) mod reindex;
pub(crate) mod report;
pub(crate) mod representatives;
pub(crate) mod sales;
pub(crate) mod serve;
pub(crate) mod signing;
pub(crate) mod sources;
pub(crate) mod status;
pub(crate) mod trail;
pub(crate) mod verify;
pub(crate) mod waiting;

use crate::config::{Config, ConfigError, Overrides};
use std::path::PathBuf;

/// Which configuration a command works on.
#[derive(clap::Args)]
pub(crate) struct Configured {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "medtrail.toml", env = "MEDTRAIL_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Where a passphrase comes from: never from an argument or a variable, which others can see.
#[derive(Clone, clap::Args, Default)]
pub(crate) struct PassphraseArgs {
    /// A file (mode 0600) whose first line is the passphrase of the key file
    #[arg(long, value_name = "FILE", env = "MEDTRAIL_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
    /// A file descriptor to read the passphrase from
    #[arg(long, value_name = "NUMBER", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
}

impl Configured {
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.config, &self.overrides)
    }

    pub(crate) fn passphrase(&self) -> &PassphraseArgs {
        &self.passphrase
    }
}

/// No passphrase was named.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassphraseMissing {
    #[error(
        "the key file needs a passphrase: name --passphrase-file FILE (mode 0600) or \
         --passphrase-fd NUMBER"
    )]
    NotNamed,
    #[error(transparent)]
    Unreadable(#[from] medtrail_keys::passphrase::PassphraseError),
}

impl PassphraseArgs {
    /// Whether one was named at all, for files that need none.
    pub(crate) fn is_named(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }

    pub(crate) fn read(&self) -> Result<secrecy::SecretString, PassphraseMissing> {
        use medtrail_keys::passphrase::{Source, read};
        let source = match (&self.passphrase_file, self.passphrase_fd) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(number)) => Source::Descriptor(number),
            (None, None) => return Err(PassphraseMissing::NotNamed),
        };
        Ok(read(&source)?)
    }
}
