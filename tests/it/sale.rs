//! Sales by the binary alone, through a running log on a real chain; and by a buyer who has none of
//! our code. The money is counted to the wei.

use crate::site::{Node, PATIENCE, Said, Settings, Site, must, ticking_chain};
use crate::strangers::tools::Stranger;
use alloy::primitives::{Address, B256, U256, hex};
use journeys::anvil::Anvil;
use journeys::medtrail::Running;
use medtrail_chain::Contract;
use medtrail_ledger::entry::details_hash;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const PRICE: &str = "0.05";
const PRICE_WEI: u64 = 50_000_000_000_000_000;
const COIN_WEI: u64 = 5_000_000_000_000_000_000;
const STRANGER: [u8; 32] = [0x3b; 32];
const MARKET: &str =
    "\n[market]\ncountries = { EE = \"on\" }\ndelivery_s_min = 20\ngrace_s_min = 20\n";

/// Somebody with a key in a file.
struct Who {
    key: &'static str,
    address: Address,
}

/// A log with a market, a person who keeps glucose readings in it, and somebody who wants them.
struct Fair {
    anvil: Anvil,
    site: Site,
    node: Node,
    mari: Who,
    lab: Who,
    relay: Address,
}

impl Fair {
    async fn open() -> Self {
        let anvil = ticking_chain().await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let site = Site::new(Settings {
            listen: format!("127.0.0.1:{port}"),
            public_url: format!("http://127.0.0.1:{port}"),
            more: MARKET.to_owned(),
            ..Settings::on(&anvil)
        });
        site.give_coin(&anvil).await;
        let said = must(site.run(["keys", "relay"]));
        let relay = said.lines().find_map(|line| line.strip_prefix("Relay:")).unwrap();
        let relay = relay.trim().parse().unwrap();
        assert!(site.keys_dir().join("relay.json").exists());
        let again = site.run(["keys", "relay"]);
        assert!(again.err.contains("a key is never overwritten"), "{again:?}");
        must(site.run(["deploy"]));
        let made = |key| {
            let said = must(site.run(["keys", "reporter", key]));
            Who { key, address: said.trim().parse().unwrap() }
        };
        let (mari, lab) = (made("mari.json"), made("lab.json"));
        for account in [relay, lab.address] {
            anvil.set_balance(account, COIN_WEI).await;
        }
        let node = site.serve();
        site.write("trust.json", node.trust_bytes().await);
        must(site.run(["keys", "buyer", "my.key"]));
        let fair = Self { anvil, site, node, mari, lab, relay };
        let readings: Vec<Value> = (0..6).map(|n| json!({ "resource": reading(n) })).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": readings });
        fair.site.write("readings.json", bundle.to_string());
        let said = fair.says(&fair.mari, &["records", "import", "readings.json"], true);
        assert!(said.contains("6 of 6 records are kept"), "{said}");
        fair
    }

    fn command(&self, who: &Who, command: &[&str], needs_trust: bool) -> Vec<String> {
        let trust: &[&str] = if needs_trust { &["--trust", "trust.json"] } else { &[] };
        let url = ["--url", &self.node.url, "--key", who.key];
        command.iter().chain(&url).chain(trust).map(|one| (*one).to_owned()).collect()
    }

    fn run(&self, who: &Who, command: &[&str], needs_trust: bool) -> Said {
        self.site.run(self.command(who, command, needs_trust))
    }

    fn says(&self, who: &Who, command: &[&str], needs_trust: bool) -> String {
        must(self.run(who, command, needs_trust))
    }

    fn json(&self, who: &Who, command: &[&str], needs_trust: bool) -> Value {
        let said = self.says(who, &[command, &["--json"]].concat(), needs_trust);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// On the chain, where no service is asked.
    fn on_chain(&self, who: &Who, command: &[&str]) -> Said {
        let rpc = self.anvil.url();
        self.site.run(command.iter().chain(&["--key", who.key, "--rpc", &rpc]))
    }

    fn offer(&self) -> String {
        let offer = [
            "offer",
            "--scopes",
            "patient/Observation.rs",
            "--codes",
            "http://loinc.org|15074-8",
            "--from",
            "2025-01-01",
            "--to",
            "2027-01-01",
            "--form",
            "safe-harbor",
            "--origin",
            "signed-and-uploaded",
            "--purpose",
            "HRESCH",
            "--price",
            PRICE,
            "--until",
            "30d",
            "--country",
            "EE",
        ];
        self.json(&self.mari, &offer, true)["id"].as_str().unwrap().to_owned()
    }

    fn buying<'a>(&self, offer: &'a str, rpc: &'a str, into: &'a str) -> Vec<&'a str> {
        let mut buying = vec!["buy", offer, "--identity", "my.key", "--deliver-within", "5m"];
        buying.extend(["--grace", "2m", "--into", into, "--rpc", rpc]);
        buying
    }

    /// The order in a purchase's folder.
    fn order(&self, into: &str) -> Option<Value> {
        let bytes = fs::read(self.site.path(into).join("order.json")).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    async fn balance(&self, of: Address) -> U256 {
        let held = self.anvil.call("eth_getBalance", json!([of, "latest"])).await.unwrap();
        serde_json::from_value(held).unwrap()
    }

    /// What an account's transactions cost it beside what they moved, and how many there were.
    async fn fees(&self, of: Address) -> (U256, usize) {
        let (mut fees, mut count) = (U256::ZERO, 0);
        for number in 0..=self.anvil.block_number().await {
            let at = json!([format!("{number:#x}")]);
            let receipts = self.anvil.call("eth_getBlockReceipts", at).await.unwrap();
            for receipt in receipts.as_array().into_iter().flatten() {
                if receipt["from"] == json!(of).as_str().unwrap().to_lowercase() {
                    let of = |name: &str| -> U256 {
                        serde_json::from_value(receipt[name].clone()).unwrap()
                    };
                    fees += of("gasUsed") * of("effectiveGasPrice");
                    count += 1;
                }
            }
        }
        (fees, count)
    }

    /// Waits until there is a sale for Mari to answer, and returns its order's id.
    async fn asked(&self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.json(&self.mari, &["sales", "list", "--as", "seller"], false);
            let mut sales = told["sales"].as_array().unwrap().iter();
            if let Some(sale) = sales.find(|sale| sale["state"] == "waiting") {
                return sale["id"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < end, "{told:#}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

fn reading(number: u32) -> Value {
    json!({
        "resourceType": "Observation", "id": format!("g{number}"), "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "15074-8" }] },
        "subject": { "reference": "Patient/mari", "display": "Mari Tamm" },
        "effectiveDateTime": format!("2025-11-{:02}T07:30:00Z", number + 1),
        "valueQuantity": {
            "value": 5.5, "unit": "mmol/L", "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "note": [{ "text": "Call Mari" }],
    })
}

fn price() -> U256 {
    U256::from(PRICE_WEI)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_sold_through_the_terminal_though_the_buyer_s_run_is_cut_off_twice() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    let offer = fair.offer();
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
    let before = [fair.balance(mari.address).await, fair.balance(lab.address).await];

    let buying = fair.buying(&offer, &rpc, "p");
    let only_shown = fair.says(lab, &[&buying[..], &["--show"]].concat(), true);
    assert!(only_shown.contains("You are protected against no delivery."), "{only_shown}");
    assert!(fair.order("p").is_none(), "nothing is kept of what was only shown");

    let waiting = || {
        let command = fair.command(lab, &[&buying[..], &["--wait"]].concat(), true);
        Running::start_command(fair.site.command(command))
    };
    // Cut off as soon as the order is kept: whether it was paid, only the chain knows.
    let mut first = waiting();
    let end = Instant::now() + PATIENCE;
    while fair.order("p").is_none() {
        assert!(Instant::now() < end, "{}", first.said());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill_9();
    let mut second = waiting();
    second.wait_for("Waiting for the seller's approval", PATIENCE);
    assert!(second.said().contains("Going on with order"), "{}", second.said());
    second.kill_9();

    let order = fair.asked().await;
    let to_sign = fair.says(mari, &["sales", "approve", &order, "--rpc", &rpc, "--show"], true);
    assert!(to_sign.contains(&lab.address.to_string()), "{to_sign}");
    assert!(to_sign.contains("0.05 ETH") && to_sign.contains("Nothing was signed"), "{to_sign}");
    // Whoever is asked to approve what they never offered signs nothing.
    let theirs = fair.run(lab, &["sales", "approve", &order], true);
    assert_eq!(theirs.code, Some(1));
    assert!(theirs.err.contains("sells: sign in with its key"), "{theirs:?}");
    let said = fair.says(mari, &["sales", "approve", &order, "--rpc", &rpc], true);
    assert!(said.contains("Approved."), "{said}");

    let mut third = waiting();
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

    // To the wei: the seller has the price, the buyer lacks it and the gas, the market has nothing.
    let (gas, count) = fair.fees(lab.address).await;
    assert_eq!(count, 1, "paid once");
    assert_eq!(fair.balance(lab.address).await + price() + gas, before[1]);
    assert_eq!(fair.balance(mari.address).await, before[0] + price());
    assert_eq!(fair.balance(Contract::DataMarket.address()).await, U256::ZERO);
    let (gas, count) = fair.fees(fair.relay).await;
    assert_eq!((count, fair.balance(fair.relay).await + gas), (1, U256::from(COIN_WEI)));

    let told = fair.says(mari, &["sales", "show", &order], false);
    assert!(told.contains("settled") && told.contains("line "), "{told}");
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
    let before = fair.balance(fair.mari.address).await;
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
    fair.says(&fair.mari, &["sales", "approve", &order], true);
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
    assert_eq!(fair.balance(key.address()).await + price() + gas, U256::from(COIN_WEI));
    assert_eq!(fair.balance(fair.mari.address).await, before + price());
    assert_eq!(fair.balance(Contract::DataMarket.address()).await, U256::ZERO);
    fair.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_nothing_has_the_money_back() {
    let fair = Fair::open().await;
    let rpc = fair.anvil.url();
    let (mari, lab) = (&fair.mari, &fair.lab);
    fair.anvil.set_balance(mari.address, COIN_WEI).await;
    let offer = fair.offer();
    let before = fair.balance(lab.address).await;

    // Declined on the chain: back at once.
    let said = fair.says(lab, &fair.buying(&offer, &rpc, "declined"), true);
    assert!(said.contains("Paid. The money waits in the market contract."), "{said}");
    let market = Contract::DataMarket.address();
    assert_eq!(fair.balance(market).await, price());
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

    let (gas, _) = fair.fees(lab.address).await;
    assert_eq!(fair.balance(lab.address).await + gas, before);
    assert_eq!(fair.balance(market).await, U256::ZERO);
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
        let mut offer = vec![
            "offer",
            "--scopes",
            "patient/Observation.rs",
            "--from",
            "2025-01-01",
            "--to",
            "2027-01-01",
            "--purpose",
            "HRESCH",
            "--price",
            PRICE,
            "--until",
            "30d",
            "--country",
            "EE",
        ];
        let at = offer.iter().position(|one| *one == flag).unwrap();
        offer[at + 1] = value;
        let refused = fair.run(mari, &offer, true);
        assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
        assert!(refused.err.contains(word), "{flag} {value}: {refused:?}");
    }
    fair.node.stop();
}
