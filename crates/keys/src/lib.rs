//! The only crate that sees a private key.
//!
//! - [`operator`]: the operator's hot key, which signs checkpoints and anchors; [`local`] in a
//!   Web3 keystore, or [`remote`] behind a signer of its own
//! - [`note`]: the log's Ed25519 key, and both keys together as the [`Notary`](note::NotaryKeys)
//! - [`reporter`]: a custodian's key; [`person`]: a person's, where a program stands in for a wallet
//! - [`wrap`]: the master key, under which every key in the key file is sealed; [`masters`]: how
//!   another takes its place
//! - [`seal`]: the seal of the directory's rows, under the log's key; [`vault`]: that of the vault's
//! - [`cross_check`]: a second encoder, which must agree before anything is broadcast
//! - [`file`](mod@file), [`passphrase`]: how keys and passphrases come from disk
//!
//! Secrets are wiped when dropped, are never part of a `Debug` form or an error, and leave this
//! crate only as signatures, wrapped keys and the keystore's ciphertext.

pub mod cross_check;
pub mod file;
pub mod local;
pub mod masters;
pub mod note;
pub mod operator;
pub mod passphrase;
pub mod person;
pub mod remote;
pub mod reporter;
pub mod seal;
pub mod vault;
pub mod wrap;

use zeroize::Zeroizing;

/// 32 bytes from the system's random source, through aws-lc.
fn random() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut bytes[..]).expect("without random bytes no key may be made");
    bytes
}
