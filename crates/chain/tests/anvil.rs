//! The registry on a real node: what the in-memory chain of the oracle's tests only claims.

mod support;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::SolCall;
use medtrail_chain::{At, Chain, Contract, Finality, Rpc, deploy};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::plan::{Anchor, Attempt, Call, ChainView, LogHead, Watch};
use medtrail_ledger::ports::{
    Courier, PreflightError, Registry, RegistryError, SendError, TxFields,
};
use medtrail_ledger::tile::{TileId, TileReader};
use std::collections::HashMap;
use std::time::Duration;
use support::{Anvil, CHAIN_ID, REGISTRY, TestKey};

const ORIGIN: &str = "test.example/log";

/// A tree of numbered commitments, and proofs out of its tiles.
struct Tree {
    edge: RightEdge,
    tiles: HashMap<TileId, Vec<u8>>,
}

impl Tree {
    fn of(size: u64) -> Self {
        let mut edge = RightEdge::empty();
        (0..size).for_each(|index| edge.append(&commitment(index).0));
        let tiles = edge.changed_tiles().into_iter().collect();
        Self { edge, tiles }
    }

    fn root(&self) -> B256 {
        self.edge.root().into()
    }

    fn reader(&self) -> TileReader<impl Fn(TileId) -> Result<Option<Vec<u8>>, std::io::Error>> {
        TileReader::new(|id| Ok(self.tiles.get(&id).cloned()))
    }

    fn consistency(&self, from: u64) -> Vec<B256> {
        let path = self.reader().consistency_path(from, self.edge.size()).unwrap();
        path.into_iter().map(B256::from).collect()
    }

    fn inclusion(&self, index: u64) -> Vec<B256> {
        let path = self.reader().inclusion_path(index, self.edge.size()).unwrap();
        path.into_iter().map(B256::from).collect()
    }
}

fn commitment(index: u64) -> B256 {
    keccak256(index.to_be_bytes())
}

fn opening() -> Call {
    Call::Open {
        origin: ORIGIN.to_owned(),
        cold_key: Address::repeat_byte(0xc0),
        note_key: B256::repeat_byte(0xed),
        anchor_within_s: 3600,
    }
}

async fn look(chain: &Chain, key: &TestKey, log: B256, attempts: &[B256]) -> ChainView {
    let watch = Watch { account: key.account(), log, attempts: attempts.to_vec() };
    chain.view(&watch).await.unwrap()
}

/// Builds and sends one call, and waits for its block: an automining node may answer before it.
async fn act(chain: &Chain, key: &TestKey, log: B256, call: &Call) -> Attempt {
    let view = look(chain, key, log, &[]).await;
    let target = chain.encode(call);
    let fields = TxFields {
        chain_id: target.chain_id,
        to: target.to,
        nonce: view.nonce_head,
        gas: chain.preflight(view.head, key.account(), call).await.unwrap(),
        tip: view.market_tip,
        max_fee: 2 * view.base_fee + view.market_tip,
        data: target.data,
        at_block: view.head.number,
    };
    let attempt = key.build(&fields).unwrap();
    chain.send(&attempt.raw).await.unwrap();
    for _ in 0..500 {
        if look(chain, key, log, &[]).await.nonce_head > fields.nonce {
            return attempt;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody mined {}", attempt.hash);
}

fn log_id(chain: &Chain, key: &TestKey) -> B256 {
    use alloy::sol_types::SolValue;
    let origin = ORIGIN.to_owned();
    let parts = (U256::from(CHAIN_ID), chain.registry(), key.account(), origin);
    keccak256(parts.abi_encode_params())
}

#[tokio::test]
async fn the_registry_is_deployed_once_and_found_again() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let rpc = Rpc::new(&[&anvil.url]).unwrap();
    let log = B256::repeat_byte(1);
    let before = anvil.chain().log_head(log, At::Latest).await.unwrap_err();
    assert!(before.to_string().contains("no contract"), "{before}");

    let first = deploy(&rpc, key.clone(), REGISTRY).await.unwrap();
    assert_eq!(first.address, REGISTRY.address());
    assert!(first.tx.is_some());
    let again = deploy(&rpc, key, REGISTRY).await.unwrap();
    assert_eq!((again.address, again.tx), (first.address, None));
    assert_eq!(anvil.chain().log_head(log, At::Latest).await.unwrap(), LogHead::default());
}

#[tokio::test]
async fn a_log_is_opened_and_anchored_and_the_contract_finds_its_entries() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let chain = anvil.chain();
    deploy(&Rpc::new(&[&anvil.url]).unwrap(), key.clone(), REGISTRY).await.unwrap();
    let log = log_id(&chain, &key);

    act(&chain, &key, log, &opening()).await;
    let info = chain.log_info(log, At::Latest).await.unwrap();
    assert_eq!((info.cold_key, info.anchor_within_s), (Address::repeat_byte(0xc0), 3600));

    let (small, large) = (Tree::of(300), Tree::of(1000));
    let none = Anchor::default();
    let (size, root) = (300, small.root());
    act(&chain, &key, log, &Call::Anchor { log, old: none, size, root, proof: vec![] }).await;
    let block = look(&chain, &key, log, &[]).await.head.number;
    let (first, operator) = chain.anchor(log, 1, block).await.unwrap().expect("anchored");
    assert_eq!(operator, key.account());
    assert_eq!(chain.anchor(log, 2, block).await.unwrap(), None);
    assert_eq!(chain.anchor(log, 1, block - 1).await.unwrap(), None);
    assert_eq!((first.anchor.size, first.anchor.root), (300, small.root()));

    let (size, root, proof) = (1000, large.root(), large.consistency(300));
    let call = Call::Anchor { log, old: first.anchor, size, root, proof };
    let attempt = act(&chain, &key, log, &call).await;

    let view = look(&chain, &key, log, &[attempt.hash, B256::repeat_byte(7)]).await;
    assert_eq!((view.log_head.count, view.log_head.size), (2, 1000));
    assert_eq!(view.log_head.operator, key.account());
    let [receipt] = view.receipts[..] else { panic!("one receipt: {:?}", view.receipts) };
    assert!(receipt.is_canonical && receipt.succeeded && receipt.block == view.head);
    assert!(view.base_fee > 0 && view.balance > 0 && view.finalized.number < view.head.number);
    assert!(view.nonce_finalized < view.nonce_head);

    let in_block = chain.anchored_in(log, view.head).await.unwrap();
    let in_range = chain.anchored_between(log, 0..=view.head.number).await.unwrap();
    assert_eq!((in_block.len(), in_range.len()), (1, 2));
    assert_eq!(in_range[1], in_block[0]);
    assert_eq!(in_block[0].tx, attempt.hash);

    let second = in_block[0].anchor;
    let (at, leaf) = (At::Block(view.head.hash), commitment(777));
    let path = large.inclusion(777);
    assert!(chain.living(log, &second, at).await.unwrap());
    assert!(!chain.living(log, &Anchor { size: 999, ..second }, at).await.unwrap());
    assert!(chain.included(log, &second, 777, leaf, &path, at).await.unwrap());
    assert!(!chain.included(log, &second, 778, leaf, &path, at).await.unwrap());
    assert!(!chain.living(log, &second, At::Finalized).await.unwrap(), "not final yet");
}

#[tokio::test]
async fn a_log_s_history_is_read_at_what_is_final() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let (chain, rpc) = (anvil.chain(), Rpc::new(&[&anvil.url]).unwrap());
    deploy(&rpc, key.clone(), REGISTRY).await.unwrap();
    let log = log_id(&chain, &key);
    let history = async |log| chain.history(log, |_, _| {}).await.unwrap();
    act(&chain, &key, log, &opening()).await;
    let mut old = Anchor::default();
    let mut anchors = Vec::new();
    for size in [300, 500, 1000] {
        let (root, tree) = (Tree::of(size).root(), Tree::of(size));
        let proof = if old.size > 0 { tree.consistency(old.size) } else { vec![] };
        act(&chain, &key, log, &Call::Anchor { log, old, size, root, proof }).await;
        let block = look(&chain, &key, log, &[]).await.head.number;
        let (record, _) =
            chain.anchor(log, anchors.len() as u64 + 1, block).await.unwrap().unwrap();
        old = record.anchor;
        anchors.push(record);
    }
    // What is not final is not there yet; two more blocks each time.
    let seen = history(log).await.unwrap();
    assert_eq!((seen.anchors.len(), seen.head.count), (1, 1));
    assert_eq!((seen.opener, &seen.operators), (key.account(), &vec![key.account()]));
    assert_eq!((seen.origin.as_str(), seen.anchor_within_s), (ORIGIN, 3600));
    for origin in ["other.example/log", "third.example/log"] {
        let Call::Open { cold_key, note_key, anchor_within_s, .. } = opening() else { panic!() };
        let origin = origin.to_owned();
        act(&chain, &key, log, &Call::Open { origin, cold_key, note_key, anchor_within_s }).await;
    }
    let seen = history(log).await.unwrap();
    assert_eq!((seen.head.count, seen.head.size), (3, 1000));
    let found: Vec<_> = seen.anchors.iter().map(|seen| (seen.anchor, seen.tx)).collect();
    let made: Vec<_> = anchors.iter().map(|record| (record.anchor, record.tx)).collect();
    assert_eq!(found, made);
    assert_eq!(seen.ring, [(3, true), (2, true), (1, true)]);
    assert!(seen.opened_s <= seen.anchors[0].anchor.time_s);
    let mut tally = medtrail_ledger::audit::Tally::default();
    seen.check(&mut tally);
    assert_eq!(tally.first_fault(), None);
    assert_eq!(history(B256::repeat_byte(9)).await, None);

    let found = chain.find_opened(ORIGIN, |_| true, |_, _| {}).await.unwrap().unwrap();
    assert_eq!((found.log, found.operator), (log, key.account()));
    assert_eq!(chain.find_opened(ORIGIN, |_| false, |_, _| {}).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_the_registry_refuses_is_not_estimated_but_named() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let chain = anvil.chain();
    deploy(&Rpc::new(&[&anvil.url]).unwrap(), key.clone(), REGISTRY).await.unwrap();
    let log = log_id(&chain, &key);
    let view = look(&chain, &key, log, &[]).await;
    let root = B256::ZERO;
    let call = Call::Anchor { log, old: Anchor::default(), size: 1, root, proof: vec![] };
    let refused = chain.preflight(view.head, key.account(), &call).await.unwrap_err();
    let PreflightError::Reverts(reason) = refused else { panic!("{refused}") };
    assert!(reason.contains("NotOperator"), "{reason}");
}

#[tokio::test]
async fn a_transaction_sent_twice_or_too_late_is_no_fault() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let chain = anvil.chain();
    deploy(&Rpc::new(&[&anvil.url]).unwrap(), key.clone(), REGISTRY).await.unwrap();
    let log = log_id(&chain, &key);
    let attempt = act(&chain, &key, log, &opening()).await;
    let again = chain.send(&attempt.raw).await.unwrap_err();
    assert!(again.is_fine(), "{again}");
    let rubbish = chain.send(&vec![2, 1, 0].into()).await.unwrap_err();
    assert!(matches!(rubbish, SendError::Unknown(_)), "{rubbish}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_left_for_the_next_one() {
    let anvil = Anvil::start();
    // Nobody listens on a port that was just given back.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rpc = Rpc::new(&[format!("http://{nobody}"), anvil.url.clone()]).unwrap();
    let chain = Chain::new(rpc, CHAIN_ID, REGISTRY.address(), Finality::Tag);
    let first = chain.tips().await.unwrap_err();
    assert!(matches!(first, RegistryError::Unreachable(_)), "the tick ends: {first}");
    chain.tips().await.expect("the next tick reads from the other node");
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() {
    let anvil = Anvil::start();
    let rpc = Rpc::new(&[&anvil.url]).unwrap();
    let chain = Chain::new(rpc, 1, REGISTRY.address(), Finality::Tag);
    let refused = chain.tips().await.unwrap_err();
    assert!(matches!(refused, RegistryError::WrongChain { expected: 1, found: CHAIN_ID }));
}

alloy::sol!(
    #[allow(missing_docs)]
    ConsentRegistry,
    "../../abi/ConsentRegistry.json"
);

/// Sends a call to the consent registry, which an automining node mines at once. A busy node may
/// still show the block before the last call.
async fn consent(chain: &Chain, key: &TestKey, call: impl SolCall) {
    let data: Bytes = call.abi_encode().into();
    for _ in 0..100 {
        let view = look(chain, key, B256::ZERO, &[]).await;
        let fields = TxFields {
            chain_id: CHAIN_ID,
            to: Contract::ConsentRegistry.address(),
            nonce: view.nonce_head,
            gas: 500_000,
            tip: view.market_tip,
            max_fee: 2 * view.base_fee + view.market_tip,
            data: data.clone(),
            at_block: view.head.number,
        };
        match chain.send(&key.build(&fields).unwrap().raw).await {
            Ok(()) => return,
            Err(SendError::NonceTooLow) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the node goes on showing an old block");
}

#[tokio::test]
async fn what_a_person_permits_takes_back_and_freezes_is_read_in_order_and_becomes_final() {
    let (anvil, key) = (Anvil::start(), TestKey::shared());
    let chain = anvil.chain();
    let rpc = Rpc::new(&[&anvil.url]).unwrap();
    for contract in Contract::ALL {
        deploy(&rpc, key.clone(), contract).await.unwrap();
    }
    let (registry, subject) = (Contract::ConsentRegistry.address(), key.account());
    assert_eq!(chain.consents(registry, subject).await.unwrap(), []);

    let structs = [keccak256("first"), keccak256("second")];
    for hash in structs {
        consent(&chain, &key, ConsentRegistry::grantCall { subject, structHash: hash }).await;
    }
    let ids = structs.map(|hash| {
        let domain = medtrail_chain::domain(CHAIN_ID, registry);
        keccak256([&[0x19, 0x01], domain.separator().as_slice(), hash.as_slice()].concat())
    });
    let unseen = keccak256("a permission that never stood on chain");
    for permission in [ids[0], unseen] {
        consent(&chain, &key, ConsentRegistry::revokeCall { subject, permission }).await;
    }
    consent(&chain, &key, ConsentRegistry::revokeAllCall { subject }).await;
    let signature = alloy::primitives::Bytes::new();
    let freeze = ConsentRegistry::freezeCall { subject, signature: signature.clone() };
    consent(&chain, &key, freeze).await;
    consent(&chain, &key, ConsentRegistry::unfreezeCall { subject, signature }).await;

    let read = chain.consents(registry, subject).await.unwrap();
    let told: Vec<ConsentEvent> = read.iter().map(|record| record.event).collect();
    let [
        ConsentEvent::Granted { permission: first, at_s },
        ConsentEvent::Granted { permission: second, .. },
        ConsentEvent::Revoked { permission: taken, .. },
        ConsentEvent::Revoked { permission: never, at_s: revoked_s },
        ConsentEvent::EpochStarted { epoch: 1, .. },
        ConsentEvent::Frozen { at_s: frozen_s },
        ConsentEvent::UnfreezeStarted { until_s },
    ] = told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!([first, second, taken, never], [ids[0], ids[1], ids[0], unseen]);
    assert!(at_s <= revoked_s && revoked_s <= frozen_s && frozen_s < until_s, "{told:?}");
    // One block a slot: the last two are not final yet, all others are.
    let finals: Vec<bool> = read.iter().map(|record| record.is_final).collect();
    assert_eq!(finals, [true, true, true, true, true, false, false]);

    let stranger = Address::repeat_byte(9);
    assert_eq!(chain.consents(registry, stranger).await.unwrap(), []);
    // Another contract's events are not taken for it.
    assert_eq!(chain.consents(REGISTRY.address(), subject).await.unwrap(), []);
}

/// Wallets that are contracts: only one that answers with the magic value accepts, and one that
/// breaks off is no trouble of the node's, which would be asked again for ever.
#[tokio::test]
async fn a_contract_wallet_accepts_by_the_magic_value_alone() {
    let anvil = Anvil::start();
    let chain = anvil.chain();
    let magic = format!("0x7f1626ba7e{}5f5260205ff3", "00".repeat(28));
    let other = format!("0x7fffffffff{}5f5260205ff3", "00".repeat(28));
    let cases = [
        ("accepts", magic.as_str(), true),
        ("answers something else", other.as_str(), false),
        ("answers the magic value and more in its word", &magic.replace("ba7e00", "ba7e01"), false),
        ("answers nothing", "0x00", false),
        ("reverts", "0x5f5ffd", false),
        ("is not code", "0xfe", false),
        ("runs for ever", "0x5b5f56", false),
        ("has no code", "0x", false),
    ];
    for (number, (what, code, expected)) in cases.into_iter().enumerate() {
        let account = Address::repeat_byte(0xa0 + number as u8);
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "anvil_setCode", "params": [account, code],
        });
        reqwest::Client::new().post(&anvil.url).json(&body).send().await.unwrap();
        let answer = chain.accepts_signature(account, B256::ZERO, &[1; 65], At::Latest).await;
        assert_eq!(answer.unwrap(), expected, "it {what}");
    }
}
