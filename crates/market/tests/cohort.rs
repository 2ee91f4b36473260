//! The file of a call to many: each seller's records as in a sale of their own, each with the
//! consent that it stands on, and nobody's records beside their address where they are de-identified.

mod support;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::schema::{Place, Report};
use medtrail_ledger::signature;
use medtrail_market::assemble::{AssembleError, Reason};
use medtrail_market::cohort::assemble::{
    Call, Gather, GatherError, Plan, consent_opening, record_opening,
};
use medtrail_market::cohort::entry::report;
use medtrail_market::cohort::manifest::{CohortManifest, Consent, ConsentOf};
use medtrail_market::cohort::verify::{
    Called, Checked, CohortFault, Entered, Settled, before_key, verify,
};
use medtrail_market::entry::{Delivered, DeliveryDetails};
use medtrail_market::manifest::{ManifestError, Origin};
use medtrail_market::record::{Proof, Record};
use medtrail_market::seal::{BuyerKey, LockKey, Sealed, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_market::verify::Fault;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, Terms};
use medtrail_permit::statements::Language;
use secp256k1::{Message, PublicKey, SecretKey};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use support::{IDENTIFIERS, Kept, NOON_S, SAFE, SHIFTED, everything, ten};

const MARKET: CohortMarket =
    CohortMarket { chain_id: 31338, cohort_market: Address::repeat_byte(0xc0) };
const SELLERS: [u8; 3] = [1, 2, 3];

fn secret_key(seed: u8) -> SecretKey {
    SecretKey::from_secret_bytes([seed; 32]).unwrap()
}

fn address(seed: u8) -> Address {
    signature::address_of(&PublicKey::from_secret_key(&secret_key(seed)))
}

fn signed(seed: u8, digest: B256) -> Bytes {
    let message = Message::from_digest(digest.0);
    let signed =
        secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &secret_key(seed));
    let (recovery, compact) = signed.serialize_compact();
    [compact.as_slice(), &[27 + recovery.to_u8()]].concat().into()
}

fn buyer() -> BuyerKey {
    BuyerKey::parse(&LockKey::new([0x42; 32]).text()).unwrap()
}

fn called(dataset: &Dataset) -> Cohort {
    let bare = Cohort {
        buyer: Address::repeat_byte(0xbb),
        log: B256::repeat_byte(0x10),
        token: Address::ZERO,
        price: U256::from(7),
        places: 50,
        recipient: buyer().recipient(),
        deliverBy: NOON_S + 3 * 86_400,
        grace: 86_400,
        terms: Terms {
            statement: String::new(),
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(0x61),
        },
        salt: B256::repeat_byte(0x62),
    };
    cohort::worded(bare, dataset, Language::En).unwrap()
}

/// The yes of whose key this seed makes, for the place with ten times its number.
fn consent(cohort: &Cohort, seed: u8) -> Consent {
    let place = u32::from(seed) * 10;
    let acceptance =
        cohort.acceptance(&MARKET, place, address(seed), 0, cohort.settled_by().unwrap());
    Consent {
        place,
        seller: address(seed),
        epoch: 0,
        expires_at: acceptance.expiresAt,
        signature: signed(seed, acceptance.id(&MARKET)),
        logged: Proof { index: 100 + u64::from(seed), commitment: B256::repeat_byte(seed) },
    }
}

/// Each seller has the same ten records by content and name, as from one hospital's software.
fn kept(seed: u8) -> Vec<Kept> {
    let mut kept = ten();
    for one in &mut kept {
        one.record.0[0] = seed;
    }
    kept
}

fn with<T>(seed: u8, f: impl FnOnce(&[Record<'_>]) -> T) -> T {
    let kept = kept(seed);
    f(&kept.iter().map(Kept::of).collect::<Vec<_>>())
}

/// Paths and bytes.
type Files = Vec<(String, Vec<u8>)>;

struct World {
    dataset: Dataset,
    cohort: Cohort,
    secret: SaleSecret,
}

impl World {
    fn new(form: Form) -> Self {
        let dataset = everything(form);
        let cohort = called(&dataset);
        Self { dataset, cohort, secret: SaleSecret::new([9; 32]) }
    }

    fn call(&self) -> Call<'_> {
        let Self { dataset, cohort, secret } = self;
        Call { market: &MARKET, cohort, dataset, secret, year: 2026 }
    }

    fn id(&self, seed: u8) -> B256 {
        consent(&self.cohort, seed).acceptance(&self.cohort, &MARKET).id(&MARKET)
    }

    fn plan(&self, consents: &[(u8, Consent)]) -> Plan {
        let mut gather = Gather::new(self.call()).unwrap();
        for (seed, consent) in consents {
            with(*seed, |records| gather.add(consent, records)).unwrap();
        }
        gather.finish().unwrap()
    }

    fn consents(&self) -> Vec<(u8, Consent)> {
        SELLERS.into_iter().map(|seed| (seed, consent(&self.cohort, seed))).collect()
    }

    fn files(&self, place: u32) -> io::Result<Files> {
        let seed = (place / 10) as u8;
        let consent = consent(&self.cohort, seed);
        with(seed, |records| self.call().files(&consent, records)).map_err(io::Error::other)
    }

    fn sell(&self) -> Sold {
        self.sell_to(&self.consents())
    }

    fn sell_to(&self, consents: &[(u8, Consent)]) -> Sold {
        let plan = self.plan(consents);
        let (key, mut file) = (LockKey::new([1; 32]), Vec::new());
        let plain = |to: &mut dyn Write| plan.write(&mut |place| self.files(place), to);
        let sealed = seal(self.cohort.recipient, &key, &mut file, plain).unwrap();
        let entries = consents.iter().map(|(seed, consent)| {
            let details = DeliveryDetails::new(B256::repeat_byte(*seed), plan.manifest().hash());
            let report = report(&Delivered {
                log: self.cohort.log,
                order: consent.acceptance(&self.cohort, &MARKET).id(&MARKET),
                seller: consent.seller,
                actor: Address::repeat_byte(0x09),
                time_ms: NOON_S * 1000,
                lock: key.lock(),
                sealed,
                details: &details,
            });
            (report, details.bytes())
        });
        let entries = entries.collect();
        let paid = consents.iter().map(|(_, consent)| (consent.place, consent.seller)).collect();
        let manifest = plan.manifest().clone();
        Sold {
            cohort: self.cohort.clone(),
            dataset: self.dataset.clone(),
            manifest,
            key,
            sealed,
            file,
            entries,
            paid,
        }
    }
}

struct Sold {
    cohort: Cohort,
    dataset: Dataset,
    manifest: CohortManifest,
    key: LockKey,
    sealed: Sealed,
    file: Vec<u8>,
    entries: Vec<(Report, Vec<u8>)>,
    paid: Vec<(u32, Address)>,
}

impl Sold {
    fn check(&self) -> Result<Checked, CohortFault> {
        self.open().map(|(checked, _)| checked)
    }

    fn open(&self) -> Result<(Checked, Files), CohortFault> {
        let mut files = Vec::new();
        let mut take = |path: &str, bytes: &[u8]| {
            files.push((path.to_owned(), bytes.to_vec()));
            Ok(())
        };
        let entries: Vec<Entered<'_>> =
            self.entries.iter().map(|(report, details)| Entered { report, details }).collect();
        let called = Called { market: &MARKET, cohort: &self.cohort, dataset: &self.dataset };
        let settled = Settled { key: &self.key, file: self.sealed.hash, paid: &self.paid };
        let checked = verify(&called, &settled, &entries, &buyer(), &*self.file, &mut take)?;
        Ok((checked, files))
    }
}

#[test]
fn one_file_holds_what_each_would_have_sold_alone() {
    for form in [Form::AsItIs, SAFE, SHIFTED] {
        let world = World::new(form);
        let sold = world.sell();
        let (checked, files) = sold.open().unwrap();
        assert_eq!(checked.manifest, sold.manifest);
        assert!(checked.unpaid.is_empty() && checked.by_others.is_empty());
        assert_eq!(files[0].1, sold.manifest.bytes());
        assert_eq!(sold.manifest.persons.len(), 3);
        for person in &sold.manifest.persons {
            assert_eq!(person.records.len(), 10);
        }
        if form == Form::AsItIs {
            let own: BTreeSet<Vec<u8>> = ten().into_iter().map(|kept| kept.bytes).collect();
            for person in &sold.manifest.persons {
                let folder = format!("person-{}/", person.label);
                let theirs = files.iter().filter(|(path, _)| path.starts_with(&folder));
                assert_eq!(theirs.map(|(_, bytes)| bytes.clone()).collect::<BTreeSet<_>>(), own);
            }
        } else {
            assert_eq!(files.len(), 4);
        }
    }
}

#[test]
fn as_it_is_each_record_leads_to_the_signed_consent_of_its_person() {
    let world = World::new(Form::AsItIs);
    let manifest = world.sell().manifest;
    let mut led_to = BTreeSet::new();
    for person in &manifest.persons {
        let ConsentOf::Place(place) = person.consent else { panic!("{:?}", person.consent) };
        let consent = manifest.consent(place).unwrap();
        let acceptance = consent.acceptance(&manifest.cohort, &manifest.market);
        let signed = signature::parse(&consent.signature).unwrap();
        assert_eq!(signed.recover(acceptance.id(&manifest.market)), Ok(consent.seller));
        assert!(acceptance.terms.statement.starts_with("I sell to"));
        assert_eq!(details_hash(manifest.dataset.as_bytes()), acceptance.terms.dataset);
        for entry in &person.records {
            let Origin::Open(original) = &entry.origin else { panic!("{:?}", entry.origin) };
            assert_eq!(original.record.0[0], (place / 10) as u8, "this person's record");
        }
        led_to.insert(place);
    }
    assert_eq!(led_to.into_iter().collect::<Vec<_>>(), [10, 20, 30]);
}

/// A consent names an address, which the chain shows. The parts about persons name none.
#[test]
fn de_identified_nothing_tells_whose_records_are_whose_until_one_is_opened() {
    for form in [SAFE, SHIFTED] {
        let world = World::new(form);
        let sold = world.sell();
        let (_, files) = sold.open().unwrap();
        let persons = serde_json::to_string(&sold.manifest.persons).unwrap();
        let data: Vec<String> =
            files[1..].iter().map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect();
        let all = format!("{persons}{}", data.concat());
        for identifier in IDENTIFIERS {
            assert!(!all.contains(identifier), "{identifier}");
        }
        for seed in SELLERS {
            let own = [
                hex::encode(address(seed)),
                hex::encode(world.id(seed)),
                format!("\"place\":{}", u32::from(seed) * 10),
            ];
            for text in own {
                assert!(!all.to_lowercase().contains(&text), "{text}");
            }
        }
        assert!(!all.contains("4711"), "an entry's place would tell its day");
        for seed in SELLERS {
            let consent = consent(&world.cohort, seed);
            let opening = consent_opening(&world.secret, &consent, world.id(seed));
            let person = sold.manifest.opened(&opening).unwrap();
            let mut forged = opening.clone();
            forged.consent.seller = address(9);
            assert_eq!(sold.manifest.opened(&forged), None);
            // Of this person, and of no other.
            with(seed, |records| {
                let opened: BTreeSet<B256> = records
                    .iter()
                    .map(|record| record_opening(&world.secret, world.id(seed), record).hidden())
                    .collect();
                let told = person.records.iter().map(|entry| match entry.origin {
                    Origin::Hidden(hash) => hash,
                    Origin::Open(_) => panic!("open"),
                });
                assert_eq!(told.collect::<BTreeSet<_>>(), opened);
            });
        }
    }
}

#[test]
fn the_order_of_persons_is_another_in_each_file_and_follows_from_no_place() {
    let mut world = World::new(SAFE);
    let mut orders = BTreeSet::new();
    for byte in 0..64 {
        world.secret = SaleSecret::new([byte; 32]);
        let manifest = world.plan(&world.consents()).manifest().clone();
        let order: Vec<usize> = SELLERS
            .into_iter()
            .map(|seed| {
                let opening =
                    consent_opening(&world.secret, &consent(&world.cohort, seed), world.id(seed));
                let hidden = ConsentOf::Hidden(opening.hidden());
                manifest.persons.iter().position(|person| person.consent == hidden).unwrap()
            })
            .collect();
        orders.insert(order);
        assert_eq!(manifest.consents.iter().map(|c| c.place).collect::<Vec<_>>(), [10, 20, 30]);
    }
    assert_eq!(orders.len(), 6, "each of the six orders comes up");
}

#[test]
fn ids_of_two_sellers_never_meet_and_are_nobodys_own() {
    let world = World::new(SHIFTED);
    let (_, files) = world.sell().open().unwrap();
    let (mut ids, mut dates) = (BTreeSet::new(), BTreeSet::new());
    for (path, bytes) in &files[1..] {
        let bundle: Value = serde_json::from_slice(bytes).unwrap();
        let label = path.trim_start_matches("person-").trim_end_matches(".json");
        for entry in bundle["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let id = resource["id"].as_str().unwrap();
            assert!(id.starts_with(&format!("{label}-")), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            if let Some(subject) = resource["subject"]["reference"].as_str() {
                assert!(subject.starts_with(&format!("Patient/{label}-")), "{subject}");
            }
            if resource["resourceType"] == "Procedure" {
                dates.insert(resource["performedDateTime"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(ids.len(), 30);
    assert_eq!(dates.len(), 3, "one day, moved by another number for each: {dates:?}");
}

#[test]
fn who_cannot_be_in_it_changes_nothing_for_the_others() {
    let world = World::new(SAFE);
    let one = consent(&world.cohort, 1);
    let mut gather = Gather::new(world.call()).unwrap();
    let nobody = Gather::new(world.call()).unwrap().finish();
    assert!(matches!(nobody, Err(GatherError::Nobody)));
    let left_out = with(1, |records| gather.add(&one, records)).unwrap();
    assert!(left_out.is_empty());
    // Nothing that is sold, or bytes that are not those the log knows.
    let two = consent(&world.cohort, 2);
    let mut none = kept(2);
    none.iter_mut().for_each(|kept| kept.counts = false);
    let none: Vec<Record<'_>> = none.iter().map(Kept::of).collect();
    let Err(GatherError::Records(AssembleError::Nothing { left_out })) = gather.add(&two, &none)
    else {
        panic!("nothing was taken")
    };
    assert_eq!(left_out[&Reason::DoesNotCount], 10);
    let mut altered = kept(2);
    altered[3].version = Some(B256::ZERO);
    let altered: Vec<Record<'_>> = altered.iter().map(Kept::of).collect();
    let refused = gather.add(&two, &altered);
    assert!(matches!(refused, Err(GatherError::Records(AssembleError::Altered(_)))));
    // The same place, the same seller, an acceptance that is none.
    let records = kept(2);
    let records: Vec<Record<'_>> = records.iter().map(Kept::of).collect();
    let mut refused = |change: fn(&mut Consent)| {
        let mut wrong = two.clone();
        change(&mut wrong);
        gather.add(&wrong, &records)
    };
    assert_eq!(refused(|it| it.place = 10), Err(GatherError::Twice));
    assert_eq!(refused(|it| it.seller = address(1)), Err(GatherError::Twice));
    let beyond = Err(GatherError::Documents(SaleError::Place(50, 50)));
    assert_eq!(refused(|it| it.place = 50), beyond);
    let early = refused(|it| it.expires_at -= 1);
    assert!(matches!(early, Err(GatherError::Documents(SaleError::EndsEarly(..)))));
    assert_eq!(refused(|it| it.signature = Bytes::new()), Err(GatherError::Signature(0)));
    let long = refused(|it| it.signature = vec![7; 2049].into());
    assert_eq!(long, Err(GatherError::Signature(2049)));
    let manifest = gather.finish().unwrap().manifest().clone();
    assert_eq!(manifest, *world.plan(&[(1, one)]).manifest());
}

#[test]
fn records_that_changed_between_manifest_and_file_end_it() {
    let world = World::new(SAFE);
    let plan = world.plan(&world.consents());
    let mut asked = Vec::new();
    let mut files = |place| {
        asked.push(place);
        world.files(place)
    };
    plan.write(&mut files, &mut io::sink()).unwrap();
    asked.sort_unstable();
    assert_eq!(asked, [10, 20, 30], "each once");
    for change in [
        |files: &mut Files| files[0].1.push(b'\n'),
        |files: &mut Files| files.clear(),
        |files: &mut Files| files[0].0.push('x'),
        |files: &mut Files| files.push(files[0].clone()),
    ] {
        let mut changed = |place| {
            let mut files = world.files(place)?;
            if place == 20 {
                change(&mut files);
            }
            Ok(files)
        };
        let written = plan.write(&mut changed, &mut io::sink());
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    // Another's files do not stand in for theirs.
    let written = plan.write(&mut |_| world.files(10), &mut io::sink());
    assert!(written.is_err());
}

#[test]
fn a_file_with_other_sellers_entries_keys_or_words_is_told_apart() {
    let world = World::new(SAFE);
    let checked = |change: &dyn Fn(&mut Sold)| {
        let mut sold = world.sell();
        change(&mut sold);
        sold.check()
    };
    checked(&|_| {}).unwrap();
    let entry = |field| move |fault: CohortFault| matches!(fault, CohortFault::Delivery(Fault::Entry(found)) if found == field);
    let report = |change: fn(&mut Report)| move |sold: &mut Sold| change(&mut sold.entries[1].0);
    for (field, change) in [
        ("log", report(|it| it.log = B256::ZERO)),
        ("kind", report(|it| it.kind = 5)),
        ("action", report(|it| it.action = b'R')),
        ("permission", report(|it| it.permission = B256::ZERO)),
    ] {
        assert!(entry(field)(checked(&change).unwrap_err()), "{field}");
    }
    let key = checked(&|sold| sold.key = LockKey::new([2; 32]));
    assert!(matches!(key, Err(CohortFault::Delivery(Fault::Key))));
    let other = checked(&|sold| sold.sealed.hash = B256::ZERO);
    assert!(matches!(other, Err(CohortFault::Settled { .. })));
    let old = checked(&|sold| sold.entries[2].0.fromVersion = B256::ZERO);
    assert!(matches!(old, Err(CohortFault::Entries)));
    let details = checked(&|sold| sold.entries[2].1.push(b' '));
    assert!(matches!(details, Err(CohortFault::Delivery(Fault::OtherDetails))));
    // The same call, made anew: one entry of the old file among the new.
    let old = checked(&|sold| {
        let details = DeliveryDetails::new(B256::repeat_byte(7), B256::repeat_byte(8)).bytes();
        sold.entries[2].0.details = details_hash(&details);
        sold.entries[2].1 = details;
    });
    assert!(matches!(old, Err(CohortFault::Entries)));
    assert!(matches!(checked(&|sold| sold.entries.clear()), Err(CohortFault::NoEntry)));
    let twice = checked(&|sold| sold.entries.push(sold.entries[0].clone()));
    assert!(matches!(twice, Err(CohortFault::Entries)));
    let missing = checked(&|sold| drop(sold.entries.remove(1)));
    assert!(matches!(missing, Err(CohortFault::NotEntered(20))));
    let swapped = checked(&|sold| sold.entries[1].0.subject = subject_of(address(1)));
    assert!(matches!(swapped, Err(CohortFault::NotEntered(20))));
    let stranger = checked(&|sold| {
        let mut more = sold.entries[0].clone();
        (more.0.record, more.0.permission) = (B256::repeat_byte(5), B256::repeat_byte(5));
        sold.entries.push(more);
    });
    assert!(matches!(stranger, Err(CohortFault::NotInFile(_))));
    let robbed = checked(&|sold| sold.paid.push((40, address(4))));
    assert!(matches!(robbed, Err(CohortFault::PaidForNothing(40, _))));
    let late = checked(&|sold| sold.paid.truncate(2)).unwrap();
    assert_eq!(late.unpaid, [30]);
    let cut = checked(&|sold| sold.file.truncate(sold.file.len() - 1));
    assert!(matches!(cut, Err(CohortFault::Delivery(_))), "{cut:?}");
    let grown = checked(&|sold| sold.file.push(0));
    assert!(grown.is_err());
    let again = checked(&|sold| sold.file = world.sell().file);
    assert!(matches!(again, Err(CohortFault::Delivery(Fault::File { .. }))), "{again:?}");
    let other = checked(&|sold| sold.cohort.salt = B256::repeat_byte(1));
    assert!(matches!(other, Err(CohortFault::Delivery(Fault::Manifest("cohort")))), "{other:?}");
    let dear = checked(&|sold| sold.cohort.price = U256::from(8));
    assert!(matches!(dear, Err(CohortFault::Call(SaleError::Statement))), "{dear:?}");
}

#[test]
fn before_the_key_is_shown_the_file_is_held_to_its_entries() {
    let sold = World::new(SAFE).sell();
    let entries: Vec<Entered<'_>> =
        sold.entries.iter().map(|(report, details)| Entered { report, details }).collect();
    let called = Called { market: &MARKET, cohort: &sold.cohort, dataset: &sold.dataset };
    before_key(&called, &entries, &*sold.file).unwrap();
    let cut = before_key(&called, &entries, &sold.file[1..]);
    assert!(matches!(cut, Err(CohortFault::Delivery(Fault::File { .. }))));
    assert!(matches!(before_key(&called, &[], &*sold.file), Err(CohortFault::NoEntry)));
}

#[test]
fn a_consent_that_another_key_signed_is_named() {
    let world = World::new(SAFE);
    let mut consents = world.consents();
    // Who took over the account, a contract wallet, and a signature over other terms.
    consents[0].1.signature = signed(7, world.id(1));
    consents[1].1.signature = vec![1; 130].into();
    consents[2].1.signature = signed(3, world.id(2));
    assert_eq!(world.sell_to(&consents).check().unwrap().by_others, [10, 20, 30]);
}

#[test]
fn a_manifest_has_one_spelling_and_holds_together() {
    for form in [Form::AsItIs, SAFE] {
        let manifest = World::new(form).sell().manifest;
        let bytes = manifest.bytes();
        assert_eq!(CohortManifest::parse(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        let blank = text.replacen("\",\"", "\", \"", 1);
        assert!(matches!(CohortManifest::parse(blank.as_bytes()), Err(ManifestError::Spelling)));
        let more = text.replacen('{', "{\"mood\":1,", 1);
        assert!(matches!(CohortManifest::parse(more.as_bytes()), Err(ManifestError::Json(_))));
        let newer = text.replacen("manifest-v1", "manifest-v2", 1);
        let newer = CohortManifest::parse(newer.as_bytes());
        assert!(matches!(newer, Err(ManifestError::CohortVersion(_))));
        let with = |change: fn(&mut CohortManifest)| {
            let mut other = manifest.clone();
            change(&mut other);
            CohortManifest::parse(&other.bytes())
        };
        let torn: [fn(&mut CohortManifest); 14] = [
            |it| it.consents.swap(0, 1),
            |it| it.consents[1].seller = it.consents[0].seller,
            |it| drop(it.consents.pop()),
            |it| drop(it.persons.pop()),
            |it| it.persons.swap(0, 1),
            |it| it.persons[1].label = it.persons[0].label.clone(),
            |it| it.persons[0].label = "../../../../../a".into(),
            |it| it.persons[0].records.clear(),
            |it| it.persons[0].consent = ConsentOf::Place(40),
            |it| it.persons[0].consent = it.persons[1].consent.opposite(),
            |it| it.persons[0].records = it.persons[1].records.clone(),
            |it| it.cohort.terms.dataset = B256::ZERO,
            |it| it.dataset = it.dataset.replace("patient/*", "patient/Observation"),
            |it| it.consents[0].signature = vec![0; 2049].into(),
        ];
        for (number, change) in torn.into_iter().enumerate() {
            let read = with(change);
            let is_refused =
                matches!(read, Err(ManifestError::Cohort(_) | ManifestError::Entry(_)));
            assert!(is_refused, "{number}: {read:?}");
        }
        assert!(matches!(with(|it| it.files.swap(0, 1)), Err(ManifestError::Paths)));
        let stray = with(|it| {
            let mut file = it.files[0].clone();
            file.path = "zz.json".into();
            it.files.push(file);
        });
        assert!(matches!(stray, Err(ManifestError::Cohort("a file is nobody's"))));
    }
}

trait Opposite {
    fn opposite(self) -> Self;
}

impl Opposite for ConsentOf {
    /// What does not belong into a file of this form.
    fn opposite(self) -> Self {
        match self {
            Self::Place(_) => Self::Hidden(B256::ZERO),
            Self::Hidden(_) => Self::Place(10),
        }
    }
}

/// `tests/vectors/cohort-deliveries.json`: the contract makes the same commitments of the same
/// claims (`tests/contracts/vectors/cohortDeliveries.t.sol`). The acceptances are those that viem
/// hashed. `MEDTRAIL_BLESS=1` writes it.
#[test]
fn a_delivery_is_the_entry_that_the_contract_asks_the_log_for() {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(vectors.join(name)).unwrap()).unwrap()
    };
    let documents = read("cohorts.json");
    let mut made = Vec::new();
    for (number, document) in documents["documents"].as_array().unwrap().iter().enumerate() {
        if document["primaryType"] != "CohortAcceptance" {
            continue;
        }
        let number = number as u8;
        let acceptance: B256 = document["digest"].as_str().unwrap().parse().unwrap();
        let seller: Address = document["message"]["seller"].as_str().unwrap().parse().unwrap();
        let key = LockKey::new([0x70 + number; 32]);
        let details =
            DeliveryDetails::new(B256::repeat_byte(number), B256::repeat_byte(0x80 + number));
        let report = report(&Delivered {
            log: B256::repeat_byte(0x10),
            order: acceptance,
            seller,
            actor: Address::repeat_byte(0x09),
            time_ms: NOON_S * 1000 + u64::from(number),
            lock: key.lock(),
            sealed: Sealed { hash: B256::repeat_byte(0x90 + number), bytes: 1 },
            details: &details,
        });
        let event = [acceptance.0, key.lock().0].concat();
        assert_eq!(report.eventId, event_id(report.actor, &event));
        assert_eq!((report.record, report.permission), (acceptance, acceptance));
        let place = Place {
            ordinal: u64::from(number),
            previous: B256::repeat_byte(1),
            receivedMs: NOON_S * 1000,
            salt: B256::repeat_byte(2),
        };
        made.push(json!({
            "log": report.log,
            "acceptance": acceptance,
            "k": B256::from(*key.bytes()),
            "lock": report.fromVersion,
            "toVersion": report.toVersion,
            "actor": report.actor,
            "seller": seller,
            "eventId": report.eventId,
            "timeMs": report.timeMs.to_string(),
            "details": report.details,
            "entryPlace": place.hash(),
            "commitment": medtrail_ledger::entry::commitment(&report, &place),
        }));
    }
    assert_eq!(made.len(), 4);
    let made = json!({"version": 1, "deliveries": made});
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(vectors.join("cohort-deliveries.json"), text).unwrap();
    }
    assert_eq!(read("cohort-deliveries.json"), made);
}

/// Files as they were sealed when this format was new: they open for ever. `MEDTRAIL_BLESS=1`
/// writes others, which only a new version of a format may need.
#[test]
fn the_fixtures_still_open() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/delivery");
    for (form, name) in [(Form::AsItIs, "as-it-is"), (SAFE, "de-identified")] {
        let path = |ending: &str| folder.join(format!("cohort-v1-{name}{ending}"));
        let mut sold = World::new(form).sell();
        if std::env::var_os("MEDTRAIL_BLESS").is_some() {
            std::fs::write(path(".age"), &sold.file).unwrap();
            std::fs::write(path(".manifest.json"), sold.manifest.bytes()).unwrap();
            let entries: Vec<Value> = sold
                .entries
                .iter()
                .map(|(report, details)| {
                    json!({"report": report, "details": std::str::from_utf8(details).unwrap()})
                })
                .collect();
            let text = serde_json::to_string_pretty(&entries).unwrap() + "\n";
            std::fs::write(path(".entries.json"), text).unwrap();
        }
        sold.file = std::fs::read(path(".age")).unwrap();
        sold.sealed.hash = details_hash(&sold.file);
        let entries: Vec<Value> =
            serde_json::from_slice(&std::fs::read(path(".entries.json")).unwrap()).unwrap();
        sold.entries = entries
            .into_iter()
            .map(|entry| {
                let report = serde_json::from_value(entry["report"].clone()).unwrap();
                (report, entry["details"].as_str().unwrap().as_bytes().to_vec())
            })
            .collect();
        let checked = sold.check().unwrap();
        assert_eq!(checked.manifest.bytes(), std::fs::read(path(".manifest.json")).unwrap());
        assert!(checked.unpaid.is_empty() && checked.by_others.is_empty());
    }
}
