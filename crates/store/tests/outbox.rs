//! The sender's memory survives, and means on disk what it means in memory.

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::{
    Anchor, AnchorRecord, Attempt, BlockRef, Call, Cursor, Intent, IntentState, Plan, PlanChange,
};
use medtrail_ledger::ports::Outbox;
use medtrail_store::{Store, StoreOptions};
use proptest::prelude::*;

fn block() -> impl Strategy<Value = BlockRef> {
    (any::<u64>(), any::<[u8; 32]>())
        .prop_map(|(number, hash)| BlockRef { number, hash: B256::from(hash) })
}

fn anchor() -> impl Strategy<Value = Anchor> {
    (0..6u64, any::<u64>(), any::<[u8; 32]>(), any::<u64>())
        .prop_map(|(number, size, root, time_s)| Anchor { number, size, root: root.into(), time_s })
}

fn call() -> impl Strategy<Value = Call> {
    let open = (".*", any::<[u8; 20]>(), any::<[u8; 32]>(), any::<u32>()).prop_map(
        |(origin, cold_key, note_key, anchor_within_s)| Call::Open {
            origin,
            cold_key: cold_key.into(),
            note_key: note_key.into(),
            anchor_within_s,
        },
    );
    let proof = prop::collection::vec(any::<[u8; 32]>().prop_map(B256::from), 0..9);
    let anchor = (any::<[u8; 32]>(), anchor(), any::<u64>(), any::<[u8; 32]>(), proof).prop_map(
        |(log, old, size, root, proof)| Call::Anchor {
            log: log.into(),
            old,
            size,
            root: root.into(),
            proof,
        },
    );
    prop_oneof![open, anchor]
}

fn state() -> impl Strategy<Value = IntentState> {
    prop_oneof![
        Just(IntentState::Pending),
        block().prop_map(IntentState::Mined),
        block().prop_map(IntentState::Final),
        block().prop_map(IntentState::Failed),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let raw = prop::collection::vec(any::<u8>(), 0..200);
    (any::<[u8; 32]>(), raw, any::<u128>(), any::<u128>(), any::<u64>()).prop_map(
        |(hash, raw, tip, max_fee, built_at_block)| Attempt {
            hash: hash.into(),
            raw: Bytes::from(raw),
            tip,
            max_fee,
            built_at_block,
        },
    )
}

fn intent() -> impl Strategy<Value = Intent> {
    let attempts = prop::collection::vec(attempt(), 0..4);
    (0..3u8, 0..4u64, call(), any::<u64>(), state(), any::<u64>(), attempts).prop_map(
        |(account, nonce, call, gas, state, made_at_block, attempts)| Intent {
            account: Address::repeat_byte(account),
            nonce,
            call,
            gas,
            state,
            made_at_block,
            attempts,
        },
    )
}

fn change() -> impl Strategy<Value = PlanChange> {
    let recent = prop::collection::vec(block(), 0..20);
    prop_oneof![
        3 => intent().prop_map(PlanChange::PutIntent),
        1 => (0..3u8, 0..4u64).prop_map(|(account, nonce)| PlanChange::DropIntent {
            account: Address::repeat_byte(account),
            nonce,
        }),
        1 => (any::<[u8; 32]>(), block(), block(), recent).prop_map(
            |(genesis, head, finalized, recent)| {
                PlanChange::SetCursor(Cursor { genesis: genesis.into(), head, finalized, recent })
            }
        ),
        2 => (anchor(), any::<[u8; 32]>(), block(), any::<bool>()).prop_map(
            |(anchor, tx, block, is_final)| {
                PlanChange::PutAnchor(AnchorRecord { anchor, tx: tx.into(), block, is_final })
            }
        ),
        1 => (0..6u64).prop_map(|number| PlanChange::DropAnchor { number }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_on_disk_is_the_plan_in_memory(
        saves in prop::collection::vec(prop::collection::vec(change(), 0..8), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let mut plan = Plan::default();
        for changes in saves {
            changes.iter().for_each(|change| plan.apply(change));
            store.save(&changes).unwrap();
            prop_assert_eq!(&store.load().unwrap(), &plan);
            drop(store);
            store = Store::open(dir.path(), StoreOptions::default()).unwrap();
            prop_assert_eq!(&store.load().unwrap(), &plan);
        }
    }
}

#[test]
fn a_kept_checkpoint_is_found_by_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let keep = |size, note: &str| PlanChange::KeepCheckpoint { size, note: note.into() };
    store.save(&[keep(7, "seven"), keep(9, "nine")]).unwrap();
    drop(store);
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(store.kept_checkpoint(9).unwrap().unwrap(), b"nine");
    assert_eq!(store.kept_checkpoint(8).unwrap(), None);
}
