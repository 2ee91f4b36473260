//! The cohort market in memory, with the contract's own rules, and calls over a log that runs: shared
//! by the tests of calls.

use crate::bazaar::{BOREAL, Post, SAFE, Shop, buyer_key, dataset};
use crate::support::{REGISTRIES, address_of, now_ms, sign_digest};
use alloy_primitives::{Address, B256, Bytes, U256};
use medtrail_ledger::entry::{commitment_of, subject_of};
use medtrail_ledger::group::Group;
use medtrail_ledger::merkle::{leaf_hash, verify_inclusion};
use medtrail_ledger::plan::{Anchor, Call};
use medtrail_ledger::ports::RegistryError;
use medtrail_ledger::schema::Report;
use medtrail_ledger::signature;
use medtrail_market::cohort::verify::{Called, Checked, Entered, Settled, verify};
use medtrail_market::seal::LockKey;
use medtrail_oracle::calls::trade::{Batch, Calling, Claim, OnChain, Standing};
use medtrail_oracle::calls::{Accepted, CallView, Calls, CallsError, Delivery};
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, CohortAcceptance, Terms};
use medtrail_permit::statements::Language;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const HOUR_S: u64 = 3600;
pub(crate) const MARGIN_S: u64 = 300;
pub(crate) const FAIR: CohortMarket =
    CohortMarket { chain_id: REGISTRIES.chain_id, cohort_market: Address::repeat_byte(0x45) };
pub(crate) const NEVER: Standing =
    Standing { on_chain: OnChain::None, opened_at_s: 0, settled_at_s: None, paid: 0 };

/// A call at one block.
#[derive(Clone)]
struct Held {
    standing: Standing,
    paid: BTreeMap<Address, u32>,
    /// Key and file of the first settlement.
    lock: Option<(B256, B256)>,
}

/// What a batch showed.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) cohort: Cohort,
    pub(crate) key: B256,
    pub(crate) file: B256,
    actor: Address,
    anchor: Anchor,
    group: Group,
    pub(crate) claims: Vec<Claim>,
}

/// The contract: of each call how it stands at the final block and at the newest.
pub(crate) struct Fair {
    held: Mutex<BTreeMap<B256, [Held; 2]>>,
    told: Mutex<Vec<Told>>,
    /// Whose claims the contract skips now.
    pub(crate) skipped: Mutex<BTreeSet<Address>>,
    /// What wallets take for a signature.
    pub(crate) words: Mutex<BTreeMap<Address, Bytes>>,
    pub(crate) gas_max: Mutex<u64>,
    /// The final block is older than the contract.
    pub(crate) is_new: Mutex<bool>,
}

impl Default for Fair {
    fn default() -> Self {
        let (held, told, skipped, words) = Default::default();
        Self { held, told, skipped, words, gas_max: Mutex::new(1 << 24), is_new: Mutex::default() }
    }
}

impl Fair {
    pub(crate) fn put(&self, id: B256, on_chain: OnChain, is_final: bool) {
        let now_s = now_ms() / 1000;
        let bound = matches!(
            on_chain,
            OnChain::Open { is_bound: true } | OnChain::Closed { is_bound: true }
        );
        self.change(id, is_final, |held| {
            let settled_at_s = bound.then_some(held.standing.settled_at_s.unwrap_or(now_s));
            held.standing =
                Standing { on_chain, opened_at_s: now_s, settled_at_s, ..held.standing };
        });
    }

    fn change(&self, id: B256, is_final: bool, change: impl Fn(&mut Held)) {
        let never = Held { standing: NEVER, paid: BTreeMap::new(), lock: None };
        let mut held = self.held.lock().unwrap();
        let [at_final, at_head] = held.entry(id).or_insert([never.clone(), never]);
        change(at_head);
        if is_final {
            *at_final = at_head.clone();
        }
    }

    pub(crate) fn open(&self, cohort: &Cohort, is_final: bool) -> B256 {
        let id = cohort.id(&FAIR);
        self.put(id, OnChain::Open { is_bound: false }, is_final);
        id
    }

    /// As if it had never been.
    pub(crate) fn forget(&self, id: B256) {
        self.held.lock().unwrap().remove(&id);
    }

    /// A reorganisation takes away what is not final.
    pub(crate) fn reorganise(&self, id: B256) {
        let mut held = self.held.lock().unwrap();
        let [at_final, at_head] = held.get_mut(&id).unwrap();
        *at_head = at_final.clone();
    }

    /// What is at the head becomes final.
    pub(crate) fn finalise(&self, id: B256) {
        self.change(id, true, |_| {});
    }

    pub(crate) fn pay(&self, id: B256, seller: u8, place: u32) {
        self.change(id, false, |held| _ = held.paid.insert(address_of(seller), place));
    }

    /// What the batches showed, in the order in which they were made.
    pub(crate) fn shown(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn told_by(&self, call: &Call) -> (B256, Vec<B256>, Told) {
        let Call::SettleMany { market, call, claims, data, .. } = call else { panic!("{call:?}") };
        assert_eq!(*market, FAIR.cohort_market);
        let number = usize::from_be_bytes(data[..8].try_into().unwrap());
        (*call, claims.clone(), self.told.lock().unwrap()[number].clone())
    }

    /// Carries a batch to the contract, which checks what the real one checks; who was paid.
    pub(crate) fn carry(&self, call: &Call, is_final: bool) -> Vec<u32> {
        let (id, claimed, told) = self.told_by(call);
        let Told { cohort, key, file, actor, anchor, group, claims } = told;
        assert_eq!(cohort.id(&FAIR), id);
        let held = self.held.lock().unwrap()[&id][1].clone();
        assert!(matches!(held.standing.on_chain, OnChain::Open { .. }));
        assert!(held.lock.is_none_or(|lock| lock == (key, file)), "AnotherLock");
        let above = ((anchor.size - 1) >> group.level) + 1;
        verify_inclusion(&anchor.root.0, above, group.position, &group.node, &group.path)
            .expect("NotAnchored");
        let lock = LockKey::new(key.0).lock();
        let mut paid = Vec::new();
        for ((claim, path), claimed) in claims.iter().zip(&group.paths).zip(claimed) {
            let Claim { place, seller, epoch, expires_at_s, report, index, .. } = claim;
            let acceptance = cohort.acceptance(&FAIR, *place, *seller, *epoch, *expires_at_s);
            let accepted = acceptance.id(&FAIR);
            assert_eq!((claim.acceptance, claimed), (accepted, accepted));
            let is_known = held.paid.contains_key(seller) || held.paid.values().any(|p| p == place);
            if is_known || self.skipped.lock().unwrap().contains(seller) {
                continue;
            }
            let expected = Report {
                log: cohort.log,
                kind: 6,
                action: b'E',
                subject: subject_of(*seller),
                actor,
                record: accepted,
                fromVersion: lock,
                toVersion: file,
                permission: accepted,
                ..report.clone()
            };
            let leaf = leaf_hash(&commitment_of(expected.hash(), claim.entry_place).0);
            let start = group.position << group.level;
            let width = (anchor.size - start).min(1 << group.level);
            verify_inclusion(&group.node, width, index - start, &leaf, path).expect("NotDelivered");
            let signed = signature::parse(&claim.signature).and_then(|one| one.recover(accepted));
            let is_word = self.words.lock().unwrap().get(seller) == Some(&claim.signature);
            assert!(signed == Ok(*seller) || is_word, "NotAccepted");
            paid.push((*place, *seller));
        }
        assert!(!paid.is_empty(), "NobodyPaid");
        self.change(id, is_final, |held| {
            held.paid.extend(paid.iter().map(|(place, seller)| (*seller, *place)));
            held.lock = Some((key, file));
            let settled_at_s = held.standing.settled_at_s.or(Some(now_ms() / 1000));
            let (on_chain, count) = (OnChain::Open { is_bound: true }, held.paid.len() as u32);
            held.standing = Standing { on_chain, settled_at_s, paid: count, ..held.standing };
        });
        paid.into_iter().map(|(place, _)| place).collect()
    }
}

impl Calling for Fair {
    fn market(&self) -> CohortMarket {
        FAIR
    }

    fn standing(&self, call: B256, block: B256) -> Result<Standing, RegistryError> {
        // The hash that the bazaar gives its newest block.
        let at_head = usize::from(block == B256::repeat_byte(0xee));
        if at_head == 0 && *self.is_new.lock().unwrap() {
            return Err(RegistryError::Nonsense("no contract there".to_owned()));
        }
        Ok(self.held.lock().unwrap().get(&call).map_or(NEVER, |held| held[at_head].standing))
    }

    fn paid_place(
        &self,
        call: B256,
        seller: Address,
        block: B256,
    ) -> Result<Option<u32>, RegistryError> {
        let at_head = usize::from(block == B256::repeat_byte(0xee));
        let held = self.held.lock().unwrap();
        Ok(held.get(&call).and_then(|held| held[at_head].paid.get(&seller).copied()))
    }

    fn gas_max(&self) -> Result<u64, RegistryError> {
        Ok(*self.gas_max.lock().unwrap())
    }

    fn settle(&self, batch: &Batch<'_>) -> Bytes {
        let Batch { cohort, key, file, actor, anchor, group, claims } = *batch;
        let mut told = self.told.lock().unwrap();
        let number = told.len().to_be_bytes();
        let (cohort, group, claims) = (cohort.clone(), group.clone(), claims.to_vec());
        let length = 1000 * claims.len();
        told.push(Told { cohort, key, file, actor, anchor, group, claims });
        [&number[..], &vec![1; length]].concat().into()
    }
}

/// A shop at which calls are made.
pub(crate) struct Hall {
    pub(crate) shop: Shop,
    pub(crate) calls: Calls,
    pub(crate) fair: Arc<Fair>,
    pub(crate) post: Arc<Post>,
}

impl Hall {
    pub(crate) fn start(folder: &TempDir) -> Self {
        Self::with(folder, Shop::start(folder), Arc::default())
    }

    pub(crate) fn with(folder: &TempDir, shop: Shop, fair: Arc<Fair>) -> Self {
        let post = Arc::new(Post::open(&folder.path().join("calls")));
        let calls = Calls::new(shop.sales.clone(), fair.clone(), post.clone(), MARGIN_S);
        Self { shop, calls, fair, post }
    }

    pub(crate) async fn stop(self) {
        let Self { shop, calls, post, .. } = self;
        drop((calls, post));
        shop.stop().await;
    }

    /// As after a crash.
    pub(crate) async fn again(self, folder: &TempDir) -> Self {
        let Self { shop, calls, fair, post } = self;
        drop((calls, post));
        Self::with(folder, shop.again(folder).await, fair)
    }

    pub(crate) fn cohort(&self, form: Form, salt: u8) -> Cohort {
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

    pub(crate) async fn list(
        &self,
        cohort: &Cohort,
        form: Form,
    ) -> Result<(CallView, bool), CallsError> {
        let text = String::from_utf8(dataset(form).bytes()).unwrap();
        self.calls.list(address_of(BOREAL), cohort.clone(), text).await
    }

    /// A call that stands in the catalogue.
    pub(crate) async fn called(&self, salt: u8) -> (Cohort, B256) {
        let cohort = self.cohort(SAFE, salt);
        let id = self.fair.open(&cohort, true);
        let (view, is_new) = self.list(&cohort, SAFE).await.unwrap();
        assert!(is_new);
        assert_eq!(view.state, "open");
        (cohort, id)
    }

    /// What the service proposes to somebody.
    pub(crate) async fn proposed(&self, by: u8, id: B256) -> Option<CohortAcceptance> {
        self.calls.call(address_of(by), id, None).await.unwrap().proposed
    }

    pub(crate) async fn accept(&self, by: u8, id: B256, acceptance: CohortAcceptance) -> Answer {
        let signature = sign_digest(by, acceptance.id(&FAIR));
        let accepted = Accepted { acceptance, signature, country: "EE".into() };
        self.calls.accept(address_of(by), id, accepted).await
    }

    /// Accepts what is proposed.
    pub(crate) async fn takes(&self, by: u8, id: B256) -> CohortAcceptance {
        let acceptance = self.proposed(by, id).await.unwrap();
        let (view, is_new) = self.accept(by, id, acceptance.clone()).await.unwrap();
        assert!(is_new);
        assert_eq!(view.own.last().unwrap().state, "accepted");
        acceptance
    }

    pub(crate) async fn tick(&self) {
        let calls = self.calls.clone();
        tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().unwrap();
    }

    pub(crate) fn cards(&self) -> Vec<B256> {
        let (cards, _) = self.calls.catalogue(None, None, 10).unwrap();
        cards.into_iter().map(|card| card.id).collect()
    }

    /// Signs up sellers, each with a measurement of their own, to all places of a new call.
    pub(crate) async fn full(&self, sellers: &[u8], salt: u8) -> (Cohort, B256) {
        let places = u32::try_from(sellers.len()).unwrap();
        let cohort = Cohort { places, ..self.cohort(SAFE, salt) };
        let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
        let id = self.fair.open(&cohort, true);
        self.list(&cohort, SAFE).await.unwrap();
        let until_s = cohort.settled_by().unwrap();
        for ((number, place), seller) in (1..).zip(0..).zip(sellers) {
            self.shop.keep(*seller, number).await;
            // Whichever free one they sign for.
            let acceptance = cohort.acceptance(&FAIR, place, address_of(*seller), 0, until_s);
            assert!(self.accept(*seller, id, acceptance).await.unwrap().1);
        }
        (cohort, id)
    }

    /// As its buyer sees it.
    pub(crate) async fn delivery(&self, id: B256) -> Delivery {
        let view = self.calls.call(address_of(BOREAL), id, None).await.unwrap();
        view.delivery.unwrap()
    }

    pub(crate) async fn state(&self, id: B256) -> &'static str {
        self.delivery(id).await.state
    }

    /// What a seller reads of their own acceptance.
    pub(crate) async fn own(&self, seller: u8, id: B256) -> &'static str {
        let view = self.calls.call(address_of(seller), id, None).await.unwrap();
        view.own.last().unwrap().state
    }

    /// The file, as its buyer downloads it.
    pub(crate) async fn file(&self, id: B256) -> Vec<u8> {
        let given = self.calls.download(address_of(BOREAL), id).await.unwrap();
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < given.file.bytes {
            bytes.extend(self.calls.piece(id, given, bytes.len() as u64, 4000).await.unwrap());
        }
        bytes
    }

    /// Opens what was delivered, as the buyer does: key and who was paid come from the chain, the
    /// entries from the log.
    pub(crate) async fn opened(&self, cohort: &Cohort, bytes: &[u8]) -> (Checked, String) {
        let id = cohort.id(&FAIR);
        let told = self.fair.shown().pop().unwrap();
        let held = self.fair.held.lock().unwrap()[&id][1].clone();
        let paid: Vec<_> = held.paid.iter().map(|(seller, place)| (*place, *seller)).collect();
        let (proofs, next) = self.calls.proofs(address_of(BOREAL), id, None, 100).await.unwrap();
        assert_eq!(next, None);
        let entries = self.shop.deliveries();
        let of = |proof: &medtrail_ledger::proof::Proof| {
            entries.iter().find(|entry| entry.index == proof.index).unwrap()
        };
        let entries: Vec<_> = proofs.iter().map(of).collect();
        let entered: Vec<_> = entries
            .iter()
            .map(|one| Entered { report: &one.report, details: one.details.as_deref().unwrap() })
            .collect();
        let dataset = dataset(SAFE);
        let called = Called { market: &FAIR, cohort, dataset: &dataset };
        let key = LockKey::new(told.key.0);
        let settled = Settled { key: &key, file: told.file, paid: &paid };
        let mut text = String::new();
        let checked =
            verify(&called, &settled, &entered, &buyer_key(BOREAL), bytes, &mut |_, bytes| {
                text.push_str(&String::from_utf8_lossy(bytes));
                Ok(())
            });
        (checked.unwrap(), text)
    }
}

pub(crate) type Answer = Result<(CallView, bool), CallsError>;
