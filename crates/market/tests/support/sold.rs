//! A call to many, who accepts it, and the file that is sold to its buyer.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::support::{Kept, NOON_S, everything, ten};
use alloy_primitives::{Address, B256, Bytes, U256};
use medtrail_ledger::schema::Report;
use medtrail_ledger::signature;
use medtrail_market::cohort::assemble::{Call, Gather, Plan};
use medtrail_market::cohort::entry::report;
use medtrail_market::cohort::manifest::{CohortManifest, Consent};
use medtrail_market::cohort::verify::{Called, Checked, CohortFault, Entered, Settled, verify};
use medtrail_market::entry::{Delivered, DeliveryDetails};
use medtrail_market::record::{Proof, Record};
use medtrail_market::seal::{BuyerKey, LockKey, Sealed, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::cohort::{self, CohortMarket};
use medtrail_permit::sale::{Cohort, Terms};
use medtrail_permit::statements::Language;
use secp256k1::{Message, PublicKey, SecretKey};
use std::io::{self, Write};

pub(crate) const MARKET: CohortMarket =
    CohortMarket { chain_id: 31338, cohort_market: Address::repeat_byte(0xc0) };
pub(crate) const SELLERS: [u8; 3] = [1, 2, 3];

pub(crate) fn secret_key(seed: u8) -> SecretKey {
    SecretKey::from_secret_bytes([seed; 32]).unwrap()
}

pub(crate) fn address(seed: u8) -> Address {
    signature::address_of(&PublicKey::from_secret_key(&secret_key(seed)))
}

pub(crate) fn signed(seed: u8, digest: B256) -> Bytes {
    let message = Message::from_digest(digest.0);
    let signed =
        secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &secret_key(seed));
    let (recovery, compact) = signed.serialize_compact();
    [compact.as_slice(), &[27 + recovery.to_u8()]].concat().into()
}

pub(crate) fn buyer() -> BuyerKey {
    BuyerKey::parse(&LockKey::new([0x42; 32]).text()).unwrap()
}

pub(crate) fn called(dataset: &Dataset) -> Cohort {
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
pub(crate) fn consent(cohort: &Cohort, seed: u8) -> Consent {
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
pub(crate) fn kept(seed: u8) -> Vec<Kept> {
    let mut kept = ten();
    for one in &mut kept {
        one.record.0[0] = seed;
    }
    kept
}

pub(crate) fn with<T>(seed: u8, f: impl FnOnce(&[Record<'_>]) -> T) -> T {
    let kept = kept(seed);
    f(&kept.iter().map(Kept::of).collect::<Vec<_>>())
}

/// Paths and bytes.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

pub(crate) struct World {
    pub(crate) dataset: Dataset,
    pub(crate) cohort: Cohort,
    pub(crate) secret: SaleSecret,
}

impl World {
    pub(crate) fn new(form: Form) -> Self {
        let dataset = everything(form);
        let cohort = called(&dataset);
        Self { dataset, cohort, secret: SaleSecret::new([9; 32]) }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        let Self { dataset, cohort, secret } = self;
        Call { market: &MARKET, cohort, dataset, secret, year: 2026 }
    }

    pub(crate) fn id(&self, seed: u8) -> B256 {
        consent(&self.cohort, seed).acceptance(&self.cohort, &MARKET).id(&MARKET)
    }

    pub(crate) fn plan(&self, consents: &[(u8, Consent)]) -> Plan {
        let mut gather = Gather::new(self.call()).unwrap();
        for (seed, consent) in consents {
            with(*seed, |records| gather.add(consent, records)).unwrap();
        }
        gather.finish().unwrap()
    }

    pub(crate) fn consents(&self) -> Vec<(u8, Consent)> {
        SELLERS.into_iter().map(|seed| (seed, consent(&self.cohort, seed))).collect()
    }

    pub(crate) fn files(&self, place: u32) -> io::Result<Files> {
        let seed = (place / 10) as u8;
        let consent = consent(&self.cohort, seed);
        with(seed, |records| self.call().files(&consent, records)).map_err(io::Error::other)
    }

    pub(crate) fn sell(&self) -> Sold {
        self.sell_to(&self.consents())
    }

    pub(crate) fn sell_to(&self, consents: &[(u8, Consent)]) -> Sold {
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

pub(crate) struct Sold {
    pub(crate) cohort: Cohort,
    pub(crate) dataset: Dataset,
    pub(crate) manifest: CohortManifest,
    pub(crate) key: LockKey,
    pub(crate) sealed: Sealed,
    pub(crate) file: Vec<u8>,
    pub(crate) entries: Vec<(Report, Vec<u8>)>,
    pub(crate) paid: Vec<(u32, Address)>,
}

impl Sold {
    pub(crate) fn check(&self) -> Result<Checked, CohortFault> {
        self.open().map(|(checked, _)| checked)
    }

    pub(crate) fn open(&self) -> Result<(Checked, Files), CohortFault> {
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
