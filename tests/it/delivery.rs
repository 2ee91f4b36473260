//! What a buyer and a verifier do with a delivery, by the `medtrail` binary: an order paid and
//! settled on a real chain, the delivery in a log that is anchored there.

mod sale;

use crate::strangers::tools::Stranger;
use alloy::primitives::U256;
use journeys::anvil::{Anvil, SECRETS};
use journeys::medtrail::run;
use medtrail_ledger::entry::details_hash;
use medtrail_market::identity::locked;
use sale::{PRICE, SELLER, Sale};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Output;

/// What the command said, and how it ended.
struct Said {
    code: i32,
    text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let words = [output.stdout.as_slice(), b"\n", &output.stderr].concat();
        Self { code: output.status.code().unwrap(), text: String::from_utf8(words).unwrap() }
    }

    #[track_caller]
    fn has(&self, code: i32, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "no {part:?}:\n{}", self.text);
        }
        assert_eq!(self.code, code, "{}", self.text);
    }
}

fn medtrail(arguments: &[&str]) -> Said {
    Said::of(&run(arguments.iter().map(OsString::from)))
}

/// The inputs of one check; a test changes one of them.
#[derive(Clone)]
struct Inputs {
    file: String,
    proof: String,
    order: String,
    more: Vec<String>,
}

impl Inputs {
    fn online(sale: &Sale) -> Self {
        let more = ["--rpc", &sale.anvil.url(), "--trust", &sale.path("trust.json")];
        Self::with(sale, &more)
    }

    fn offline(sale: &Sale) -> Self {
        Self::with(sale, &["--trust", &sale.path("trust.json"), "--key", &sale.key_text()])
    }

    fn with(sale: &Sale, more: &[&str]) -> Self {
        Self {
            file: sale.path("delivery.age"),
            proof: sale.path("proof.json"),
            order: sale.path("order.json"),
            more: more.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    fn and(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|one| (*one).to_owned()));
        self
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Said {
        let Self { file, proof, order, .. } = self;
        let mut arguments = command.to_vec();
        arguments.extend([file.as_str(), "--proof", proof, "--order", order]);
        arguments.extend(self.more.iter().map(String::as_str));
        arguments.extend(more);
        medtrail(&arguments)
    }

    fn check(&self, more: &[&str]) -> Said {
        self.run(&["delivery", "check"], more)
    }

    fn decrypt(&self, sale: &Sale, out: &str) -> Said {
        self.run(&["decrypt"], &["--identity", &sale.path("buyer.key"), "--out", out])
    }
}

fn names(folder: &Path) -> Vec<String> {
    let items = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_buyer_checks_pays_waits_and_opens_what_was_sold() {
    let sale = Sale::start().await;
    let (inputs, identity) = (Inputs::online(&sale), sale.path("buyer.key"));
    let paid = format!("{PRICE} wei paid by");
    inputs.check(&["--identity", &identity]).has(
        3,
        &[
            "✓ order",
            "✓ file",
            &format!("operator {}'s own entry", sale.operator),
            &paid,
            "It waits in the market",
            "the key is public once the seller is paid",
        ],
    );
    let early = inputs.decrypt(&sale, &sale.path("early"));
    early.has(1, &["nothing was written: there is no key yet"]);

    sale.settle().await;
    let fresh = inputs.check(&["--identity", &identity]);
    fresh.has(3, &["! money", "not final yet", "✓ opened", "✓ key"]);
    sale.mine(4).await;
    let checked = inputs.check(&["--identity", &identity]);
    checked.has(
        0,
        &[
            "Verified.",
            "✓ market",
            &format!("Seller {SELLER} was paid or credited"),
            "which is final",
            "records 2, of them signed by organisations 1, uploaded by the person 1.",
            "hipaa-safe-harbor-v1",
        ],
    );
    inputs.check(&[]).has(3, &["Give --identity FILE"]);
    let described = ["--identity", &identity, "--dataset", &sale.path("dataset.json")];
    inputs.check(&described).has(0, &["✓ dataset", "✓ form", "the seller read what it says"]);
    let json = inputs.check(&["--identity", &identity, "--json"]);
    let json: Value = serde_json::from_str(&json.text).unwrap();
    assert_eq!(json[0]["verdict"], "green");
    assert_eq!(json[0]["order"], sale.id().to_string());

    let passphrase = secrecy::SecretString::from("a passphrase of a buyer");
    let plain = fs::read_to_string(&identity).unwrap();
    sale::private(&sale.path("locked.key"), &locked(&plain, &passphrase).unwrap());
    sale::private(&sale.path("passphrase"), b"a passphrase of a buyer\n");
    sale::private(&sale.path("wrong"), b"another\n");
    let with = |passphrase: &str| {
        let [key, passphrase] = [sale.path("locked.key"), sale.path(passphrase)];
        inputs.check(&["--identity", &key, "--passphrase-file", &passphrase])
    };
    with("passphrase").has(0, &["Verified.", "✓ opened"]);
    with("wrong").has(1, &["locked.key: ", "is this the passphrase of this file?"]);
    let none = inputs.check(&["--identity", &sale.path("locked.key")]);
    none.has(1, &["the key file needs a passphrase"]);

    for (inputs, code, name) in [(inputs, 0, "online"), (Inputs::offline(&sale), 3, "offline")] {
        let out = sale.path(name);
        inputs.decrypt(&sale, &out).has(code, &["manifest.json and its files (1) are in"]);
        assert_eq!(names(Path::new(&out)), ["data.ndjson", "manifest.json"]);
        let read = |name: &str| fs::read(Path::new(&out).join(name)).unwrap();
        assert_eq!(read("data.ndjson"), sale.assembly.files[0].1);
        assert_eq!(read("manifest.json"), sale.assembly.manifest.bytes());
        fs::write(Path::new(&out).join("manifest.json"), b"mine").unwrap();
        inputs.decrypt(&sale, &out).has(1, &["exists: name a folder that does not"]);
        assert_eq!(read("manifest.json"), b"mine");
    }
}

/// No code of ours on this side: viem, typage, and what the documents say.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_somebody_else_settles_and_opens_what_was_sold() {
    let sale = Sale::start().await;
    let before = sale.anvil.balance(SELLER).await;
    // Whoever it is: here the buyer, who was shown the key.
    let Some(settled) = Stranger::Buyer.run(sale.task("settle", &SECRETS[2])).await else { return };
    assert_eq!(settled["order"], sale.id().to_string());
    assert_eq!(sale.anvil.balance(SELLER).await, before + U256::from(PRICE));
    sale.mine(4).await;
    let opened = Stranger::Buyer.run(sale.task("open", &SECRETS[2])).await.unwrap();
    assert_eq!(opened["records"], 2);
    let sha256 = |bytes: &[u8]| details_hash(bytes).to_string();
    let files = [
        ("manifest.json", sale.assembly.manifest.bytes()),
        ("data.ndjson", sale.assembly.files[0].1.clone()),
    ];
    for (name, bytes) in files {
        assert_eq!(
            opened["files"][name],
            json!({ "bytes": bytes.len(), "sha256": sha256(&bytes) })
        );
    }
    // Ours says the same of the same file.
    let checked = Inputs::online(&sale).check(&["--identity", &sale.path("buyer.key")]);
    checked.has(0, &["Verified."]);
}

#[tokio::test]
async fn nothing_is_written_of_what_is_not_wholly_right() {
    let sale = Sale::start().await;
    sale.settle().await;
    sale.mine(4).await;
    let before = names(sale.folder.path());
    for honest in [Inputs::online(&sale), Inputs::offline(&sale)] {
        let refused = |inputs: &Inputs, parts: &[&str]| {
            let said = inputs.decrypt(&sale, &sale.path("out"));
            said.has(1, parts);
            assert!(!Path::new(&sale.path("out")).exists());
        };
        let other_order = sale.write("other-order.json", &sale.order_with_salt(9));
        refused(
            &Inputs { order: other_order, ..honest.clone() },
            &["report.record", "a proof of another order"],
        );
        // The whole way through: a real entry of the same log, of another order.
        let other_proof = sale.write("other-proof.json", &sale.other_proof.to_bytes());
        refused(&Inputs { proof: other_proof, ..honest.clone() }, &["✗ order", "report.record"]);
        let swapped = sale.write("swapped.json", &sale.swapped_manifest().to_bytes());
        refused(
            &Inputs { proof: swapped, ..honest.clone() },
            &["these are not the details of this entry"],
        );
        let whole = fs::read(sale.path("delivery.age")).unwrap();
        let cut = sale.write("cut.age", &whole[..whole.len() - 1]);
        refused(&Inputs { file: cut, ..honest.clone() }, &["✗ file", "SHA-256", "Download it"]);
        let identity = sale.path("stranger.key");
        let out = sale.path("out");
        let said = honest.run(&["decrypt"], &["--identity", &identity, "--out", &out]);
        said.has(1, &["recipient: the order names age1", "nothing was written"]);
        let other = fs::read_to_string(sale.path("dataset.json")).unwrap();
        let other = other.replace("hipaa-safe-harbor-v1", "shifted-dates-v1");
        let other = sale.write("other-dataset.json", other.as_bytes());
        refused(&honest.clone().and(&["--dataset", &other]), &["✗ dataset", "other data"]);
        for name in [
            "other-dataset.json",
            "other-order.json",
            "other-proof.json",
            "swapped.json",
            "cut.age",
        ] {
            fs::remove_file(sale.path(name)).unwrap();
        }
    }
    let wrong_key = format!("0x{}", "78".repeat(32));
    let wrong_key = Inputs::online(&sale).and(&["--key", &wrong_key]);
    wrong_key
        .decrypt(&sale, &sale.path("out"))
        .has(1, &["✗ key", "a key of another sale", "nothing was written"]);
    let elsewhere = Inputs::online(&sale).and(&["--market", &sale.strange_market.to_string()]);
    elsewhere
        .decrypt(&sale, &sale.path("out"))
        .has(1, &["✗ market", "is not the one whose code this program knows"]);
    assert_eq!(names(sale.folder.path()), before, "no trace of what was refused");
}

#[tokio::test]
async fn where_the_money_went_is_said_and_never_guessed() {
    let sale = Sale::start().await;
    let never = sale.write("never.json", &sale.order_with_salt(9));
    let never = Inputs { order: never, ..Inputs::online(&sale) };
    never.check(&[]).has(1, &["✗ money", "The market knows no such order"]);

    sale.decline().await;
    let inputs = Inputs::online(&sale);
    inputs.check(&[]).has(3, &["! money", "The seller declined", "not final yet"]);
    sale.mine(4).await;
    inputs.check(&[]).has(3, &["! money", "which is final", "no key will be shown"]);
    // Whoever has the key all the same opens it; the money is told as it is.
    let known = inputs.and(&["--key", &sale.key_text()]);
    known.decrypt(&sale, &sale.path("out")).has(3, &["The money went back to the buyer"]);
}

#[tokio::test]
async fn what_cannot_be_read_names_its_file_or_flag_and_what_to_do() {
    let sale = Sale::start().await;
    let file = Inputs::with(&sale, &[]);
    file.check(&[]).has(1, &["give --rpc URL, --trust FILE or --chain-id NUMBER"]);
    let two = Inputs::online(&sale).and(&["--chain-id", "1"]);
    two.check(&[]).has(1, &["--chain-id of chain 1: give those of one chain"]);
    let key = Inputs::online(&sale).and(&["--key", "0x12"]);
    key.check(&[]).has(1, &["--key: ", "0x or AGE-SECRET-KEY-1"]);
    let order = sale.write("order.txt", br#"{"offer":{}}"#);
    let order = Inputs { order, ..Inputs::online(&sale) };
    order.check(&[]).has(1, &["order.txt: no order: missing field", "Give the order's JSON"]);
    let elsewhere = Anvil::start().await;
    let elsewhere = Inputs::with(&sale, &["--rpc", &elsewhere.url()]);
    elsewhere.check(&[]).has(1, &["✗ anchor", "✗ market", "No market stands at"]);
    // As a killed run leaves it: opened data that somebody must know of.
    let left = sale.path(".out.unfinished");
    fs::create_dir(&left).unwrap();
    let again = Inputs::offline(&sale).decrypt(&sale, &sale.path("out"));
    again.has(1, &[".out.unfinished was left by a run that was cut off", "remove it"]);
    assert!(!Path::new(&sale.path("out")).exists() && Path::new(&left).exists());
    let online = Inputs::online(&sale);
    online
        .check(&["--identity", &sale.path("order.json")])
        .has(1, &["order.json is open to other users"]);
}

#[test]
fn a_buyer_s_key_is_made_once_plain_or_under_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    sale::private(&path("passphrase"), b"a passphrase of a buyer\n");
    let locked = path("locked.key");
    let with = ["--passphrase-file", &path("passphrase")];
    let made = medtrail(&[&["keys", "buyer", &locked], with.as_slice()].concat());
    made.has(0, &["Recipient:     age1", "In the order:  0x"]);
    let file = fs::read(&locked).unwrap();
    assert!(file.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    let again = medtrail(&[&["keys", "buyer", &locked], with.as_slice()].concat());
    again.has(1, &["exists; a key is never overwritten"]);
    assert_eq!(fs::read(&locked).unwrap(), file);

    let plain = path("plain.key");
    let made = medtrail(&["keys", "buyer", &plain]);
    let text = fs::read_to_string(&plain).unwrap();
    let recipient = text.lines().nth(1).unwrap().strip_prefix("# public key: ").unwrap();
    made.has(0, &[recipient]);
}
