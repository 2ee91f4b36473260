//! The follower against a chain that did something while nobody looked.

use crate::model::Chain;
use crate::node::Node;
use crate::world::{LOG, World};
use crate::{quiet, start};
use medtrail_ledger::plan::{Anchor, Plan};
use medtrail_oracle::anchorer::{Anchorer, State, Status};
use medtrail_oracle::follower::{FollowError, Resume, follow};
use std::sync::Arc;
use tokio::sync::watch::Receiver;

/// An anchorer at work on a chain without faults.
struct Quiet {
    world: Arc<World>,
    anchorer: Anchorer<Node>,
    status: Receiver<Status>,
}

impl Quiet {
    /// With so many anchors, the last of them just mined.
    async fn with_anchors(count: usize) -> Self {
        let world = quiet();
        let (anchorer, status) = start(&world);
        let mut quiet = Self { world, anchorer, status };
        while quiet.plan().anchors.len() < count {
            if quiet.status.borrow().lag_entries == 0 {
                quiet.world.lock().grow(10);
            }
            quiet.rounds(1).await;
        }
        quiet
    }

    async fn rounds(&mut self, count: u32) {
        for _ in 0..count {
            self.world.lock().chain.mine(false);
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let now_s = self.world.lock().now_s();
        self.anchorer.tick(now_s).await;
    }

    /// As after a restart: only the disk remembers.
    fn restart(&mut self) {
        (self.anchorer, self.status) = start(&self.world);
    }

    fn plan(&self) -> Plan {
        self.world.lock().disk.plan.clone()
    }

    fn on_chain(&self) -> Vec<Anchor> {
        self.world.lock().chain.head().state.anchors.clone()
    }

    fn problem(&self) -> (State, String) {
        let status = self.status.borrow();
        let problem = status.problem.clone().expect("a problem is shown");
        assert!(!problem.advice.is_empty());
        (status.state, problem.what)
    }
}

#[tokio::test]
async fn a_reorganisation_while_we_were_down_takes_an_anchor_away_and_it_is_made_again() {
    let mut quiet = Quiet::with_anchors(2).await;
    let before = quiet.plan().anchors[1].clone();
    {
        let chain = &mut quiet.world.lock().chain;
        chain.rewind(3);
        (0..4).for_each(|_| chain.mine(false));
        assert_eq!(chain.head().state.anchors.len(), 1, "the second anchor is gone");
    }
    quiet.restart();
    quiet.look().await;
    assert_eq!(quiet.plan().anchors.len(), 1, "the disk knows that it is gone");
    assert_eq!(quiet.status.borrow().pending, Some(before.anchor.size), "and it was sent again");
    quiet.rounds(2).await;
    let again = quiet.plan().anchors[1].clone();
    assert_eq!((again.anchor.size, again.tx), (before.anchor.size, before.tx));
    assert_ne!(again.block, before.block);
    assert!(!again.is_final);
    quiet.rounds(10).await;
    assert!(quiet.plan().anchors[1].is_final);
}

#[tokio::test]
async fn a_reorganisation_deeper_than_the_remembered_blocks_is_survived() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.rounds(10).await;
    quiet.world.lock().chain.is_final_halted = true;
    quiet.world.lock().grow(10);
    quiet.rounds(300).await;
    assert_eq!(quiet.plan().anchors.len(), 2);
    assert_eq!(quiet.plan().cursor.unwrap().recent.len(), 256);
    {
        let chain = &mut quiet.world.lock().chain;
        chain.rewind(301);
        (0..310).for_each(|_| chain.mine(false));
    }
    quiet.look().await;
    assert_eq!(quiet.plan().anchors.len(), 1, "what was final stays");
    quiet.rounds(2).await;
    let known: Vec<_> = quiet.plan().anchors.iter().map(|record| record.anchor).collect();
    assert_eq!((known.len(), &known), (2, &quiet.on_chain()));
}

#[tokio::test]
async fn a_local_chain_that_was_started_anew_is_named_and_nothing_is_sent() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.rounds(10).await;
    let before = quiet.plan();
    quiet.world.lock().chain = Chain::new("another genesis");
    quiet.restart();
    quiet.world.lock().grow(10);
    quiet.rounds(3).await;
    let (state, what) = quiet.problem();
    assert_eq!(state, State::Stopped);
    assert!(what.contains("another chain, or the same local chain started anew"), "{what}");
    assert_eq!(quiet.plan(), before, "the disk keeps what it knows");
    quiet.rounds(30).await;
    assert_eq!(quiet.problem().0, State::Stopped, "also once it is longer than the old one");
    assert_eq!(quiet.on_chain(), []);
}

#[tokio::test]
async fn a_final_block_that_changed_is_another_chain() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.rounds(20).await;
    {
        let chain = &mut quiet.world.lock().chain;
        chain.rewind(12);
        (0..20).for_each(|_| chain.mine(false));
    }
    let plan = quiet.plan();
    let node = Node(quiet.world.clone());
    let error = follow(&node, LOG, &plan, 0, Resume::Cursor).await.unwrap_err();
    let final_number = plan.cursor.unwrap().finalized.number;
    assert!(matches!(error, FollowError::Vanished { number, .. } if number == final_number));
}

#[tokio::test]
async fn a_node_that_has_not_caught_up_is_waited_for() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.rounds(20).await;
    let before = quiet.plan();
    {
        let chain = &mut quiet.world.lock().chain;
        chain.rewind(15);
        chain.finalized = 1;
    }
    quiet.look().await;
    let (state, what) = quiet.problem();
    assert_eq!(state, State::Failing);
    assert!(what.contains("was final before"), "{what}");
    assert_eq!(quiet.plan(), before);
}

#[tokio::test]
async fn an_event_that_a_node_left_out_is_missed_told_and_found() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.rounds(10).await;
    quiet.world.lock().grow(10);
    while quiet.on_chain().len() < 2 {
        quiet.world.lock().hides_events = 1;
        quiet.rounds(1).await;
    }
    assert_eq!(quiet.plan().anchors.len(), 1, "the block was read, its event was not there");
    let (_, what) = quiet.problem();
    assert!(what.contains("counts 2 anchors of our log, the node's events show 1"), "{what}");
    quiet.world.lock().hides_events = 0;
    quiet.rounds(1).await;
    assert_eq!(quiet.plan().anchors.len(), 2);
    assert_eq!(quiet.status.borrow().problem, None);
}

#[tokio::test]
async fn a_disk_without_a_cursor_reads_all_anchors_from_the_opening_on() {
    let mut quiet = Quiet::with_anchors(4).await;
    quiet.rounds(3).await;
    let known = quiet.plan();
    let node = Node(quiet.world.clone());
    let mut fresh = Plan::default();
    let changes = follow(&node, LOG, &fresh, 1, Resume::Cursor).await.unwrap();
    changes.iter().for_each(|change| fresh.apply(change));
    assert_eq!(fresh.anchors, known.anchors);
    assert!(fresh.anchors[0].is_final && !fresh.anchors[3].is_final);
}

#[tokio::test]
async fn a_chain_that_stands_still_is_read_once() {
    let mut quiet = Quiet::with_anchors(1).await;
    quiet.look().await;
    let node = Node(quiet.world.clone());
    let changes = follow(&node, LOG, &quiet.plan(), 0, Resume::Cursor).await.unwrap();
    assert_eq!(changes, []);
}
