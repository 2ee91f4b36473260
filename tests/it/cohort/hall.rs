//! A log with a cohort market on a real chain, its buyer, and a call to many there.

use super::people::Person;
use crate::site::{Node, PATIENCE, Settings, Site, must, ticking_chain};
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::{SolCall, SolStruct};
use journeys::anvil::{ACCOUNTS, Anvil, SECRETS};
use journeys::medtrail::run;
use journeys::rpc_proxy::RpcProxy;
use journeys::token::{Quirks, Token, view};
use medtrail_chain::cohort::{Cohort as Bare, CohortCall, CohortRecord, CohortStep, Standing};
use medtrail_chain::{At, Chain, Contract, Finality, Rpc};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::trust::TrustFile;
use medtrail_market::identity;
use medtrail_market::seal::BuyerKey;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms};
use medtrail_permit::statements::Language;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// 0.002 of the chain's coin.
pub(super) const PRICE_WEI: u64 = 2_000_000_000_000_000;
pub(super) const BUYER: Address = ACCOUNTS[1];
const COIN_WEI: u64 = 5_000_000_000_000_000_000;
/// Further away than the margin: who comes last, and no clock, ends the collecting.
const DELIVER_WITHIN_S: u64 = 2 * 86_400;
const GRACE_S: u64 = 3600;
/// How many come at the same moment.
const AT_ONCE: usize = 4;

pub(super) struct Hall {
    pub(super) anvil: Anvil,
    /// Between the log and the chain.
    pub(super) proxy: RpcProxy,
    pub(super) site: Site,
    pub(super) node: Node,
    pub(super) relay: Address,
    pub(super) trust: TrustFile,
    pub(super) market: CohortMarket,
    /// Asked past the proxy.
    pub(super) chain: Chain,
    pub(super) buyer: Person,
    pub(super) identity: BuyerKey,
}

/// A call that was opened.
pub(super) struct Called {
    pub(super) document: Cohort,
    pub(super) dataset: Dataset,
    pub(super) id: B256,
}

impl Called {
    /// As the contract takes it.
    pub(super) fn bare(&self) -> Bare {
        let Cohort { buyer, log, token, price, places, recipient, deliverBy, grace, salt, .. } =
            self.document.clone();
        let terms = self.document.terms.eip712_hash_struct();
        Bare { buyer, log, token, price, places, recipient, deliverBy, grace, terms, salt }
    }
}

impl Hall {
    pub(super) async fn open() -> Self {
        let anvil = ticking_chain().await;
        let proxy = RpcProxy::start(anvil.url()).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = Contract::CohortMarket.address();
        let site = Site::new(Settings {
            rpc: proxy.url().to_owned(),
            listen: format!("127.0.0.1:{port}"),
            public_url: format!("http://127.0.0.1:{port}"),
            more: format!(
                "\n[market]\ncountries = {{ EE = \"on\" }}\ndelivery_s_min = 20\ngrace_s_min = 20\n\
                 cohort_contract = \"{at}\"\ncohort_margin_s = 10\n"
            ),
            ..Settings::on(&anvil)
        });
        site.give_coin(&anvil).await;
        let said = must(site.run(["keys", "relay"]));
        let relay = said.lines().find_map(|line| line.strip_prefix("Relay:")).unwrap();
        let relay = relay.trim().parse().unwrap();
        anvil.set_balance(relay, COIN_WEI).await;
        must(site.run(["deploy"]));
        let made = run(["keys".as_ref(), "buyer".as_ref(), site.path("my.key").as_os_str()]);
        assert!(made.status.success(), "{made:?}");
        let identity = identity::keys(&fs::read(site.path("my.key")).unwrap()).unwrap();
        let node = site.serve();
        let trust = node.trust().await;
        let key = PersonKey::from_bytes(&SECRETS[1]).unwrap();
        let rpc = Rpc::new(&[&anvil.url()]).unwrap();
        let chain_id = anvil.chain_id();
        Self {
            buyer: Person::with_key(&node.url, 250, key).await,
            identity: identity.into_iter().next().unwrap(),
            chain: Chain::new(rpc, chain_id, trust.registry, Finality::Tag),
            market: CohortMarket { chain_id, cohort_market: at },
            anvil,
            proxy,
            site,
            node,
            relay,
            trust,
        }
    }

    /// People who keep a reading each.
    pub(super) async fn people(&self, count: u32) -> Vec<Person> {
        let (mut coming, mut people) = (JoinSet::new(), Vec::new());
        for number in 0..count {
            if coming.len() == AT_ONCE {
                people.extend(coming.join_next().await.map(Result::unwrap));
            }
            let (url, trust) = (self.node.url.clone(), self.trust.clone());
            coming.spawn(async move {
                let person = Person::sign_in(&url, number).await;
                person.keeps_a_reading(&trust).await;
                (number, person)
            });
        }
        people.extend(coming.join_all().await);
        people.sort_by_key(|(number, _)| *number);
        people.into_iter().map(|(_, person)| person).collect()
    }

    /// A call for glucose, de-identified, that nobody has opened.
    pub(super) async fn glucose(&self, places: u32, token: Address, price: u64) -> Called {
        let codes = vec!["http://loinc.org|15074-8".to_owned()];
        let (from_s, to_s) = (1_735_689_600, 1_798_761_600);
        let form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);
        let scopes = "patient/Observation.rs";
        let origin = Origin::SignedAndUploaded;
        let dataset = Dataset::new(scopes, codes, from_s, to_s, form, origin).unwrap();
        let document = Cohort {
            buyer: BUYER,
            log: self.trust.log,
            token,
            price: U256::from(price),
            places,
            recipient: self.identity.recipient(),
            deliverBy: self.now_s().await + DELIVER_WITHIN_S,
            grace: GRACE_S,
            terms: Terms {
                statement: String::new(),
                purpose: "HRESCH".to_owned(),
                dataset: dataset.id(),
                salt: keccak256("terms"),
            },
            salt: keccak256(format!("cohort of {places}")),
        };
        let document = cohort::worded(document, &dataset, Language::En).unwrap();
        let id = document.id(&self.market);
        Called { document, dataset, id }
    }

    /// The same, opened with all its money and listed; it returns once it can be accepted.
    pub(super) async fn called(&self, places: u32) -> Called {
        let called = self.glucose(places, Address::ZERO, PRICE_WEI).await;
        let all_wei = PRICE_WEI * u64::from(places);
        self.pays(&called, all_wei).await;
        self.lists(&called).await;
        called
    }

    pub(super) async fn pays(&self, called: &Called, wei: u64) {
        let call = CohortCall::Open(called.bare()).calldata();
        self.anvil.send(BUYER, Some(self.market.cohort_market), call, wei).await;
    }

    pub(super) async fn lists(&self, called: &Called) {
        let dataset = String::from_utf8(called.dataset.bytes()).unwrap();
        let body = json!({ "cohort": called.document, "dataset": dataset });
        let post = self.buyer.asks(reqwest::Method::POST, "/v1/calls").json(&body);
        let (status, told) = self.buyer.said(post).await;
        assert_eq!(status, 201, "{told}\n{}", self.node.running.said());
        self.wait_for(called, "open", |told| told["state"] == "open").await;
    }

    /// What the buyer is told of a call, once it is so.
    pub(super) async fn wait_for(
        &self,
        called: &Called,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.buyer.get(&format!("/v1/calls/{}", called.id)).await;
            if is_so(&told) {
                return told;
            }
            assert!(Instant::now() < end, "not {what}: {told:#}\n{}", self.node.running.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the file of a call can be downloaded, another than this one; its hash.
    pub(super) async fn made(&self, called: &Called, other_than: Option<B256>) -> B256 {
        let file = |told: &Value| -> Option<B256> {
            let delivery = &told["delivery"];
            let is_ready = delivery["state"] == "ready";
            is_ready.then(|| delivery["file"].as_str()?.parse().ok()).flatten()
        };
        let is_made = |told: &Value| file(told).is_some_and(|file| Some(file) != other_than);
        file(&self.wait_for(called, "ready", is_made).await).unwrap()
    }

    /// Ends the service as a power cut would, and starts it. Sessions are gone.
    pub(super) async fn cut_off(&mut self, people: &mut [Person]) {
        self.node.running.kill_9();
        self.node = self.site.serve();
        self.buyer.sign_in_again().await;
        for person in people {
            person.sign_in_again().await;
        }
    }

    pub(super) async fn standing(&self, called: &Called) -> Standing {
        let at = self.market.cohort_market;
        self.chain.cohort_standing(at, called.id, At::Latest).await.unwrap()
    }

    /// What the contract recorded of a call.
    pub(super) async fn events(&self, called: &Called) -> Vec<CohortRecord> {
        let head = self.anvil.block_number().await;
        let at = self.market.cohort_market;
        self.chain.cohort_events(at, &[called.id], 0..=head).await.unwrap()
    }

    /// Who was paid, for which place, in which block.
    pub(super) async fn paid(&self, called: &Called) -> Vec<(u32, Address, u64)> {
        let paid = |record: CohortRecord| match record.step {
            CohortStep::Paid { seller, place } => Some((place, seller, record.block.number)),
            _ => None,
        };
        self.events(called).await.into_iter().filter_map(paid).collect()
    }

    /// Mines block by block, with time between for the log, until it is so.
    pub(super) async fn mine_until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so().await {
            assert!(Instant::now() < end, "not {what}\n{}", self.node.running.said());
            self.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    pub(super) async fn now_s(&self) -> u64 {
        let block =
            self.anvil.call("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        serde_json::from_value::<U256>(block["timestamp"].clone()).unwrap().to()
    }

    /// A token on this chain, of which the buyer has some.
    pub(super) async fn token(&self, some: u64) -> Address {
        Quirks::default().deploy(&self.anvil, BUYER, some).await
    }

    /// The buyer lets the market take so much of it.
    pub(super) async fn allows(&self, token: Address, amount: u64) {
        let (spender, amount) = (self.market.cohort_market, U256::from(amount));
        let call = Token::approveCall { spender, amount };
        self.anvil.send(BUYER, Some(token), call.abi_encode().into(), 0).await;
    }

    pub(super) async fn holds(&self, token: Address, owner: Address) -> U256 {
        view(&self.anvil, token, Token::balanceOfCall { owner }).await
    }

    /// Lets time pass until nobody can be paid any more, and closes the call, by whom it may concern.
    pub(super) async fn close(&self, called: &Called) {
        let until_s = called.document.deliverBy + called.document.grace;
        let call = CohortCall::Close(called.bare()).calldata();
        self.anvil.advance_time(until_s + 2 - self.now_s().await).await;
        self.anvil.mine(1).await;
        self.anvil.send(ACCOUNTS[0], Some(self.market.cohort_market), call, 0).await;
    }
}

/// All accept, some at the same time.
pub(super) async fn all_accept(
    people: Vec<Person>,
    market: CohortMarket,
    call: B256,
) -> Vec<(Person, CohortAcceptance)> {
    let mut accepted = Vec::new();
    let mut coming = JoinSet::new();
    for (nth, person) in people.into_iter().enumerate() {
        if coming.len() == AT_ONCE {
            accepted.extend(coming.join_next().await.map(Result::unwrap));
        }
        coming.spawn(async move {
            let acceptance = person.accepts(&market, call).await;
            (nth, person, acceptance)
        });
    }
    accepted.extend(coming.join_all().await);
    accepted.sort_by_key(|(nth, ..)| *nth);
    accepted.into_iter().map(|(_, person, acceptance)| (person, acceptance)).collect()
}
