//! Sales by the binary alone, through a running log on a real chain; and by a buyer who has none of
//! our code. The money is counted to the wei.

mod audited;
mod fair;
mod faults;

use crate::site::{PATIENCE, must};
use crate::strangers::tools::Stranger;
use alloy::primitives::{B256, U256, hex};
use fair::{COIN_WEI, Fair, PRICE, offering, token};
use journeys::token::{Quirks, Token, view};
use medtrail_chain::Contract;
use medtrail_ledger::entry::details_hash;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

const PRICE_WEI: u64 = 50_000_000_000_000_000;
const STRANGER: [u8; 32] = [0x3b; 32];

fn price() -> U256 {
    U256::from(PRICE_WEI)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_sold_through_the_terminal_though_the_buyer_s_run_is_cut_off_twice() {
    let mut fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let offer = fair.offer();
    let (mari, lab) = (&fair.mari, &fair.lab);
    let listed = must(fair.site.run([
        "offers",
        "list",
        "--url",
        &fair.node.url,
        "--type",
        "Observation",
        "--form",
        "hipaa-safe-harbor-v1",
    ]));
    assert!(listed.contains(&offer) && listed.contains("0.05 ETH"), "{listed}");
    assert!(
        listed.contains("5 or more") && !listed.contains(&mari.address.to_string()),
        "{listed}"
    );
    let shown = fair.says(lab, &["offers", "show", &offer], true);
    assert!(shown.contains("I offer for sale a copy of health data of"), "{shown}");
    let before = [fair.anvil.balance(mari.address).await, fair.anvil.balance(lab.address).await];

    let buying = fair.buying(&offer, &rpc, "p");
    let only_shown = fair.says(lab, &[&buying[..], &["--show"]].concat(), true);
    assert!(only_shown.contains("You are protected against no delivery."), "{only_shown}");
    let shown = fair.json(lab, &[&buying[..], &["--show"]].concat(), true);
    assert_eq!(
        (&shown["state"], &shown["document"]["buyer"]),
        (&json!("shown"), &json!(lab.address))
    );
    assert!(fair.order("p").is_none(), "nothing is kept of what was only shown");

    let buying = [&buying[..], &["--wait"]].concat();
    // Cut off as soon as the order is kept: whether it was paid, only the chain knows.
    let mut first = fair.start(&fair.lab, &buying);
    let end = Instant::now() + PATIENCE;
    while fair.order("p").is_none() {
        assert!(Instant::now() < end, "{}", first.said());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill_9();
    let mut second = fair.start(&fair.lab, &buying);
    second.wait_for("Waiting for the seller's approval", PATIENCE);
    assert!(second.said().contains("Going on with order"), "{}", second.said());
    // The log ends and comes back: whoever waits, waits on.
    fair.node.kill_9();
    second.wait_for("trying again", PATIENCE);
    fair.node = fair.site.serve();
    let order = fair.asked().await;
    second.kill_9();

    let (mari, lab) = (&fair.mari, &fair.lab);
    let to_sign = fair.says(mari, &["sales", "approve", &order, "--rpc", &rpc, "--show"], true);
    assert!(to_sign.contains(&lab.address.to_string()), "{to_sign}");
    assert!(to_sign.contains("0.05 ETH") && to_sign.contains("Nothing was signed"), "{to_sign}");
    let to_sign = fair.json(mari, &["sales", "approve", &order, "--show"], true);
    assert_eq!((&to_sign["order"], &to_sign["signed"]), (&json!(order), &json!(false)));
    let early = fair.run(mari, &["sales", "ask-deletion", &order], false);
    assert!(early.code == Some(1) && early.err.contains("409"), "{early:?}");
    // Whoever is asked to approve what they never offered signs nothing.
    let theirs = fair.run(lab, &["sales", "approve", &order], true);
    assert_eq!(theirs.code, Some(1));
    assert!(theirs.err.contains("sells: sign in with its key"), "{theirs:?}");
    let said = fair.says(mari, &["sales", "approve", &order, "--rpc", &rpc], true);
    assert!(said.contains("Approved."), "{said}");

    let mut third = fair.start(&fair.lab, &buying);
    let status = third.wait_for_end(PATIENCE * 2);
    assert_eq!(status.code(), Some(0), "{}", third.said());
    for part in ["Downloading", "Verified.", "manifest.json and its files (1) are in"] {
        assert!(third.said().contains(part), "no {part:?}: {}", third.said());
    }
    let folder = fair.site.path("p");
    let data = fs::read_to_string(folder.join("data/data.ndjson")).unwrap();
    assert_eq!(data.lines().count(), 6);
    assert!(!data.contains("Mari") && data.contains("15074-8"), "{data}");
    let again = fair.says(lab, &buying, true);
    assert!(again.contains("All is done"), "{again}");

    // Opened anew, for a program: one document, and nothing beside it.
    fs::remove_dir_all(folder.join("data")).unwrap();
    let opened = fair.json(lab, &buying, true);
    assert_eq!((&opened["state"], &opened["verdict"]), (&json!("opened"), &json!("green")));
    assert!(
        opened["order"] == *order && opened["steps"].as_array().is_some_and(|all| all.len() > 5)
    );
    assert_eq!(fs::read_to_string(folder.join("data/data.ndjson")).unwrap(), data);

    // To the wei: the seller has the price, the buyer lacks it and the gas, the market has nothing.
    let (gas, sent) = fair.anvil.fees(lab.address).await;
    assert_eq!(sent.len(), 1, "paid once");
    assert_eq!(fair.anvil.balance(lab.address).await + price() + gas, before[1]);
    assert_eq!(fair.anvil.balance(mari.address).await, before[0] + price());
    assert_eq!(fair.anvil.balance(Contract::DataMarket.address()).await, U256::ZERO);
    let (gas, sent) = fair.anvil.fees(fair.relay).await;
    assert_eq!((sent.len(), fair.anvil.balance(fair.relay).await + gas), (1, U256::from(COIN_WEI)));

    let told = fair.says(mari, &["sales", "show", &order], false);
    assert!(told.contains("settled") && told.contains("line "), "{told}");
    fair.has_it_deleted(&order);
    // The sealed file alone says what to do with it.
    let file = folder.join("delivery.age");
    let verify = fair.site.run(["verify", file.to_str().unwrap(), "--rpc", &rpc]);
    assert_eq!(verify.code, Some(1));
    assert!(verify.out.contains("medtrail delivery check"), "{verify:?}");
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_without_our_code_buys_a_copy_and_checks_it() {
    let fair = Fair::open().await;
    let offer = fair.offer();
    let key = medtrail_keys::person::PersonKey::from_bytes(&STRANGER).unwrap();
    fair.anvil.set_balance(key.address(), COIN_WEI).await;
    let before = fair.anvil.balance(fair.mari.address).await;
    let folder = tempfile::tempdir().unwrap();
    let trust = fair.node.trust().await;
    let task = json!({
        "act": "buy",
        "secret": hex::encode_prefixed(STRANGER),
        "url": fair.node.url,
        "rpc": fair.anvil.url(),
        "chainId": trust.chain_id,
        "log": trust.log,
        "market": Contract::DataMarket.address(),
        "consents": Contract::ConsentRegistry.address(),
        "offer": offer,
        "deliverWithinS": 300,
        "graceS": 120,
        "folder": folder.path(),
        "patienceMs": 110_000,
    });
    let Some(mut buyer) = Stranger::Buyer.start(&task) else { return };
    let order = fair.asked().await;
    let said = fair.says(&fair.mari, &["sales", "approve", &order], true);
    assert!(said.contains("so says the service; nobody asked the chain"), "{said}");
    let mut errors = buyer.stderr.take().unwrap();
    let lines: Vec<_> =
        BufReader::new(buyer.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    let mut error = String::new();
    errors.read_to_string(&mut error).unwrap();
    assert!(buyer.wait().unwrap().success(), "{lines:?}\n{error}");
    let told: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((told["order"].as_str(), told["records"].as_u64()), (Some(&*order), Some(6)));
    // In two parts, the second asked for by its first byte.
    assert_eq!(told["parts"][1]["status"], 206);
    let file = fs::read(folder.path().join("delivery.age")).unwrap();
    let parts = |n: usize| told["parts"][n]["bytes"].as_u64().unwrap();
    assert_eq!(parts(0) + parts(1), file.len() as u64);
    let sale = fair.json(&fair.mari, &["sales", "show", &order], false);
    assert_eq!(sale["delivery"]["file"], details_hash(&file).to_string());

    assert_eq!(told["spent"], PRICE_WEI.to_string());
    let gas: U256 = told["gas"].as_str().unwrap().parse().unwrap();
    assert_eq!(fair.anvil.balance(key.address()).await + price() + gas, U256::from(COIN_WEI));
    assert_eq!(fair.anvil.balance(fair.mari.address).await, before + price());
    assert_eq!(fair.anvil.balance(Contract::DataMarket.address()).await, U256::ZERO);
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_sold_for_a_token_by_the_seller_s_own_transactions() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    let market = Contract::DataMarket.address();
    fair.anvil.set_balance(mari.address, COIN_WEI).await;
    let token = token(&fair, Quirks::default()).await;
    let held = |owner| view(&fair.anvil, token, Token::balanceOfCall { owner });
    let token_text = token.to_string();
    let dear = fair.offer_for("100001", &["--token", &token_text]);
    let poor = fair.run(lab, &fair.buying(&dear, &rpc, "dear"), true);
    assert!(poor.err.contains("you hold 100000 units"), "{poor:?}");
    fair.says(mari, &["offers", "withdraw", &dear], false);

    // A look would show what the form hides.
    let access = ["--token", &token_text, "--access", "1h", "--form"];
    let hides = [&offering("70000")[..], &access, &["safe-harbor"]].concat();
    let hides = fair.run(mari, &hides, true);
    assert!(hides.err.contains("--access goes with --form as-it-is"), "{hides:?}");
    let offer = fair.offer_for("70000", &[&access[..], &["as-it-is"]].concat());
    let buying = [&fair.buying(&offer, &rpc, "p")[..], &["--wait"]].concat();
    let mut buyer = fair.start(lab, &buying);
    let order = fair.asked().await;
    assert_eq!(held(market).await, U256::from(70_000));
    let allowed = Token::allowanceCall { owner: lab.address, spender: market };
    assert_eq!(view(&fair.anvil, token, allowed).await, U256::ZERO, "just the price was allowed");
    let unheard = fair.run(mari, &["sales", "approve", &order, "--on-chain"], true);
    assert_eq!(unheard.code, Some(2), "--on-chain asks for --rpc");
    let approve = ["sales", "approve", &order, "--on-chain", "--rpc", &rpc];
    for answer in ["approve", "decline"] {
        let cheap = ["sales", answer, &order, "--on-chain", "--rpc", &rpc, "--fee-cap-gwei", "0"];
        let refused = fair.run(mari, &cheap, true);
        assert!(refused.err.contains("more than the 0 that you allow"), "{refused:?}");
    }
    assert!(fair.says(mari, &approve, true).contains("Approved, on the chain."));
    let status = buyer.wait_for_end(PATIENCE * 2);
    assert_eq!(status.code(), Some(0), "{}", buyer.said());
    assert!(fair.site.path("p/data/records/000006.json").exists());
    let end = [held(mari.address).await, held(lab.address).await, held(market).await];
    assert_eq!(end, [U256::from(70_000), U256::from(30_000), U256::ZERO]);
    let twice = fair.run(mari, &approve, true);
    assert!(twice.err.contains("Settled on the chain, not paid and waiting"), "{twice:?}");

    fair.is_looked_at(&order);
    // Blocks bear whole seconds: in the last look's own nobody could tell which was first.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let said = fair.says(mari, &["sales", "revoke", &order, "--rpc", &rpc], true);
    let ended = fair.run(lab, &["sales", "look", &order], false);
    assert!(ended.code == Some(1) && ended.err.contains("revoked"), "{ended:?}");
    assert!(said.contains("The copy that was sold stays theirs."), "{said}");
    let theirs = fair.run(lab, &["sales", "revoke", &order, "--rpc", &rpc], true);
    assert!(theirs.err.contains("NotController"), "{theirs:?}");

    // No more of it: the catalogue is empty, and full again.
    let listed = || must(fair.site.run(["offers", "list", "--url", &fair.node.url]));
    assert!(listed().contains(&offer));
    assert!(fair.says(mari, &["sales", "opt-out"], false).contains("You sell nothing"));
    assert!(listed().contains("Nothing is offered that fits."), "{}", listed());
    let refused = fair.run(mari, &["offers", "mine"], false);
    assert!(refused.out.contains(&offer), "{refused:?}");
    assert!(fair.says(mari, &["sales", "opt-in"], false).contains("You may sell again."));
    must(fair.on_chain(mari, &["offers", "cancel-all"]));
    assert_eq!(fair.json(lab, &["offers", "show", &offer], true)["state"], "cancelled");
    // The next offer is of the next epoch; without an endpoint nobody knows that.
    let old = fair.run(mari, &offering(PRICE), true);
    assert_eq!(old.code, Some(1), "{old:?}");
    fair.says(mari, &[&offering(PRICE)[..], &["--rpc", &rpc]].concat(), true);
    audited::is_audited(fair, order.parse().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_nothing_has_the_money_back() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    fair.anvil.set_balance(mari.address, COIN_WEI).await;
    let offer = fair.offer();
    let before = fair.anvil.balance(lab.address).await;

    // Declined on the chain: back at once.
    let said = fair.says(lab, &fair.buying(&offer, &rpc, "declined"), true);
    assert!(said.contains("Paid. The money waits in the market contract."), "{said}");
    let market = Contract::DataMarket.address();
    assert_eq!(fair.anvil.balance(market).await, price());
    let order = fair.asked().await;
    let early = fair.on_chain(lab, &["sales", "refund", "--order", "declined/order.json"]);
    assert!(early.err.contains("RefundableLater"), "{early:?}");
    let decline = ["sales", "decline", &order, "--on-chain", "--rpc", &rpc];
    let said = fair.says(mari, &decline, true);
    assert!(said.contains("the money is back with the buyer"), "{said}");
    let ended = fair.run(lab, &fair.buying(&offer, &rpc, "declined"), true);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("the money went back to you"), "{ended:?}");
    let twice = fair.on_chain(lab, &["sales", "refund", "--order", "declined/order.json"]);
    assert!(twice.err.contains("went back already"), "{twice:?}");

    // Cancelled on the chain: who has paid takes it back at once, who has not is not let.
    fair.says(lab, &fair.buying(&offer, &rpc, "cancelled"), true);
    let theirs = fair.on_chain(lab, &["offers", "cancel", &offer]);
    assert_eq!(theirs.code, Some(0), "one's own offers of that id: there are none");
    assert_eq!(fair.json(lab, &["offers", "show", &offer], true)["state"], "open");
    must(fair.on_chain(mari, &["offers", "cancel", &offer]));
    assert_eq!(fair.json(lab, &["offers", "show", &offer], true)["state"], "cancelled");
    let late = fair.run(lab, &fair.buying(&offer, &rpc, "late"), true);
    assert!(late.err.contains("the seller cancelled it on the chain"), "{late:?}");
    assert!(fair.order("late").is_none());
    let said = must(fair.on_chain(lab, &["sales", "refund", "--order", "cancelled/order.json"]));
    assert!(said.contains("0.05 ETH went back to"), "{said}");

    // Withdrawn at the service: not even paid.
    let second = fair.offer();
    let said = fair.says(mari, &["offers", "withdraw", &second], false);
    assert!(said.contains("withdrawn"), "{said}");
    let late = fair.run(lab, &fair.buying(&second, &rpc, "late"), true);
    assert!(late.err.contains("what is paid now is not delivered"), "{late:?}");

    let (gas, _) = fair.anvil.fees(lab.address).await;
    assert_eq!(fair.anvil.balance(lab.address).await + gas, before);
    assert_eq!(fair.anvil.balance(market).await, U256::ZERO);
    let nothing = fair.on_chain(lab, &["sales", "withdraw-money"]);
    assert!(nothing.err.contains("nothing is credited to"), "{nothing:?}");
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_paid_for_what_would_not_be_delivered() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    let offer = fair.offer();
    let buy = |more: &[&str]| {
        let base = ["buy", &offer, "--into", "p", "--rpc", &rpc];
        fair.run(lab, &[&base[..], more].concat(), true)
    };
    let short = buy(&["--identity", "my.key", "--deliver-within", "5s", "--grace", "2m"]);
    assert!(short.err.contains("leaves too little time"), "{short:?}");
    // A point of low order: what is sealed to it opens for everybody.
    let low = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    for (recipient, word) in [(low, "no key that can be sealed to"), ("age1x", "age1")] {
        let refused = buy(&["--recipient", recipient]);
        assert!(refused.code == Some(1) && refused.err.contains(word), "{refused:?}");
    }
    let unknown = B256::repeat_byte(0x33).to_string();
    let none = fair.run(lab, &fair.buying(&unknown, &rpc, "p"), true);
    assert!(none.err.contains("404"), "{none:?}");
    let own = fair.run(mari, &fair.buying(&offer, &rpc, "p"), true);
    assert!(own.err.contains("the seller is you"), "{own:?}");
    assert_eq!(fair.anvil.nonce(lab.address).await, 0);
    assert!(fair.order("p").is_none());

    // A kept order is of one offer, one buyer, one key.
    fair.says(lab, &fair.buying(&offer, &rpc, "p"), true);
    assert_eq!(fair.anvil.nonce(lab.address).await, 1);
    must(fair.site.run(["keys", "buyer", "other.key"]));
    let both = buy(&["--identity", "other.key", "--recipient", low]);
    assert!(both.err.contains("has not the key of --recipient"), "{both:?}");
    let other = buy(&["--identity", "other.key"]);
    assert!(other.err.contains("is of another recipient"), "{other:?}");
    let second = fair.offer();
    let other = fair.run(lab, &fair.buying(&second, &rpc, "p"), true);
    assert!(other.err.contains("is of another offer"), "{other:?}");
    let other = fair.run(mari, &fair.buying(&offer, &rpc, "p"), true);
    assert!(other.err.contains("is of another buyer"), "{other:?}");
    fair.says(lab, &fair.buying(&offer, &rpc, "p"), true);
    assert_eq!(fair.anvil.nonce(lab.address).await, 1, "paid once");

    for (flag, value, word) in [
        ("--price", "0,05", "is no price"),
        ("--price", "0", "a price is from 1"),
        ("--purpose", "FUN", "no code of v3-PurposeOfUse"),
        ("--country", "Estonia", "two letters"),
        ("--to", "2025-01-01", "fromS before toS"),
    ] {
        let mut offer = offering(PRICE);
        let at = offer.iter().position(|one| *one == flag).unwrap();
        offer[at + 1] = value;
        let refused = fair.run(mari, &offer, true);
        assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
        assert!(refused.err.contains(word), "{flag} {value}: {refused:?}");
    }
    fair.node.stop();
}
