//! The only door for signatures that count as evidence: 65-byte ECDSA over secp256k1, in the one
//! form that Solidity, Rust and the page accept alike.
//!
//! Everything looser is refused: a second accepted form of the same signature would be a second
//! document with the same meaning (malleability, EIP-2).

use alloy_primitives::{Address, B256, keccak256};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// Bytes of a signature: r (32), s (32), v (1).
pub const SIGNATURE_BYTES: usize = 65;

/// Half the order of secp256k1: the largest s accepted.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The order of secp256k1.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Why the door stays shut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not 65 bytes (a compact EIP-2098 form has 64).
    #[error("a signature has 65 bytes (r, s, v), this has {0}")]
    Length(usize),
    /// v is neither 27 nor 28.
    #[error("v must be 27 or 28, this is {0}")]
    V(u8),
    /// r is zero or not below the curve's order.
    #[error("r must be above 0 and below the order of secp256k1")]
    R,
    /// s is zero.
    #[error("s must be above 0")]
    ZeroS,
    /// s is in the upper half of the order: the malleable twin of a valid signature.
    #[error("s must be in the lower half of the order of secp256k1 (EIP-2)")]
    HighS,
    /// No public key fits.
    #[error("no key could have made this signature")]
    NoKey,
}

/// A signature that came through the door.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({})", alloy_primitives::hex::encode_prefixed(self.0))
    }
}

/// Takes a signature in, or says why not.
pub fn parse(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let whole: [u8; SIGNATURE_BYTES] =
        bytes.try_into().map_err(|_| SignatureError::Length(bytes.len()))?;
    let (r, s, v) = (&whole[..32], &whole[32..64], whole[64]);
    if v != 27 && v != 28 {
        return Err(SignatureError::V(v));
    }
    if r == [0; 32] || r >= ORDER.as_slice() {
        return Err(SignatureError::R);
    }
    if s == [0; 32] {
        return Err(SignatureError::ZeroS);
    }
    if s > HALF_ORDER.as_slice() {
        return Err(SignatureError::HighS);
    }
    Ok(Signature(whole))
}

impl Signature {
    /// The 65 bytes.
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }

    /// Who signed this digest.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        let recovery = if self.0[64] == 27 { RecoveryId::Zero } else { RecoveryId::One };
        let mut compact = [0; 64];
        compact.copy_from_slice(&self.0[..64]);
        let signature = RecoverableSignature::from_compact(&compact, recovery)
            .map_err(|_| SignatureError::NoKey)?;
        let key = signature
            .recover_ecdsa(Message::from_digest(digest.0))
            .map_err(|_| SignatureError::NoKey)?;
        Ok(address_of(&key))
    }
}

/// The address of a public key.
pub fn address_of(key: &secp256k1::PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}
