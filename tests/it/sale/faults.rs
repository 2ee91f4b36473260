//! Sales while the log is killed, blocks vanish, several buy at once, and money does not want to
//! go where it should.

use super::fair::{COIN_WEI, Fair, PRICE, Who, token};
use super::price;
use crate::site::{PATIENCE, must};
use alloy::primitives::{Address, Bytes, U256, bytes, hex};
use journeys::medtrail::Running;
use journeys::token::{Quirks, Token, view};
use medtrail_chain::Contract;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const BIT: Duration = Duration::from_millis(200);
/// `JUMPDEST PUSH0 JUMP`: burns whatever it is given.
const BURNER: Bytes = bytes!("5b5f56");
const BURNS_AT: Address = Address::repeat_byte(0xbb);

fn market() -> Address {
    Contract::DataMarket.address()
}

impl Fair {
    /// Stops the log as a power cut does, and starts it again.
    fn cut_off(&mut self) {
        self.node.running.kill_9();
        self.node = self.site.serve();
    }

    fn sale(&self, order: &str) -> Value {
        self.json(&self.mari, &["sales", "show", order], false)
    }

    async fn wait_for_state(&self, order: &str, state: &str) {
        let end = Instant::now() + PATIENCE;
        while self.sale(order)["state"] != state {
            assert!(Instant::now() < end, "{:#}", self.sale(order));
            tokio::time::sleep(BIT).await;
        }
    }

    /// Somebody else with coin.
    async fn another(&self, key: &'static str) -> Who {
        let address = must(self.site.run(["keys", "reporter", key])).trim().parse().unwrap();
        self.anvil.set_balance(address, COIN_WEI).await;
        Who { key, address }
    }

    /// The laboratory buys it, and Mari says yes; until it is opened.
    async fn sells(&self, offer: &str, into: &str) {
        let rpc = self.anvil.url();
        let mut buyer =
            self.start(&self.lab, &[&self.buying(offer, &rpc, into)[..], &["--wait"]].concat());
        let order = self.asked().await;
        self.says(&self.mari, &["sales", "approve", &order], true);
        let status = buyer.wait_for_end(PATIENCE * 2);
        assert_eq!(status.code(), Some(0), "{}", buyer.said());
    }

    /// Waits until so many transactions to the market wait for a block.
    async fn wait_until_pooled(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.anvil.pooled_to(market()).await < count {
            assert!(Instant::now() < end, "nothing is sent to the market");
            tokio::time::sleep(BIT).await;
        }
    }

    /// A block at a time, until so many transactions to the market wait for the next.
    async fn mine_until_pooled(&self, count: usize) {
        // An anchor is sent, and final, before.
        let end = Instant::now() + PATIENCE * 2;
        while self.anvil.pooled_to(market()).await < count {
            if Instant::now() >= end {
                let (ready, said) = (self.node.readyz().await, self.node.running.said());
                panic!("nothing is sent to the market: {ready:#}\n{said}");
            }
            self.anvil.mine(1).await;
            tokio::time::sleep(BIT * 2).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_log_is_killed_there_is_one_delivery_and_one_payment() {
    let mut fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let offer = fair.offer();
    let before = fair.anvil.balance(fair.mari.address).await;
    let buying = [&fair.buying(&offer, &rpc, "p")[..], &["--wait"]].concat();
    let mut buyer = fair.start(&fair.lab, &buying);
    let order = fair.asked().await;
    // No anchor from here on: what is made waits.
    fair.anvil.set_interval_s(0).await;
    fair.says(&fair.mari, &["sales", "approve", &order], true);

    // Encrypted.
    let parcels = fair.site.data_dir().join("parcels");
    let end = Instant::now() + PATIENCE;
    while fs::read_dir(&parcels).is_ok_and(|mut all| all.next().is_none()) {
        assert!(Instant::now() < end, "no file is made");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fair.cut_off();

    // Entered in the log.
    let end = Instant::now() + PATIENCE;
    while fair.sale(&order)["delivery"].is_null() {
        assert!(Instant::now() < end, "{:#}", fair.sale(&order));
        tokio::time::sleep(BIT).await;
    }
    let delivery = fair.sale(&order)["delivery"].clone();
    fair.cut_off();
    assert_eq!(fair.sale(&order)["delivery"]["file"], delivery["file"]);

    // The settlement is on its way, and nobody knows whether it gets anywhere.
    fair.mine_until_pooled(1).await;
    fair.node.running.kill_9();
    fair.anvil.mine(1).await;
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before + price());
    fair.node = fair.site.serve();
    fair.anvil.set_interval_s(1).await;

    let status = buyer.wait_for_end(PATIENCE * 2);
    assert_eq!(status.code(), Some(0), "{}", buyer.said());
    fair.wait_for_state(&order, "settled").await;
    let ended = fair.sale(&order);
    for what in ["index", "file", "bytes", "lock"] {
        assert_eq!(ended["delivery"][what], delivery[what], "{what}");
    }
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before + price());
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    assert_eq!(fair.anvil.fees(fair.relay).await.1.len(), 1, "settled by one transaction");
    assert_eq!(fair.anvil.fees(fair.lab.address).await.1.len(), 1, "paid by one transaction");
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorganisation_takes_away_is_not_delivered_and_then_it_is() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let offer = fair.offer();
    let before = fair.anvil.balance(fair.mari.address).await;
    let none_waits = || {
        let told = fair.json(&fair.mari, &["sales", "list", "--as", "seller"], false);
        assert!(told["sales"].as_array().unwrap().iter().all(|sale| sale["state"] != "waiting"));
    };
    fair.anvil.set_interval_s(0).await;
    let buying = [&fair.buying(&offer, &rpc, "p")[..], &["--wait"]].concat();
    let mut buyer = fair.start(&fair.lab, &buying);

    // Before the delivery: paid in a block that is not final, and is gone.
    fair.mine_until_pooled(1).await;
    fair.anvil.mine(1).await;
    assert_eq!(fair.anvil.balance(market()).await, price());
    buyer.wait_for("Paid. The money waits in the market contract.", PATIENCE);
    tokio::time::sleep(BIT * 5).await;
    none_waits();
    fair.anvil.reorg(1, &[]).await;
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    fair.anvil.mine(4).await;
    tokio::time::sleep(BIT * 5).await;
    none_waits();

    // The buyer goes on with the same order, in another transaction.
    buyer.kill_9();
    let mut buyer = fair.start(&fair.lab, &buying);
    fair.mine_until_pooled(1).await;
    fair.anvil.mine(4).await;
    let order = fair.asked().await;
    assert_eq!(fair.order("p").unwrap()["buyer"], serde_json::json!(fair.lab.address));
    fair.says(&fair.mari, &["sales", "approve", &order], true);

    // After it: settled in a block that is not final, the key is seen, and the block is gone.
    fair.mine_until_pooled(1).await;
    fair.anvil.mine(1).await;
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before + price());
    let delivery = fair.sale(&order)["delivery"].clone();
    fair.anvil.reorg(1, &[]).await;
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before);
    fair.mine_until_pooled(1).await;
    fair.anvil.set_interval_s(1).await;

    let status = buyer.wait_for_end(PATIENCE * 2);
    assert_eq!(status.code(), Some(0), "{}", buyer.said());
    fair.wait_for_state(&order, "settled").await;
    assert_eq!(fair.sale(&order)["delivery"]["file"], delivery["file"]);
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before + price());
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    let (gas, sent) = fair.anvil.fees(fair.lab.address).await;
    assert_eq!(sent.len(), 1, "on the chain as it is now it paid once");
    assert_eq!(fair.anvil.balance(fair.lab.address).await + gas + price(), U256::from(COIN_WEI));
    fair.node.stop();
}

/// What no chain promises, and a local one can do: a block that was final is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_seen_moves_no_money_where_a_final_anchor_is_reorganised_away() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let offer = fair.offer();
    let seller = fair.anvil.balance(fair.mari.address).await;
    let buyer_had = fair.anvil.balance(fair.lab.address).await;
    let said = fair.says(&fair.lab, &fair.buying(&offer, &rpc, "p"), true);
    assert!(said.contains("Paid. The money waits in the market contract."), "{said}");
    let order = fair.asked().await;
    fair.anvil.set_interval_s(0).await;
    let asked_in = fair.anvil.block_number().await;
    fair.says(&fair.mari, &["sales", "approve", &order], true);
    fair.mine_until_pooled(1).await;

    // Everybody may have seen the key. All blocks since the approval are gone, and with them the
    // anchor of the delivery: the contract knows of none.
    let head = fair.anvil.block_number().await;
    fair.anvil.reorg(head - asked_in, &[]).await;
    fair.anvil.set_interval_s(1).await;
    let is_stopped = |ready: &Value| ready["anchoring"]["state"] == "stopped";
    let ready = fair.node.wait_until("stopped", is_stopped).await;
    let what = ready["anchoring"]["problem"]["what"].as_str().unwrap();
    assert!(what.contains("and final, now it is"), "{what}");
    let is_told = |ready: &Value| {
        ready["sales"]["problem"]["what"].as_str().is_some_and(|what| what.contains("NotDelivered"))
    };
    fair.node.wait_until("told that nothing is settled", is_told).await;
    assert_eq!(fair.anvil.balance(fair.mari.address).await, seller);
    assert_eq!(fair.anvil.balance(market()).await, price());

    // The buyer's money is the buyer's again, without the log.
    fair.anvil.advance_time(8 * 60).await;
    fair.anvil.mine(1).await;
    let refund = ["sales", "refund", "--order", "p/order.json"];
    let said = must(fair.on_chain(&fair.lab, &refund));
    assert!(said.contains("0.05 ETH went back to"), "{said}");
    let (gas, _) = fair.anvil.fees(fair.lab.address).await;
    assert_eq!(fair.anvil.balance(fair.lab.address).await + gas, buyer_had);
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    assert_eq!(fair.anvil.balance(fair.mari.address).await, seller);
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_buy_at_once_have_a_sale_each_and_a_cancelled_offer_costs_nothing() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let other = fair.another("other.json").await;
    fair.anvil.set_balance(fair.mari.address, COIN_WEI).await;
    let offer = fair.offer();
    let waiting = |into| [fair.buying(&offer, &rpc, into), vec!["--wait"]].concat();
    let mut first = fair.start(&fair.lab, &waiting("first"));
    let mut second = fair.start(&other, &waiting("second"));
    let mut approved = Vec::new();
    while approved.len() < 2 {
        let order = fair.asked().await;
        fair.says(&fair.mari, &["sales", "approve", &order], true);
        approved.push(order);
    }
    for buyer in [&mut first, &mut second] {
        let status = buyer.wait_for_end(PATIENCE * 2);
        assert_eq!(status.code(), Some(0), "{}", buyer.said());
    }
    let opened = |into: &str| fs::read(fair.site.path(into).join("data/data.ndjson")).unwrap();
    assert_eq!(opened("first").iter().filter(|byte| **byte == b'\n').count(), 6);
    let sealed = |into: &str| fs::read(fair.site.path(into).join("delivery.age")).unwrap();
    assert_ne!(sealed("first"), sealed("second"));
    let paid = fair.anvil.balance(fair.mari.address).await;
    assert_eq!(paid, U256::from(COIN_WEI) + price() + price());

    // Cancelled and bought in the same block, whichever comes first in it.
    let before = fair.anvil.balance(fair.lab.address).await;
    let (gas_before, _) = fair.anvil.fees(fair.lab.address).await;
    let offer = fair.offer();
    fair.anvil.set_interval_s(0).await;
    let mut buyer = fair.start(&fair.lab, &fair.buying(&offer, &rpc, "third"));
    fair.wait_until_pooled(1).await;
    let cancel = ["offers", "cancel", &offer, "--key", fair.mari.key, "--rpc", &rpc];
    let mut cancelling = Running::start_command(fair.site.command(cancel));
    fair.wait_until_pooled(2).await;
    fair.anvil.mine(1).await;
    fair.anvil.set_interval_s(1).await;
    let status = cancelling.wait_for_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", cancelling.said());
    let status = buyer.wait_for_end(PATIENCE);
    // 0: paid first, and to be taken back; 1: the contract refused it.
    if status.code() == Some(0) {
        assert_eq!(fair.anvil.balance(market()).await, price(), "{}", buyer.said());
        must(fair.on_chain(&fair.lab, &["sales", "refund", "--order", "third/order.json"]));
    }
    let (gas, _) = fair.anvil.fees(fair.lab.address).await;
    assert_eq!(fair.anvil.balance(fair.lab.address).await + (gas - gas_before), before);
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_cannot_go_to_its_seller_waits_for_them_and_a_token_with_a_fee_is_refused() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    fair.anvil.set_balance(mari.address, COIN_WEI).await;

    // A token that keeps a part: nothing is bought with it, and nothing of it stays anywhere.
    let greedy = token(&fair, Quirks { fee: 7, ..Quirks::default() }).await;
    let offer = fair.offer_for("1000", &["--token", &greedy.to_string()]);
    let refused = fair.run(lab, &fair.buying(&offer, &rpc, "greedy"), true);
    assert!(refused.code == Some(1), "{refused:?}");
    assert!(refused.err.contains("WrongAmountArrived"), "{refused:?}");
    let held = |token, owner| view(&fair.anvil, token, Token::balanceOfCall { owner });
    assert_eq!(held(greedy, market()).await, U256::ZERO);
    assert_eq!(held(greedy, lab.address).await, U256::from(99_993));

    // One that moves nothing to the seller: it waits for them, and goes where they say.
    let blocking = token(&fair, Quirks { blocked: mari.address, ..Quirks::default() }).await;
    let elsewhere = Address::repeat_byte(0xe1);
    let offer = fair.offer_for("1000", &["--token", &blocking.to_string()]);
    fair.sells(&offer, "blocked").await;
    assert_eq!(held(blocking, market()).await, U256::from(1000));
    let token = blocking.to_string();
    let take = ["sales", "withdraw-money", "--token", &token];
    let barred = fair.on_chain(mari, &take);
    assert!(barred.code == Some(1) && barred.err.contains("it says \"blocked\""), "{barred:?}");
    let theirs =
        fair.on_chain(lab, &[&take[..], &["--account", &mari.address.to_string()]].concat());
    assert!(theirs.err.contains("NotController"), "{theirs:?}");
    let said = must(fair.on_chain(mari, &[&take[..], &["--to", &elsewhere.to_string()]].concat()));
    assert!(said.contains("1000 units"), "{said}");
    assert_eq!(held(blocking, elsewhere).await, U256::from(1000));
    assert_eq!(held(blocking, market()).await, U256::ZERO);

    // A seller whose account burns all gas that comes with a payment (EIP-7702).
    let offer = fair.offer_for(PRICE, &[]);
    fair.anvil.set_code(BURNS_AT, &BURNER).await;
    let delegated = [&hex!("ef0100")[..], BURNS_AT.as_slice()].concat();
    fair.anvil.set_code(mari.address, &delegated.into()).await;
    let before = fair.anvil.balance(mari.address).await;
    fair.sells(&offer, "burner").await;
    assert_eq!(fair.anvil.balance(mari.address).await, before);
    assert_eq!(fair.anvil.balance(market()).await, price());
    let to = ["sales", "withdraw-money", "--to", &elsewhere.to_string()];
    must(fair.on_chain(mari, &to));
    assert_eq!(fair.anvil.balance(elsewhere).await, price());
    assert_eq!(fair.anvil.balance(market()).await, U256::ZERO);
    fair.node.stop();
}
