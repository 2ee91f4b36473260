//! Sales on a real node, each with a delivery that stands in an anchored log.

use crate::scene::Scene;
use crate::support::CHAIN_ID;
use alloy::primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use medtrail_chain::market::{
    About, Approval, Delivery, MarketCall, MarketEvent, MarketRecord, Offer, Order, Settlement,
    Status, Step, refusal,
};
use medtrail_chain::{At, Contract, domain};
use medtrail_ledger::entry::{commitment, details_hash};
use medtrail_ledger::ports::Registry;
use medtrail_ledger::schema::{Place, Report};
use serde_json::json;

/// The second account of the node's mnemonic, and its key, which everybody knows.
const SELLER: Address = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
const SELLER_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const BUYER: Address = address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
const K: B256 = B256::repeat_byte(0x77);
const PRICE: u64 = 50_000_000_000_000_000;

/// What is signed, by its own names: the contract's bindings know the terms as a hash.
mod signed {
    alloy::sol! {
        struct Terms {
            string statement;
            string purpose;
            bytes32 dataset;
            bytes32 salt;
        }

        struct Offer {
            address seller;
            bytes32 log;
            address token;
            uint256 price;
            uint64 accessS;
            uint64 expiresAt;
            uint64 epoch;
            Terms terms;
        }

        struct Order {
            Offer offer;
            address buyer;
            bytes32 recipient;
            uint64 deliverBy;
            uint64 grace;
            bytes32 salt;
        }

        struct SaleApproval {
            bytes32 order;
            address seller;
            address buyer;
            address token;
            uint256 price;
            Terms terms;
            uint64 expiresAt;
        }
    }
}

fn id(document: &impl SolStruct) -> B256 {
    document.eip712_signing_hash(&domain(CHAIN_ID, market()))
}

fn market() -> Address {
    Contract::DataMarket.address()
}

fn signature(document: &impl SolStruct) -> Bytes {
    let key: PrivateKeySigner = SELLER_KEY.parse().unwrap();
    key.sign_hash_sync(&id(document)).unwrap().as_bytes().into()
}

impl Scene {
    async fn trade(&self, from: Address, call: &MarketCall, value: u64) -> Result<(), String> {
        let sent = self.send(from, market(), call.calldata(), value).await;
        sent.map_err(|data| refusal(&data))
    }

    async fn status(&self, order: B256, at: At) -> Status {
        self.chain.order_standing(market(), order, at).await.unwrap().status
    }

    async fn sales(&self, about: About<'_>) -> Vec<MarketRecord> {
        let head = self.chain.tips().await.unwrap().head.block.number;
        self.chain.market_events(market(), about, 0..=head).await.unwrap()
    }

    async fn order(&self, salt: u8) -> signed::Order {
        let now_s = self.now_s().await;
        let terms = signed::Terms {
            statement: "I sell 90 days of glucose.".to_owned(),
            purpose: "HRESCH".to_owned(),
            dataset: keccak256("dataset"),
            salt: keccak256("terms"),
        };
        let offer = signed::Offer {
            seller: SELLER,
            log: self.log,
            token: Address::ZERO,
            price: U256::from(PRICE),
            accessS: 3600,
            expiresAt: now_s + 86_400,
            epoch: self.chain.selling_epoch(market(), SELLER, At::Latest).await.unwrap(),
            terms,
        };
        signed::Order {
            offer,
            buyer: BUYER,
            recipient: keccak256("age recipient"),
            deliverBy: now_s + 600,
            grace: 600,
            salt: B256::repeat_byte(salt),
        }
    }

    async fn buy(&self, document: &signed::Order) -> Result<(), String> {
        let offer_signature = signature(&document.offer);
        self.trade(BUYER, &MarketCall::Buy { order: bare(document), offer_signature }, PRICE).await
    }

    /// Anchors a log of five entries, the third of them the delivery, and proves it.
    async fn sold(&self, document: &signed::Order, approval: Approval) -> Settlement {
        let order = id(document);
        let delivery = Delivery {
            k: K,
            eventId: keccak256("event"),
            timeMs: 7,
            actor: self.operator,
            toVersion: keccak256("outer file"),
            details: keccak256("details"),
            place: B256::ZERO,
        };
        let report = Report {
            log: self.log,
            eventId: delivery.eventId,
            kind: 6,
            action: b'E',
            timeMs: delivery.timeMs,
            subject: SELLER.into_word(),
            actor: delivery.actor,
            record: order,
            // SHA-256, whatever its name.
            fromVersion: details_hash(K.as_slice()),
            toVersion: delivery.toVersion,
            permission: order,
            details: delivery.details,
        };
        let place = Place { ordinal: 9, previous: keccak256("before"), ..Place::default() };
        let delivery = Delivery { place: place.hash(), ..delivery };

        let mut entries: Vec<B256> = (0..5_u8).map(|index| keccak256([index])).collect();
        entries[2] = commitment(&report, &place);
        let tree = self.anchor(&entries).await;
        let (anchor, path) = (tree.anchor, tree.path(2));
        Settlement { order: bare(document), delivery, anchor, index: 2, path, approval }
    }
}

/// As the contract takes it.
fn bare(document: &signed::Order) -> Order {
    let offer = &document.offer;
    Order {
        offer: Offer {
            seller: offer.seller,
            log: offer.log,
            token: offer.token,
            price: offer.price,
            accessS: offer.accessS,
            expiresAt: offer.expiresAt,
            epoch: offer.epoch,
            terms: offer.terms.eip712_hash_struct(),
        },
        buyer: document.buyer,
        recipient: document.recipient,
        deliverBy: document.deliverBy,
        grace: document.grace,
        salt: document.salt,
    }
}

fn approval(document: &signed::Order) -> Approval {
    let offer = &document.offer;
    let expires_at = document.deliverBy + document.grace;
    let approval = signed::SaleApproval {
        order: id(document),
        seller: offer.seller,
        buyer: document.buyer,
        token: offer.token,
        price: offer.price,
        terms: offer.terms.clone(),
        expiresAt: expires_at,
    };
    Approval { expiresAt: expires_at, signature: signature(&approval) }
}

fn no_approval() -> Approval {
    Approval { expiresAt: 0, signature: Bytes::new() }
}

fn steps(records: &[MarketRecord]) -> Vec<Step> {
    let step = |record: &MarketRecord| match record.event {
        MarketEvent::Order { seller: SELLER, buyer: BUYER, step, .. } => step,
        other => panic!("{other:?}"),
    };
    records.iter().map(step).collect()
}

#[tokio::test]
async fn a_seller_without_a_coin_is_paid_for_what_the_log_shows() {
    let scene = Scene::start().await;
    let document = scene.order(1).await;
    let order = id(&document);
    assert_eq!(scene.status(order, At::Latest).await, Status::Unknown);
    scene.buy(&document).await.unwrap();
    assert_eq!(scene.status(order, At::Latest).await, Status::Paid);

    let before = scene.balance(SELLER).await;
    let settlement = scene.sold(&document, no_approval()).await;
    let settle = |settlement: &Settlement| MarketCall::Settle(Box::new(settlement.clone()));
    let refused = scene.trade(scene.operator, &settle(&settlement), 0).await.unwrap_err();
    assert!(refused.contains("ApprovalTooShort"), "{refused}");
    let settlement = Settlement { approval: approval(&document), ..settlement };
    let mut wrong = settlement.clone();
    wrong.delivery.k = B256::repeat_byte(0x78);
    let refused = scene.trade(scene.operator, &settle(&wrong), 0).await.unwrap_err();
    assert!(refused.contains("NotDelivered"), "{refused}");

    scene.trade(scene.operator, &settle(&settlement), 0).await.unwrap();
    assert_eq!(scene.balance(SELLER).await, before + U256::from(PRICE));
    assert_eq!(scene.balance(market()).await, U256::ZERO);
    assert_eq!(scene.status(order, At::Latest).await, Status::Settled);
    assert_eq!(scene.status(order, At::Finalized).await, Status::Paid, "not final yet");
    let unknown = B256::repeat_byte(9);
    let seen = async || {
        let finalized = scene.chain.finalized().await.unwrap();
        let asked = scene.chain.orders_until(market(), &[order, unknown], finalized).await.unwrap();
        assert_eq!(asked[&unknown].standing.status, Status::Unknown);
        asked[&order]
    };
    let early = seen().await;
    assert_eq!((early.standing.status, early.standing.ended_at_s), (Status::Paid, None));
    assert_eq!(early.key, None);

    let events = scene.sales(About::Orders(&[order])).await;
    assert_eq!(events.iter().map(|event| event.is_final).collect::<Vec<_>>(), [true, false]);
    scene.mine(3).await;
    assert_eq!(scene.status(order, At::Finalized).await, Status::Settled);
    let events = scene.sales(About::Orders(&[order])).await;
    assert!(events.iter().all(|event| event.is_final));
    let offer = id(&document.offer);
    let (recipient, salt) = (document.recipient, document.salt);
    let (deliver_by, grace) = (document.deliverBy, document.grace);
    let bought = Step::Bought { offer, recipient, deliver_by, grace, salt };
    assert_eq!(steps(&events), [bought, Step::Settled { k: K }]);

    let before = seen().await;
    scene.trade(SELLER, &MarketCall::Revoke(bare(&document)), 0).await.unwrap();
    let standing = scene.chain.order_standing(market(), order, At::Latest).await.unwrap();
    assert_eq!(seen().await, before, "what is not final is not told");
    scene.mine(3).await;
    let history = seen().await;
    assert_eq!((history.key, history.standing), (Some(K), standing));
    assert_eq!((before.key, before.standing.revoked_at_s), (Some(K), None));
    assert!(standing.paid_at_s <= standing.ended_at_s.unwrap());
    assert!(standing.ended_at_s <= standing.revoked_at_s && standing.approved_at_s.is_none());
}

#[tokio::test]
async fn what_is_declined_cancelled_or_late_goes_back_and_is_read_by_seller() {
    let scene = Scene::start().await;
    let start = scene.balance(market()).await;
    let [declined, cancelled, mut late, approved] =
        [scene.order(1).await, scene.order(2).await, scene.order(3).await, scene.order(4).await];
    late.offer.accessS = 0;
    for document in [&declined, &cancelled, &late, &approved] {
        scene.buy(document).await.unwrap();
    }
    scene.trade(SELLER, &MarketCall::Approve(bare(&approved)), 0).await.unwrap();
    scene.trade(SELLER, &MarketCall::Decline(bare(&declined)), 0).await.unwrap();
    let early = scene.trade(BUYER, &MarketCall::Refund(bare(&cancelled)), 0).await.unwrap_err();
    assert!(early.contains("RefundableLater"), "{early}");
    let offer = id(&cancelled.offer);
    let stranger = scene.operator;
    let call = MarketCall::CancelOffer { seller: SELLER, offer };
    let refused = scene.trade(stranger, &call, 0).await.unwrap_err();
    assert!(refused.contains("NotController"), "{refused}");
    scene.trade(SELLER, &call, 0).await.unwrap();
    let is_open =
        async |offer: &Offer| scene.chain.offer_is_open(market(), offer, At::Latest).await.unwrap();
    assert!(!is_open(&bare(&cancelled).offer).await);
    assert!(is_open(&bare(&late).offer).await);
    scene.trade(stranger, &MarketCall::Refund(bare(&cancelled)), 0).await.unwrap();

    let until = late.deliverBy + late.grace;
    scene.rpc("evm_setNextBlockTimestamp", json!([until + 1])).await;
    scene.mine(1).await;
    scene.trade(stranger, &MarketCall::Refund(bare(&late)), 0).await.unwrap();
    scene.trade(stranger, &MarketCall::Refund(bare(&approved)), 0).await.unwrap();
    scene.trade(SELLER, &MarketCall::CancelAll { seller: SELLER }, 0).await.unwrap();
    assert_eq!(scene.chain.selling_epoch(market(), SELLER, At::Latest).await.unwrap(), 1);
    assert_eq!(scene.balance(market()).await, start);
    for account in [SELLER, BUYER] {
        let credit = scene.chain.market_credit(market(), account, Address::ZERO, At::Latest).await;
        assert_eq!(credit.unwrap(), U256::ZERO);
    }

    let events = scene.sales(About::Sellers(&[SELLER])).await;
    let cancellations: Vec<MarketEvent> = events
        .iter()
        .map(|record| record.event)
        .filter(|event| !matches!(event, MarketEvent::Order { .. }))
        .collect();
    let cancelled_all = MarketEvent::AllCancelled { seller: SELLER, epoch: 1 };
    assert_eq!(
        cancellations,
        [MarketEvent::OfferCancelled { seller: SELLER, offer }, cancelled_all]
    );
    let of = |document: &signed::Order| {
        let wanted = id(document);
        let about = events.iter().copied().filter(move |record| {
            matches!(record.event, MarketEvent::Order { order, .. } if order == wanted)
        });
        steps(&about.collect::<Vec<_>>())[1..].to_vec()
    };
    assert_eq!(of(&declined), [Step::Declined]);
    assert_eq!(of(&cancelled), [Step::Refunded]);
    assert_eq!(of(&late), [Step::Refunded]);
    assert_eq!(of(&approved), [Step::Approved, Step::Refunded]);
    assert_eq!(scene.sales(About::Sellers(&[BUYER])).await, []);
    assert_eq!(scene.sales(About::Orders(&[B256::ZERO])).await, []);
}
