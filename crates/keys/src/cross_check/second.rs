//! The same, by ethers. Its types stay in this file.

use super::{Answers, Disagreement, known};
use crate::remote::{checkpoint_data, typed_data};
use alloy::primitives::{Address, B256};
use ethers_core::types::transaction::eip712::{Eip712, TypedData};
use ethers_core::types::transaction::eip2718::TypedTransaction;
use ethers_core::types::{Eip1559TransactionRequest, H160, H256, NameOrAddress, Signature, U256};
use ethers_core::utils::keccak256;
use ethers_core::utils::rlp::Rlp;
use ethers_signers::{LocalWallet, Signer};
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::TxFields;
use medtrail_ledger::schema;
use medtrail_ledger::signature::SIGNATURE_BYTES;

/// See [`super::agree_on_transaction`].
pub(super) fn agree_on_transaction(
    fields: &TxFields,
    value: alloy::primitives::U256,
    signing_hash: B256,
    attempt: &Attempt,
    account: Address,
) -> Result<(), Disagreement> {
    let (read, signature) = TypedTransaction::decode_signed(&Rlp::new(&attempt.raw))
        .map_err(|_| Disagreement::Unreadable)?;
    let TypedTransaction::Eip1559(read) = read else { return Err(Disagreement::Field("type")) };
    let planned = request(fields).value(U256::from_big_endian(&value.to_be_bytes::<32>()));
    agree_on_fields(&planned, &read)?;
    // ethers takes any other parity for a legacy v, and subtracts below zero.
    if signature.v > 1 {
        return Err(Disagreement::Field("parity"));
    }

    let planned = TypedTransaction::Eip1559(planned);
    if planned.sighash().0 != signing_hash.0 {
        return Err(Disagreement::SigningHash);
    }
    let signer = signature.recover(planned.sighash());
    if !signer.is_ok_and(|signer| signer.0 == account.0.0) {
        return Err(Disagreement::Sender(account));
    }
    if planned.rlp_signed(&signature)[..] != attempt.raw[..] {
        return Err(Disagreement::Bytes);
    }
    if keccak256(&attempt.raw) != attempt.hash.0 {
        return Err(Disagreement::Hash);
    }
    Ok(())
}

fn request(fields: &TxFields) -> Eip1559TransactionRequest {
    Eip1559TransactionRequest::new()
        .chain_id(fields.chain_id)
        .nonce(fields.nonce)
        .max_priority_fee_per_gas(fields.tip)
        .max_fee_per_gas(fields.max_fee)
        .gas(fields.gas)
        .to(H160(fields.to.0.0))
        .value(0)
        .data(fields.data.to_vec())
}

fn agree_on_fields(
    planned: &Eip1559TransactionRequest,
    read: &Eip1559TransactionRequest,
) -> Result<(), Disagreement> {
    let number = |number: Option<U256>| number.unwrap_or_default();
    let contract = |to: &Option<NameOrAddress>| to.as_ref().and_then(|to| to.as_address().copied());
    let bytes = |tx: &Eip1559TransactionRequest| tx.data.clone().unwrap_or_default();
    let fields = [
        ("chain id", planned.chain_id == read.chain_id),
        ("nonce", number(planned.nonce) == number(read.nonce)),
        (
            "priority fee",
            number(planned.max_priority_fee_per_gas) == number(read.max_priority_fee_per_gas),
        ),
        ("fee cap", number(planned.max_fee_per_gas) == number(read.max_fee_per_gas)),
        ("gas limit", number(planned.gas) == number(read.gas)),
        ("contract", contract(&planned.to) == contract(&read.to)),
        ("value", number(planned.value) == number(read.value)),
        ("call data", bytes(planned) == bytes(read)),
        ("access list", planned.access_list == read.access_list),
    ];
    match fields.into_iter().find(|(_, same)| !same) {
        Some((name, _)) => Err(Disagreement::Field(name)),
        None => Ok(()),
    }
}

/// The digest of a typed document in its JSON form, or `None` if ethers cannot read it.
fn digest(document: serde_json::Value) -> Option<H256> {
    let document: TypedData = serde_json::from_value(document).ok()?;
    document.encode_eip712().ok().map(H256)
}

fn report_data(report: &schema::Report) -> serde_json::Value {
    let domain = schema::domain(known::CHAIN_ID, known::REGISTRY);
    let message = serde_json::to_value(report).expect("a report is plain data");
    typed_data(report, &domain, message)
}

/// ethers against the known answers.
pub(super) fn answers() -> Answers {
    let wallet = LocalWallet::from_bytes(&known::SECRET)
        .expect("a valid key")
        .with_chain_id(known::CHAIN_ID);
    let domain = schema::domain(known::CHAIN_ID, known::REGISTRY);
    let checkpoint = digest(checkpoint_data(&known::checkpoint(), &domain));
    let report = digest(report_data(&known::report()));
    let sign = |digest: Option<H256>| digest.and_then(|digest| wallet.sign_hash(digest).ok());
    let is = |signature: Option<Signature>, expected: [u8; SIGNATURE_BYTES]| {
        signature.is_some_and(|signature| <[u8; SIGNATURE_BYTES]>::from(signature) == expected)
    };
    let tx = TypedTransaction::Eip1559(request(&known::transaction()));
    let raw = wallet.sign_transaction_sync(&tx).map(|signature| tx.rlp_signed(&signature));
    let raw = raw.unwrap_or_default();
    [
        ("checkpoint digest", checkpoint == Some(H256(known::CHECKPOINT_DIGEST.0))),
        ("checkpoint signature", is(sign(checkpoint), known::CHECKPOINT_SIGNATURE)),
        ("report digest", report == Some(H256(known::REPORT_DIGEST.0))),
        ("report signature", is(sign(report), known::REPORT_SIGNATURE)),
        ("transaction bytes", raw[..] == known::TRANSACTION_RAW),
        ("transaction hash", keccak256(&raw) == known::TRANSACTION_HASH.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{OperatorKey, Request, transaction};
    use alloy::consensus::transaction::RlpEcdsaEncodableTx;
    use alloy::consensus::{SignableTransaction, TxEip1559, TxLegacy};
    use alloy::eips::eip2718::Encodable2718;
    use alloy::eips::eip2930::{AccessList, AccessListItem};
    use alloy::primitives::{Signature, TxKind, keccak256};
    use medtrail_ledger::ports::Courier;
    use proptest::prelude::*;

    /// The operator moves no coin.
    const NONE: alloy::primitives::U256 = alloy::primitives::U256::ZERO;

    fn operator() -> OperatorKey {
        OperatorKey::from_bytes(&known::SECRET).unwrap()
    }

    /// Any transaction signed by the operator, whatever was planned.
    fn signed<T>(tx: T) -> Attempt
    where
        T: SignableTransaction<Signature> + RlpEcdsaEncodableTx + Send + Sync,
    {
        let secret = crate::local::LocalSigner::from_bytes(&known::SECRET).unwrap();
        let signature = secret.sign_digest(tx.signature_hash());
        let raw = tx.into_signed(Signature::from_raw_array(&signature).unwrap()).encoded_2718();
        Attempt { hash: keccak256(&raw), raw: raw.into(), tip: 0, max_fee: 0, built_at_block: 0 }
    }

    /// Holds an attempt against the known transaction's fields.
    fn compare(attempt: &Attempt) -> Result<(), Disagreement> {
        let fields = known::transaction();
        let signing_hash = transaction(&fields).signature_hash();
        agree_on_transaction(&fields, NONE, signing_hash, attempt, operator().address())
    }

    #[test]
    fn a_disagreement_names_the_field() {
        type Change = fn(&mut TxEip1559);
        let cases: [(&str, Change); 9] = [
            ("chain id", |tx| tx.chain_id += 1),
            ("nonce", |tx| tx.nonce += 1),
            ("priority fee", |tx| tx.max_priority_fee_per_gas += 1),
            ("fee cap", |tx| tx.max_fee_per_gas += 1),
            ("gas limit", |tx| tx.gas_limit += 1),
            ("contract", |tx| tx.to = TxKind::Call(Address::repeat_byte(0x23))),
            ("value", |tx| tx.value += alloy::primitives::U256::from(1)),
            ("call data", |tx| tx.input = vec![0xcc; 67].into()),
            ("access list", |tx| {
                let item = AccessListItem { address: Address::ZERO, storage_keys: vec![] };
                tx.access_list = AccessList(vec![item]);
            }),
        ];
        let good = transaction(&known::transaction());
        assert_eq!(compare(&signed(good.clone())), Ok(()));
        for (name, change) in cases {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(compare(&signed(changed)), Err(Disagreement::Field(name)));
        }
        let legacy = TxLegacy { chain_id: Some(known::CHAIN_ID), ..Default::default() };
        let refused = compare(&signed(legacy));
        assert!(matches!(refused, Err(Disagreement::Field("type") | Disagreement::Unreadable)));
    }

    #[test]
    fn a_disagreement_on_hash_bytes_or_sender_is_one_too() {
        let fields = known::transaction();
        let good = signed(transaction(&fields));

        let mut renamed = good.clone();
        renamed.hash.0[31] ^= 1;
        assert_eq!(compare(&renamed), Err(Disagreement::Hash));

        let mut longer = good.clone();
        longer.raw = [&good.raw[..], &[0]].concat().into();
        assert_eq!(compare(&longer), Err(Disagreement::Bytes));

        let mut cut = good.clone();
        cut.raw = good.raw.slice(..good.raw.len() - 1);
        assert_eq!(compare(&cut), Err(Disagreement::Unreadable));

        let signing_hash = transaction(&fields).signature_hash();
        let other = Address::repeat_byte(0x77);
        let refused = agree_on_transaction(&fields, NONE, signing_hash, &good, other);
        assert_eq!(refused, Err(Disagreement::Sender(other)));
        let refused = agree_on_transaction(&fields, NONE, B256::ZERO, &good, operator().address());
        assert_eq!(refused, Err(Disagreement::SigningHash));
    }

    #[test]
    fn no_flipped_bit_of_a_transaction_is_agreed_on() {
        let good = signed(transaction(&known::transaction()));
        for at in 0..good.raw.len() * 8 {
            let mut raw = good.raw.to_vec();
            raw[at / 8] ^= 1 << (at % 8);
            let flipped = Attempt { hash: keccak256(&raw), raw: raw.into(), ..good.clone() };
            assert!(compare(&flipped).is_err(), "bit {at}");
        }
    }

    prop_compose! {
        fn any_fields()(
            to: [u8; 20], chain_id: u64, nonce: u64, gas: u64, tip: u128, max_fee: u128,
            data in proptest::collection::vec(any::<u8>(), 0..600),
        ) -> TxFields {
            TxFields { chain_id, to: to.into(), nonce, gas, tip, max_fee, data: data.into(), at_block: 0 }
        }
    }

    proptest! {
        #[test]
        fn both_stacks_write_the_same_transaction(fields in any_fields()) {
            // `build` compares before it answers.
            prop_assert!(operator().build(&fields).is_ok());
        }

        #[test]
        fn both_stacks_hash_checkpoints_to_the_same_digest(
            log: [u8; 32], root: [u8; 32], size: u64, time: u64, chain: u64, registry: [u8; 20],
        ) {
            let document = schema::Checkpoint {
                log: log.into(), size, root: root.into(), timeMs: time,
            };
            let domain = schema::domain(chain, registry.into());
            let ours = Request::Checkpoint { document: &document, domain: &domain }.digest();
            prop_assert_eq!(digest(checkpoint_data(&document, &domain)), Some(H256(ours.0)));
        }

        #[test]
        fn both_stacks_hash_reports_to_the_same_digest(
            words: [[u8; 32]; 8], actor: [u8; 20], kind: u8, action: u8, time: u64,
        ) {
            let [log, event, subject, record, from, to, permission, details] = words.map(B256::from);
            let report = schema::Report {
                log, eventId: event, kind, action, timeMs: time, subject, actor: actor.into(),
                record, fromVersion: from, toVersion: to, permission, details,
            };
            let domain = schema::domain(known::CHAIN_ID, known::REGISTRY);
            let ours = schema::digest(&report, &domain);
            prop_assert_eq!(digest(report_data(&report)), Some(H256(ours.0)));
        }
    }
}
