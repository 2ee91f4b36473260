//! Calls to many: listed by a buyer once the contract has the money, accepted place by place, taken
//! back in time, on a contract in memory that is asked what the real one is asked.

use crate::bazaar::{BOREAL, Bazaar, OTHER, SAFE, Shop, anna_address, buyer_key, dataset};
use crate::erasure::{after, erase, until_done};
use crate::permits::{ANNA, KADRI, STRANGER, guardianship, signed};
use crate::safe::Safe;
use crate::support::{
    CLINIC, FAULTS, REGISTRIES, World, address_of, now_ms, pseudonym, sign, sign_digest,
};
use alloy_primitives::{Address, B256, U256};
use medtrail_ledger::binding::alias::{self, Language as AliasLanguage};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::RegistryError;
use medtrail_oracle::aliases::Joining;
use medtrail_oracle::calls::trade::{Calling, OnChain, Standing};
use medtrail_oracle::calls::{Accepted, CallView, Calls, CallsError};
use medtrail_oracle::sales::SalesError;
use medtrail_oracle::vault::VaultLimits;
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms};
use medtrail_permit::statements::Language;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const ROSE: u8 = 61;
const HOUR_S: u64 = 3600;
const FAIR: CohortMarket =
    CohortMarket { chain_id: REGISTRIES.chain_id, cohort_market: Address::repeat_byte(0x45) };
const NEVER: Standing = Standing { on_chain: OnChain::None, opened_at_s: 0, settled_at_s: None };

/// The contract: of each call how it stands at the final block and at the newest.
#[derive(Default)]
struct Fair {
    held: Mutex<BTreeMap<B256, [Standing; 2]>>,
    paid: Mutex<BTreeMap<(B256, Address), u32>>,
}

impl Fair {
    fn put(&self, id: B256, on_chain: OnChain, is_final: bool) {
        let now_s = now_ms() / 1000;
        let bound = matches!(
            on_chain,
            OnChain::Open { is_bound: true } | OnChain::Closed { is_bound: true }
        );
        let standing =
            Standing { on_chain, opened_at_s: now_s, settled_at_s: bound.then_some(now_s) };
        let mut held = self.held.lock().unwrap();
        let known = held.entry(id).or_insert([NEVER; 2]);
        known[1] = standing;
        if is_final {
            known[0] = standing;
        }
    }

    fn open(&self, cohort: &Cohort, is_final: bool) -> B256 {
        let id = cohort.id(&FAIR);
        self.put(id, OnChain::Open { is_bound: false }, is_final);
        id
    }

    fn pay(&self, id: B256, seller: u8, place: u32) {
        self.paid.lock().unwrap().insert((id, address_of(seller)), place);
    }
}

impl Calling for Fair {
    fn market(&self) -> CohortMarket {
        FAIR
    }

    fn standing(&self, call: B256, block: B256) -> Result<Standing, RegistryError> {
        // The hash that the bazaar gives its newest block.
        let at_head = usize::from(block == B256::repeat_byte(0xee));
        Ok(self.held.lock().unwrap().get(&call).map_or(NEVER, |held| held[at_head]))
    }

    fn paid_place(
        &self,
        call: B256,
        seller: Address,
        _: B256,
    ) -> Result<Option<u32>, RegistryError> {
        Ok(self.paid.lock().unwrap().get(&(call, seller)).copied())
    }
}

/// A shop at which calls are made.
struct Hall {
    shop: Shop,
    calls: Calls,
    fair: Arc<Fair>,
}

impl Hall {
    fn start(folder: &TempDir) -> Self {
        Self::with(Shop::start(folder), Arc::default())
    }

    fn with(shop: Shop, fair: Arc<Fair>) -> Self {
        let calls = Calls::new(shop.sales.clone(), fair.clone());
        Self { shop, calls, fair }
    }

    async fn stop(self) {
        let Self { shop, calls, .. } = self;
        drop(calls);
        shop.stop().await;
    }

    /// As after a crash.
    async fn again(self, folder: &TempDir) -> Self {
        let Self { shop, calls, fair } = self;
        drop(calls);
        Self::with(shop.again(folder).await, fair)
    }

    fn cohort(&self, form: Form, salt: u8) -> Cohort {
        let dataset = dataset(form);
        let terms = Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(salt),
        };
        let cohort = Cohort {
            buyer: address_of(BOREAL),
            log: self.shop.world().log,
            token: Address::ZERO,
            price: U256::from(20_000_000_000_000_000_u64),
            places: 2,
            recipient: buyer_key(BOREAL).recipient(),
            deliverBy: now_ms() / 1000 + HOUR_S,
            grace: HOUR_S,
            terms,
            salt: B256::repeat_byte(salt),
        };
        cohort::worded(cohort, &dataset, Language::En).unwrap()
    }

    async fn list(&self, cohort: &Cohort, form: Form) -> Result<(CallView, bool), CallsError> {
        let text = String::from_utf8(dataset(form).bytes()).unwrap();
        self.calls.list(address_of(BOREAL), cohort.clone(), text).await
    }

    /// A call that stands in the catalogue.
    async fn called(&self, salt: u8) -> (Cohort, B256) {
        let cohort = self.cohort(SAFE, salt);
        let id = self.fair.open(&cohort, true);
        let (view, is_new) = self.list(&cohort, SAFE).await.unwrap();
        assert!(is_new);
        assert_eq!(view.state, "open");
        (cohort, id)
    }

    /// What the service proposes to somebody.
    async fn proposed(&self, by: u8, id: B256) -> Option<CohortAcceptance> {
        self.calls.call(address_of(by), id, None).await.unwrap().proposed
    }

    async fn accept(&self, by: u8, id: B256, acceptance: CohortAcceptance) -> Answer {
        let signature = sign_digest(by, acceptance.id(&FAIR));
        let accepted = Accepted { acceptance, signature, country: "EE".into() };
        self.calls.accept(address_of(by), id, accepted).await
    }

    /// Accepts what is proposed.
    async fn takes(&self, by: u8, id: B256) -> CohortAcceptance {
        let acceptance = self.proposed(by, id).await.unwrap();
        let (view, is_new) = self.accept(by, id, acceptance.clone()).await.unwrap();
        assert!(is_new);
        assert_eq!(view.own.last().unwrap().state, "accepted");
        acceptance
    }

    async fn tick(&self) {
        let calls = self.calls.clone();
        tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().unwrap();
    }

    fn cards(&self) -> Vec<B256> {
        let (cards, _) = self.calls.catalogue(None, None, 10).unwrap();
        cards.into_iter().map(|card| card.id).collect()
    }
}

type Change = fn(&mut Cohort, u64);
type Answer = Result<(CallView, bool), CallsError>;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_once_a_final_block_has_its_money() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let cohort = hall.cohort(SAFE, 1);
    let unpaid = hall.list(&cohort, SAFE).await;
    assert!(matches!(unpaid, Err(CallsError::NotOpened)), "{unpaid:?}");
    let id = hall.fair.open(&cohort, false);
    let (view, is_new) = hall.list(&cohort, SAFE).await.unwrap();
    assert!(is_new);
    assert_eq!((view.state, view.accepted), ("heard", Some(0)));
    hall.tick().await;
    assert!(hall.cards().is_empty());
    for who in [ANNA, OTHER] {
        let hidden = hall.calls.call(address_of(who), id, None).await;
        assert!(matches!(hidden, Err(CallsError::NoSuchCall)), "{hidden:?}");
    }
    hall.fair.open(&cohort, true);
    hall.tick().await;
    assert_eq!(hall.cards(), [id]);
    assert!(!hall.list(&cohort, SAFE).await.unwrap().1, "the same again is the same");
    // Also after a start.
    let hall = hall.again(&folder).await;
    assert_eq!(hall.cards(), [id]);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_opening_vanished_is_forgotten_once_it_can_come_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let cohort = hall.cohort(SAFE, 1);
    let id = hall.fair.open(&cohort, false);
    hall.list(&cohort, SAFE).await.unwrap();
    hall.fair.held.lock().unwrap().insert(id, [NEVER; 2]);
    hall.tick().await;
    let buyer = address_of(BOREAL);
    assert_eq!(hall.calls.call(buyer, id, None).await.unwrap().state, "heard");
    hall.shop.bazaar.pass(2 * HOUR_S);
    hall.tick().await;
    assert!(matches!(hall.calls.call(buyer, id, None).await, Err(CallsError::NoSuchCall)));
    assert_eq!(hall.calls.called().open, 0);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_another_buyer_log_dataset_or_without_time_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let text = || String::from_utf8(dataset(SAFE).bytes()).unwrap();
    let good = hall.cohort(SAFE, 1);
    hall.fair.open(&good, true);
    let other = hall.calls.list(address_of(OTHER), good.clone(), text()).await;
    assert!(matches!(other, Err(CallsError::Field { field: "cohort.buyer", .. })), "{other:?}");
    let wrong = hall.list(&good, Form::AsItIs).await;
    assert!(matches!(wrong, Err(CallsError::Document(SaleError::Dataset))), "{wrong:?}");
    let now_s = now_ms() / 1000;
    let changes: [(&str, Change); 4] = [
        ("cohort.log", |cohort, _| cohort.log = B256::repeat_byte(9)),
        ("cohort.recipient", |cohort, _| cohort.recipient = B256::repeat_byte(0xff)),
        ("cohort.deliverBy", |cohort, now_s| cohort.deliverBy = now_s + 60),
        ("cohort.deliverBy", |cohort, _| cohort.grace = 60),
    ];
    for (name, change) in changes {
        let mut cohort = hall.cohort(SAFE, 2);
        change(&mut cohort, now_s);
        let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
        hall.fair.open(&cohort, true);
        let refused = hall.list(&cohort, SAFE).await;
        let Err(CallsError::Field { field, .. }) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!(field, name);
    }
    // Paid for already, or given back.
    for on_chain in [OnChain::Open { is_bound: true }, OnChain::Closed { is_bound: false }] {
        hall.fair.put(good.id(&FAIR), on_chain, true);
        assert!(matches!(hall.list(&good, SAFE).await, Err(CallsError::TooLate)));
    }
    assert!(hall.cards().is_empty());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accept_two_places_and_their_trails_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    let raced = hall.proposed(STRANGER, id).await.unwrap();
    let first = hall.takes(ANNA, id).await;
    assert_eq!((first.place, raced.place), (0, 0), "the lowest that is free");
    let late = hall.accept(STRANGER, id, raced).await;
    assert!(matches!(late, Err(CallsError::Taken(0))), "{late:?}");
    let second = hall.takes(STRANGER, id).await;
    assert_eq!(second.place, 1);
    assert!(hall.proposed(KADRI, id).await.is_none(), "all are taken");
    // The same again is the same, and leaves no line.
    let (_, is_new) = hall.accept(ANNA, id, first.clone()).await.unwrap();
    assert!(!is_new);
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "accepted"]);
    let entries = hall.shop.world().all();
    let line = entries.iter().find(|entry| entry.report.record == first.id(&FAIR)).unwrap();
    assert_eq!(line.report.subject, subject_of(anna_address()));
    assert_eq!((line.report.kind, line.report.permission), (5, first.id(&FAIR)));
    // From the line alone the acceptance can be made again.
    let told: serde_json::Value = serde_json::from_slice(line.details.as_deref().unwrap()).unwrap();
    let cohort: Cohort = serde_json::from_value(told["call"].clone()).unwrap();
    let (place, epoch) = (told["place"].as_u64().unwrap() as u32, told["epoch"].as_u64().unwrap());
    let until_s = told["expiresAt"].as_u64().unwrap();
    assert_eq!(cohort.acceptance(&FAIR, place, anna_address(), epoch, until_s), first);
    assert_eq!(told["version"], "medtrail/call-v1");

    // The buyer sees how many, a stranger sees nobody.
    let view = hall.calls.call(address_of(BOREAL), id, None).await.unwrap();
    assert_eq!((view.accepted, view.own.len()), (Some(2), 0));
    let view = hall.calls.call(address_of(OTHER), id, None).await.unwrap();
    assert_eq!((view.accepted, view.own.len()), (None, 0));
    let (own, _) = hall.calls.calls_of(anna_address(), false, None, 10).await.unwrap();
    assert_eq!((own.len(), own[0].own.len()), (1, 1));
    let (bought, _) = hall.calls.calls_of(address_of(BOREAL), true, None, 10).await.unwrap();
    assert_eq!(bought.len(), 1);
    assert!(hall.calls.calls_of(address_of(OTHER), false, None, 10).await.unwrap().0.is_empty());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_frees_the_place_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    let (cohort, id) = hall.called(1).await;
    let none = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(none, Err(CallsError::NotAccepted)), "{none:?}");
    let first = hall.takes(ANNA, id).await;
    let other = hall.calls.withdraw(address_of(OTHER), id).await;
    assert!(matches!(other, Err(CallsError::NotAccepted)), "{other:?}");
    let view = hall.calls.withdraw(anna_address(), id).await.unwrap();
    assert_eq!(view.own[0].state, "withdrawn");
    hall.calls.withdraw(anna_address(), id).await.unwrap();
    assert_eq!(hall.shop.acts(), ["accepted", "withdrawn"]);
    // A replay, by whoever kept it.
    let replayed = hall.accept(ANNA, id, first).await;
    assert!(matches!(replayed, Err(CallsError::Field { field: "acceptance", .. })));
    for more in 1..8 {
        let until_s = cohort.settled_by().unwrap() + more;
        let another = cohort.acceptance(&FAIR, 0, anna_address(), 0, until_s);
        assert!(hall.accept(ANNA, id, another).await.unwrap().1);
        hall.calls.withdraw(anna_address(), id).await.unwrap();
    }
    let another = cohort.acceptance(&FAIR, 0, anna_address(), 0, cohort.settled_by().unwrap() + 8);
    let often = hall.accept(ANNA, id, another).await;
    assert!(matches!(often, Err(CallsError::TooOften(8))), "{often:?}");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_back_or_accepted_once_the_newest_block_shows_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    let raced = hall.proposed(STRANGER, id).await.unwrap();
    hall.fair.put(id, OnChain::Open { is_bound: true }, false);
    let late = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    assert!(matches!(hall.accept(STRANGER, id, raced).await, Err(CallsError::TooLate)));
    // Its block is final: who was paid, and who was not.
    hall.fair.pay(id, ANNA, 0);
    hall.fair.put(id, OnChain::Closed { is_bound: true }, true);
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "settled"]);
    let view = hall.calls.call(anna_address(), id, None).await.unwrap();
    assert_eq!((view.state, view.own[0].state), ("closed", "ended"));
    assert_eq!((hall.cards().len(), hall.calls.called().open), (0, 0));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_closed_unpaid_says_so_to_who_accepted_and_only_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    hall.takes(STRANGER, id).await;
    hall.calls.withdraw(address_of(STRANGER), id).await.unwrap();
    hall.fair.put(id, OnChain::Closed { is_bound: false }, true);
    hall.tick().await;
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "accepted", "withdrawn", "closed"]);
    hall.stop().await;
}

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

async fn join(hall: &Hall, person: u8, alias_of: u8) {
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

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_fails_or_crashes_there_is_one_line_for_each_act() {
    for (write, fault) in (0..8).flat_map(|write| FAULTS.map(|fault| (write, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        hall.shop.keep(ANNA, 4).await;
        let (_, id) = hall.called(1).await;
        let acceptance = hall.proposed(ANNA, id).await.unwrap();
        let world = hall.shop.world();
        let (faults, passing) = match write {
            0..2 => (&world.book.faults, write),
            2..4 => (&world.disk.faults, write - 2),
            4..6 => (&world.book.faults, write - 4),
            _ => (&world.disk.faults, write - 6),
        };
        let is_early = write < 4;
        if is_early {
            faults.fail_after(passing, fault);
        }
        let _ = hall.accept(ANNA, id, acceptance.clone()).await;
        let hall = match is_early {
            true => hall.again(&folder).await,
            false => hall,
        };
        hall.tick().await;
        // Whoever was told that it failed asks again.
        hall.accept(ANNA, id, acceptance).await.unwrap();
        assert_eq!(hall.shop.acts(), ["accepted"], "{write} {fault:?}");
        if !is_early {
            let world = hall.shop.world();
            let faults = if write < 6 { &world.book.faults } else { &world.disk.faults };
            faults.fail_after(passing, fault);
        }
        let _ = hall.calls.withdraw(anna_address(), id).await;
        let hall = hall.again(&folder).await;
        hall.tick().await;
        hall.calls.withdraw(anna_address(), id).await.unwrap();
        assert_eq!(hall.shop.acts(), ["accepted", "withdrawn"], "{write} {fault:?}");
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_away_takes_no_acceptance_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    let (_, id) = hall.called(1).await;
    let acceptance = hall.proposed(ANNA, id).await.unwrap();
    hall.shop.bazaar.go(true);
    let away = hall.accept(ANNA, id, acceptance.clone()).await;
    let is_it = matches!(away, Err(CallsError::Sales(SalesError::ChainUnreadable(_))));
    assert!(is_it, "{away:?}");
    let calls = hall.calls.clone();
    assert!(tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().is_err());
    assert!(hall.calls.called().problem.is_some());
    hall.shop.bazaar.go(false);
    assert!(hall.accept(ANNA, id, acceptance).await.unwrap().1);
    hall.tick().await;
    assert!(hall.calls.called().problem.is_none());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_seller_had_erased_leaves_no_acceptance_and_frees_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_erasing(&folder, now_ms, &[], after(0));
    let safe = Safe::over(&folder, world, VaultLimits::default());
    let shop = Shop::with(&folder, Arc::<Bazaar>::default(), safe);
    let hall = Hall::with(shop, Arc::default());
    hall.shop.keep(ANNA, 4).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    assert_eq!(hall.proposed(STRANGER, id).await.unwrap().place, 1);
    let world = hall.shop.world();
    world.service.record(signed(ANNA, erase(world, 0))).await.unwrap();
    until_done(world).await;
    let view = hall.calls.call(anna_address(), id, None).await.unwrap();
    assert!(view.own.is_empty());
    assert_eq!(hall.proposed(STRANGER, id).await.unwrap().place, 0);
    hall.tick().await;
    hall.stop().await;
}
