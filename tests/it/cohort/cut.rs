//! The log is ended as a power cut would end it, after each step of a delivery to a call, and told
//! that its settlement failed, which happened or did not. Each seller is paid once.

use super::hall::{BUYER, Hall, PRICE_WEI, all_accept};
use crate::site::PATIENCE;
use alloy::primitives::U256;
use journeys::rpc_proxy::Fault;
use std::fs;
use std::time::{Duration, Instant};

const SEND: &str = "eth_sendRawTransaction";
/// Two batches.
const SELLERS: u32 = 18;

impl Hall {
    /// How many sealed files are on the disk.
    fn parcels(&self) -> usize {
        fs::read_dir(self.site.data_dir().join("calls")).unwrap().count()
    }

    /// Whether all entries are covered by an anchor in a block.
    async fn is_anchored(&self) -> bool {
        let ready = self.node.readyz().await;
        ready["anchoring"]["mined"]["size"] == ready["entries"]
    }
}

async fn cut_off_after_each_step(fault: Fault) {
    let mut hall = Hall::open().await;
    let people = hall.people(SELLERS).await;
    let before = hall.anvil.balance(BUYER).await;
    let called = hall.called(SELLERS).await;
    hall.anvil.set_block_time(0).await;
    let accepted = all_accept(people, hall.market, called.id).await;
    let mut people: Vec<_> = accepted.into_iter().map(|(person, _)| person).collect();

    // As soon as there is a file. It is the same afterwards, or another: of one key alone.
    let end = Instant::now() + PATIENCE;
    while hall.parcels() == 0 {
        assert!(Instant::now() < end, "no file:\n{}", hall.node.running.said());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hall.cut_off(&mut people).await;
    // Once all is entered, and nothing is anchored.
    let file = hall.made(&called, None).await;
    hall.cut_off(&mut people).await;
    assert_eq!(hall.made(&called, None).await, file, "what has entries is not made anew");
    hall.mine_until("anchored", async || hall.is_anchored().await).await;

    // When the settlement goes out, its answer is lost, or it itself is.
    let sent = hall.proxy.count(SEND);
    hall.proxy.spoil_all(SEND, fault);
    hall.mine_until("sent", async || hall.proxy.count(SEND) > sent).await;
    hall.node.running.kill_9();
    hall.proxy.heal();
    assert_eq!(hall.paid(&called).await, [], "no block has it");
    hall.cut_off(&mut people).await;
    // Between two batches: the next is on its way, or about to be.
    let is_first_in = async || hall.standing(&called).await.paid > 0;
    hall.mine_until("settled", is_first_in).await;
    hall.cut_off(&mut people).await;
    hall.anvil.set_block_time(1).await;
    hall.wait_for(&called, "settled", |told| told["delivery"]["state"] == "settled").await;

    let price = U256::from(PRICE_WEI);
    let all = SELLERS as usize;
    assert_eq!(hall.paid(&called).await.len(), all);
    for person in &people {
        assert_eq!(hall.anvil.balance(person.address()).await, price, "once");
        assert_eq!(person.stands(called.id).await, "paid");
    }
    let (_, sent) = hall.anvil.fees(hall.relay).await;
    assert_eq!(sent.len(), 2, "a batch is one transaction, whatever was told");
    let file = hall.downloads(&called).await;
    let opened = hall.opens(&called, &file).await;
    assert_eq!((opened.proofs.len(), opened.checked.unpaid.len()), (all, 0));
    // All places are paid: closed at once, and nothing is left to go back.
    hall.close(&called).await;
    let (gas, _) = hall.anvil.fees(BUYER).await;
    assert_eq!(hall.anvil.balance(BUYER).await + gas + price * U256::from(SELLERS), before);
    assert_eq!(hall.anvil.balance(hall.market.cohort_market).await, U256::ZERO);
    hall.node.stop();
    hall.site.must_be_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_that_a_settlement_failed_which_happened_pays_nobody_twice() {
    cut_off_after_each_step(Fault::LostReply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_that_a_settlement_failed_which_did_leaves_nobody_unpaid() {
    cut_off_after_each_step(Fault::Unreachable).await;
}
