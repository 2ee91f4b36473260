//! A second encoder beside alloy: ethers, which shares none of its ABI, RLP or EIP-712 code. An
//! anchor is rare and final, so nothing is broadcast on whose bytes the two do not agree.
//!
//! What this shows and what not: a bad upgrade of either encoder is caught, at start or before the
//! broadcast. The curve arithmetic is no second opinion (ethers uses k256, as alloy does; we sign
//! with libsecp256k1), and ethers, unmaintained since 2023, never signs anything that is sent.
//!
//! Without the feature `cross-check`, [`start_up_self_test`] still holds our own encoder against
//! known answers, and says that it stood alone.

#[cfg(feature = "cross-check")]
mod second;

use crate::local::LocalSigner;
use crate::operator::{self, Request};
use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, Signature, U256, b256, hex};
use alloy::sol_types::SolStruct;
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::TxFields;
use medtrail_ledger::schema;
use medtrail_ledger::signature::SIGNATURE_BYTES;
use std::fmt;

/// How many encoders agreed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoders {
    /// alloy and ethers.
    Two,
    /// alloy alone.
    One,
}

impl fmt::Display for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Two => "two encoders agree (alloy, ethers)",
            Self::One => "one encoder only: built without the feature cross-check",
        })
    }
}

/// Which encoder made the bytes that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoder {
    /// The one that signs.
    Alloy,
    /// The one that checks.
    Ethers,
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alloy => "alloy",
            Self::Ethers => "ethers",
        })
    }
}

/// Where the encoders part. Whatever it is: send nothing, sign nothing, find out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// A known answer came out otherwise.
    #[error("{encoder} does not give the known {what}")]
    KnownAnswer {
        /// Who answered.
        encoder: Encoder,
        /// The answer, in words.
        what: &'static str,
    },
    /// The second encoder cannot read the bytes at all.
    #[error("the transaction cannot be read back")]
    Unreadable,
    /// It reads another value.
    #[error("the transaction's {0} is not what was planned")]
    Field(&'static str),
    /// The digests differ.
    #[error("the transaction's signing hash differs")]
    SigningHash,
    /// It recovers another signer.
    #[error("the transaction is not signed by {0}")]
    Sender(Address),
    /// It writes other bytes.
    #[error("the transaction's bytes differ when encoded again")]
    Bytes,
    /// It hashes the same bytes to another transaction hash.
    #[error("the transaction's hash differs")]
    Hash,
}

/// Holds a signed transaction against the fields it was planned with: read back by the second
/// encoder, its signer recovered, encoded again, hashed. `value` is the coin it moves: none where
/// the operator signs. Without the feature it agrees.
///
/// # Errors
/// The first [`Disagreement`], by the name of the field.
pub fn agree_on_transaction(
    fields: &TxFields,
    value: U256,
    signing_hash: B256,
    attempt: &Attempt,
    account: Address,
) -> Result<(), Disagreement> {
    #[cfg(feature = "cross-check")]
    return second::agree_on_transaction(fields, value, signing_hash, attempt, account);
    #[cfg(not(feature = "cross-check"))]
    {
        let _ = (fields, value, signing_hash, attempt, account);
        Ok(())
    }
}

/// Signs two fixed documents and one fixed transaction, and compares digests and bytes with known
/// answers, by both encoders. Some milliseconds; run it before anything is served.
///
/// # Errors
/// [`Disagreement::KnownAnswer`] names the encoder and the answer.
pub fn start_up_self_test() -> Result<Encoders, Disagreement> {
    let known = |encoder| {
        move |(what, right)| match right {
            true => Ok(()),
            false => Err(Disagreement::KnownAnswer { encoder, what }),
        }
    };
    first_answers().into_iter().try_for_each(known(Encoder::Alloy))?;
    #[cfg(feature = "cross-check")]
    {
        second::answers().into_iter().try_for_each(known(Encoder::Ethers))?;
        Ok(Encoders::Two)
    }
    #[cfg(not(feature = "cross-check"))]
    Ok(Encoders::One)
}

/// The known answers: made by eth-account 0.14.0, a third implementation, from the key that the
/// example in EIP-155 uses. Any change to them changes what custodians, contracts and verifiers
/// all over have to agree on.
mod known {
    use super::*;

    pub(super) const SECRET: [u8; 32] = [0x46; 32];
    pub(super) const CHAIN_ID: u64 = 412_346;
    pub(super) const REGISTRY: Address = Address::repeat_byte(0x22);

    pub(super) fn checkpoint() -> schema::Checkpoint {
        schema::Checkpoint {
            log: B256::repeat_byte(0x11),
            size: 70_000,
            root: B256::repeat_byte(0x33),
            timeMs: 1_795_000_000_123,
        }
    }
    pub(super) const CHECKPOINT_DIGEST: B256 =
        b256!("7d9a61aa7ae4acd707f10b180aae97b1ae40b4da90bb659b7b739cd09ab4b9f4");
    pub(super) const CHECKPOINT_SIGNATURE: [u8; SIGNATURE_BYTES] = hex!(
        "a89662ccb20f2402ca6a791225eb58e56e5809454d3c12f9f6642e6a6ce4268f"
        "67ea3becc1119532b38d8446977bea3872ba51970e82624cf08d8b31ea85fa99" "1c"
    );

    pub(super) fn report() -> schema::Report {
        schema::Report {
            log: B256::repeat_byte(0x11),
            eventId: B256::repeat_byte(0x44),
            kind: 2,
            action: b'U',
            timeMs: 1_795_000_000_000,
            subject: B256::repeat_byte(0x55),
            actor: Address::repeat_byte(0x66),
            record: B256::repeat_byte(0x77),
            fromVersion: B256::repeat_byte(0x88),
            toVersion: B256::repeat_byte(0x99),
            permission: B256::repeat_byte(0xaa),
            details: B256::repeat_byte(0xbb),
        }
    }
    pub(super) const REPORT_DIGEST: B256 =
        b256!("508e768a3120bd6b3dd4c81bcda849dda805d9593787c85a3edc3f4cc69b56ab");
    pub(super) const REPORT_SIGNATURE: [u8; SIGNATURE_BYTES] = hex!(
        "4509a2f15b0f1400f7b81eb16cae0787a22dc29242873eeb36e24ce7d8f2fe5b"
        "3eb64ad9f770581b388b5040f98bd328c46d5eb9d887c55af7d423704d2e12cb" "1c"
    );

    pub(super) fn transaction() -> TxFields {
        TxFields {
            chain_id: CHAIN_ID,
            to: REGISTRY,
            nonce: 7,
            gas: 90_000,
            tip: 1_500_000_000,
            max_fee: 40_000_000_000,
            data: Bytes::from_static(&[0xcc; 68]),
            at_block: 0,
        }
    }
    pub(super) const TRANSACTION_HASH: B256 =
        b256!("a852d6609720d1aeb78c662cf440263ba3966c3084db9e8aa7fda4c33c0a07c4");
    pub(super) const TRANSACTION_RAW: [u8; 183] = hex!(
        "02f8b483064aba078459682f008509502f900083015f90942222222222222222"
        "22222222222222222222222280b844cccccccccccccccccccccccccccccccccc"
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
        "ccccccccccccccccccccccccccccccccccccccc001a04789ed6d378047688697"
        "7a2b23b5aae32574a37c79851a785bce57661add0816a015a94c79b4c7fd0bfd"
        "564c499f38c6696bd6b7eddbcf828d9e8d7619d99c407a"
    );
}

type Answers = [(&'static str, bool); 6];

/// Our own stack against the known answers: `(what, whether it came out)`.
fn first_answers() -> Answers {
    let signer = LocalSigner::from_bytes(&known::SECRET).expect("a valid key");
    let domain = schema::domain(known::CHAIN_ID, known::REGISTRY);
    let checkpoint = known::checkpoint();
    let checkpoint = Request::Checkpoint { document: &checkpoint, domain: &domain }.digest();
    let report = known::report().eip712_signing_hash(&domain);
    let (hash, raw) = sign_transaction(&signer, operator::transaction(&known::transaction()));
    [
        ("checkpoint digest", checkpoint == known::CHECKPOINT_DIGEST),
        ("checkpoint signature", signer.sign_digest(checkpoint) == known::CHECKPOINT_SIGNATURE),
        ("report digest", report == known::REPORT_DIGEST),
        ("report signature", signer.sign_digest(report) == known::REPORT_SIGNATURE),
        ("transaction bytes", raw == known::TRANSACTION_RAW),
        ("transaction hash", hash == known::TRANSACTION_HASH),
    ]
}

fn sign_transaction(signer: &LocalSigner, tx: TxEip1559) -> (B256, Vec<u8>) {
    let signature = signer.sign_digest(tx.signature_hash());
    let signature =
        Signature::from_raw_array(&signature).expect("a local signature has v 27 or 28");
    let signed = tx.into_signed(signature);
    (*signed.hash(), signed.encoded_2718())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_come_out() {
        let expected = if cfg!(feature = "cross-check") { Encoders::Two } else { Encoders::One };
        assert_eq!(start_up_self_test(), Ok(expected));
    }

    #[test]
    fn an_encoder_that_stands_alone_says_so() {
        assert!(Encoders::One.to_string().contains("without the feature cross-check"));
    }
}
