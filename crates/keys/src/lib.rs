//! Keys.

pub mod file;
pub mod passphrase;
pub mod wrap;

use zeroize::Zeroizing;

/// 32 bytes from the system's random source, through aws-lc.
fn random() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut bytes[..]).expect("without random bytes no key may be made");
    bytes
}
