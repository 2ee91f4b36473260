//! Calls to many, through a running log on a real chain: who accepts, who says no and when, who is
//! paid, and what the buyer gets. The money is counted to the wei.

mod audited;
mod buyer;
mod cut;
mod hall;
mod people;
mod terminal;

use crate::site::{Settings, Site, must, ticking_chain};
use alloy::primitives::{Address, U256};
use hall::{BUYER, Hall, PRICE_WEI, all_accept};
use medtrail_chain::Contract;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A price in a token.
const UNITS: u64 = 10_000;

fn price(times: usize) -> U256 {
    U256::from(PRICE_WEI) * U256::from(times)
}

/// How many lines of a trail say that the buyer took the file of a call.
fn downloads(trail: &[Value]) -> usize {
    let is_one = |line: &&Value| {
        let told = line["details"]["text"].as_str().unwrap_or_default();
        line["report"]["kind"] == 1 && told.contains(&json!(BUYER).as_str().unwrap().to_lowercase())
    };
    trail.iter().filter(is_one).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_accept_three_say_no_and_all_others_are_paid_to_the_wei() {
    let hall = Hall::open().await;
    let anvil = &hall.anvil;
    let mut people = hall.people(50).await;
    let before = anvil.balance(BUYER).await;
    let called = hall.called(49).await;
    let market_at = hall.market.cohort_market;
    assert_eq!(anvil.balance(market_at).await, price(49));

    let late = people.split_off(48);
    let mut sellers = all_accept(people, hall.market, called.id).await;
    let places: BTreeSet<u32> = sellers.iter().map(|(_, one)| one.place).collect();
    assert_eq!(places.len(), 48, "a place each");
    // The first says no to the service, before there is a file; the last two take the free places.
    let (gone, _) = sellers.remove(0);
    let (status, told) = gone.withdraws(called.id).await;
    assert_eq!(status, 200, "{told}");
    anvil.set_block_time(0).await;
    sellers.extend(all_accept(late, hall.market, called.id).await);
    assert_eq!(sellers.len(), 49);

    // No block comes: the file is made and entered, and no anchor is final.
    let first = hall.made(&called, None).await;
    let tag = format!("\"{first:x}\"");
    // The second says no on the chain. Its file is made anew, under another key, without them.
    let (revoked, acceptance) = sellers.remove(17);
    revoked.revokes(anvil, acceptance.id(&hall.market)).await;
    anvil.mine(1).await;
    let second = hall.made(&called, Some(first)).await;
    // Who had the beginning of the first file gets the second whole, and no rest of another.
    let whole = hall.part(&called, 10, &tag).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()["etag"], format!("\"{second:x}\""));
    drop(whole);
    hall.is_the_buyer_s_alone(&called, &[&gone, &revoked, &sellers[0].0]).await;
    assert_eq!(hall.standing(&called).await.paid, 0, "nobody knows the key");

    // The first batch shows the key and binds. Who says no after it is paid all the same.
    let is_settled = async || hall.standing(&called).await.settled_at_s.is_some();
    hall.mine_until("settled", is_settled).await;
    let paid = hall.paid(&called).await;
    assert!(!paid.is_empty() && paid.len() <= 16, "{paid:?}");
    let is_unpaid = |place: u32| paid.iter().all(|(one, ..)| *one != place);
    let unpaid = sellers.iter().filter(|(_, one)| is_unpaid(one.place));
    let (regrets, acceptance) = unpaid.max_by_key(|(_, one)| one.place).unwrap();
    let (status, told) = regrets.withdraws(called.id).await;
    assert_eq!(status, 409, "{told}");
    let tx = regrets.revokes(anvil, acceptance.id(&hall.market)).await;
    anvil.mine(1).await;
    let revoked_in = anvil.mined_in(tx).await.unwrap();
    anvil.set_block_time(1).await;
    hall.wait_for(&called, "settled", |told| told["delivery"]["state"] == "settled").await;

    let paid = hall.paid(&called).await;
    let by_place: BTreeMap<u32, _> = paid.iter().map(|(place, who, _)| (*place, *who)).collect();
    let accepted: BTreeMap<u32, _> =
        sellers.iter().map(|(who, one)| (one.place, who.address())).collect();
    assert_eq!((paid.len(), &by_place), (48, &accepted), "each once, for their place");
    let regretted = paid.iter().find(|(_, who, _)| *who == regrets.address()).unwrap();
    assert!(regretted.2 > revoked_in, "paid after they said no");

    // The buyer has it all, and each consent with its entry in the anchored log.
    let file = hall.downloads_in_parts(&called).await;
    let opened = hall.opens(&called, &file).await;
    assert!(opened.checked.unpaid.is_empty() && opened.checked.by_others.is_empty());
    let consents: BTreeMap<u32, _> =
        opened.checked.manifest.consents.iter().map(|one| (one.place, one.seller)).collect();
    assert_eq!(consents, accepted);
    // The manifest, and a file of each.
    assert_eq!((opened.proofs.len(), opened.files.len()), (48, 49));
    let data = opened.files.iter().filter(|(name, _)| name != "manifest.json");
    let told: String = data.map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
    assert!(told.contains("15074-8") && !told.contains("Mari") && !told.contains("Patient/p"));
    for (seller, _) in &sellers {
        assert!(!told.contains(&format!("{:x}", seller.address())), "nobody is named");
    }

    // What they read: the download is a line of each who is in the file, of nobody else's.
    // A line an hour, and this takes less.
    for (seller, _) in &sellers {
        let lines = downloads(&seller.trail().await);
        assert!((1..=2).contains(&lines), "{lines}");
        assert_eq!(seller.stands(called.id).await, "paid");
    }
    assert_eq!((downloads(&gone.trail().await), downloads(&revoked.trail().await)), (0, 0));
    assert_eq!(gone.stands(called.id).await, "withdrawn");

    // The rest goes back, and every wei is where it belongs.
    hall.close(&called).await;
    let (gas, sent) = hall.anvil.fees(BUYER).await;
    assert_eq!(sent.len(), 1, "the buyer paid once");
    assert_eq!(anvil.balance(BUYER).await + gas + price(48), before);
    assert_eq!(anvil.balance(market_at).await, U256::ZERO);
    for (seller, _) in &sellers {
        let (gas, _) = match seller.address() == regrets.address() {
            true => hall.anvil.fees(seller.address()).await,
            false => (U256::ZERO, Vec::new()),
        };
        let coin = if gas.is_zero() { U256::ZERO } else { U256::from(people::GAS_WEI) };
        assert_eq!(anvil.balance(seller.address()).await + gas, coin + price(1));
    }
    assert_eq!(anvil.balance(gone.address()).await, U256::ZERO);
    let (gas, _) = hall.anvil.fees(revoked.address()).await;
    assert_eq!(anvil.balance(revoked.address()).await + gas, U256::from(people::GAS_WEI));
    // What the operators' page says that a batch of sixteen fresh addresses costs.
    let (_, batches) = hall.anvil.fees(hall.relay).await;
    assert_eq!(batches.len(), 3, "sixteen at a time");
    assert!(batches.iter().all(|gas| (1_000_000..1_600_000).contains(gas)), "{batches:?}");
    hall.wait_for(&called, "closed", |told| told["state"] == "closed").await;
    audited::is_audited(hall, called.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_paid_in_a_token_and_who_said_no_leaves_theirs_to_the_buyer() {
    let hall = Hall::open().await;
    let token = hall.token(10 * UNITS).await;
    let people = hall.people(3).await;
    let called = hall.glucose(3, token, UNITS).await;
    hall.allows(token, 3 * UNITS).await;
    hall.pays(&called, 0).await;
    hall.lists(&called).await;
    hall.anvil.set_block_time(0).await;
    let mut sellers = all_accept(people, hall.market, called.id).await;
    let first = hall.made(&called, None).await;
    let (revoked, acceptance) = sellers.remove(1);
    revoked.revokes(&hall.anvil, acceptance.id(&hall.market)).await;
    hall.anvil.mine(1).await;
    hall.made(&called, Some(first)).await;
    hall.anvil.set_block_time(1).await;
    hall.wait_for(&called, "settled", |told| told["delivery"]["paid"] == 2).await;
    let file = hall.downloads(&called).await;
    assert_eq!(hall.opens(&called, &file).await.proofs.len(), 2);
    hall.close(&called).await;
    for (seller, _) in &sellers {
        assert_eq!(hall.holds(token, seller.address()).await, U256::from(UNITS));
    }
    assert_eq!(hall.holds(token, revoked.address()).await, U256::ZERO);
    assert_eq!(hall.holds(token, BUYER).await, U256::from(8 * UNITS));
    assert_eq!(hall.holds(token, hall.market.cohort_market).await, U256::ZERO);
    hall.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_settled_goes_back_whole_and_the_key_is_never_shown() {
    let hall = Hall::open().await;
    let people = hall.people(2).await;
    let before = hall.anvil.balance(BUYER).await;
    let called = hall.called(2).await;
    // Nobody pays for a settlement without coin.
    hall.anvil.set_balance(hall.relay, 0).await;
    let sellers = all_accept(people, hall.market, called.id).await;
    hall.made(&called, None).await;
    hall.is_the_buyer_s_alone(&called, &[&sellers[0].0]).await;
    let is_told = |ready: &Value| {
        let parts = ["sales", "calls"].map(|part| ready[part]["problem"].to_string());
        parts.iter().any(|problem| problem.contains("wei") || problem.contains("coin"))
    };
    hall.node.wait_until("told that the relay is poor", is_told).await;
    let status = must(hall.site.run(["status", "--url", &hall.node.url]));
    assert!(status.contains("calls to many under way"), "{status}");
    let doctor = hall.site.run(["doctor"]);
    assert!(doctor.out.contains("calls          1 "), "{doctor:?}");
    hall.close(&called).await;
    let is_over = |told: &Value| told["state"] == "closed" && told["delivery"]["state"] == "over";
    let told = hall.wait_for(&called, "over", is_over).await;
    let refusal = told["delivery"]["refusal"].as_str().unwrap();
    assert!(["late", "closed"].contains(&refusal), "{refusal}");
    let (gas, _) = hall.anvil.fees(BUYER).await;
    assert_eq!(hall.anvil.balance(BUYER).await + gas, before);
    assert_eq!(hall.paid(&called).await, []);
    for (seller, _) in &sellers {
        assert_eq!(hall.anvil.balance(seller.address()).await, U256::ZERO);
        assert_eq!(seller.stands(called.id).await, "ended");
    }
    hall.node.stop();
}

#[tokio::test]
async fn a_market_that_is_none_of_this_build_s_is_refused_at_start_and_says_what_to_write() {
    let anvil = ticking_chain().await;
    let own = Contract::CohortMarket.address();
    let with = |more: String, registry| Settings {
        more: format!("\n[market]\n{more}\n"),
        registry,
        ..Settings::on(&anvil)
    };
    let mut site = Site::new(with(format!("cohort_contract = \"{own}\""), None));
    site.give_coin(&anvil).await;
    must(site.run(["keys", "relay"]));
    let missing = site.refused();
    assert!(
        missing.contains(&format!("no CohortMarket at market.cohort_contract {own}")),
        "{missing}"
    );
    assert!(missing.contains("`medtrail deploy` puts it there"), "{missing}");

    site.settings = with(String::new(), None);
    site.configure();
    let data_market = Contract::DataMarket.address();
    let missing = site.refused();
    assert!(
        missing.contains(&format!("no DataMarket at market.contract {data_market}"))
            && missing.contains("Or leave [market] out"),
        "{missing}"
    );

    let said = must(site.run(["deploy"]));
    assert!(said.contains(&format!("CohortMarket is at {own}")), "{said}");
    let strange = Address::repeat_byte(0x45);
    site.settings = with(format!("cohort_contract = \"{strange}\""), None);
    site.configure();
    let refused = site.run(["serve"]);
    assert!(refused.code == Some(1) && refused.err.contains(&own.to_string()), "{refused:?}");
    assert!(refused.err.contains("Write that, or leave the field out"), "{refused:?}");
    site.settings = with(format!("contract = \"{strange}\""), None);
    site.configure();
    let refused = site.run(["serve"]);
    assert!(refused.err.contains(&format!("DataMarket of this program is at {data_market}")));
    site.settings = with(String::new(), Some(strange));
    site.configure();
    let refused = site.run(["serve"]);
    assert!(refused.err.contains("nobody could be paid. Leave [market] out"), "{refused:?}");
    site.settings = with(format!("cohort_contract = \"{own}\""), Some(strange));
    site.configure();
    let refused = site.run(["serve"]);
    assert!(refused.err.contains("nobody could be paid"), "{refused:?}");

    let soon = format!("delivery_s_min = 86400\ncohort_contract = \"{own}\"");
    site.settings = with(soon, None);
    site.configure();
    let refused = site.run(["serve"]);
    assert!(refused.err.contains("shorter than market.delivery_s_min"), "{refused:?}");

    // Without it calls are none of this log's; with it they are.
    for (more, told) in
        [(String::new(), Value::Null), (format!("cohort_contract = \"{own}\""), json!(own))]
    {
        site.settings = with(more, None);
        site.configure();
        let node = site.serve();
        let market = node.json("/v1/market").await;
        assert_eq!(market["cohortMarket"], told);
        let status = node.get("/v1/calls").await.status().as_u16();
        assert_eq!(status, if told.is_null() { 404 } else { 200 });
        node.stop();
    }
}
