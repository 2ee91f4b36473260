//! A person's own transactions: prepared, signed, sent, and never made twice because an answer was
//! lost or a run was cut off.

use alloy::primitives::{Address, Bytes, U256};
use journeys::anvil::{ACCOUNTS, Anvil, Mining, Options, SECRETS};
use journeys::rpc_proxy::{Fault, RpcProxy};
use medtrail_chain::market::MarketCall;
use medtrail_chain::own::{OwnError, Turn, Wish, prepare, send, turn};
use medtrail_chain::{At, Chain, Contract, Finality, Rpc, deploy};
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::person::PersonKey;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CAP: u128 = 200_000_000_000;
const FRIEND: Address = Address::repeat_byte(0x42);
const PERSON: Address = ACCOUNTS[1];

fn key() -> PersonKey {
    PersonKey::from_bytes(&SECRETS[1]).unwrap()
}

fn gift(wei: u64) -> Wish {
    Wish { from: PERSON, to: FRIEND, data: Bytes::new(), value: U256::from(wei) }
}

async fn automatic() -> Anvil {
    Anvil::start_with(Options { mining: Mining::Automatic, ..Options::default() }).await
}

#[tokio::test]
async fn a_payment_whose_answer_was_lost_is_found_and_moves_the_coin_once() {
    let anvil = automatic().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    let rpc = Rpc::new(&[proxy.url()]).unwrap();
    let before = anvil.balance(PERSON).await;
    let prepared = prepare(&rpc, &gift(700), CAP).await.unwrap();
    let signed = key().sign_transaction(&prepared.fields, prepared.value).unwrap();
    proxy.spoil_next("eth_sendRawTransaction", Fault::LostReply);
    proxy.spoil_next("eth_getTransactionReceipt", Fault::Status(503));
    let mined = send(&rpc, &signed).await.unwrap();
    assert_eq!(mined.tx, signed.hash);
    // A run that was cut off here, and sends the same once more.
    assert_eq!(send(&rpc, &signed).await.unwrap(), mined);
    assert_eq!(anvil.balance(FRIEND).await, U256::from(700));
    let spent = before - anvil.balance(PERSON).await;
    assert!(spent > U256::from(700) && spent <= U256::from(700) + prepared.fee_max());
    assert_eq!(anvil.outcomes(PERSON).await, [true]);
}

#[tokio::test]
async fn nothing_is_signed_while_another_transaction_of_the_account_waits() {
    let anvil = Anvil::start().await;
    let rpc = Rpc::new(&[&anvil.url()]).unwrap();
    assert_eq!(turn(&rpc, PERSON).await.unwrap(), Turn::Free(0));
    let prepared = prepare(&rpc, &gift(700), CAP).await.unwrap();
    let signed = key().sign_transaction(&prepared.fields, prepared.value).unwrap();
    anvil.send_raw(&signed.raw).await.unwrap();
    assert_eq!(turn(&rpc, PERSON).await.unwrap(), Turn::Taken(0));
    let refused = prepare(&rpc, &gift(700), CAP).await.unwrap_err();
    assert!(matches!(refused, OwnError::Waiting { account: PERSON, nonce: 0 }), "{refused}");
    assert!(refused.to_string().contains("wait until it is"));
    anvil.mine(1).await;
    assert_eq!(prepare(&rpc, &gift(700), CAP).await.unwrap().fields.nonce, 1);
}

#[tokio::test]
async fn who_cannot_pay_or_allows_less_than_gas_costs_is_told_so_before_anything_is_signed() {
    let anvil = automatic().await;
    let rpc = Rpc::new(&[&anvil.url()]).unwrap();
    anvil.set_balance(PERSON, 1_000).await;
    for wei in [700, 1_001] {
        let refused = prepare(&rpc, &gift(wei), CAP).await.unwrap_err();
        let OwnError::Poor { holds, needs, .. } = refused else { panic!("{refused}") };
        assert!(holds == U256::from(1_000) && needs > holds);
    }
    let refused = prepare(&rpc, &gift(0), 1).await.unwrap_err();
    assert!(matches!(refused, OwnError::Fees { cap: 1, .. }), "{refused}");
    assert_eq!(anvil.nonce(PERSON).await, 0);
}

#[tokio::test]
async fn what_the_market_refuses_is_told_in_its_words_and_costs_nothing() {
    let anvil = automatic().await;
    let rpc = Rpc::new(&[&anvil.url()]).unwrap();
    let operator = Arc::new(OperatorKey::from_bytes(&SECRETS[0]).unwrap());
    for contract in Contract::ALL {
        deploy(&rpc, operator.clone(), contract).await.unwrap();
    }
    let market = Contract::DataMarket.address();
    let call = MarketCall::Withdraw { account: PERSON, token: Address::ZERO, to: PERSON };
    let wish = Wish { to: market, data: call.calldata(), ..gift(0) };
    let refused = prepare(&rpc, &wish, CAP).await.unwrap_err();
    assert!(matches!(refused, OwnError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("NothingToWithdraw"), "{refused}");
    let coin = Wish { value: U256::from(1), ..wish };
    let refused = prepare(&rpc, &coin, CAP).await.unwrap_err();
    assert!(matches!(refused, OwnError::Refused(_)), "{refused}");

    let registry = Contract::AnchorRegistry.address();
    let chain = Chain::new(rpc.clone(), anvil.chain_id(), registry, Finality::Tag);
    let consents = Contract::ConsentRegistry.address();
    let control = chain.control_of(consents, PERSON, At::Latest).await.unwrap();
    assert_eq!((control.controller, control.frozen_until_s), (PERSON, 0));
    assert_eq!(anvil.nonce(PERSON).await, 0);
}

#[tokio::test]
async fn a_transaction_that_fails_in_its_block_is_not_called_done() {
    let anvil = automatic().await;
    let rpc = Rpc::new(&[&anvil.url()]).unwrap();
    // PUSH0, PUSH0, REVERT: between preparing and mining the world moved on.
    let code = "0x5f5ffd";
    let prepared = prepare(&rpc, &gift(7), CAP).await.unwrap();
    anvil.call("anvil_setCode", json!([FRIEND, code])).await.unwrap();
    let signed = key().sign_transaction(&prepared.fields, prepared.value).unwrap();
    let sent = tokio::time::timeout(Duration::from_secs(30), send(&rpc, &signed)).await.unwrap();
    assert!(matches!(sent, Err(OwnError::Failed(tx)) if tx == signed.hash), "{sent:?}");
    assert_eq!(anvil.balance(FRIEND).await, U256::ZERO);
}
