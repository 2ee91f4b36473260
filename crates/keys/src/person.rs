//! A person's key, for programs that stand in for a wallet.

use crate::local::{InvalidKey, KeystoreError, LocalSigner};
use crate::operator::{Signer, build, transaction};
use alloy::consensus::TxEip1559;
use alloy::primitives::{Address, Bytes, U256, eip191_hash_message};
use alloy::sol_types::{Eip712Domain, SolStruct};
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::{CourierError, TxFields};
use medtrail_ledger::schema;
use secrecy::SecretString;
use std::path::Path;

/// Signs what a wallet signs: texts, documents, and transactions of its own account.
pub struct PersonKey(LocalSigner);

impl PersonKey {
    /// From 32 bytes that the caller keeps and wipes: for demos and tests.
    ///
    /// # Errors
    /// [`InvalidKey`] for zero, or for the order of secp256k1 and above.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        LocalSigner::from_bytes(secret).map(Self)
    }

    /// Opens a version 3 keystore: an operator who signs in from a terminal. Blocking: scrypt
    /// takes from tens of milliseconds to seconds.
    ///
    /// # Errors
    /// See [`KeystoreError`].
    pub fn load(path: &Path, passphrase: &SecretString) -> Result<Self, KeystoreError> {
        LocalSigner::load(path, passphrase).map(Self)
    }

    /// Who it is.
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// `personal_sign` (EIP-191, version 0x45).
    pub fn sign_text(&self, text: &str) -> Bytes {
        self.0.sign_digest(eip191_hash_message(text)).into()
    }

    /// `eth_signTypedData_v4` (EIP-712).
    pub fn sign_document(&self, document: &impl SolStruct, domain: &Eip712Domain) -> Bytes {
        self.0.sign_digest(schema::digest(document, domain)).into()
    }

    /// A transaction that moves `value` wei beside what it calls (EIP-1559). Sends nothing.
    ///
    /// # Errors
    /// [`CourierError`] if the signature is not this key's, as after a fault of the memory: signed
    /// twice with one nonce, a spoiled signature gives the key away. Or if two encoders disagree.
    pub fn sign_transaction(
        &self,
        fields: &TxFields,
        value: U256,
    ) -> Result<Attempt, CourierError> {
        build(&self.0, TxEip1559 { value, ..transaction(fields) }, fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::consensus::{SignableTransaction, TxEnvelope};
    use alloy::eips::eip2718::Decodable2718;
    use alloy::signers::{SignerSync, local::PrivateKeySigner};
    use medtrail_ledger::{binding, signature};

    #[test]
    fn a_transaction_moves_just_the_coin_that_was_said() {
        let key = PersonKey::from_bytes(&[3; 32]).unwrap();
        let fields = TxFields {
            chain_id: 31_338,
            to: Address::repeat_byte(0x22),
            nonce: 7,
            gas: 90_000,
            tip: 1_500_000_000,
            max_fee: 40_000_000_000,
            data: Bytes::from_static(&[0xaa; 68]),
            at_block: 12,
        };
        let value = U256::from(50_000_000_000_000_000_u64);
        let made = key.sign_transaction(&fields, value).unwrap();
        let read = TxEnvelope::decode_2718_exact(&made.raw).unwrap();
        assert_eq!(*read.tx_hash(), made.hash);
        let read = read.as_eip1559().unwrap();
        let by = signature::parse(&read.signature().as_bytes()).unwrap();
        assert_eq!(by.recover(read.tx().signature_hash()).unwrap(), key.address());
        assert_eq!(*read.tx(), TxEip1559 { value, ..transaction(&fields) });
        assert_eq!(made, key.sign_transaction(&fields, value).unwrap(), "the same bytes again");
    }

    #[test]
    fn it_signs_what_a_wallet_signs() {
        let key = PersonKey::from_bytes(&[3; 32]).unwrap();
        let wallet = PrivateKeySigner::from_slice(&[3; 32]).unwrap();
        let text = "Mari\nsigns in.";
        let signed = wallet.sign_message_sync(text.as_bytes()).unwrap().as_bytes();
        assert_eq!(key.sign_text(text), Bytes::from(signed));

        let domain = schema::domain(7, Address::repeat_byte(9));
        let document = binding::document(
            "Kalda Family Doctors",
            Address::repeat_byte(1),
            [2; 32].into(),
            key.address(),
            1_800_000_000,
        );
        let signature = key.sign_document(&document, &domain);
        binding::check_person(&document, &signature, &domain).unwrap();
        let other = PersonKey::from_bytes(&[4; 32]).unwrap().sign_document(&document, &domain);
        binding::check_person(&document, &other, &domain).unwrap_err();
    }
}
