//! Sales from an offer to the seller's money, on a contract in memory that checks what the real one
//! checks: whatever crashes, is declined, late, reorganised away or opted out of in between.

use crate::bazaar::{
    Act, BOREAL, MARKET, OTHER, SAFE, Shop, anna_address, buyer_key, dataset, order_of,
};
use crate::erasure::{after, erase, until_done};
use crate::permits::{ANNA, KADRI, guardianship, signed};
use crate::safe::Safe;
use crate::support::{CLINIC, FAULTS, World, address_of, now_ms, pseudonym, sign, sign_digest};
use alloy_primitives::B256;
use medtrail_ledger::binding::alias::{self, Language};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::{KeyFile, KeyTag, Parcels};
use medtrail_market::seal::LockKey;
use medtrail_market::verify::{Ordered, delivery};
use medtrail_oracle::aliases::Joining;
use medtrail_oracle::sales::{Deleted, OfferState, SaleView, SalesError, Side, Wish};
use medtrail_oracle::vault::VaultLimits;
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::{Deletion, Order};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As its buyer sees it.
async fn seen(shop: &Shop, id: B256) -> SaleView {
    shop.sales.sale(address_of(BOREAL), id).await.unwrap()
}

async fn state(shop: &Shop, id: B256) -> &'static str {
    seen(shop, id).await.state
}

/// Listed, bought and approved: nothing is left for people to do.
async fn sold(shop: &Shop) -> (Order, B256) {
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    shop.keep(ANNA, 5).await;
    let order = order_of(&shop.list(ANNA, 1).await, BOREAL, 1);
    let id = shop.bazaar.pay(&order, true);
    shop.tick().await;
    assert_eq!(state(shop, id).await, "waiting");
    shop.sales.approve(anna_address(), id, shop.yes(ANNA, &order)).await.unwrap();
    (order, id)
}

async fn file(shop: &Shop, id: B256) -> Vec<u8> {
    let file = shop.sales.download(address_of(BOREAL), id).await.unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.bytes {
        bytes.extend(shop.sales.piece(id, bytes.len() as u64, 1000).await.unwrap());
    }
    bytes
}

/// Opens what was delivered, as the buyer does: key and entry come from chain and log.
fn opened(shop: &Shop, order: &Order, bytes: &[u8]) -> String {
    let id = order.id(&MARKET);
    let [entry] = &shop.deliveries()[..] else { panic!("one delivery") };
    let ordered = Ordered {
        log: shop.world().log,
        order: id,
        seller: order.offer.seller,
        dataset: dataset(SAFE).id(),
    };
    let key = LockKey::new(shop.bazaar.shown(id).unwrap().key.0);
    let mut files = Vec::new();
    let details = entry.details.as_deref().unwrap();
    delivery(
        &ordered,
        &entry.report,
        details,
        &key,
        &buyer_key(BOREAL),
        bytes,
        &mut |path, text| {
            files.push((path.to_owned(), String::from_utf8_lossy(text).into_owned()));
            Ok(())
        },
    )
    .unwrap();
    files.pop().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_and_approved_is_delivered_and_then_paid_out() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (order, id) = sold(&shop).await;
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "delivered");
    assert_eq!(shop.acts(), ["paid"]);
    // Nothing is shown before an anchor is final.
    shop.tick().await;
    assert!(shop.bazaar.shown(id).is_none() && shop.sales.due().is_empty());
    let bytes = file(&shop, id).await;
    let reads: Vec<_> = shop.world().all().into_iter().filter(|one| one.report.kind == 1).collect();
    let [read] = &reads[..] else { panic!("{reads:?}") };
    assert_eq!((read.report.subject, read.report.permission), (subject_of(anna_address()), id));

    shop.anchor(1);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "settling");
    let due = shop.sales.due();
    shop.bazaar.settle(&due[0], true);
    shop.tick().await;
    let view = seen(&shop, id).await;
    assert_eq!((view.state, view.side, view.row.left_out.len()), ("settled", Side::Buyer, 0));
    assert_eq!(view.key, shop.bazaar.shown(id).map(|told| told.key));
    assert_eq!((shop.acts(), shop.sales.due()), (vec!["paid".into(), "settled".into()], vec![]));
    let text = opened(&shop, &order, &bytes);
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("5.5") && !text.contains("2026-03"), "{text}");
    let proof = shop.sales.proof(address_of(BOREAL), id).await.unwrap();
    assert!(proof.details.is_some());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_by_transaction_counts_once_it_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    let order = order_of(&shop.list(ANNA, 1).await, BOREAL, 1);
    let id = shop.bazaar.pay(&order, true);
    shop.bazaar.change(id, false, |standing| standing.approved_at_s = Some(1));
    shop.tick().await;
    assert!(shop.deliveries().is_empty());
    shop.bazaar.finalise(id);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "delivered");
    shop.anchor(1);
    shop.tick().await;
    shop.bazaar.settle(&shop.sales.due()[0], true);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_not_final_moves_nothing_and_one_that_vanished_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    let order = order_of(&shop.list(ANNA, 1).await, BOREAL, 1);
    let untold = shop.sales.take(address_of(BOREAL), order.clone()).await;
    assert!(matches!(untold, Err(SalesError::NotPaid)));
    let id = shop.bazaar.pay(&order, false);
    let (view, is_new) = shop.sales.take(address_of(BOREAL), order.clone()).await.unwrap();
    assert_eq!((view.state, is_new), ("seen", true));
    shop.sales.approve(anna_address(), id, shop.yes(ANNA, &order)).await.unwrap();
    shop.tick().await;
    assert_eq!((shop.acts().len(), shop.deliveries().len()), (0, 0));
    // Before anything was delivered.
    shop.bazaar.reorganise(id);
    shop.tick().await;
    assert_eq!((state(&shop, id).await, shop.deliveries().len()), ("seen", 0));
    shop.bazaar.pay(&order, true);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "delivered");
    // Another one never comes back: once it could not be paid out any more it is forgotten.
    let other = order_of(&order.offer, BOREAL, 9);
    let gone = shop.bazaar.pay(&other, false);
    shop.sales.take(address_of(BOREAL), other).await.unwrap();
    shop.bazaar.reorganise(gone);
    shop.tick().await;
    assert_eq!(seen(&shop, gone).await.refusal, None);
    shop.bazaar.pass(2 * 3600 + 60);
    shop.tick().await;
    assert_eq!(seen(&shop, gone).await.refusal, Some("late"));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_after_the_delivery_takes_back_no_settlement_that_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    shop.tick().await;
    shop.anchor(1);
    shop.tick().await;
    let due = shop.sales.due();
    shop.bazaar.settle(&due[0], false);
    shop.tick().await;
    // Mined, not final: nothing more is sent, nothing is told.
    assert_eq!((shop.sales.due().len(), shop.acts().len()), (0, 1));
    shop.bazaar.reorganise(id);
    shop.tick().await;
    assert_eq!(shop.sales.due(), due, "it is sent again");
    shop.bazaar.settle(&due[0], true);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "settled");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_at_any_time_before_the_key_is_shown_ends_it_and_destroys_what_was_made() {
    for step in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::start(&folder);
        let (_, id) = sold(&shop).await;
        shop.tick().await;
        let refusal = match step {
            0 => {
                shop.sales.decline(anna_address(), id).await.unwrap();
                "withdrawn"
            }
            1 => {
                shop.sales.set_opt_out(anna_address(), true).await.unwrap();
                "opted-out"
            }
            2 => {
                shop.world().chain.record(anna_address(), ConsentEvent::Frozen { at_s: 1 }, false);
                "withdrawn"
            }
            _ => {
                let offer = seen(&shop, id).await.row.offer;
                shop.bazaar.cancel(offer);
                "withdrawn"
            }
        };
        shop.anchor(1);
        shop.tick().await;
        let view = seen(&shop, id).await;
        assert_eq!((view.state, view.refusal), ("over", Some(refusal)), "{step}");
        assert!(shop.sales.due().is_empty() && shop.bazaar.shown(id).is_none());
        let key = KeyFile::open(&*shop.world().keys, KeyTag::Sale(id)).unwrap();
        let gone = shop.sales.download(address_of(BOREAL), id).await;
        assert!(key.is_none() && matches!(gone, Err(SalesError::NoFile)));
        // The buyer takes the money back, and both see it.
        shop.bazaar.refund(id, true);
        let shop = shop.again(&folder).await;
        shop.tick().await;
        assert_eq!(state(&shop, id).await, "refunded");
        assert_eq!(shop.acts().iter().filter(|act| *act == "refunded").count(), 1);
        shop.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_approved_or_anchored_in_time_shows_no_key() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + AHEAD_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::over(&folder, Arc::default(), later);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    let offer = shop.list(ANNA, 1).await;
    let orders = [1, 2].map(|salt| order_of(&offer, BOREAL, salt));
    let [silent, unanchored] = orders.each_ref().map(|order| shop.bazaar.pay(order, true));
    shop.tick().await;
    let yes = shop.yes(ANNA, &orders[1]);
    shop.sales.approve(anna_address(), unanchored, yes).await.unwrap();
    shop.tick().await;
    assert_eq!(state(&shop, unanchored).await, "delivered");
    // An hour to deliver, an hour of grace: beyond half of it no key is shown.
    AHEAD_MS.store(3600 * 1000 * 3 / 2 + 60_000, Ordering::SeqCst);
    shop.anchor(1);
    shop.tick().await;
    assert_eq!(seen(&shop, silent).await.refusal, Some("not-approved"));
    assert_eq!(seen(&shop, unanchored).await.refusal, Some("late"));
    assert!(shop.sales.due().is_empty() && shop.bazaar.shown(unanchored).is_none());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_fails_or_crashes_there_is_one_delivery_of_one_file() {
    for (write, fault) in (0..14).flat_map(|write| FAULTS.map(|fault| (write, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let mut shop = Shop::start(&folder);
        let (order, id) = sold(&shop).await;
        let faults = match write {
            0..6 => &shop.world().book.faults,
            6..8 => &shop.post.faults,
            8..11 => &shop.world().disk.faults,
            _ => &shop.world().keys.faults,
        };
        let after = match write {
            0..6 => write,
            6..8 => write - 6,
            8..11 => write - 8,
            _ => write - 11,
        };
        faults.fail_after(after, fault);
        for round in 0..4 {
            let sales = shop.sales.clone();
            let _ = tokio::task::spawn_blocking(move || sales.tick()).await.unwrap();
            if round == 1 {
                shop = shop.again(&folder).await;
            }
        }
        shop.anchor(1);
        shop.tick().await;
        let bytes = file(&shop, id).await;
        shop.bazaar.settle(&shop.sales.due()[0], true);
        shop.tick().await;
        assert_eq!(state(&shop, id).await, "settled", "{write} {fault:?}");
        assert_eq!(shop.acts(), ["paid", "settled"], "{write} {fault:?}");
        opened(&shop, &order, &bytes);
        shop.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_survives_a_restart_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (order, id) = sold(&shop).await;
    let shop = shop.again(&folder).await;
    shop.tick().await;
    let bytes = file(&shop, id).await;
    let shop = shop.again(&folder).await;
    shop.anchor(1);
    shop.tick().await;
    // The key may be out: after a start it is settled, whatever else came.
    let shop = shop.again(&folder).await;
    shop.sales.set_opt_out(anna_address(), true).await.unwrap();
    shop.tick().await;
    let due = shop.sales.due();
    shop.bazaar.settle(&due[0], true);
    let shop = shop.again(&folder).await;
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "settled");
    opened(&shop, &order, &bytes);
    let late = shop.sales.decline(anna_address(), id).await;
    assert!(matches!(late, Err(SalesError::TooLate)));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_seller_and_buyer_sees_a_sale_and_the_catalogue_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (order, id) = sold(&shop).await;
    shop.tick().await;
    let (kadri, other) = (address_of(KADRI), address_of(OTHER));
    for who in [kadri, other] {
        assert!(matches!(shop.sales.sale(who, id).await, Err(SalesError::NoSuchSale)));
        assert!(matches!(shop.sales.download(who, id).await, Err(SalesError::NoSuchSale)));
        assert!(matches!(shop.sales.proof(who, id).await, Err(SalesError::NoSuchSale)));
        assert!(matches!(shop.sales.decline(who, id).await, Err(SalesError::NoSuchSale)));
        let yes = shop.yes(ANNA, &order);
        let approved = shop.sales.approve(who, id, yes).await;
        assert!(matches!(approved, Err(SalesError::NoSuchSale)));
        assert_eq!(shop.sales.sales_of(who, None, None, 10).await.unwrap().0, []);
        let offer = shop.sales.withdraw(who, order.offer.id(&MARKET)).await;
        assert!(matches!(offer, Err(SalesError::NoSuchOffer)));
    }
    // The buyer says neither yes nor no for the seller.
    let no = shop.sales.decline(address_of(BOREAL), id).await;
    assert!(matches!(no, Err(SalesError::NoSuchSale)));
    let forged = shop.sales.approve(address_of(BOREAL), id, shop.yes(BOREAL, &order)).await;
    assert!(matches!(forged, Err(SalesError::Signature)));
    // Nor does the seller download.
    let gone = shop.sales.download(anna_address(), id).await;
    assert!(matches!(gone, Err(SalesError::NoSuchSale)));
    let (cards, next) = shop.sales.catalogue(&Wish { limit: 10, ..Wish::default() }).unwrap();
    assert_eq!((cards.len(), next, cards[0].records_at_least), (1, None, 2));
    assert_eq!(cards[0].types, ["Observation"]);
    for (wish, count) in [
        (Wish { resource: Some("Observation".into()), ..Wish::default() }, 1),
        (Wish { resource: Some("Condition".into()), ..Wish::default() }, 0),
        (Wish { code: Some("http://loinc.org|15074-8".into()), ..Wish::default() }, 1),
        (Wish { form: Some("as-it-is".into()), ..Wish::default() }, 0),
        (Wish { origin: Some("signed".into()), ..Wish::default() }, 0),
        (Wish { purpose: Some("HRESCH".into()), ..Wish::default() }, 1),
    ] {
        assert_eq!(shop.sales.catalogue(&wish).unwrap().0.len(), count, "{wish:?}");
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sold_is_not_listed_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let nothing = shop.sales.list(shop.offer_of(ANNA, SAFE, 1)).await;
    assert!(matches!(nothing, Err(SalesError::Nothing { .. })));
    shop.keep(ANNA, 4).await;
    let mut forged = shop.offer_of(ANNA, SAFE, 1);
    forged.signature = shop.offer_of(KADRI, SAFE, 1).signature;
    assert!(matches!(shop.sales.list(forged).await, Err(SalesError::Signature)));
    for (country, form, is_allowed) in [
        ("FR", SAFE, false),
        ("DE", Form::AsItIs, false),
        ("DE", SAFE, true),
        ("EE", Form::AsItIs, true),
    ] {
        let mut offered = shop.offer_of(ANNA, form, 2);
        offered.country = country.into();
        let listed = shop.sales.list(offered).await;
        match is_allowed {
            true => drop(listed.unwrap()),
            false => assert!(matches!(listed, Err(SalesError::Rule)), "{country}"),
        }
    }
    let mut nowhere = shop.offer_of(ANNA, SAFE, 3);
    nowhere.country = "Estonia".into();
    let refused = shop.sales.list(nowhere).await;
    assert!(matches!(refused, Err(SalesError::Field { field: "country", .. })));
    let mut other = shop.offer_of(ANNA, SAFE, 3);
    other.offer.log = B256::repeat_byte(9);
    assert!(shop.sales.list(other).await.is_err());
    // The same again is the same.
    let (view, is_new) = shop.sales.list(shop.offer_of(ANNA, SAFE, 4)).await.unwrap();
    assert!(is_new);
    let again = shop.sales.offer(view.row.id).await.unwrap();
    assert_eq!(again.state, OfferState::Open);
    shop.sales.set_opt_out(anna_address(), true).await.unwrap();
    let out = shop.sales.list(shop.offer_of(ANNA, SAFE, 5)).await;
    assert!(matches!(out, Err(SalesError::OptedOut)));
    assert_eq!(shop.sales.catalogue(&Wish { limit: 10, ..Wish::default() }).unwrap().0, []);
    assert_eq!(shop.acts(), ["opted-out"]);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_s_data_are_never_sold_also_once_it_has_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.keep(KADRI, 4).await;
    let seen = shop.world().report(CLINIC, pseudonym(1), 1);
    shop.world().service.report(seen).await.unwrap();
    let of = guardianship(pseudonym(1));
    let mut document = signed(ANNA, of.clone());
    document.countersignature = signed(CLINIC, of).signature;
    shop.world().service.record(document).await.unwrap();
    shop.world().bind(pseudonym(1), KADRI, "K7QM-2XVD-9RTA").await;
    let refused = shop.sales.list(shop.offer_of(KADRI, SAFE, 1)).await;
    assert!(matches!(refused, Err(SalesError::Child)), "{refused:?}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_after_the_offer_was_withdrawn_or_leaves_no_time_is_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    let (first, second) = (shop.list(ANNA, 1).await, shop.list(ANNA, 2).await);
    let withdrawn = shop.sales.withdraw(anna_address(), first.id(&MARKET)).await.unwrap();
    assert_eq!(withdrawn.state, OfferState::Withdrawn);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let late = order_of(&first, BOREAL, 1);
    let hasty = Order { grace: 60, ..order_of(&second, BOREAL, 2) };
    let open = Order { recipient: B256::ZERO, ..order_of(&second, BOREAL, 3) };
    let ids = [&late, &hasty, &open].map(|order| shop.bazaar.pay(order, true));
    shop.tick().await;
    for (id, refusal) in ids.into_iter().zip(["withdrawn", "windows", "documents"]) {
        assert_eq!(seen(&shop, id).await.refusal, Some(refusal));
    }
    assert!(shop.deliveries().is_empty());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sells_under_an_alias_sells_their_own_records_and_sees_all_of_it() {
    const ROSE: u8 = 61;
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    let expires_at_s = now_ms() / 1000 + 3600;
    let document = alias::document(anna_address(), address_of(ROSE), expires_at_s, Language::En);
    let [signature, countersignature] = [ANNA, ROSE].map(|seed| sign(seed, &document));
    let (alias, language) = (address_of(ROSE), Language::En);
    let joining = Joining { alias, expires_at_s, language, signature, countersignature };
    shop.world().service.join_alias(anna_address(), joining).await.unwrap();

    let order = order_of(&shop.list(ROSE, 1).await, BOREAL, 1);
    let id = shop.bazaar.pay(&order, true);
    shop.tick().await;
    // By either of her addresses.
    shop.sales.approve(anna_address(), id, shop.yes(ROSE, &order)).await.unwrap();
    shop.tick().await;
    let own = shop.sales.sale(anna_address(), id).await.unwrap();
    assert_eq!((own.state, own.side), ("delivered", Side::Seller));
    let (list, _) =
        shop.sales.sales_of(anna_address(), Some(Side::Seller), None, 10).await.unwrap();
    assert_eq!(list.len(), 1);
    let bytes = file(&shop, id).await;
    shop.anchor(1);
    shop.tick().await;
    let text = opened(&shop, &order, &bytes);
    assert!(text.contains("4.5"), "{text}");
    // Nothing of it names her own address.
    for entry in shop.world().all().iter().filter(|entry| [5, 6].contains(&entry.report.kind)) {
        assert_eq!(entry.report.subject, subject_of(alias));
        let details = String::from_utf8_lossy(entry.details.as_deref().unwrap()).to_lowercase();
        assert!(!details.contains(&format!("{:x}", anna_address())));
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_away_stops_nothing_but_sales() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    shop.bazaar.go(true);
    let sales = shop.sales.clone();
    let ticked = tokio::task::spawn_blocking(move || sales.tick()).await.unwrap();
    assert!(matches!(ticked, Err(SalesError::ChainUnreadable(_))));
    assert!(shop.sales.selling().problem.is_some_and(|one| one.what.contains("chain")));
    shop.keep(ANNA, 9).await;
    shop.bazaar.go(false);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "delivered");
    assert_eq!((shop.sales.selling().open, shop.sales.selling().problem), (1, None));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_who_withdraws_afterwards_is_answered_by_a_signature_or_by_an_entry_of_silence() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + AHEAD_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::over(&folder, Arc::default(), later);
    let (order, id) = sold(&shop).await;
    shop.tick().await;
    let (anna, boreal) = (anna_address(), address_of(BOREAL));
    let early = shop.sales.withdraw_sale(anna, id).await;
    assert!(matches!(early, Err(SalesError::NotDelivered)));
    shop.anchor(1);
    shop.tick().await;
    shop.bazaar.settle(&shop.sales.due()[0], true);
    shop.tick().await;
    let says = |by: u8, deletion: Deletion| {
        let signature = sign_digest(by, deletion.id(&MARKET));
        shop.sales.deleted(boreal, id, Deleted { deletion, signature })
    };
    let gone = Deletion::of(&order, &MARKET, now_ms() / 1000);
    assert!(matches!(says(BOREAL, gone.clone()).await, Err(SalesError::NotAsked)));
    assert!(matches!(shop.sales.withdraw_sale(boreal, id).await, Err(SalesError::NoSuchSale)));
    for _ in 0..2 {
        shop.sales.withdraw_sale(anna, id).await.unwrap();
    }
    assert_eq!(shop.acts(), ["paid", "settled", "withdrawn"]);
    // Nobody says it for the buyer, in other words, or of another order.
    assert!(matches!(says(ANNA, gone.clone()).await, Err(SalesError::Signature)));
    for wrong in [
        Deletion { statement: "I have deleted it.".into(), ..gone.clone() },
        Deletion { order: B256::repeat_byte(1), ..gone.clone() },
        Deletion { deletedAt: now_ms() / 1000 + 3600, ..gone.clone() },
    ] {
        assert!(matches!(says(BOREAL, wrong).await, Err(SalesError::Field { .. })));
    }
    AHEAD_MS.store(3_601_000, Ordering::SeqCst);
    shop.tick().await;
    shop.tick().await;
    assert_eq!(shop.acts()[3..], ["not-answered"]);
    // After all.
    for _ in 0..2 {
        says(BOREAL, gone.clone()).await.unwrap();
    }
    shop.tick().await;
    assert_eq!(shop.acts()[4..], ["deleted"]);
    let told = shop.world().details_of_kind(5).pop().unwrap();
    assert_eq!(told["deletion"]["document"]["statement"], Deletion::STATEMENT);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_that_is_answered_counts_also_in_the_moment_in_which_the_key_would_be_shown() {
    for opts_out in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::start(&folder);
        let (_, id) = sold(&shop).await;
        shop.tick().await;
        shop.anchor(1);
        // Looked at and found good; then, before anything is durable, the seller says no.
        let (sales, runtime) = (shop.sales.clone(), tokio::runtime::Handle::current());
        let no: Act = Box::new(move || {
            runtime.block_on(async {
                match opts_out {
                    true => drop(sales.set_opt_out(anna_address(), true).await.unwrap()),
                    false => drop(sales.decline(anna_address(), id).await.unwrap()),
                }
            });
        });
        shop.bazaar.meanwhile(vec![no, Box::new(|| {})]);
        shop.tick().await;
        assert!(shop.sales.due().is_empty() && shop.bazaar.shown(id).is_none());
        shop.tick().await;
        assert_eq!(state(&shop, id).await, "over");
        shop.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_destroyed_whatever_fails_and_stays_refused() {
    for (of_files, fault) in [true, false].into_iter().flat_map(|one| FAULTS.map(|f| (one, f))) {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::start(&folder);
        let (_, id) = sold(&shop).await;
        shop.tick().await;
        shop.sales.set_opt_out(anna_address(), true).await.unwrap();
        let faults = if of_files { &shop.post.faults } else { &shop.world().keys.erasing };
        faults.fail_after(0, fault);
        let sales = shop.sales.clone();
        let _ = tokio::task::spawn_blocking(move || sales.tick()).await.unwrap();
        assert!(!faults.is_armed() && shop.sales.selling().problem.is_some());
        // What ended stays ended, although its reason is gone.
        shop.sales.set_opt_out(anna_address(), false).await.unwrap();
        let shop = shop.again(&folder).await;
        shop.anchor(1);
        shop.tick().await;
        assert_eq!(seen(&shop, id).await.refusal, Some("opted-out"), "{of_files} {fault:?}");
        let key = KeyFile::open(&*shop.world().keys, KeyTag::Sale(id)).unwrap();
        assert!(key.is_none() && Parcels::bytes(&*shop.post, id).unwrap().is_none());
        shop.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_seller_had_erased_leaves_no_offer_no_sale_no_key_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_erasing(&folder, now_ms, &[], after(0));
    let safe = Safe::over(&folder, world, VaultLimits::default());
    let shop = Shop::with(&folder, Arc::default(), safe);
    let (order, id) = sold(&shop).await;
    shop.tick().await;
    shop.anchor(1);
    shop.tick().await;
    shop.bazaar.settle(&shop.sales.due()[0], true);
    shop.tick().await;
    assert_eq!(state(&shop, id).await, "settled");
    shop.world().service.record(signed(ANNA, erase(shop.world(), 0))).await.unwrap();
    until_done(shop.world()).await;
    // Also after a start, which sweeps.
    let bazaar = shop.bazaar.clone();
    shop.stop().await;
    let world = World::start_erasing(&folder, now_ms, &[], after(0));
    let shop = Shop::with(&folder, bazaar, Safe::over(&folder, world, VaultLimits::default()));
    shop.tick().await;
    assert!(matches!(shop.sales.sale(address_of(BOREAL), id).await, Err(SalesError::NoSuchSale)));
    let offer = shop.sales.offer(order.offer.id(&MARKET)).await;
    assert!(matches!(offer, Err(SalesError::NoSuchOffer)));
    let key = KeyFile::open(&*shop.world().keys, KeyTag::Sale(id)).unwrap();
    assert!(key.is_none() && Parcels::orders(&*shop.post).unwrap().is_empty());
    shop.stop().await;
}
