//! A log with a market on a real chain, who sells there and who buys.

use crate::site::{Node, PATIENCE, Said, Settings, Site, must, ticking_chain};
use alloy::primitives::Address;
use journeys::anvil::Anvil;
use journeys::medtrail::Running;
use journeys::token::Quirks;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

pub(super) const PRICE: &str = "0.05";
pub(super) const COIN_WEI: u64 = 5_000_000_000_000_000_000;
const MARKET: &str =
    "\n[market]\ncountries = { EE = \"on\" }\ndelivery_s_min = 20\ngrace_s_min = 20\n";

/// Somebody with a key in a file.
pub(super) struct Who {
    pub(super) key: &'static str,
    pub(super) address: Address,
}

/// A log with a market, a person who keeps glucose readings in it, and somebody who wants them.
pub(super) struct Fair {
    pub(super) anvil: Anvil,
    pub(super) site: Site,
    pub(super) node: Node,
    pub(super) mari: Who,
    pub(super) lab: Who,
    pub(super) relay: Address,
}

impl Fair {
    pub(super) async fn open() -> Self {
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

    pub(super) fn command(&self, who: &Who, command: &[&str], needs_trust: bool) -> Vec<String> {
        let trust: &[&str] = if needs_trust { &["--trust", "trust.json"] } else { &[] };
        let url = ["--url", &self.node.url, "--key", who.key];
        command.iter().chain(&url).chain(trust).map(|one| (*one).to_owned()).collect()
    }

    pub(super) fn run(&self, who: &Who, command: &[&str], needs_trust: bool) -> Said {
        self.site.run(self.command(who, command, needs_trust))
    }

    pub(super) fn start(&self, who: &Who, command: &[&str]) -> Running {
        Running::start_command(self.site.command(self.command(who, command, true)))
    }

    pub(super) fn says(&self, who: &Who, command: &[&str], needs_trust: bool) -> String {
        must(self.run(who, command, needs_trust))
    }

    pub(super) fn json(&self, who: &Who, command: &[&str], needs_trust: bool) -> Value {
        let said = self.says(who, &[command, &["--json"]].concat(), needs_trust);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// On the chain, where no service is asked.
    pub(super) fn on_chain(&self, who: &Who, command: &[&str]) -> Said {
        let rpc = self.anvil.url();
        self.site.run(command.iter().chain(&["--key", who.key, "--rpc", &rpc]))
    }

    pub(super) fn offer(&self) -> String {
        self.offer_for(PRICE, &[])
    }

    pub(super) fn offer_for(&self, price: &str, more: &[&str]) -> String {
        let glucose = ["--codes", "http://loinc.org|15074-8"];
        let form: &[&str] = if more.contains(&"--form") { &[] } else { &["--form", "safe-harbor"] };
        let offer = [&offering(price)[..], &glucose, form, more].concat();
        self.json(&self.mari, &offer, true)["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn buying<'a>(&self, offer: &'a str, rpc: &'a str, into: &'a str) -> Vec<&'a str> {
        let mut buying = vec!["buy", offer, "--identity", "my.key", "--deliver-within", "5m"];
        buying.extend(["--grace", "2m", "--into", into, "--rpc", rpc]);
        buying
    }

    /// The buyer looks where the data are kept, once the settlement is final: at all that was
    /// sold, as it was delivered.
    pub(super) fn is_looked_at(&self, order: &str) {
        let look = ["sales", "look", order];
        let end = Instant::now() + PATIENCE;
        let mut said = self.run(&self.lab, &look, false);
        while said.code != Some(0) {
            assert!(Instant::now() < end, "{said:?}");
            std::thread::sleep(Duration::from_millis(200));
            said = self.run(&self.lab, &look, false);
        }
        assert_eq!(said.out.matches("application/fhir+json").count(), 6, "{said:?}");
        let listed = self.json(&self.lab, &look, false);
        let records = listed["records"].as_array().unwrap();
        assert_eq!(records.len(), 6, "{listed}");
        assert!(!listed.to_string().contains(&format!("{:x}", self.mari.address)), "{listed}");
        let delivered: Vec<Vec<u8>> = (1..=6)
            .map(|n| fs::read(self.site.path(&format!("p/data/records/{n:06}.json"))).unwrap())
            .collect();
        let record = records[0]["origin"]["record"].as_str().unwrap();
        let read = [&look[..], &["--record", record, "--out", "looked.json"]].concat();
        let said = self.says(&self.lab, &read, false);
        assert!(said.contains(" bytes, version 0x") && said.contains(", line "), "{said}");
        assert!(delivered.contains(&fs::read(self.site.path("looked.json")).unwrap()));
        let again = self.run(&self.lab, &read, false);
        assert!(
            again.err.contains("looked.json is there already: name another --out"),
            "{again:?}"
        );
        let theirs = self.run(&self.mari, &look, false);
        assert!(
            theirs.err.contains("no such sale") || theirs.err.contains("no-such-sale"),
            "{theirs:?}"
        );
    }

    /// The order in a purchase's folder.
    pub(super) fn order(&self, into: &str) -> Option<Value> {
        let bytes = fs::read(self.site.path(into).join("order.json")).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// After a sale Mari wants her data deleted, and the laboratory signs that they are.
    pub(super) fn has_it_deleted(&self, order: &str) {
        let (mari, lab) = (&self.mari, &self.lab);
        let (ask, deleted) = (["sales", "ask-deletion", order], ["sales", "deleted", order]);
        let unasked = self.run(lab, &deleted, true);
        assert!(unasked.err.contains("its seller did not ask for that"), "{unasked:?}");
        let theirs = self.run(lab, &ask, false);
        assert!(theirs.code == Some(1) && theirs.err.contains("404"), "{theirs:?}");
        let asked = self.says(mari, &ask, false);
        assert!(asked.contains("the buyer has until"), "{asked}");
        let stands = |who| self.json(who, &["sales", "show", order], false)["withdrawal"].clone();
        let first = stands(mari);
        assert_eq!(first["state"], "waiting");
        assert!(first["dueMs"].as_u64() > first["askedMs"].as_u64(), "{first}");
        self.says(mari, &ask, false);
        assert_eq!(stands(lab), first, "asked once");

        let not_hers = self.run(mari, &deleted, true);
        assert!(not_hers.err.contains("bought this: sign in with its key"), "{not_hers:?}");
        let shown = self.says(lab, &[&deleted[..], &["--show"]].concat(), true);
        assert!(shown.contains("I have deleted what was delivered to me"), "{shown}");
        assert!(shown.contains("Nothing was signed"), "{shown}");
        assert_eq!(stands(lab), first);
        let said = self.says(lab, &deleted, true);
        assert!(said.contains("the buyer signed that all is deleted"), "{said}");
        let again = self.says(lab, &deleted, true);
        assert!(again.contains("You signed that it is deleted already."), "{again}");
        for who in [mari, lab] {
            assert_eq!(stands(who)["state"], "deleted");
            let told = self.says(who, &["sales", "show", order], false);
            assert!(told.contains("the buyer signed that all is deleted"), "{told}");
        }
    }

    /// Waits until there is a sale for Mari to answer, and returns its order's id.
    pub(super) async fn asked(&self) -> String {
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

/// An offer whose seller says only what must be said.
pub(super) fn offering(price: &str) -> Vec<&str> {
    let mut offer = vec!["offer", "--scopes", "patient/Observation.rs", "--price", price];
    offer.extend(["--from", "2025-01-01", "--to", "2027-01-01", "--until", "30d"]);
    offer.extend(["--origin", "signed-and-uploaded", "--purpose", "HRESCH", "--country", "EE"]);
    offer
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

/// A token on the fair's chain, of which the laboratory has some.
pub(super) async fn token(fair: &Fair, quirks: Quirks) -> Address {
    quirks.deploy(&fair.anvil, fair.lab.address, 100_000).await
}
