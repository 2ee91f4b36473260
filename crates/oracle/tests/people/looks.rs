//! Looks of a buyer where the data are kept: by a settled order, at what was sold and nothing else,
//! for as long as it lasts, and never without an entry.

use crate::bazaar::{
    BOREAL, Bazaar, MARKET, OTHER, SAFE, Shop, anna_address, dataset, glucose, observed, order_of,
};
use crate::erasure::{after, erase, until_done};
use crate::permits::{ANNA, revoke, revoke_all, signed};
use crate::safe::{Safe, write};
use crate::support::{World, address_of, now_ms, sign, sign_digest};
use alloy_primitives::{B256, keccak256};
use medtrail_ledger::binding::alias::{self, Language};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::vault::version_of;
use medtrail_market::manifest::Whose;
use medtrail_oracle::aliases::Joining;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::sales::{Offered, SalesError};
use medtrail_oracle::vault::{Seen, Shown, VaultError, VaultLimits, Why};
use medtrail_permit::dataset::Form;
use medtrail_permit::permits::Refusal;
use medtrail_permit::sale::{Order, words};
use medtrail_permit::statements::Language as Spoken;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ROSE: u8 = 61;
const ACCESS_S: u64 = 3600;

fn offered(shop: &Shop, seller: u8, form: Form, access_s: u64) -> Offered {
    let mut offered = shop.offer_of(seller, form, 1);
    offered.offer.accessS = access_s;
    offered.offer = words::worded(offered.offer, &dataset(form), Spoken::En).unwrap();
    offered.signature = sign_digest(seller, offered.offer.id(&MARKET));
    offered
}

/// Paid, with an hour of access for the buyer; not approved yet.
async fn paid(shop: &Shop, seller: u8) -> (Order, B256) {
    shop.tick().await;
    let (view, _) = shop.sales.list(offered(shop, seller, Form::AsItIs, ACCESS_S)).await.unwrap();
    let order = order_of(&view.offer, BOREAL, 1);
    let id = shop.bazaar.pay(&order, true);
    shop.tick().await;
    (order, id)
}

async fn settle(shop: &Shop, seller: u8, order: &Order, is_final: bool) {
    let id = order.id(&MARKET);
    shop.sales.approve(address_of(seller), id, shop.yes(seller, order)).await.unwrap();
    shop.tick().await;
    shop.anchor(1);
    shop.tick().await;
    shop.bazaar.settle(&shop.sales.due()[0], is_final);
    shop.tick().await;
}

/// Two measurements that were sold, and an allergy that was not; settled.
async fn sold(shop: &Shop) -> (Order, B256) {
    for number in [4, 5] {
        shop.keep(ANNA, number).await;
    }
    shop.safe.put(&write(1000, ANNA, '0', 'A')).await.unwrap();
    let (order, id) = paid(shop, ANNA).await;
    settle(shop, ANNA, &order, true).await;
    (order, id)
}

fn measurement(by: u8, number: u8) -> B256 {
    keccak256([by, number])
}

async fn list(shop: &Shop, id: B256) -> Result<Vec<Shown>, SalesError> {
    shop.sales.records(address_of(BOREAL), id).await
}

async fn read(shop: &Shop, id: B256, record: B256) -> Result<Seen, SalesError> {
    shop.sales.record(address_of(BOREAL), id, record).await
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, SalesError>) -> Refusal {
    match outcome {
        Err(SalesError::NoLook { why: Why::Refused(why) }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// Both routes answer so, and leave no entry.
async fn both_refused(shop: &Shop, id: B256, why: Refusal, name: &str) {
    let before = shop.world().service.head().size;
    assert_eq!(refused(list(shop, id).await), why, "{name}");
    for record in [measurement(ANNA, 4), B256::repeat_byte(0x77)] {
        assert_eq!(refused(read(shop, id, record).await), why, "{name}");
    }
    assert_eq!(shop.world().service.head().size, before, "{name}");
}

fn looks(shop: &Shop) -> Vec<Entry> {
    shop.world().all().into_iter().filter(|entry| entry.report.kind == 1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_looks_at_what_was_sold_and_at_nothing_else_and_each_look_is_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    let shown = list(&shop, id).await.unwrap();
    let records: Vec<B256> = shown.iter().map(|one| one.origin.record).collect();
    let mut expected = vec![measurement(ANNA, 4), measurement(ANNA, 5)];
    expected.sort();
    assert_eq!(records, expected);
    assert!(shown.iter().all(|one| one.word == Whose::UploadedByPerson));
    // Nothing of whose they are stands in it.
    let text = serde_json::to_string(&shown.iter().map(|one| &one.origin).collect::<Vec<_>>());
    assert!(!text.unwrap().contains(&format!("{:x}", anna_address())));

    let seen = read(&shop, id, measurement(ANNA, 4)).await.unwrap();
    assert_eq!(seen.bytes, glucose(4));
    let [listed, looked] = &looks(&shop)[..] else { panic!("two entries") };
    for entry in [listed, looked] {
        assert_eq!(entry.report.subject, subject_of(anna_address()));
        assert_eq!(entry.report.permission, id);
        let details: Value = serde_json::from_slice(entry.details.as_ref().unwrap()).unwrap();
        assert_eq!(details["reader"].as_str().unwrap(), format!("{:?}", address_of(BOREAL)));
        assert_eq!(details["purposes"], serde_json::json!(["HRESCH"]));
    }
    assert_eq!((listed.report.action, listed.report.record), (b'E', B256::ZERO));
    let version = version_of(&glucose(4));
    let report = &looked.report;
    assert_eq!((report.action, report.record), (b'R', measurement(ANNA, 4)));
    assert_eq!((report.fromVersion, report.toVersion), (version, version));
    assert_eq!(seen.receipt.index, looked.index);

    // What was not sold is answered like what is not there, and leaves nothing.
    for record in [crate::safe::record("penicillin"), B256::repeat_byte(0x77), B256::ZERO] {
        let answer = read(&shop, id, record).await;
        assert!(matches!(answer, Err(SalesError::Vault(VaultError::NotFound))), "{answer:?}");
    }
    assert_eq!(looks(&shop).len(), 2);
    // Nor does anybody else learn that there is a sale: not its seller, who reads at home.
    for who in [anna_address(), address_of(OTHER)] {
        let list = shop.sales.records(who, id).await;
        assert!(matches!(list, Err(SalesError::NoSuchSale)));
        let read = shop.sales.record(who, id, measurement(ANNA, 4)).await;
        assert!(matches!(read, Err(SalesError::NoSuchSale)));
    }
    let unknown = list(&shop, B256::repeat_byte(9)).await;
    assert!(matches!(unknown, Err(SalesError::NoSuchSale)));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_shows_what_counts_now_within_what_was_sold() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    // A newer version of one, a third record, and one that grew a mark.
    let change = |number: u8, content: Vec<u8>, topics: &[&str]| {
        let (subject, from) = (subject_of(anna_address()), version_of(&glucose(number)));
        observed(shop.world(), ANNA, subject, number, from, content, topics)
    };
    let newer = String::from_utf8(glucose(4)).unwrap().replace("4.5", "4.6").into_bytes();
    let sensitive = String::from_utf8(glucose(5)).unwrap();
    let sensitive = sensitive.replacen('{', r#"{"meta":{"security":[{"code":"HIV"}]},"#, 1);
    let text = |number: u8| String::from_utf8(glucose(number)).unwrap();
    let (old, other) = (text(7).replace("2026", "2024"), text(8).replace("15074-8", "2951-2"));
    let fresh = |number, content: String| {
        let subject = subject_of(anna_address());
        observed(shop.world(), ANNA, subject, number, B256::ZERO, content.into_bytes(), &[])
    };
    for put in [
        // Out of the period, and of another code.
        fresh(7, old),
        fresh(8, other),
        change(4, newer.clone(), &[]),
        change(5, sensitive.into_bytes(), &["HIV"]),
    ] {
        shop.safe.vault.put(vec![put]).await.pop().unwrap().unwrap();
    }
    shop.keep(ANNA, 6).await;
    let mut records: Vec<B256> =
        list(&shop, id).await.unwrap().iter().map(|one| one.origin.record).collect();
    records.sort();
    let mut expected = vec![measurement(ANNA, 4), measurement(ANNA, 6)];
    expected.sort();
    assert_eq!(records, expected, "what bears a mark by now is not what was sold");
    assert_eq!(read(&shop, id, measurement(ANNA, 4)).await.unwrap().bytes, newer);
    for number in [5, 7, 8] {
        let unsold = read(&shop, id, measurement(ANNA, number)).await;
        assert!(matches!(unsold, Err(SalesError::Vault(VaultError::NotFound))), "{unsold:?}");
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_settled_at_a_final_block_permits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.keep(ANNA, 4).await;
    let (order, id) = paid(&shop, ANNA).await;
    both_refused(&shop, id, Refusal::NotSettled, "paid").await;
    settle(&shop, ANNA, &order, false).await;
    both_refused(&shop, id, Refusal::NotFinal, "not final").await;
    shop.bazaar.reorganise(id);
    both_refused(&shop, id, Refusal::NotSettled, "reorganised away").await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_order_permits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.keep(ANNA, 4).await;
    let (_, id) = paid(&shop, ANNA).await;
    shop.bazaar.refund(id, true);
    shop.tick().await;
    assert_eq!(shop.acts(), ["paid", "refunded"]);
    both_refused(&shop, id, Refusal::NotSettled, "refunded").await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_ends_with_its_time_and_not_before() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + AHEAD_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::over(&folder, Arc::<Bazaar>::default(), later);
    let (_, id) = sold(&shop).await;
    AHEAD_MS.store((ACCESS_S - 60) * 1000, Ordering::SeqCst);
    assert_eq!(list(&shop, id).await.unwrap().len(), 2);
    AHEAD_MS.store((ACCESS_S + 1) * 1000, Ordering::SeqCst);
    both_refused(&shop, id, Refusal::Expired, "over").await;
    shop.stop().await;
}

/// How a seller ends access.
#[derive(Clone, Copy, Debug)]
enum End {
    OnMarket { is_final: bool },
    AheadOnMarket,
    InRegistry,
    InLog,
    All,
    Withdrawn,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_ends_access_at_once_and_in_every_way() {
    let (revoked, epoch) = (Refusal::Revoked, Refusal::WrongEpoch);
    for (end, why) in [
        (End::OnMarket { is_final: false }, revoked),
        (End::OnMarket { is_final: true }, revoked),
        (End::AheadOnMarket, revoked),
        (End::InRegistry, revoked),
        (End::InLog, revoked),
        (End::All, epoch),
        (End::Withdrawn, revoked),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::start(&folder);
        let (_, id) = sold(&shop).await;
        read(&shop, id, measurement(ANNA, 4)).await.unwrap();
        // Of the next second: what was taken back in this one was given in it too.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let service = &shop.world().service;
        let now_s = now_ms() / 1000;
        let at = |at_s, is_final| {
            shop.bazaar.change(id, is_final, |standing| standing.revoked_at_s = Some(at_s));
        };
        match end {
            End::OnMarket { is_final } => at(now_s, is_final),
            End::AheadOnMarket => at(now_s + 30, false),
            End::InRegistry => {
                let event = ConsentEvent::Revoked { permission: id, at_s: now_s };
                shop.world().chain.record(anna_address(), event, false);
            }
            End::InLog => drop(service.record(signed(ANNA, revoke(id))).await.unwrap()),
            End::All => drop(service.record(signed(ANNA, revoke_all(0))).await.unwrap()),
            End::Withdrawn => drop(shop.sales.withdraw_sale(anna_address(), id).await.unwrap()),
        }
        both_refused(&shop, id, why, &format!("{end:?}")).await;
        shop.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_between_the_question_and_the_entry_shows_nothing_and_the_trail_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let bazaar = shop.bazaar.clone();
    *shop.safe.cellar.meanwhile.lock().unwrap() = Some(Box::new(move || {
        bazaar.change(id, false, |standing| standing.revoked_at_s = Some(now_ms() / 1000));
    }));
    assert_eq!(refused(read(&shop, id, measurement(ANNA, 4)).await), Refusal::Revoked);
    let [look] = &looks(&shop)[..] else { panic!("one entry") };
    assert_eq!(look.report.permission, id);
    assert_eq!(shop.safe.told(), [("read".to_owned(), "revoked".to_owned())]);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_away_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    shop.bazaar.go(true);
    let before = shop.world().service.head().size;
    let away = |error: SalesError| {
        matches!(
            error,
            SalesError::ChainUnreadable(_) | SalesError::Vault(VaultError::ChainUnreadable(_))
        )
    };
    assert!(away(list(&shop, id).await.unwrap_err()));
    assert!(away(read(&shop, id, measurement(ANNA, 4)).await.unwrap_err()));
    assert_eq!(shop.world().service.head().size, before);
    shop.bazaar.go(false);
    // Away from the second question on: the entry stands, and nothing is shown.
    let bazaar = shop.bazaar.clone();
    *shop.safe.cellar.meanwhile.lock().unwrap() = Some(Box::new(move || bazaar.go(true)));
    assert!(away(read(&shop, id, measurement(ANNA, 4)).await.unwrap_err()));
    assert_eq!(looks(&shop).len(), 1);
    shop.bazaar.go(false);
    read(&shop, id, measurement(ANNA, 4)).await.unwrap();
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_gives_no_time_or_hides_the_originals_gives_no_look() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    shop.tick().await;
    shop.keep(ANNA, 4).await;
    // De-identified and with access nobody is let list it.
    let both = shop.sales.list(offered(&shop, ANNA, SAFE, ACCESS_S)).await;
    assert!(matches!(both, Err(SalesError::Field { field: "offer.accessS", .. })), "{both:?}");
    let (view, _) = shop.sales.list(offered(&shop, ANNA, Form::AsItIs, 0)).await.unwrap();
    let order = order_of(&view.offer, BOREAL, 1);
    let id = shop.bazaar.pay(&order, true);
    shop.tick().await;
    settle(&shop, ANNA, &order, true).await;
    assert_eq!(shop.acts(), ["paid", "settled"]);
    both_refused(&shop, id, Refusal::DeliveryOnly, "no time").await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_under_an_alias_is_looked_at_without_learning_whose_it_is() {
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
    let (order, id) = paid(&shop, ROSE).await;
    settle(&shop, ROSE, &order, true).await;

    let shown = list(&shop, id).await.unwrap();
    let [one] = &shown[..] else { panic!("one record") };
    assert_eq!(one.origin.record, measurement(ANNA, 4));
    let seen = read(&shop, id, one.origin.record).await.unwrap();
    assert_eq!(seen.bytes, glucose(4));
    let told = format!("{shown:?} {:?}", seen.receipt).to_lowercase();
    assert!(!told.contains(&format!("{:x}", anna_address())));
    // The lines stand where the sale does, and she sees them there.
    for entry in looks(&shop) {
        assert_eq!(entry.report.subject, subject_of(alias));
        assert!(shop.world().service.is_theirs(anna_address(), entry.report.subject));
    }
    // What she says of herself is not said of the alias, and the other way round.
    shop.world().service.record(signed(ANNA, revoke(id))).await.unwrap();
    list(&shop, id).await.unwrap();
    let event = ConsentEvent::Revoked { permission: id, at_s: now_ms() / 1000 };
    shop.world().chain.record(alias, event, false);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(refused(list(&shop, id).await), Refusal::Revoked);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_seller_had_erased_nobody_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_erasing(&folder, now_ms, &[], after(0));
    let safe = Safe::over(&folder, world, VaultLimits::default());
    let shop = Shop::with(&folder, Arc::default(), safe);
    let (_, id) = sold(&shop).await;
    list(&shop, id).await.unwrap();
    shop.world().service.record(signed(ANNA, erase(shop.world(), 0))).await.unwrap();
    until_done(shop.world()).await;
    assert!(matches!(list(&shop, id).await, Err(SalesError::NoSuchSale)));
    assert!(matches!(read(&shop, id, measurement(ANNA, 4)).await, Err(SalesError::NoSuchSale)));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_stands_after_a_start_as_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::start(&folder);
    let (_, id) = sold(&shop).await;
    let shop = shop.again(&folder).await;
    assert_eq!(list(&shop, id).await.unwrap().len(), 2);
    assert_eq!(read(&shop, id, measurement(ANNA, 5)).await.unwrap().bytes, glucose(5));
    shop.stop().await;
}
