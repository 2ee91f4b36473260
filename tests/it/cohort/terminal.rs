//! A call to many from the terminal: the commands of who buys and who sells, with their own keys.

use super::hall::{BUYER, Hall};
use crate::site::{PATIENCE, Said, must};
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use journeys::medtrail::Running;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

const COIN_WEI: u64 = 5_000_000_000_000_000_000;
const CALL_ONE: [&str; 18] = [
    "--scopes",
    "patient/Observation.rs",
    "--codes",
    "http://loinc.org|15074-8",
    "--from",
    "2025-01-01",
    "--to",
    "2027-01-01",
    "--origin",
    "signed-and-uploaded",
    "--purpose",
    "HRESCH",
    "--places",
    "3",
    "--deliver-by",
    "2d",
    "--grace",
    "1h",
];

alloy::sol! {
    contract Coin {
        function transfer(address to, uint256 amount) external returns (bool);
    }
}

/// Who is at a terminal.
struct Desk {
    hall: Hall,
    lab: Address,
}

impl Desk {
    async fn open() -> Self {
        let hall = Hall::open().await;
        hall.site.write("trust.json", hall.node.trust_bytes().await);
        let lab = Self::key(&hall, "lab.json");
        hall.anvil.set_balance(lab, COIN_WEI).await;
        Self { hall, lab }
    }

    fn key(hall: &Hall, file: &str) -> Address {
        must(hall.site.run(["keys", "reporter", file])).trim().parse().unwrap()
    }

    /// Somebody with a key in a file, and two readings in the vault.
    fn person(&self, file: &'static str) -> (&'static str, Address) {
        let address = Self::key(&self.hall, file);
        let reading = |number: u32| {
            json!({ "resource": {
                "resourceType": "Observation", "id": format!("g{number}"), "status": "final",
                "code": { "coding": [{ "system": "http://loinc.org", "code": "15074-8" }] },
                "effectiveDateTime": format!("2025-11-{:02}T07:30:00Z", number + 1),
                "valueQuantity": {
                    "value": 5.5, "unit": "mmol/L", "system": "http://unitsofmeasure.org",
                    "code": "mmol/L",
                },
            } })
        };
        let bundle = json!({
            "resourceType": "Bundle", "type": "collection", "entry": [reading(0), reading(1)],
        });
        self.hall.site.write("readings.json", bundle.to_string());
        let said = must(self.run(file, &["records", "import", "readings.json"]));
        assert!(said.contains("2 of 2 records are kept"), "{said}");
        (file, address)
    }

    fn command(&self, key: &str, command: &[&str]) -> Vec<String> {
        let more = ["--url", &self.hall.node.url, "--key", key, "--trust", "trust.json"];
        command.iter().chain(&more).map(|one| (*one).to_owned()).collect()
    }

    fn run(&self, key: &str, command: &[&str]) -> Said {
        self.hall.site.run(self.command(key, command))
    }

    /// Without a trust file: nothing is signed but the sign-in.
    fn asks(&self, key: &str, command: &[&str]) -> Value {
        let more = ["--url", &self.hall.node.url, "--key", key, "--json"];
        let said = must(self.hall.site.run(command.iter().chain(&more)));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn on_chain(&self, key: &str, command: &[&str]) -> Said {
        let rpc = self.hall.anvil.url();
        self.hall.site.run(command.iter().chain(&["--key", key, "--rpc", &rpc]))
    }

    fn calls(&self, more: &[&str]) -> Vec<String> {
        let rpc = self.hall.anvil.url();
        let base = ["call", "--into", "c", "--identity", "my.key", "--rpc", &rpc];
        self.command("lab.json", &[&base[..], more].concat())
    }

    fn starts(&self, more: &[&str]) -> Running {
        Running::start_command(self.hall.site.command(self.calls(more)))
    }

    /// The catalogue's only call.
    async fn listed(&self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let listed = self.hall.node.json("/v1/calls").await;
            if let Some(id) = listed["calls"][0]["id"].as_str() {
                return id.to_owned();
            }
            assert!(Instant::now() < end, "{}", self.hall.node.running.said());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn accepts(&self, key: &str, id: &str) -> String {
        let rpc = self.hall.anvil.url();
        must(self.run(key, &["calls", "accept", id, "--country", "EE", "--rpc", &rpc]))
    }

    /// Two of three want their part deleted, and the laboratory signs for both, one after the other.
    fn has_it_deleted(&self, id: &str, manifest: &Value) {
        let (ask, deleted) = (["calls", "ask-deletion", id], ["calls", "deleted", id]);
        let signs = |key, more: &[&str]| self.run(key, &[&deleted[..], more].concat());
        let unasked = signs("lab.json", &[]);
        assert!(unasked.err.contains("no seller asked for that"), "{unasked:?}");
        let theirs = self.run("lab.json", &["calls", "withdraw", id]);
        assert_eq!(theirs.code, Some(1), "who bought sold nothing: {theirs:?}");
        for person in ["mari.json", "liis.json", "mari.json"] {
            let own = &self.asks(person, &ask)["own"][0]["withdrawal"];
            assert_eq!(own["state"], "waiting", "{person}");
        }
        let show =
            || self.asks("lab.json", &["calls", "mine", "--as", "buyer"])["calls"][0].clone();
        let wishes = show()["withdrawals"].clone();
        let parts: Vec<&str> =
            wishes.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
        let in_file = |label: &&str| {
            let persons = manifest["persons"].as_array().unwrap();
            persons.iter().any(|person| person["label"] == **label)
        };
        assert!(parts.len() == 2 && parts.iter().all(in_file), "{wishes}");
        let told = must(self.run("lab.json", &["calls", "show", id]));
        for part in &parts {
            let line = format!("To be deleted: person-{part}, asked for, not answered yet");
            assert!(told.contains(&line), "{told}");
        }
        let not_theirs = signs("mari.json", &[]);
        assert!(not_theirs.err.contains("bought this: sign in with its key"), "{not_theirs:?}");
        let seen = must(signs("lab.json", &["--show"]));
        assert!(seen.contains("I have deleted what was delivered to me"), "{seen}");
        assert!(seen.contains("Nothing was signed") && show()["withdrawals"] == wishes, "{seen}");
        let one = must(signs("lab.json", &["--part", parts[1]]));
        assert!(one.contains(&format!("Deleted: person-{}.", parts[1])), "{one}");
        assert!(one.contains("--into FOLDER holds it against yours"), "{one}");
        let elsewhere = signs("lab.json", &["--into", "nowhere"]);
        assert!(elsewhere.err.contains("manifest.json cannot be read"), "{elsewhere:?}");
        let rest = must(signs("lab.json", &["--into", "c"]));
        assert!(rest.contains(&format!("Deleted: person-{}.", parts[0])), "{rest}");
        let again = must(signs("lab.json", &[]));
        assert!(again.contains("You signed that it is deleted already."), "{again}");
        let told = must(self.run("mari.json", &["calls", "show", id]));
        assert!(told.contains("the buyer signed that all is deleted"), "{told}");
    }

    fn kept(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.hall.site.path("c").join(name)).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_terminal_three_sell_to_one_who_is_cut_off_and_goes_on() {
    let desk = Desk::open().await;
    let (hall, lab) = (&desk.hall, desk.lab);
    let people = ["mari.json", "jaan.json", "liis.json"].map(|file| desk.person(file));
    let price = U256::from(2_000_000_000_000_000_u64);
    let asked = [&CALL_ONE[..], &["--price", "0.002"]].concat();

    let shown = must(hall.site.run(desk.calls(&[&asked[..], &["--show"]].concat())));
    assert!(shown.contains("0.006 ETH in all") && shown.contains("Nothing was paid"), "{shown}");
    assert!(!hall.site.path("c").exists());
    let bare = hall.site.run(desk.calls(&["--price", "0.002"]));
    assert!(bare.err.contains("--places; --deliver-by"), "{bare:?}");

    // Cut off as soon as it is written down: it is paid once all the same.
    let mut first = desk.starts(&[&asked[..], &["--wait"]].concat());
    let end = Instant::now() + PATIENCE;
    while !hall.site.path("c/call.json").exists() {
        assert!(Instant::now() < end, "{}", first.said());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill_9();
    let other = hall.site.run(desk.calls(&["--places", "4"]));
    assert!(other.err.contains("is of another number of places"), "{other:?}");
    let mut second = desk.starts(&["--wait"]);
    second.wait_for("Waiting for people who accept", PATIENCE);
    assert!(second.said().contains("Going on with call"), "{}", second.said());
    assert_eq!(hall.anvil.balance(hall.market.cohort_market).await, price * U256::from(3));
    let id = desk.listed().await;

    let rpc = hall.anvil.url();
    let seen = must(desk.run("mari.json", &["calls", "show", &id, "--rpc", &rpc]));
    assert!(seen.contains("I sell to") && seen.contains("holds the money"), "{seen}");
    let own = desk.run("lab.json", &["calls", "accept", &id, "--country", "EE"]);
    assert_eq!(own.code, Some(1), "who calls does not sell: {own:?}");
    let early = desk.on_chain("mari.json", &["calls", "close", &id]);
    assert!(early.err.contains("can still be paid until"), "{early:?}");

    let said = desk.accepts("mari.json", &id);
    assert!(said.contains("You sign:") && said.contains(" is yours"), "{said}");
    assert!(desk.accepts("mari.json", &id).contains("of it already"));
    assert!(desk.accepts("jaan.json", &id).contains(" is yours"));
    let back = must(desk.run("jaan.json", &["calls", "withdraw", &id]));
    assert!(back.contains("Taken back"), "{back}");
    // Yes again, at the same place or another, and no again: what was taken back is spent.
    assert!(desk.accepts("jaan.json", &id).contains(" is yours"));
    must(desk.run("jaan.json", &["calls", "withdraw", &id]));
    assert!(desk.accepts("liis.json", &id).contains(" is yours"));
    let mine = desk.asks("jaan.json", &["calls", "mine"]);
    assert_eq!(mine["calls"][0]["own"][0]["state"], "withdrawn");
    // The buyer is cut off once more, while nobody is there to wait.
    second.kill_9();
    assert!(desk.accepts("jaan.json", &id).contains(" is yours"));

    let mut third = desk.starts(&["--wait"]);
    let status = third.wait_for_end(PATIENCE * 3);
    assert_eq!(status.code(), Some(0), "{}", third.said());
    for part in ["All 3 entries", "3 acceptances of this very call", "Verified."] {
        assert!(third.said().contains(part), "no {part:?}: {}", third.said());
    }
    let standing = hall.chain.cohort_standing(
        hall.market.cohort_market,
        id.parse().unwrap(),
        medtrail_chain::At::Latest,
    );
    assert_eq!(standing.await.unwrap().paid, 3);
    for (_, seller) in &people {
        assert_eq!(hall.anvil.balance(*seller).await, price);
    }
    let manifest = desk.kept("data/manifest.json");
    assert_eq!(manifest["persons"].as_array().unwrap().len(), 3);
    let consents = desk.kept("consents.json");
    let consents = consents["consents"].as_array().unwrap();
    assert_eq!(consents.len(), 3);
    for consent in consents {
        assert!(people.iter().any(|(_, seller)| consent["seller"] == json!(seller)), "{consent}");
        assert_eq!(
            (&consent["isPaid"], &consent["isSignedBySeller"]),
            (&json!(true), &json!(true))
        );
    }
    let report = desk.kept("report.json");
    assert_eq!((&report["verdict"], &report["unpaidPlaces"]), (&json!("green"), &json!([])));
    let again = must(hall.site.run(desk.calls(&[])));
    assert!(again.contains("All is done"), "{again}");
    assert_eq!(hall.anvil.nonce(lab).await, 1, "one transaction in all");

    desk.has_it_deleted(&id, &manifest);
    // Somebody else checks the folder: without the key to it, and after a change.
    let check = |more: &[&str]| {
        let base = ["delivery", "check-call", "c", "--rpc", &rpc, "--trust", "trust.json"];
        hall.site.run(base.iter().chain(more))
    };
    assert_eq!(check(&["--identity", "my.key"]).code, Some(0));
    let stranger = check(&[]);
    assert!(
        stranger.code == Some(3) && stranger.out.contains("only the buyer can"),
        "{stranger:?}"
    );
    let path = hall.site.path("c/delivery.age");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let changed = check(&["--identity", "my.key"]);
    assert!(changed.code == Some(1) && changed.out.contains("✗ file"), "{changed:?}");
    desk.hall.node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_terminal_a_call_in_a_token_that_nobody_accepts_comes_back_whole() {
    let desk = Desk::open().await;
    let (hall, lab) = (&desk.hall, desk.lab);
    let token = hall.token(90_000).await;
    let gives = Coin::transferCall { to: lab, amount: U256::from(60_000) };
    hall.anvil.send(BUYER, Some(token), gives.abi_encode().into(), 0).await;
    let held = format!("{token}");
    let asked = [&CALL_ONE[..], &["--token", &held, "--price", "30000"]].concat();
    let poor = hall.site.run(desk.calls(&asked));
    assert!(poor.err.contains("you hold 60000 units"), "{poor:?}");
    assert_eq!(hall.anvil.nonce(lab).await, 0);
    let gives = Coin::transferCall { to: lab, amount: U256::from(30_000) };
    hall.anvil.send(BUYER, Some(token), gives.abi_encode().into(), 0).await;
    // The same folder: the call that was kept is the one that is paid.
    let told = must(hall.site.run(desk.calls(&[])));
    assert!(told.contains("The service knows of it"), "{told}");
    assert_eq!(hall.holds(token, lab).await, U256::ZERO);
    assert_eq!(hall.holds(token, hall.market.cohort_market).await, U256::from(90_000));

    hall.anvil.advance_time(2 * 86_400 + 3_600 + 60).await;
    hall.anvil.mine(1).await;
    let ended = hall.site.run(desk.calls(&["--wait"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("the money went back to you"), "{ended:?}");
    assert_eq!(hall.holds(token, lab).await, U256::from(90_000));
    let id = desk.kept("call.json");
    assert_eq!(id["price"], "30000");
    let file = hall.site.path("c/call.json");
    let closed = desk.on_chain("lab.json", &["calls", "close", "--call", file.to_str().unwrap()]);
    assert!(closed.err.contains("it is closed already"), "{closed:?}");
    let nothing = desk.on_chain("lab.json", &["calls", "withdraw-money", "--token", &held]);
    assert!(nothing.err.contains("nothing is credited to"), "{nothing:?}");
    desk.hall.node.stop();
}
