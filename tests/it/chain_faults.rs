//! Everything a chain does to a sender, done to the real one: anchorer, store, keys and registry
//! contract, over anvil. After each fault the same is checked: the anchors extend each other
//! without a gap, all become final, chain and disk agree, no nonce is wasted.

mod outbox;
mod seeded;
mod world;

use journeys::rpc_proxy::Fault;
use medtrail_ledger::plan::IntentState;
use medtrail_oracle::anchorer::State;
use outbox::SaveFault;
use std::time::Duration;
use world::{FEE_CAP, GWEI, REORG_BLOCKS_MAX, World};

/// An open log with one anchor under way: sent, in the pool, in no block.
async fn with_anchor_under_way() -> World {
    let mut world = World::opened().await;
    world.grow(300);
    assert_eq!(world.tick().await.state, State::Sending);
    assert!(world.anvil.is_pooled(world.newest_attempt().hash).await);
    world
}

/// The same with dearer attempts built while the blocks were too full for any.
async fn with_bumped_attempts() -> World {
    let mut world = with_anchor_under_way().await;
    for _ in 0..8 {
        world.anvil.mine_full(1).await;
        world.tick().await;
    }
    // A block with room that it misses: a reorganisation goes by the limit of the block below.
    world.anvil.drop_transaction(world.newest_attempt().hash).await;
    world.anvil.mine(1).await;
    world.tick().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_chain_takes_every_anchor() {
    let mut world = World::new().await;
    world.grow(1);
    world.settle().await;
    world.grow(700);
    world.settle().await;
    world.grow(5);
    world.settle().await;
    let sizes: Vec<u64> = world.plan().anchors.iter().map(|record| record.anchor.size).collect();
    assert_eq!(sizes, [1, 701, 706]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_taken_while_an_anchor_is_under_way_and_go_into_the_next() {
    let mut world = with_anchor_under_way().await;
    world.grow(50);
    world.settle().await;
    let sizes: Vec<u64> = world.plan().anchors.iter().map(|record| record.anchor.size).collect();
    assert_eq!(sizes, [300, 350]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_loses_the_anchor_is_answered_by_the_same_anchor() {
    let mut world = with_anchor_under_way().await;
    let sent = world.newest_attempt();
    world.anvil.mine(3).await;
    let status = world.tick().await;
    assert_eq!(status.mined.map(|anchor| anchor.size), Some(300));

    world.anvil.reorg(REORG_BLOCKS_MAX, &[]).await;
    assert_eq!(world.anvil.mined_in(sent.hash).await, None);
    let status = world.tick().await;
    assert_eq!((status.mined, status.pending), (None, Some(300)));
    assert!(matches!(world.plan().intents.last().unwrap().state, IntentState::Pending));
    world.settle().await;
    assert_eq!(world.plan().anchors.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_loses_the_opening_too_is_answered_by_both() {
    let mut world = World::new().await;
    world.anvil.mine(10).await;
    world.grow(10);
    world.tick().await;
    world.anvil.mine(1).await;
    world.tick().await;
    world.anvil.mine(1).await;
    assert_eq!(world.tick().await.mined.map(|anchor| anchor.size), Some(10));

    world.anvil.reorg(3, &[]).await;
    world.tick().await;
    world.settle().await;
}

/// An anchor names the one before it with the time of its block. If that one comes to stand in a
/// younger block, the call that names it as it was fails, once, and is planned anew.
#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_on_top_of_one_that_was_moved_fails_once_and_is_planned_anew() {
    let mut world = with_anchor_under_way().await;
    world.anvil.mine(1).await;
    world.grow(20);
    world.tick().await;
    world.anvil.mine(1).await;
    assert_eq!(world.tick().await.mined.map(|anchor| anchor.size), Some(320));

    world.anvil.reorg(2, &[]).await;
    // anvil sets its clock back by the blocks it replaces.
    world.anvil.advance_time(60).await;
    assert_eq!(world.settle_and_count_failures().await, 1);
    let anchors = world.plan().anchors;
    assert_eq!(anchors.iter().map(|record| record.anchor.size).collect::<Vec<_>>(), [300, 320]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_may_mine_an_attempt_that_was_replaced_long_ago() {
    let mut world = with_bumped_attempts().await;
    let attempts = world.attempts();
    assert!(attempts.len() >= 3, "{attempts:#?}");
    let (first, newest) = (&attempts[0], attempts.last().unwrap());
    world.anvil.mine(1).await;
    world.tick().await;
    assert!(world.anvil.mined_in(newest.hash).await.is_some());

    world.anvil.reorg(1, std::slice::from_ref(&first.raw)).await;
    assert!(world.anvil.mined_in(first.hash).await.is_some());
    world.settle().await;
    let anchors = world.plan().anchors;
    assert_eq!((anchors.len(), anchors[0].tx), (1, first.hash));
}

/// Why every attempt is kept: without the old ones, their own anchor looks like somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_forgot_old_attempts_would_take_its_own_anchor_for_a_strangers() {
    let mut world = with_bumped_attempts().await;
    let first = world.attempts()[0].clone();
    world.outbox.spoil(SaveFault::ForgetsOldAttempts);
    world.anvil.mine(1).await;
    world.tick().await;
    world.crash();

    world.anvil.reorg(1, std::slice::from_ref(&first.raw)).await;
    world.anvil.mine(10).await;
    let status = world.tick().await;
    assert_eq!(status.state, State::Stopped, "{status:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_sent_again_as_it_was() {
    let mut world = with_anchor_under_way().await;
    let sent = world.newest_attempt();
    world.anvil.drop_transaction(sent.hash).await;
    world.tick().await;
    assert!(world.anvil.is_pooled(sent.hash).await);
    assert_eq!(world.attempts().len(), 1);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_transaction_is_replaced_by_dearer_ones_that_every_node_takes() {
    let world = with_bumped_attempts().await;
    let attempts = world.attempts();
    for pair in attempts.windows(2) {
        let (old, new) = (&pair[0], &pair[1]);
        assert!(new.tip * 8 > old.tip * 9 && new.max_fee * 8 > old.max_fee * 9, "{pair:#?}");
        assert!(new.max_fee <= FEE_CAP);
        assert!(new.built_at_block >= old.built_at_block + 3);
    }
    // The proxy refuses what geth would refuse: the newest being in the pool says it all.
    let newest = attempts.last().unwrap();
    assert!(world.anvil.is_pooled(newest.hash).await);
    let mut world = world;
    world.settle().await;
    assert_eq!(world.plan().anchors[0].tx, newest.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_stuck_for_another_reason_than_its_price_is_not_bid_up_for_ever() {
    let mut world = with_anchor_under_way().await;
    for _ in 0..60 {
        world.anvil.mine_full(1).await;
        world.tick().await;
    }
    let newest = world.newest_attempt();
    let market = u128::from(world.anvil.base_fee().await) * 2 + 3 * GWEI;
    assert!(newest.max_fee <= FEE_CAP && newest.max_fee <= 10 * market.max(GWEI), "{newest:#?}");
    let status = world.tick().await;
    let told = status.problem.expect("an alarm").what;
    assert!(told.starts_with("fees:"), "{told}");
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_blocks_for_a_while_change_nothing() {
    let mut world = with_anchor_under_way().await;
    for _ in 0..20 {
        world.tick().await;
    }
    assert_eq!(world.attempts().len(), 1, "time alone is no reason for a dearer attempt");
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_fee_above_the_offer_is_answered_at_once() {
    let mut world = with_anchor_under_way().await;
    let sent = world.newest_attempt();
    world.anvil.set_next_base_fee(u64::try_from(60 * GWEI).unwrap()).await;
    world.anvil.mine(1).await;
    world.tick().await;
    let newest = world.newest_attempt();
    assert!(newest.hash != sent.hash && newest.max_fee > 60 * GWEI, "{newest:#?}");
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_fee_above_the_cap_is_waited_for() {
    let mut world = with_anchor_under_way().await;
    world.anvil.set_next_base_fee(u64::try_from(2 * FEE_CAP).unwrap()).await;
    world.anvil.mine(1).await;
    let status = world.tick().await;
    let told = status.problem.expect("an alarm").what;
    assert!(told.starts_with("fees:"), "{told}");
    assert!(world.attempts().iter().all(|attempt| attempt.max_fee <= FEE_CAP));
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_answer_changes_nothing_until_it_does() {
    for fault in [Fault::Unreachable, Fault::Status(503), Fault::Status(429), Fault::TruncatedJson]
    {
        let mut world = with_anchor_under_way().await;
        world.proxy.spoil_everything(fault);
        let before = world.plan();
        for _ in 0..3 {
            assert_eq!(world.tick().await.state, State::Failing, "{fault:?}");
            world.anvil.mine(1).await;
        }
        world.grow(20);
        assert_eq!(world.plan(), before, "{fault:?}");
        world.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_holds_a_tick_for_seconds_and_not_for_ever() {
    let mut world = with_anchor_under_way().await;
    world.proxy.spoil_next("eth_getBlockByNumber", Fault::Hang);
    let status = tokio::time::timeout(Duration::from_secs(30), world.tick()).await.unwrap();
    assert_eq!(status.state, State::Failing);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_without_its_pool_gets_the_transaction_again() {
    let mut world = with_anchor_under_way().await;
    let sent = world.newest_attempt();
    world.anvil.stop().await;
    assert_eq!(world.tick().await.state, State::Failing);
    world.anvil.start_again().await;
    assert!(!world.anvil.is_pooled(sent.hash).await);
    world.tick().await;
    assert!(world.anvil.is_pooled(sent.hash).await);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_failed_may_have_happened_or_not() {
    for fault in [Fault::Unreachable, Fault::LostReply, Fault::TruncatedJson, Fault::Status(503)] {
        let mut world = World::opened().await;
        world.grow(300);
        world.proxy.spoil_next("eth_sendRawTransaction", fault);
        let status = world.tick().await;
        assert!(status.problem.is_some(), "{fault:?} was not told");
        let sent = world.newest_attempt();
        let happened = matches!(fault, Fault::LostReply | Fault::TruncatedJson);
        assert_eq!(world.anvil.is_pooled(sent.hash).await, happened, "{fault:?}");
        // The process dies before it could try again.
        world.crash();
        world.tick().await;
        assert!(world.anvil.is_pooled(sent.hash).await, "{fault:?}");
        world.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saving_that_failed_may_have_happened_or_not() {
    for fault in [SaveFault::NotSaved, SaveFault::SavedAllTheSame] {
        let mut world = World::opened().await;
        // Nothing to save but the intent: the cursor is where the chain is.
        world.tick().await;
        world.grow(300);
        world.outbox.spoil(fault);
        assert_eq!(world.tick().await.state, State::Failing, "{fault:?}");
        assert_eq!(world.proxy.count("eth_sendRawTransaction"), 1, "sent before it was saved");
        world.crash();
        world.tick().await;
        assert_eq!(world.proxy.count("eth_sendRawTransaction"), 2, "{fault:?}");
        world.settle().await;
        assert_eq!(world.plan().anchors.len(), 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lagging_node_is_not_taken_for_a_reorganisation_that_needs_a_new_anchor() {
    let mut world = with_anchor_under_way().await;
    world.anvil.mine(3).await;
    world.tick().await;
    world.grow(30);
    for blocks in [1, 2, 3, 5, 2] {
        world.proxy.set_lag(blocks);
        world.tick().await;
        world.anvil.mine(1).await;
    }
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_log_index_is_not_believed() {
    let mut world = with_anchor_under_way().await;
    world.anvil.mine(1).await;
    world.grow(30);
    world.proxy.spoil_all("eth_getLogs", Fault::NoLogs);
    for _ in 0..3 {
        world.tick().await;
        world.anvil.mine(1).await;
    }
    let plan = world.plan();
    assert_eq!(plan.intents.last().unwrap().nonce, 1, "no anchor may follow one that is not seen");
    assert!(plan.anchors.is_empty());
    world.settle().await;
    assert_eq!(world.plan().anchors.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_is_told_and_anchors_once_it_has_coin_again() {
    let mut world = World::opened().await;
    world.anvil.set_balance(journeys::anvil::ACCOUNTS[0], 1_000).await;
    world.grow(10);
    let told = world.tick().await.problem.expect("an alarm");
    assert!(told.what.contains("balance") || told.what.contains("funds"), "{told:?}");
    world.anvil.set_balance(journeys::anvil::ACCOUNTS[0], u64::MAX).await;
    world.settle().await;
}
