//! A market contract in memory, with the contract's own rules, and sales over a log that runs:
//! shared by the tests of sales.

use crate::permits::ANNA;
use crate::safe::Safe;
use crate::support::{Fault, Faults, REGISTRIES, World, address_of, now_ms, sign_digest};
use alloy_primitives::{Address, B256, Bytes, U256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{commitment_of, details_hash, event_id, subject_of};
use medtrail_ledger::merkle::{leaf_hash, verify_inclusion};
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef, Call, Header, PlanChange};
use medtrail_ledger::ports::{Journal, JournalError, Outbox, Parcels, RegistryError, Tips};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::tile::TileReader;
use medtrail_ledger::vault::{About, VERSION_VERSION, VersionDetails, version_of};
use medtrail_market::delivery::OnChain;
use medtrail_market::seal::BuyerKey;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::sales::trade::{Bought, Shown, Standing, Trade};
use medtrail_oracle::sales::{Approved, Offered, Rule, Rules, Sales};
use medtrail_oracle::vault::Put;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::{Market, Offer, Order, Terms, words};
use medtrail_permit::statements::Language;
use medtrail_store::ParcelFolder;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) const BOREAL: u8 = 71;
pub(crate) const OTHER: u8 = 72;
pub(crate) const MARKET: Market =
    Market { chain_id: REGISTRIES.chain_id, data_market: Address::repeat_byte(0x44) };
const HOUR_S: u64 = 3600;

/// What a settlement showed.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) order: Order,
    pub(crate) report: Report,
    pub(crate) place: B256,
    pub(crate) key: B256,
    anchor: Anchor,
    index: u64,
    path: Vec<B256>,
    approval: Option<(u64, Bytes)>,
}

#[derive(Clone, Copy)]
struct Held {
    at_final: Standing,
    at_head: Standing,
}

const NEVER: Standing = Standing {
    on_chain: OnChain::None,
    paid_at_s: 0,
    approved_at_s: None,
    ended_at_s: None,
    revoked_at_s: None,
};

#[derive(Default)]
struct State {
    held: BTreeMap<B256, Held>,
    orders: BTreeMap<B256, Order>,
    /// Those that an event tells of, by the block that did.
    bought: Vec<(u64, Bought)>,
    cancelled: Vec<B256>,
    shown: BTreeMap<B256, Told>,
    head: u64,
    /// Seconds by which the chain's clock is ahead.
    ahead_s: u64,
    is_away: bool,
    /// What wallets take for a signature, whatever it is of.
    words: BTreeMap<Address, Vec<u8>>,
}

/// The contract. Blocks are final at once, but for what a test holds back.
#[derive(Default)]
pub(crate) struct Bazaar(Mutex<State>, Mutex<Vec<Act>>);

/// Done once, while the chain is asked whether an anchor lives.
pub(crate) type Act = Box<dyn FnOnce() + Send>;

fn block(number: u64) -> BlockRef {
    BlockRef { number, hash: B256::from(U256::from(number)) }
}

impl Bazaar {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Paid in the next block, which is final if `is_final`.
    pub(crate) fn pay(&self, order: &Order, is_final: bool) -> B256 {
        let id = order.id(&MARKET);
        let mut state = self.lock();
        state.head += 1;
        let paid = Standing { on_chain: OnChain::Paid, paid_at_s: now_ms() / 1000, ..NEVER };
        let at_final = if is_final { paid } else { NEVER };
        state.held.insert(id, Held { at_final, at_head: paid });
        state.orders.insert(id, order.clone());
        let bought = Bought {
            order: id,
            offer: order.offer.id(&MARKET),
            buyer: order.buyer,
            recipient: order.recipient,
            deliver_by: order.deliverBy,
            grace: order.grace,
            salt: order.salt,
        };
        let at = state.head;
        if is_final {
            state.bought.push((at, bought));
        }
        id
    }

    /// From now on an account is a wallet that takes this for a signature; none: it takes none.
    pub(crate) fn takes(&self, wallet: Address, word: Option<&[u8]>) {
        let mut state = self.lock();
        match word {
            Some(word) => _ = state.words.insert(wallet, word.to_vec()),
            None => _ = state.words.remove(&wallet),
        }
    }

    /// What is at the head becomes final.
    pub(crate) fn finalise(&self, id: B256) {
        let mut state = self.lock();
        state.head += 1;
        let held = state.held.get_mut(&id).unwrap();
        held.at_final = held.at_head;
    }

    /// A reorganisation takes away what is not final.
    pub(crate) fn reorganise(&self, id: B256) {
        let held = self.lock().held.get_mut(&id).map(|held| held.at_head = held.at_final);
        held.unwrap();
    }

    pub(crate) fn change(&self, id: B256, is_final: bool, change: impl Fn(&mut Standing)) {
        let mut state = self.lock();
        state.head += 1;
        let held = state.held.get_mut(&id).unwrap();
        change(&mut held.at_head);
        if is_final {
            change(&mut held.at_final);
        }
    }

    pub(crate) fn refund(&self, id: B256, is_final: bool) {
        self.change(id, is_final, |standing| {
            standing.on_chain = OnChain::Refunded;
            standing.ended_at_s = Some(now_ms() / 1000);
        });
    }

    /// Time passes on the chain.
    pub(crate) fn pass(&self, seconds: u64) {
        self.lock().ahead_s += seconds;
    }

    pub(crate) fn cancel(&self, offer: B256) {
        self.lock().cancelled.push(offer);
    }

    pub(crate) fn go(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// The last of these is done first, each at one question about an anchor.
    pub(crate) fn meanwhile(&self, acts: Vec<Act>) {
        *self.1.lock().unwrap() = acts;
    }

    pub(crate) fn shown(&self, id: B256) -> Option<Told> {
        self.lock().shown.get(&id).cloned()
    }

    /// Carries a settlement to the contract, which checks what the real one checks.
    pub(crate) fn settle(&self, call: &Call, is_final: bool) {
        let Call::Settle { order: id, market, .. } = call else { panic!("{call:?}") };
        assert_eq!(*market, MARKET.data_market);
        let told = self.shown(*id).unwrap();
        let Told { order, report, place, key, anchor, index, path, approval } = told;
        let held = self.lock().held[id];
        assert_eq!(held.at_head.on_chain, OnChain::Paid);
        if held.at_head.approved_at_s.is_none() {
            let (until_s, signature) = approval.expect("a signed approval");
            assert!(until_s >= order.settled_by().unwrap());
            let digest = order.approval(&MARKET, until_s).id(&MARKET);
            let signature = medtrail_ledger::signature::parse(&signature).unwrap();
            assert_eq!(signature.recover(digest).unwrap(), order.offer.seller);
        }
        let lock = medtrail_market::seal::LockKey::new(key.0).lock();
        let expected = Report {
            log: order.offer.log,
            kind: 6,
            action: b'E',
            subject: subject_of(order.offer.seller),
            record: *id,
            fromVersion: lock,
            permission: *id,
            ..report
        };
        let hash = commitment_of(expected.hash(), place);
        let path: Vec<[u8; 32]> = path.iter().map(|word| word.0).collect();
        let leaf = leaf_hash(&hash.0);
        verify_inclusion(&anchor.root.0, anchor.size, index, &leaf, &path).expect("in the anchor");
        self.change(*id, is_final, |standing| {
            standing.on_chain = OnChain::Settled;
            standing.ended_at_s = Some(now_ms() / 1000);
        });
    }
}

impl Trade for Bazaar {
    fn market(&self) -> Market {
        MARKET
    }

    fn tips(&self) -> Result<Tips, RegistryError> {
        let state = self.lock();
        if state.is_away {
            return Err(RegistryError::Unreachable("on purpose".into()));
        }
        let header = |number: u64| {
            let time_s = now_ms() / 1000 + state.ahead_s;
            Header { block: block(number), parent: B256::ZERO, time_s }
        };
        let mut head = header(state.head);
        // Another block than the final one, so that both are asked for.
        head.block.hash = B256::repeat_byte(0xee);
        Ok(Tips { head, finalized: header(state.head) })
    }

    fn bought(
        &self,
        sellers: &[Address],
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<Bought>, RegistryError> {
        let state = self.lock();
        let of = state.bought.iter().filter(|(at, bought)| {
            blocks.contains(at) && sellers.contains(&state.orders[&bought.order].offer.seller)
        });
        Ok(of.map(|(_, bought)| *bought).collect())
    }

    fn standing(&self, order: B256, block: B256) -> Result<Standing, RegistryError> {
        let held = self.lock().held.get(&order).copied();
        let at_head = block == B256::repeat_byte(0xee);
        Ok(held.map_or(NEVER, |held| if at_head { held.at_head } else { held.at_final }))
    }

    fn is_open(&self, offer: &Offer, _: B256) -> Result<bool, RegistryError> {
        Ok(!self.lock().cancelled.contains(&offer.id(&MARKET)))
    }

    fn accepts(&self, who: Address, _: B256, word: &[u8], _: B256) -> Result<bool, RegistryError> {
        Ok(self.lock().words.get(&who).is_some_and(|known| known == word))
    }

    fn is_living(&self, _: B256, _: &Anchor, _: B256) -> Result<bool, RegistryError> {
        let meanwhile = self.1.lock().unwrap().pop();
        meanwhile.into_iter().for_each(|act| act());
        Ok(true)
    }

    fn settle(&self, shown: &Shown<'_>) -> Bytes {
        let told = Told {
            order: shown.order.clone(),
            report: shown.report.clone(),
            place: shown.place,
            key: shown.key,
            anchor: shown.anchor,
            index: shown.index,
            path: shown.path.clone(),
            approval: shown.approval.clone(),
        };
        self.lock().shown.insert(shown.order.id(&MARKET), told);
        Bytes::from_static(b"settle")
    }
}

/// Files that fail on request.
pub(crate) struct Post {
    inner: ParcelFolder,
    pub(crate) faults: Faults,
}

impl Post {
    pub(crate) fn open(folder: &std::path::Path) -> Self {
        Self { inner: ParcelFolder::open(folder).unwrap(), faults: Faults::default() }
    }

    fn faulty(&self, act: impl FnOnce() -> Result<(), JournalError>) -> Result<(), JournalError> {
        let fault = self.faults.next();
        if fault != Some(Fault::Fails) {
            act()?;
        }
        fault.map_or(Ok(()), |_| Err(JournalError::Storage("on purpose".into())))
    }
}

impl Parcels for Post {
    fn put(
        &self,
        order: B256,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        self.faulty(|| self.inner.put(order, write))
    }
    fn bytes(&self, order: B256) -> Result<Option<u64>, JournalError> {
        self.inner.bytes(order)
    }
    fn read(&self, order: B256, offset: u64, most: usize) -> Result<Vec<u8>, JournalError> {
        self.inner.read(order, offset, most)
    }
    fn orders(&self) -> Result<Vec<B256>, JournalError> {
        self.inner.orders()
    }
    fn remove(&self, order: B256) -> Result<(), JournalError> {
        self.faulty(|| self.inner.remove(order))
    }
}

/// A log with a vault that sells.
pub(crate) struct Shop {
    pub(crate) safe: Safe,
    pub(crate) sales: Sales,
    pub(crate) bazaar: Arc<Bazaar>,
    pub(crate) post: Arc<Post>,
}

pub(crate) fn rules() -> Rules {
    let countries =
        [("EE".to_owned(), Rule::On), ("DE".to_owned(), Rule::DeIdentified)].into_iter().collect();
    let windows = Windows { delivery_s_min: 600, grace_s_min: 600 };
    Rules { default: Rule::Off, countries, windows, withdrawal_ms: 3_600_000 }
}

/// A measurement of glucose; each number another.
pub(crate) fn glucose(number: u8) -> Vec<u8> {
    format!(
        r#"{{"resourceType":"Observation","id":"g{number}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"15074-8"}}]}},"effectiveDateTime":"2026-03-{number:02}T07:30:00Z","valueQuantity":{{"value":{number}.5,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}}}"#
    )
    .into_bytes()
}

impl Shop {
    pub(crate) fn start(folder: &TempDir) -> Self {
        Self::over(folder, Arc::default(), now_ms)
    }

    pub(crate) fn over(folder: &TempDir, bazaar: Arc<Bazaar>, now_ms: fn() -> u64) -> Self {
        Self::with(folder, bazaar, Safe::start_at(folder, now_ms))
    }

    pub(crate) fn with(folder: &TempDir, bazaar: Arc<Bazaar>, safe: Safe) -> Self {
        let post = Arc::new(Post::open(&folder.path().join("parcels")));
        let service = safe.world.service.clone();
        let sales = Sales::new(service, safe.vault.clone(), bazaar.clone(), post.clone(), rules());
        Self { safe, sales, bazaar, post }
    }

    pub(crate) async fn stop(self) {
        let Self { safe, sales, bazaar, post } = self;
        drop((sales, bazaar, post));
        safe.stop().await;
    }

    /// As after a crash: the same folder and contract, opened anew.
    pub(crate) async fn again(self, folder: &TempDir) -> Self {
        let bazaar = self.bazaar.clone();
        self.stop().await;
        Self::over(folder, bazaar, now_ms)
    }

    pub(crate) fn world(&self) -> &World {
        &self.safe.world
    }

    /// The person puts a measurement into their vault.
    pub(crate) async fn keep(&self, by: u8, number: u8) {
        let put = glucose_by(self.world(), by, subject_of(address_of(by)), number);
        self.safe.vault.put(vec![put]).await.pop().unwrap().unwrap();
    }

    pub(crate) fn offer_of(&self, seller: u8, form: Form, salt: u8) -> Offered {
        let dataset = dataset(form);
        let terms = Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(salt),
        };
        let offer = Offer {
            seller: address_of(seller),
            log: self.world().log,
            token: Address::ZERO,
            price: U256::from(50_000_000_000_000_000_u64),
            accessS: 0,
            expiresAt: now_ms() / 1000 + 30 * 24 * HOUR_S,
            epoch: 0,
            terms,
        };
        let offer = words::worded(offer, &dataset, Language::En).unwrap();
        let signature = sign_digest(seller, offer.id(&MARKET));
        let dataset = String::from_utf8(dataset.bytes()).unwrap();
        Offered { offer, dataset, signature, country: "EE".into() }
    }

    pub(crate) async fn list(&self, seller: u8, salt: u8) -> Offer {
        let offered = self.offer_of(seller, SAFE, salt);
        let (view, is_new) = self.sales.list(offered).await.unwrap();
        assert!(is_new);
        view.offer
    }

    pub(crate) async fn tick(&self) {
        let sales = self.sales.clone();
        tokio::task::spawn_blocking(move || sales.tick()).await.unwrap().unwrap();
    }

    /// The seller's signed yes.
    pub(crate) fn yes(&self, seller: u8, order: &Order) -> Approved {
        let approval = order.approval(&MARKET, order.settled_by().unwrap() + 1);
        let signature = sign_digest(seller, approval.id(&MARKET));
        Approved { approval, signature }
    }

    /// A final anchor over the whole log, with its true root.
    pub(crate) fn anchor(&self, number: u64) {
        let world = self.world();
        let size = world.service.head().size;
        let root = TileReader::new(|id| world.disk.tile(id)).root(size).unwrap();
        let anchor = Anchor { number, size, root: root.into(), time_s: now_ms() / 1000 };
        let block = BlockRef { number, hash: B256::repeat_byte(number as u8) };
        let record = AnchorRecord { anchor, tx: B256::repeat_byte(7), block, is_final: true };
        let note = world.service.head().checkpoint.clone().into_bytes();
        let kept = PlanChange::KeepCheckpoint { size, note };
        world.disk.store.save(&[PlanChange::PutAnchor(record), kept]).unwrap();
        world.status.send_modify(|status| status.settled = Some(anchor));
    }

    pub(crate) fn deliveries(&self) -> Vec<medtrail_oracle::opener::Entry> {
        self.world().all().into_iter().filter(|entry| entry.report.kind == 6).collect()
    }

    /// The acts that entries of kind 5 tell of.
    pub(crate) fn acts(&self) -> Vec<String> {
        let told = self.world().details_of_kind(5);
        told.iter().map(|details| details["act"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) const SAFE: Form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);

pub(crate) fn dataset(form: Form) -> Dataset {
    let codes = vec!["http://loinc.org|15074-8".to_owned()];
    let origin = Origin::SignedAndUploaded;
    Dataset::new("patient/Observation.rs", codes, 1_767_225_600, 1_798_761_600, form, origin)
        .unwrap()
}

pub(crate) fn order_of(offer: &Offer, buyer: u8, salt: u8) -> Order {
    Order {
        offer: offer.clone(),
        buyer: address_of(buyer),
        recipient: buyer_key(buyer).recipient(),
        deliverBy: now_ms() / 1000 + HOUR_S,
        grace: HOUR_S,
        salt: B256::repeat_byte(salt),
    }
}

pub(crate) fn buyer_key(buyer: u8) -> BuyerKey {
    BuyerKey::new(Zeroizing::new([buyer; 32]))
}

fn glucose_by(world: &World, by: u8, subject: B256, number: u8) -> Put {
    observed(world, by, subject, number, B256::ZERO, glucose(number), &[])
}

/// A version of a measurement over another.
pub(crate) fn observed(
    world: &World,
    by: u8,
    subject: B256,
    number: u8,
    from: B256,
    content: Vec<u8>,
    topics: &[&str],
) -> Put {
    let key = ReporterKey::from_bytes(&[by; 32]).unwrap();
    let about = About {
        title: format!("Glucose {number}"),
        media_type: "application/fhir+json".to_owned(),
        resource_type: Some("Observation".to_owned()),
        confidentiality: None,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    let details = VersionDetails {
        version: VERSION_VERSION.to_owned(),
        about,
        bytes: content.len() as u64,
        purposes: vec![],
    };
    let details = serde_json::to_vec(&details).unwrap();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), &[&[number], from.as_slice()].concat()),
        kind: 2,
        action: if from.is_zero() { b'C' } else { b'U' },
        timeMs: now_ms(),
        subject,
        actor: key.address(),
        record: alloy_primitives::keccak256([by, number]),
        fromVersion: from,
        toVersion: version_of(&content),
        details: details_hash(&details),
        ..Report::default()
    };
    let signature = key.sign(&report, &domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry));
    let evidence = Evidence::Signed(signature);
    let submission = Submission { report, evidence, details: Some(details) };
    Put { submission, content: Some(content) }
}

pub(crate) fn anna_address() -> Address {
    address_of(ANNA)
}
