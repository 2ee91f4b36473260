//! Who may accept a place, and as whom.

use super::fair::{FAIR, Hall};
use crate::bazaar::{OTHER, SAFE, anna_address, dataset};
use crate::permits::{ANNA, KADRI, STRANGER, guardianship, signed};
use crate::support::{CLINIC, address_of, now_ms, pseudonym, sign, sign_digest};
use alloy_primitives::U256;
use medtrail_ledger::binding::alias::{self, Language as AliasLanguage};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_oracle::aliases::Joining;
use medtrail_oracle::calls::{Accepted, CallsError};
use medtrail_oracle::sales::SalesError;
use medtrail_permit::sale::CohortAcceptance;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self};
use medtrail_permit::statements::Language;

pub(crate) const ROSE: u8 = 61;

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_or_does_not_want_to_sell_has_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    let (cohort, id) = hall.called(1).await;
    let good = hall.proposed(ANNA, id).await.unwrap();
    let with = |signature, country: &str| Accepted {
        acceptance: good.clone(),
        signature,
        country: country.into(),
    };
    let own = || sign_digest(ANNA, good.id(&FAIR));
    let anna = anna_address();
    let forged = hall.calls.accept(anna, id, with(sign_digest(OTHER, good.id(&FAIR)), "EE")).await;
    assert!(matches!(forged, Err(CallsError::Sales(SalesError::Signature))), "{forged:?}");
    // A good signature in other hands.
    let stolen = hall.calls.accept(address_of(OTHER), id, with(own(), "EE")).await;
    assert!(matches!(stolen, Err(CallsError::Field { field: "acceptance.seller", .. })));
    let country = hall.calls.accept(anna, id, with(own(), "Estonia")).await;
    assert!(matches!(country, Err(CallsError::Field { field: "country", .. })));
    let abroad = hall.calls.accept(anna, id, with(own(), "FR")).await;
    assert!(matches!(abroad, Err(CallsError::Sales(SalesError::Rule))));
    // Another epoch, another price, a place that is none.
    let until_s = cohort.settled_by().unwrap();
    let epoch = cohort.acceptance(&FAIR, 0, anna, 1, until_s);
    let epoch = hall.accept(ANNA, id, epoch).await;
    assert!(matches!(epoch, Err(CallsError::Field { field: "acceptance.epoch", .. })));
    let cheap = CohortAcceptance { price: U256::from(1), ..good.clone() };
    let cheap = hall.accept(ANNA, id, cheap).await;
    assert!(matches!(cheap, Err(CallsError::Document(SaleError::Differs("price")))));
    let beyond = cohort.acceptance(&FAIR, 2, anna, 0, until_s);
    let beyond = hall.accept(ANNA, id, beyond).await;
    assert!(matches!(beyond, Err(CallsError::Document(SaleError::Place(2, 2)))));
    // Nothing of it in the vault.
    let nothing = hall.proposed(STRANGER, id).await.unwrap();
    let nothing = hall.accept(STRANGER, id, nothing).await;
    assert!(matches!(nothing, Err(CallsError::Sales(SalesError::Nothing { .. }))));
    hall.shop.sales.set_opt_out(anna, true).await.unwrap();
    let out = hall.calls.accept(anna, id, with(own(), "EE")).await;
    assert!(matches!(out, Err(CallsError::Sales(SalesError::OptedOut))));
    hall.shop.sales.set_opt_out(anna, false).await.unwrap();
    // What the chain took back before it came here.
    let revoked = ConsentEvent::Revoked { permission: good.id(&FAIR), at_s: 1_700_000_000 };
    hall.shop.world().chain.record(anna, revoked, false);
    let revoked = hall.calls.accept(anna, id, with(own(), "EE")).await;
    assert!(matches!(revoked, Err(CallsError::Field { field: "acceptance", .. })), "{revoked:?}");
    let began = ConsentEvent::EpochStarted { epoch: 3, at_s: 1_700_000_000 };
    hall.shop.world().chain.record(anna, began, false);
    assert_eq!(hall.proposed(ANNA, id).await.unwrap().epoch, 3);
    let moved = ConsentEvent::ControlMoved { controller: address_of(OTHER), at_s: 1_700_000_000 };
    hall.shop.world().chain.record(anna, moved, false);
    let third = hall.proposed(ANNA, id).await.unwrap();
    let lost = hall.accept(ANNA, id, third).await;
    assert!(matches!(lost, Err(CallsError::Sales(SalesError::Signature))), "{lost:?}");
    assert_eq!(hall.shop.acts(), ["opted-out", "opted-in"]);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_accepts_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let shop = &hall.shop;
    shop.keep(KADRI, 4).await;
    let seen = shop.world().report(CLINIC, pseudonym(1), 1);
    shop.world().service.report(seen).await.unwrap();
    let of = guardianship(pseudonym(1));
    let mut document = signed(ANNA, of.clone());
    document.countersignature = signed(CLINIC, of).signature;
    shop.world().service.record(document).await.unwrap();
    shop.world().bind(pseudonym(1), KADRI, "K7QM-2XVD-9RTA").await;
    let (_, id) = hall.called(1).await;
    let acceptance = hall.proposed(KADRI, id).await.unwrap();
    let refused = hall.accept(KADRI, id, acceptance).await;
    assert!(matches!(refused, Err(CallsError::Sales(SalesError::Child))), "{refused:?}");
    hall.stop().await;
}

pub(crate) async fn join(hall: &Hall, person: u8, alias_of: u8) {
    let expires_at_s = now_ms() / 1000 + 3600;
    let (subject, alias) = (address_of(person), address_of(alias_of));
    let document = alias::document(subject, alias, expires_at_s, AliasLanguage::En);
    let [signature, countersignature] = [person, alias_of].map(|seed| sign(seed, &document));
    let language = AliasLanguage::En;
    let joining = Joining { alias, expires_at_s, language, signature, countersignature };
    hall.shop.world().service.join_alias(subject, joining).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_place_whatever_addresses_they_have_and_none_of_their_own_call() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    join(&hall, ANNA, ROSE).await;
    let (_, id) = hall.called(1).await;
    // By the alias, signed in as the person.
    let rose = Some(address_of(ROSE));
    let view = hall.calls.call(anna_address(), id, rose).await.unwrap();
    let acceptance = view.proposed.unwrap();
    assert_eq!(acceptance.seller, address_of(ROSE));
    let signature = sign_digest(ROSE, acceptance.id(&FAIR));
    let accepted = Accepted { acceptance, signature, country: "EE".into() };
    assert!(hall.calls.accept(anna_address(), id, accepted).await.unwrap().1);
    // And again by her own name.
    assert!(hall.proposed(ANNA, id).await.is_none());
    let cohort = hall.cohort(SAFE, 1);
    let until_s = cohort.settled_by().unwrap();
    let view = hall.calls.call(anna_address(), id, None).await.unwrap();
    let second = view.cohort.acceptance(&FAIR, 1, anna_address(), 0, until_s + 9);
    let twice = hall.accept(ANNA, id, second).await;
    assert!(matches!(twice, Err(CallsError::Twice)), "{twice:?}");
    // Nothing of it names her own address.
    for entry in hall.shop.world().all().iter().filter(|entry| entry.report.kind == 5) {
        assert_eq!(entry.report.subject, subject_of(address_of(ROSE)));
        let details = String::from_utf8_lossy(entry.details.as_deref().unwrap()).to_lowercase();
        assert!(!details.contains(&format!("{:x}", anna_address())));
    }
    let other = hall.calls.call(address_of(OTHER), id, Some(anna_address())).await;
    assert!(matches!(other, Err(CallsError::Field { field: "seller", .. })), "{other:?}");

    // Her own call, by her other address.
    let mut cohort = hall.cohort(SAFE, 2);
    cohort.buyer = address_of(ROSE);
    let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
    let own = hall.fair.open(&cohort, true);
    let text = String::from_utf8(dataset(SAFE).bytes()).unwrap();
    hall.calls.list(anna_address(), cohort.clone(), text).await.unwrap();
    let acceptance = cohort.acceptance(&FAIR, 0, anna_address(), 0, until_s + 9);
    let refused = hall.accept(ANNA, own, acceptance).await;
    assert!(matches!(refused, Err(CallsError::Document(SaleError::Oneself))), "{refused:?}");
    hall.stop().await;
}
