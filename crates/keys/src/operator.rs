//! The operator's hot key: it signs checkpoints and pays for anchors, and can do nothing else for
//! anybody. Permissions are signed by people, with their own keys. The relay's key, which pays for
//! settlements, is one of the same make that is never asked for a checkpoint.

use crate::cross_check;
use crate::local::{InvalidKey, LocalSigner};
use crate::remote::{RemoteError, RemoteSigner};
use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, TxKind, U256};
use alloy::sol_types::Eip712Domain;
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::{Courier, CourierError, TxFields};
use medtrail_ledger::schema;
use medtrail_ledger::signature::{self, SIGNATURE_BYTES, Signature, SignatureError};
use std::fmt;

/// What the operator's key may be asked to sign. A signer sees the whole document, not only its
/// digest, so that one on a machine of its own can hold to a policy (this contract, below that
/// fee) even against us.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// A head of the log, under the AnchorRegistry's domain (EIP-712).
    Checkpoint {
        /// The head.
        document: &'a schema::Checkpoint,
        /// See [`schema::domain`].
        domain: &'a Eip712Domain,
    },
    /// An EIP-1559 transaction.
    Transaction(&'a TxEip1559),
}

impl Request<'_> {
    /// The 32 bytes that the signature is over.
    pub fn digest(&self) -> B256 {
        match self {
            Self::Checkpoint { document, domain } => schema::digest(*document, domain),
            Self::Transaction(tx) => tx.signature_hash(),
        }
    }
}

/// Whoever holds the secret. Blocking.
pub trait Signer: Send + Sync {
    /// The address of the key.
    fn address(&self) -> Address;
    /// r ‖ s ‖ v. Need not be checked here: [`OperatorKey`] does, for every signer alike.
    fn sign(&self, request: &Request<'_>) -> Result<[u8; SIGNATURE_BYTES], SignError>;
    /// Whether another program holds it.
    fn is_remote(&self) -> bool {
        true
    }
}

/// Why there is no signature. Nothing was sent anywhere but to the signer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The remote signer did not answer, refused, or answered something unreadable.
    #[error("remote signer: {0}")]
    Remote(#[from] RemoteError),
    /// Not in the one form that counts as a signature.
    #[error("the signer's answer is no signature: {0}")]
    Malformed(#[from] SignatureError),
    /// Made by another key, or over something else than was asked.
    #[error("the signature is by {found} or over another document; the key is of {expected}")]
    NotOurs {
        /// Whose key it is.
        expected: Address,
        /// Who would have signed this document.
        found: Address,
    },
}

/// The operator's key, wherever it is held.
pub struct OperatorKey {
    signer: Box<dyn Signer>,
}

impl OperatorKey {
    /// A key held by any signer.
    pub fn new(signer: impl Signer + 'static) -> Self {
        Self { signer: Box::new(signer) }
    }

    /// A key from 32 bytes, which the caller keeps and wipes: for demos and tests.
    ///
    /// # Errors
    /// [`InvalidKey`] for zero, or for the order of secp256k1 and above.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        LocalSigner::from_bytes(secret).map(Self::new)
    }

    /// The operator's address.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs, and refuses any answer that does not recover to the operator.
    ///
    /// A local key is checked like a remote one: RFC 6979 signs the same digest with the same nonce,
    /// so one signature spoiled by a memory fault, published beside a good one, gives the key away.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(&self, request: &Request<'_>) -> Result<Signature, SignError> {
        sign_checked(&*self.signer, request)
    }

    /// Signs, and leaves it to the caller to [check](Self::check) before it is shown to anybody.
    /// What a remote signer answers is checked here: it may be nothing of ours at all.
    pub(crate) fn sign_unchecked(&self, request: &Request<'_>) -> Result<Signature, SignError> {
        match self.signer.is_remote() {
            true => self.sign(request),
            false => Ok(signature::parse(&self.signer.sign(request)?)?),
        }
    }

    /// Whether a signature is the operator's, over this.
    pub(crate) fn check(
        &self,
        request: &Request<'_>,
        signature: &Signature,
    ) -> Result<(), SignError> {
        check(self.address(), request, signature)
    }
}

fn sign_checked(signer: &dyn Signer, request: &Request<'_>) -> Result<Signature, SignError> {
    let signature = signature::parse(&signer.sign(request)?)?;
    check(signer.address(), request, &signature)?;
    Ok(signature)
}

fn check(expected: Address, request: &Request<'_>, signature: &Signature) -> Result<(), SignError> {
    let found = signature.recover(request.digest())?;
    match found == expected {
        true => Ok(()),
        false => Err(SignError::NotOurs { expected, found }),
    }
}

impl From<LocalSigner> for OperatorKey {
    fn from(signer: LocalSigner) -> Self {
        Self::new(signer)
    }
}

impl From<RemoteSigner> for OperatorKey {
    fn from(signer: RemoteSigner) -> Self {
        Self::new(signer)
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorKey").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// The transaction these fields mean: no value, no access list.
pub(crate) fn transaction(fields: &TxFields) -> TxEip1559 {
    TxEip1559 {
        chain_id: fields.chain_id,
        nonce: fields.nonce,
        gas_limit: fields.gas,
        max_fee_per_gas: fields.max_fee,
        max_priority_fee_per_gas: fields.tip,
        to: TxKind::Call(fields.to),
        value: U256::ZERO,
        access_list: Default::default(),
        input: fields.data.clone(),
    }
}

impl Courier for OperatorKey {
    fn account(&self) -> Address {
        self.address()
    }

    fn build(&self, fields: &TxFields) -> Result<Attempt, CourierError> {
        build(&*self.signer, transaction(fields), fields)
    }
}

/// Signs a transaction of these fields, whatever coin it moves, checks the signature, and holds the
/// bytes against the second encoder.
pub(crate) fn build(
    signer: &dyn Signer,
    tx: TxEip1559,
    fields: &TxFields,
) -> Result<Attempt, CourierError> {
    let (signing_hash, value) = (tx.signature_hash(), tx.value);
    let signature = sign_checked(signer, &Request::Transaction(&tx))
        .map_err(|error| CourierError::Signer(error.to_string()))?;
    let signature = alloy::primitives::Signature::from_raw_array(signature.as_bytes())
        .expect("a signature that came through the door has v 27 or 28");
    let signed = tx.into_signed(signature);
    let attempt = Attempt {
        hash: *signed.hash(),
        raw: signed.encoded_2718().into(),
        tip: fields.tip,
        max_fee: fields.max_fee,
        built_at_block: fields.at_block,
    };
    cross_check::agree_on_transaction(fields, value, signing_hash, &attempt, signer.address())
        .map_err(|_| CourierError::Disagreement { nonce: fields.nonce })?;
    Ok(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::consensus::TxEnvelope;
    use alloy::eips::eip2718::Decodable2718;
    use alloy::primitives::{Bytes, address};
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use proptest::prelude::*;

    /// Account 0 of the mnemonic that every local chain ships.
    const SECRET: [u8; 32] =
        alloy::primitives::hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    const ADDRESS: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

    fn fields() -> TxFields {
        TxFields {
            chain_id: 412_346,
            to: Address::repeat_byte(0x22),
            nonce: 7,
            gas: 90_000,
            tip: 1_500_000_000,
            max_fee: 40_000_000_000,
            data: Bytes::from_static(&[0xaa; 68]),
            at_block: 12,
        }
    }

    /// A signer whose answers are spoiled on the way.
    struct Spoiled(LocalSigner, fn(&mut [u8; SIGNATURE_BYTES]));

    impl Signer for Spoiled {
        fn address(&self) -> Address {
            self.0.address()
        }
        fn sign(&self, request: &Request<'_>) -> Result<[u8; SIGNATURE_BYTES], SignError> {
            let mut signature = self.0.sign(request)?;
            self.1(&mut signature);
            Ok(signature)
        }
    }

    #[test]
    fn the_same_fields_give_the_same_bytes() {
        let key = OperatorKey::from_bytes(&SECRET).unwrap();
        let again = OperatorKey::from_bytes(&SECRET).unwrap();
        assert_eq!(key.build(&fields()).unwrap(), again.build(&fields()).unwrap());
    }

    #[test]
    fn a_built_transaction_reads_back_as_its_fields_from_the_operator() {
        let key = OperatorKey::from_bytes(&SECRET).unwrap();
        let attempt = key.build(&fields()).unwrap();
        let read = TxEnvelope::decode_2718_exact(&attempt.raw).unwrap();
        assert_eq!(*read.tx_hash(), attempt.hash);
        let read = read.as_eip1559().unwrap();
        assert_eq!(*read.tx(), transaction(&fields()));
        let digest = read.signature_hash();
        assert_eq!(read.signature().recover_address_from_prehash(&digest).unwrap(), ADDRESS);
        assert_eq!((attempt.tip, attempt.max_fee), (fields().tip, fields().max_fee));
        assert_eq!(attempt.built_at_block, 12);
    }

    #[test]
    fn a_spoiled_signature_never_leaves() {
        let local = || LocalSigner::from_bytes(&SECRET).unwrap();
        let bit = OperatorKey::new(Spoiled(local(), |signature| signature[40] ^= 1));
        let parity = OperatorKey::new(Spoiled(local(), |signature| signature[64] ^= 27 ^ 28));
        let v = OperatorKey::new(Spoiled(local(), |signature| signature[64] += 35));
        for key in [&bit, &parity] {
            let tx = transaction(&fields());
            let refusal = key.sign(&Request::Transaction(&tx)).unwrap_err();
            let expected = matches!(
                refusal,
                SignError::NotOurs { .. } | SignError::Malformed(SignatureError::NoKey)
            );
            assert!(expected, "{refusal}");
        }
        assert!(matches!(bit.build(&fields()), Err(CourierError::Signer(_))));
        let tx = transaction(&fields());
        let refusal = v.sign(&Request::Transaction(&tx)).unwrap_err();
        assert!(matches!(refusal, SignError::Malformed(SignatureError::V(_))));
    }

    #[test]
    fn debug_shows_the_address_and_no_secret() {
        let shown = format!("{:?}", OperatorKey::from_bytes(&SECRET).unwrap()).to_lowercase();
        assert!(shown.contains("f39fd6e5") && !shown.contains("ac0974"), "{shown}");
    }

    proptest! {
        #[test]
        fn libsecp256k1_and_k256_make_the_same_signature(secret in 1..=u128::MAX, digest: [u8; 32]) {
            let mut bytes = [0; 32];
            bytes[16..].copy_from_slice(&secret.to_be_bytes());
            let ours = LocalSigner::from_bytes(&bytes).unwrap();
            let theirs = PrivateKeySigner::from_bytes(&bytes.into()).unwrap();
            prop_assert_eq!(ours.address(), theirs.address());
            let expected = theirs.sign_hash_sync(&digest.into()).unwrap();
            prop_assert_eq!(ours.sign_digest(digest.into()), expected.as_bytes());
        }
    }
}
