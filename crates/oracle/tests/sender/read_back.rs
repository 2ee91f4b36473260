//! What is wrong on disk is never anchored.

use crate::world::World;
use crate::{quiet, start};
use medtrail_ledger::tile::TileId;
use medtrail_oracle::anchorer::State;
use std::sync::Arc;

/// Lets the anchorer work for a while; what it then says is wrong.
async fn complaint(world: &Arc<World>) -> String {
    let (mut anchorer, status) = start(world);
    for _ in 0..10 {
        world.lock().chain.mine(false);
        let now_s = world.lock().now_s();
        anchorer.tick(now_s).await;
    }
    let status = status.borrow();
    let problem = status.problem.clone().expect("a problem is shown");
    assert_eq!(status.state, State::Stopped, "{}", problem.what);
    assert!(problem.advice.contains("fsck"));
    problem.what
}

/// A log of 300 entries, the first 60 of them anchored.
async fn partly_anchored() -> Arc<World> {
    let world = quiet();
    world.lock().grow(59);
    let (mut anchorer, _) = start(&world);
    while world.lock().chain.head().state.anchors.is_empty() {
        world.lock().chain.mine(false);
        let now_s = world.lock().now_s();
        anchorer.tick(now_s).await;
    }
    world.lock().grow(240);
    world
}

fn anchored_sizes(world: &World) -> Vec<u64> {
    world.lock().chain.head().state.anchors.iter().map(|anchor| anchor.size).collect()
}

#[tokio::test]
async fn a_flipped_bit_in_a_new_leaf_is_not_anchored() {
    for place in [60, 150, 255] {
        let world = partly_anchored().await;
        world.lock().damage(TileId { level: 0, index: 0 }, place);
        let what = complaint(&world).await;
        assert!(what.contains("holds a wrong hash at place 0"), "{what}");
        assert_eq!(anchored_sizes(&world), [60]);
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_leaf_of_the_open_tile_is_not_anchored() {
    let world = partly_anchored().await;
    world.lock().damage(TileId { level: 0, index: 1 }, 43);
    let what = complaint(&world).await;
    assert!(what.contains("300 entries on disk hash to"), "{what}");
    assert_eq!(anchored_sizes(&world), [60]);
}

#[tokio::test]
async fn a_wrong_hash_above_good_leaves_is_not_anchored() {
    let world = partly_anchored().await;
    world.lock().damage(TileId { level: 1, index: 0 }, 0);
    let what = complaint(&world).await;
    assert!(what.contains("tile 1/0 holds a wrong hash at place 0"), "{what}");
    assert_eq!(anchored_sizes(&world), [60]);
}

#[tokio::test]
async fn a_log_that_no_longer_begins_with_what_was_anchored_is_not_anchored() {
    let world = partly_anchored().await;
    world.lock().damage(TileId { level: 0, index: 0 }, 59);
    let what = complaint(&world).await;
    assert!(what.contains("first 60 entries on disk hash to"), "{what}");
    assert_eq!(anchored_sizes(&world), [60]);
}
