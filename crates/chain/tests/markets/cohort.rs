//! One call to many on a real node, its deliveries in an anchored log.

use crate::scene::Scene;
use crate::support::CHAIN_ID;
use alloy::primitives::{Address, B256, U256, address, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use medtrail_chain::cohort::{
    Batch, CallHistory, Claim, Cohort, CohortCall, CohortRecord, CohortStep, Status, refusal,
};
use medtrail_chain::{At, Contract, domain};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::entry::{commitment, details_hash};
use medtrail_ledger::ports::Registry;
use medtrail_ledger::schema::{Place, Report};
use serde_json::json;

/// Of the node's mnemonic, as everybody knows: the second account to the fourth and the fifth.
const KEYS: [&str; 3] = [
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];
const BUYER: Address = address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
const K: B256 = B256::repeat_byte(0x77);
const PRICE: u64 = 50_000_000_000_000_000;
/// How many levels the entries of the log share: 8 to 11 stand under one node of the second.
const LEVEL: u8 = 2;
const FIRST: u64 = 8;

/// What is signed, by its own names: the contract's bindings know the terms as a hash.
mod signed {
    alloy::sol! {
        struct Terms {
            string statement;
            string purpose;
            bytes32 dataset;
            bytes32 salt;
        }

        struct Cohort {
            address buyer;
            bytes32 log;
            address token;
            uint256 price;
            uint32 places;
            bytes32 recipient;
            uint64 deliverBy;
            uint64 grace;
            Terms terms;
            bytes32 salt;
        }

        struct CohortAcceptance {
            bytes32 cohort;
            uint32 place;
            address seller;
            address token;
            uint256 price;
            Terms terms;
            uint64 epoch;
            uint64 expiresAt;
        }
    }
}

fn market() -> Address {
    Contract::CohortMarket.address()
}

fn id(document: &impl SolStruct) -> B256 {
    document.eip712_signing_hash(&domain(CHAIN_ID, market()))
}

fn key(of: usize) -> PrivateKeySigner {
    KEYS[of].parse().unwrap()
}

/// As the contract takes it.
fn bare(document: &signed::Cohort) -> Cohort {
    Cohort {
        buyer: document.buyer,
        log: document.log,
        token: document.token,
        price: document.price,
        places: document.places,
        recipient: document.recipient,
        deliverBy: document.deliverBy,
        grace: document.grace,
        terms: document.terms.eip712_hash_struct(),
        salt: document.salt,
    }
}

impl Scene {
    async fn call(&self, from: Address, call: &CohortCall, value: u64) -> Result<(), String> {
        let sent = self.send(from, market(), call.calldata(), value).await;
        sent.map_err(|data| refusal(&data))
    }

    async fn steps(&self, cohort: B256) -> Vec<CohortRecord> {
        let head = self.chain.tips().await.unwrap().head.block.number;
        self.chain.cohort_events(market(), &[cohort], 0..=head).await.unwrap()
    }

    async fn cohort(&self) -> signed::Cohort {
        let now_s = self.now_s().await;
        signed::Cohort {
            buyer: BUYER,
            log: self.log,
            token: Address::ZERO,
            price: U256::from(PRICE),
            places: 4,
            recipient: keccak256("age recipient"),
            deliverBy: now_s + 600,
            grace: 600,
            terms: signed::Terms {
                statement: "I sell 90 days of glucose.".to_owned(),
                purpose: "HRESCH".to_owned(),
                dataset: keccak256("dataset"),
                salt: keccak256("terms"),
            },
            salt: keccak256("cohort"),
        }
    }

    /// Three sellers accept; their deliveries are the entries 8 to 10 of an anchored log of 13.
    async fn delivered(&self, document: &signed::Cohort) -> Batch {
        let to_version = keccak256("outer file");
        let mut entries: Vec<B256> = (0..13_u8).map(|index| keccak256([index])).collect();
        let mut claims = Vec::new();
        for (of, index) in (FIRST..FIRST + 3).enumerate() {
            let acceptance = signed::CohortAcceptance {
                cohort: id(document),
                place: u32::try_from(of).unwrap(),
                seller: key(of).address(),
                token: document.token,
                price: document.price,
                terms: document.terms.clone(),
                epoch: 0,
                expiresAt: document.deliverBy + document.grace,
            };
            let accepted = id(&acceptance);
            let report = Report {
                log: self.log,
                eventId: keccak256([1, index.to_le_bytes()[0]]),
                kind: 6,
                action: b'E',
                timeMs: 7,
                subject: acceptance.seller.into_word(),
                actor: self.operator,
                record: accepted,
                // SHA-256, whatever its name.
                fromVersion: details_hash(K.as_slice()),
                toVersion: to_version,
                permission: accepted,
                details: keccak256("details"),
            };
            let place = Place { ordinal: 9, previous: keccak256("before"), ..Place::default() };
            entries[usize::try_from(index).unwrap()] = commitment(&report, &place);
            claims.push(Claim {
                place: acceptance.place,
                seller: acceptance.seller,
                epoch: acceptance.epoch,
                expiresAt: acceptance.expiresAt,
                signature: key(of).sign_hash_sync(&accepted).unwrap().as_bytes().into(),
                eventId: report.eventId,
                timeMs: report.timeMs,
                details: report.details,
                entryPlace: place.hash(),
                index,
                path: Vec::new(),
            });
        }
        let tree = self.anchor(&entries).await;
        let mut path = Vec::new();
        for claim in &mut claims {
            claim.path = tree.path(claim.index);
            path = claim.path.split_off(usize::from(LEVEL));
        }
        let mut near = RightEdge::empty();
        for entry in &entries[8..12] {
            near.append(&entry.0);
        }
        Batch {
            cohort: bare(document),
            k: K,
            to_version,
            actor: self.operator,
            anchor: tree.anchor,
            level: LEVEL,
            position: FIRST >> LEVEL,
            node: B256::from(near.root()),
            path,
            claims,
        }
    }
}

#[tokio::test]
async fn a_call_pays_who_delivered_and_gives_the_rest_back() {
    let scene = Scene::start().await;
    let document = scene.cohort().await;
    let (cohort, terms) = (id(&document), bare(&document));
    let standing =
        async || scene.chain.cohort_standing(market(), cohort, At::Latest).await.unwrap();
    assert_eq!(standing().await.status, Status::Unknown);
    let opening = CohortCall::Open(terms.clone());
    let refused = scene.call(BUYER, &opening, 3 * PRICE).await.unwrap_err();
    assert!(refused.contains("WrongValue"), "{refused}");
    scene.call(BUYER, &opening, 4 * PRICE).await.unwrap();
    assert_eq!(standing().await.status, Status::Open);
    assert_eq!(scene.balance(market()).await, U256::from(4 * PRICE));

    let batch = scene.delivered(&document).await;
    let settle = |batch: &Batch| CohortCall::Settle(Box::new(batch.clone()));
    let wrong = Batch { k: B256::repeat_byte(0x78), ..batch.clone() };
    let refused = scene.call(scene.operator, &settle(&wrong), 0).await.unwrap_err();
    assert!(refused.contains("NobodyPaid"), "{refused}");
    let apart = Batch { node: B256::repeat_byte(1), ..batch.clone() };
    let refused = scene.call(scene.operator, &settle(&apart), 0).await.unwrap_err();
    assert!(refused.contains("NotAnchored"), "{refused}");

    // The second is signed by the third: it is skipped, and the others are paid.
    let sellers = [0, 1, 2].map(|of| key(of).address());
    let mut before = Vec::new();
    for seller in sellers {
        before.push(scene.balance(seller).await);
    }
    let mut forged = batch.clone();
    forged.claims[1].signature = forged.claims[2].signature.clone();
    scene.call(scene.operator, &settle(&forged), 0).await.unwrap();
    let after = standing().await;
    assert_eq!((after.status, after.paid), (Status::Open, 2));
    assert!(after.settled_at_s.is_some());
    let place = async |seller: Address| {
        scene.chain.cohort_place_of(market(), cohort, seller, At::Latest).await.unwrap()
    };
    assert_eq!([place(sellers[0]).await, place(sellers[1]).await], [Some(0), None]);
    // Carried once more, as it is, it pays who was left out.
    scene.call(scene.operator, &settle(&batch), 0).await.unwrap();
    let refused = scene.call(scene.operator, &settle(&batch), 0).await.unwrap_err();
    assert!(refused.contains("NobodyPaid"), "{refused}");
    for (seller, before) in sellers.into_iter().zip(before) {
        assert_eq!(scene.balance(seller).await, before + U256::from(PRICE));
        let credit = scene.chain.cohort_credit(market(), seller, Address::ZERO, At::Latest).await;
        assert_eq!(credit.unwrap(), U256::ZERO);
    }

    let closing = CohortCall::Close(terms.clone());
    let refused = scene.call(scene.operator, &closing, 0).await.unwrap_err();
    assert!(refused.contains("ClosableLater"), "{refused}");
    let until = document.deliverBy + document.grace;
    scene.rpc("evm_setNextBlockTimestamp", json!([until + 1])).await;
    scene.mine(1).await;
    let before = scene.balance(BUYER).await;
    scene.call(scene.operator, &closing, 0).await.unwrap();
    assert_eq!(scene.balance(BUYER).await, before + U256::from(PRICE));
    assert_eq!(scene.balance(market()).await, U256::ZERO);
    assert_eq!(standing().await.status, Status::Closed);

    scene.mine(3).await;
    let finalized = scene.chain.finalized().await.unwrap();
    let unknown = B256::repeat_byte(9);
    let asked = scene.chain.calls_until(market(), &[cohort, unknown], finalized).await.unwrap();
    let CallHistory { opened_s, settled_s, shown } = asked[&cohort];
    assert_eq!((opened_s, settled_s), (Some(after.opened_at_s), after.settled_at_s));
    assert_eq!(shown, Some((K, batch.to_version)));
    let never = CallHistory { opened_s: None, settled_s: None, shown: None };
    assert_eq!(asked[&unknown], never);

    let steps: Vec<CohortStep> =
        scene.steps(cohort).await.into_iter().map(|record| record.step).collect();
    let paid =
        |of: usize| CohortStep::Paid { seller: sellers[of], place: u32::try_from(of).unwrap() };
    let settled = |paid| CohortStep::Settled { k: K, to_version: batch.to_version, paid };
    let opened = CohortStep::Opened(Box::new(terms));
    let rest = CohortStep::Closed { rest: U256::from(PRICE) };
    assert_eq!(steps, [opened, paid(0), paid(2), settled(2), paid(1), settled(1), rest]);
    assert_eq!(scene.steps(B256::ZERO).await, []);
}
