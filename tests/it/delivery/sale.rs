//! A whole sale: contracts on a chain, an order that is paid, its delivery in an anchored log.

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use journeys::anvil::{ACCOUNTS, Anvil, Mining, Options, SECRETS};
use medtrail_chain::market::{
    Approval, Delivery, MarketCall, Offer as BareOffer, Order as BareOrder, Settlement,
};
use medtrail_chain::{Contract, Rpc, calldata, deploy};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::entry::{commitment, details_hash};
use medtrail_ledger::plan::{Anchor, Call};
use medtrail_ledger::ports::Notary;
use medtrail_ledger::proof::{self, AnchorClaim, Document, Evidence, Proof, ShownPlace};
use medtrail_ledger::schema::{Place, Report, log_id};
use medtrail_ledger::tile::{TileId, TileReader};
use medtrail_ledger::trust::{self, Key, Operator, TrustFile};
use medtrail_market::archive;
use medtrail_market::assemble::{Assembly, Sale as Sold, assemble};
use medtrail_market::entry::{Delivered, DeliveryDetails, report};
use medtrail_market::record::{Proof as RecordProof, Record, Word};
use medtrail_market::seal::{LockKey, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::{Market, Offer, Order, Terms, words};
use medtrail_permit::scopes::Data;
use medtrail_permit::statements::Language;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) const SELLER: Address = ACCOUNTS[1];
pub(super) const PRICE: u64 = 50_000_000_000_000_000;
const BUYER: Address = ACCOUNTS[2];
const ORIGIN: &str = "log.sale.example/medtrail";
const K: [u8; 32] = [0x77; 32];
const GLUCOSE: &str = r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"15074-8"}]},"subject":{"reference":"Patient/p1","display":"Mari Tamm"},"effectiveDateTime":"2025-12-24T07:30:00+02:00","valueQuantity":{"value":6.30,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"},"note":[{"text":"Call Mari"}]}"#;
const VACCINE: &str = r#"{"resourceType":"Immunization","id":"i1","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]},"patient":{"reference":"Patient/p1"},"occurrenceDateTime":"2025-10-10","lotNumber":"LOT-004417"}"#;

/// A sale that is paid and delivered. In its folder: delivery.age, proof.json, order.json,
/// dataset.json, trust.json, buyer.key, stranger.key.
pub(super) struct Sale {
    pub(super) anvil: Anvil,
    pub(super) folder: TempDir,
    pub(super) operator: Address,
    pub(super) assembly: Assembly,
    /// Of another order's delivery in the same log.
    pub(super) other_proof: Proof,
    /// A contract that is none of ours.
    pub(super) strange_market: Address,
    market: Market,
    order: Order,
    proof: Proof,
    settlement: Settlement,
}

impl Sale {
    pub(super) async fn start() -> Self {
        let options = Options { mining: Mining::Automatic, ..Options::default() };
        let anvil = Anvil::start_with(options).await;
        let key = Arc::new(OperatorKey::from_bytes(&SECRETS[0]).unwrap());
        let rpc = Rpc::new(&[&anvil.url()]).unwrap();
        for contract in Contract::ALL {
            deploy(&rpc, key.clone(), contract).await.unwrap();
        }
        let (registry, data_market) =
            (Contract::AnchorRegistry.address(), Contract::DataMarket.address());
        let market = Market { chain_id: anvil.chain_id(), data_market };
        let operator = key.address();
        let log = log_id(market.chain_id, registry, operator, ORIGIN);
        let note = NoteKey::from_seed(ORIGIN, &[0x4e; 32]).unwrap();
        let opening = Call::Open {
            origin: ORIGIN.to_owned(),
            cold_key: Address::repeat_byte(0xc0),
            note_key: note.public_key(),
            anchor_within_s: 3600,
        };
        anvil.send(operator, Some(registry), calldata(&opening), 0).await;

        let folder = tempfile::tempdir().unwrap();
        let recipient = make_key(&folder, "buyer.key");
        make_key(&folder, "stranger.key");
        let dataset = dataset();
        let now_s = now_s(&anvil).await;
        let order = Order {
            offer: offer(log, now_s, &dataset),
            buyer: BUYER,
            recipient,
            deliverBy: now_s + 600,
            grace: 600,
            salt: B256::repeat_byte(1),
        };
        let signed = signature(order.offer.id(&market));
        let buying = MarketCall::Buy { order: bare(&order), offer_signature: signed };
        anvil.send(BUYER, Some(data_market), buying.calldata(), PRICE).await;

        let id = order.id(&market);
        let assembly = assembled(id, &dataset);
        let lock = LockKey::new(K);
        let mut file = Vec::new();
        let plain = |to: &mut dyn Write| archive::write(&assembly, to);
        let sealed = seal(recipient, &lock, &mut file, plain).unwrap();
        let details = DeliveryDetails::new(B256::repeat_byte(3), assembly.manifest.hash());
        let of = |order| {
            report(&Delivered {
                log,
                order,
                seller: SELLER,
                actor: operator,
                time_ms: now_s * 1000,
                lock: lock.lock(),
                sealed,
                details: &details,
            })
        };
        let notary = NotaryKeys::new(note, key, log, market.chain_id, registry);
        let reports = [of(id), of(keccak256("another order"))];
        let (anchor, [proof, other_proof]) =
            anchored(&anvil, &notary, operator, reports, &details.bytes()).await;
        let written = TrustFile {
            version: trust::VERSION.to_owned(),
            chain_id: market.chain_id,
            registry,
            log,
            origin: ORIGIN.to_owned(),
            operator: Operator {
                name: "Sale Operator".to_owned(),
                domain: "sale.example".to_owned(),
                note_key: notary.verifier().to_string(),
                keys: vec![Key { address: operator, from_ms: 0, until_ms: None }],
            },
            organisations: Vec::new(),
        };
        let settlement = settlement(&order, &market, &proof, anchor);
        let sale = Self {
            anvil,
            folder,
            operator,
            assembly,
            other_proof,
            strange_market: registry,
            market,
            order,
            proof,
            settlement,
        };
        sale.write("delivery.age", &file);
        sale.write("proof.json", &sale.proof.to_bytes());
        sale.write("order.json", &serde_json::to_vec_pretty(&sale.order).unwrap());
        sale.write("dataset.json", &dataset.bytes());
        sale.write("trust.json", &serde_json::to_vec(&written).unwrap());
        sale
    }

    pub(super) fn id(&self) -> B256 {
        self.order.id(&self.market)
    }

    /// The key as an age tool takes it.
    pub(super) fn key_text(&self) -> String {
        LockKey::new(K).text().to_string()
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).into_os_string().into_string().unwrap()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The same order with another salt: another order.
    pub(super) fn order_with_salt(&self, salt: u8) -> Vec<u8> {
        let order = Order { salt: B256::repeat_byte(salt), ..self.order.clone() };
        serde_json::to_vec(&order).unwrap()
    }

    /// The proof with the details of a better manifest.
    pub(super) fn swapped_manifest(&self) -> Proof {
        let details = DeliveryDetails::new(B256::repeat_byte(3), keccak256("a better manifest"));
        Proof { details: Some(Document::of(&details.bytes())), ..self.proof.clone() }
    }

    pub(super) async fn settle(&self) {
        let call = MarketCall::Settle(Box::new(self.settlement.clone()));
        let market = self.market.data_market;
        self.anvil.send(self.operator, Some(market), call.calldata(), 0).await;
    }

    /// For a client that is none of ours: where everything is, beside what is to be done.
    pub(super) fn task(&self, act: &str, secret: &[u8; 32]) -> Value {
        let identity = fs::read_to_string(self.path("buyer.key")).unwrap();
        json!({
            "act": act,
            "secret": hex::encode_prefixed(secret),
            "rpc": self.anvil.url(),
            "chainId": self.anvil.chain_id(),
            "market": self.market.data_market,
            "consents": Contract::ConsentRegistry.address(),
            "log": self.order.offer.log,
            "folder": self.folder.path(),
            "identity": identity.lines().last().unwrap(),
            "k": B256::from(K),
            "approval": {
                "expiresAt": self.settlement.approval.expiresAt,
                "signature": self.settlement.approval.signature,
            },
            "patienceMs": 20_000,
        })
    }

    pub(super) async fn decline(&self) {
        let call = MarketCall::Decline(bare(&self.order));
        self.anvil.send(SELLER, Some(self.market.data_market), call.calldata(), 0).await;
    }

    pub(super) async fn mine(&self, blocks: u64) {
        self.anvil.mine(blocks).await;
    }
}

/// A file that its owner alone reads.
pub(super) fn private(path: &str, bytes: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// By the command; what an order names.
fn make_key(folder: &TempDir, name: &str) -> B256 {
    let path = folder.path().join(name);
    let made = journeys::medtrail::run([OsStr::new("keys"), OsStr::new("buyer"), path.as_os_str()]);
    assert!(made.status.success(), "{made:?}");
    let said = String::from_utf8(made.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("In the order:")).unwrap();
    line.trim().parse().unwrap()
}

fn dataset() -> Dataset {
    let form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);
    let origin = Origin::SignedAndUploaded;
    Dataset::new("patient/*.rs", Vec::new(), 0, 4_102_444_800, form, origin).unwrap()
}

fn offer(log: B256, now_s: u64, dataset: &Dataset) -> Offer {
    let terms = Terms {
        statement: String::new(),
        purpose: "HRESCH".to_owned(),
        dataset: dataset.id(),
        salt: keccak256("terms"),
    };
    let offer = Offer {
        seller: SELLER,
        log,
        token: Address::ZERO,
        price: U256::from(PRICE),
        accessS: 3600,
        expiresAt: now_s + 86_400,
        epoch: 0,
        terms,
    };
    words::worded(offer, dataset, Language::En).unwrap()
}

fn assembled(order: B256, dataset: &Dataset) -> Assembly {
    let told = Data::default();
    let record = |text: &'static str, word| Record {
        record: keccak256(text),
        version: details_hash(text.as_bytes()),
        bytes: text.as_bytes(),
        media_type: "application/fhir+json",
        source: "Harbour Hospital",
        word,
        counts: true,
        told: &told,
        time_ms: 1_767_614_400_000,
        proof: RecordProof { index: 4711, commitment: keccak256(text) },
    };
    let records = [
        record(GLUCOSE, Word::Signed(Address::repeat_byte(0x4a))),
        record(VACCINE, Word::Uploaded),
    ];
    let secret = SaleSecret::new([9; 32]);
    assemble(&Sold { order, dataset, secret: &secret, year: 2026 }, &records).unwrap()
}

/// Anchors a log of five entries with these two among them, and proves both.
async fn anchored(
    anvil: &Anvil,
    notary: &NotaryKeys,
    operator: Address,
    reports: [Report; 2],
    details: &[u8],
) -> (Anchor, [Proof; 2]) {
    let registry = Contract::AnchorRegistry.address();
    let log = reports[0].log;
    let place =
        |index: u64| Place { ordinal: index, previous: keccak256("before"), ..Place::default() };
    let mut edge = RightEdge::empty();
    for index in 0..5 {
        let entry = match index {
            2 | 3 => commitment(&reports[index as usize - 2], &place(index)),
            _ => keccak256([index as u8]),
        };
        edge.append(&entry.0);
    }
    let (size, root) = (edge.size(), B256::from(edge.root()));
    let old = Anchor { number: 0, size: 0, root: B256::ZERO, time_s: 0 };
    let anchoring = Call::Anchor { log, old, size, root, proof: Vec::new() };
    let receipt = anvil.send(operator, Some(registry), calldata(&anchoring), 0).await;
    let anchor = Anchor { number: 1, size, root, time_s: now_s(anvil).await };
    let claim = AnchorClaim {
        chain_id: anvil.chain_id(),
        registry,
        log,
        number: 1,
        size,
        root,
        time_s: anchor.time_s,
        tx: serde_json::from_value(receipt["transactionHash"].clone()).unwrap(),
        block: serde_json::from_value::<U256>(receipt["blockNumber"].clone()).unwrap().to(),
    };
    let head = Checkpoint { origin: ORIGIN.to_owned(), size, root: root.0 };
    let checkpoint = notary.sign(head, anchor.time_s * 1000).unwrap();
    let checkpoint = String::from_utf8(checkpoint.to_bytes()).unwrap();
    let tiles: HashMap<TileId, Vec<u8>> = edge.changed_tiles().into_iter().collect();
    let proofs = [2, 3].map(|index| {
        let mut reader = TileReader::new(|id| Ok::<_, std::io::Error>(tiles.get(&id).cloned()));
        let path = reader.inclusion_path(index, size).unwrap();
        Proof {
            version: proof::VERSION.to_owned(),
            index,
            report: reports[index as usize - 2].clone(),
            place: ShownPlace::Hash(place(index).hash()),
            details: Some(Document::of(details)),
            evidence: Evidence::Relayed,
            path: path.into_iter().map(B256::from).collect(),
            checkpoint: checkpoint.clone(),
            anchor: claim.clone(),
            extension: None,
        }
    });
    (anchor, proofs)
}

fn settlement(order: &Order, market: &Market, proof: &Proof, anchor: Anchor) -> Settlement {
    let report = &proof.report;
    let expires_at = order.settled_by().unwrap();
    let approval = order.approval(market, expires_at).id(market);
    Settlement {
        order: bare(order),
        delivery: Delivery {
            k: K.into(),
            eventId: report.eventId,
            timeMs: report.timeMs,
            actor: report.actor,
            toVersion: report.toVersion,
            details: report.details,
            place: proof.place.hash(),
        },
        anchor,
        index: proof.index,
        path: proof.path.clone(),
        approval: Approval { expiresAt: expires_at, signature: signature(approval) },
    }
}

/// As the contract takes it.
fn bare(order: &Order) -> BareOrder {
    let offer = &order.offer;
    BareOrder {
        offer: BareOffer {
            seller: offer.seller,
            log: offer.log,
            token: offer.token,
            price: offer.price,
            accessS: offer.accessS,
            expiresAt: offer.expiresAt,
            epoch: offer.epoch,
            terms: offer.terms.eip712_hash_struct(),
        },
        buyer: order.buyer,
        recipient: order.recipient,
        deliverBy: order.deliverBy,
        grace: order.grace,
        salt: order.salt,
    }
}

/// The seller's, over a document's id.
fn signature(id: B256) -> Bytes {
    let key = PrivateKeySigner::from_bytes(&SECRETS[1].into()).unwrap();
    key.sign_hash_sync(&id).unwrap().as_bytes().into()
}

async fn now_s(anvil: &Anvil) -> u64 {
    let block = anvil.call("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    serde_json::from_value::<U256>(block["timestamp"].clone()).unwrap().to()
}
