//! Checks what was delivered to a call, and what proves that those whose data they are agreed: what
//! its buyer does, an ethics board, a court. That an entry stands in an anchored log is
//! [`medtrail_ledger::verify`]'s to say, and what the chain says is an argument.

use super::manifest::{CohortManifest, Consent};
use crate::archive;
use crate::entry::DeliveryDetails;
use crate::seal::{BuyerKey, Counted, LockKey, open};
use crate::verify::{Fault, same_file};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, subject_of};
use medtrail_ledger::schema::Report;
use medtrail_ledger::signature;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// Why a file is not what was agreed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortFault {
    /// An entry, the file, or what is in it, as in one sale.
    #[error(transparent)]
    Delivery(#[from] Fault),
    /// There is no entry.
    #[error("no entry of a delivery was given")]
    NoEntry,
    /// Entries of two deliveries.
    #[error("the entries are of two files, or one stands there twice: give those of one delivery")]
    Entries,
    /// The call is not valid by itself.
    #[error("the call: {0}")]
    Call(SaleError),
    /// The chain was settled with another file.
    #[error("the entries name the file {entries}, the chain was settled for {settled}")]
    Settled {
        /// The entries'.
        entries: B256,
        /// The chain's.
        settled: B256,
    },
    /// Not an acceptance of this call.
    #[error("the consent of place {0}: {1}")]
    Consent(u32, SaleError),
    /// The log does not say that it was delivered.
    #[error("the consent of place {0} has no entry of this delivery")]
    NotEntered(u32),
    /// An entry of somebody whose data are not in the file.
    #[error("the entry of the acceptance {0} is of nobody in the file")]
    NotInFile(B256),
    /// Paid, and not delivered.
    #[error("place {0} was paid to {1}, who is not in the file")]
    PaidForNothing(u32, Address),
}

/// What was called for.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// The contract.
    pub market: &'a CohortMarket,
    /// The call.
    pub cohort: &'a Cohort,
    /// What was bought.
    pub dataset: &'a Dataset,
}

/// What the chain says of its settlement.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// The key that it shows.
    pub key: &'a LockKey,
    /// The file that was settled.
    pub file: B256,
    /// Who was paid, for which place.
    pub paid: &'a [(u32, Address)],
}

/// One seller's entry.
#[derive(Clone, Copy, Debug)]
pub struct Entered<'a> {
    /// The report.
    pub report: &'a Report,
    /// Its details.
    pub details: &'a [u8],
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The manifest.
    pub manifest: CohortManifest,
    /// Places whose data are in the file and who were not paid: they said no while the first
    /// settlement was on its way, or are paid later. Their data are not the buyer's to use.
    pub unpaid: Vec<u32>,
    /// Places whose acceptance the seller's own key did not sign. If paid, the contract found that
    /// who signed acted for the seller; if not, nobody did.
    pub by_others: Vec<u32>,
}

/// Checks what can be checked before the key is shown: all entries are of this call and of one
/// delivery, and the file that the buyer holds is the one they name.
pub fn before_key(
    called: &Called<'_>,
    entries: &[Entered<'_>],
    file: impl Read,
) -> Result<(), CohortFault> {
    cohort::check(called.cohort, called.dataset).map_err(CohortFault::Call)?;
    let named = check_entries(called, entries)?;
    let mut counted = Counted { to: file, hash: Sha256::new(), bytes: 0 };
    io::copy(&mut counted, &mut io::sink()).map_err(Fault::from)?;
    Ok(same_file(counted.hash, named.file)?)
}

/// Checks all of a file. Files go to `take` as they are read, before all is checked: keep nothing
/// of them where this fails.
pub fn verify(
    called: &Called<'_>,
    settled: &Settled<'_>,
    entries: &[Entered<'_>],
    buyer: &BuyerKey,
    file: impl Read,
    take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Checked, CohortFault> {
    cohort::check(called.cohort, called.dataset).map_err(CohortFault::Call)?;
    let named = check_entries(called, entries)?;
    if settled.key.lock() != named.lock {
        return Err(Fault::Key.into());
    }
    if settled.file != named.file {
        return Err(CohortFault::Settled { entries: named.file, settled: settled.file });
    }
    let mut counted = Counted { to: file, hash: Sha256::new(), bytes: 0 };
    let manifest = {
        let mut plain = open(settled.key, buyer, &mut counted).map_err(Fault::from)?;
        archive::read_as(
            &mut plain,
            named.manifest,
            CohortManifest::parse,
            |manifest| &manifest.files,
            take,
        )
        .map_err(Fault::from)?
    };
    // A seal ends where it says; whatever stands behind it belongs to the file all the same.
    io::copy(&mut counted, &mut io::sink()).map_err(Fault::from)?;
    same_file(counted.hash, settled.file)?;
    let same = |field, is_same| match is_same {
        true => Ok(()),
        false => Err(Fault::Manifest(field)),
    };
    same("market", manifest.market == *called.market)?;
    same("cohort", manifest.cohort == *called.cohort)?;
    same("dataset", manifest.dataset.as_bytes() == called.dataset.bytes())?;
    check_consents(called, settled, named.subjects, manifest)
}

/// What all entries name alike, and by acceptance whose they are.
struct Named {
    manifest: B256,
    lock: B256,
    file: B256,
    subjects: BTreeMap<B256, B256>,
}

fn check_entries(called: &Called<'_>, entries: &[Entered<'_>]) -> Result<Named, CohortFault> {
    let (mut first, mut subjects) = (None, BTreeMap::new());
    for Entered { report, details } in entries {
        let same = |field, is_same| match is_same {
            true => Ok(()),
            false => Err(Fault::Entry(field)),
        };
        same("log", report.log == called.cohort.log)?;
        same("kind", report.kind == Kind::Delivery.number())?;
        same("action", report.action == b'E')?;
        same("permission", report.permission == report.record)?;
        if details_hash(details) != report.details {
            return Err(Fault::OtherDetails.into());
        }
        let details = DeliveryDetails::parse(details).map_err(Fault::from)?;
        let names = (details.manifest, report.fromVersion, report.toVersion);
        let is_twice = subjects.insert(report.record, report.subject).is_some();
        if *first.get_or_insert(names) != names || is_twice {
            return Err(CohortFault::Entries);
        }
    }
    let (manifest, lock, file) = first.ok_or(CohortFault::NoEntry)?;
    Ok(Named { manifest, lock, file, subjects })
}

fn check_consents(
    called: &Called<'_>,
    settled: &Settled<'_>,
    mut subjects: BTreeMap<B256, B256>,
    manifest: CohortManifest,
) -> Result<Checked, CohortFault> {
    let Called { market, cohort, dataset } = *called;
    let mut paid: BTreeSet<(u32, Address)> = settled.paid.iter().copied().collect();
    let (mut unpaid, mut by_others) = (Vec::new(), Vec::new());
    for consent in &manifest.consents {
        let Consent { place, seller, .. } = *consent;
        let acceptance = consent.acceptance(cohort, market);
        cohort::check_acceptance(&acceptance, cohort, market, dataset)
            .map_err(|error| CohortFault::Consent(place, error))?;
        let id = acceptance.id(market);
        if subjects.remove(&id) != Some(subject_of(seller)) {
            return Err(CohortFault::NotEntered(place));
        }
        if !paid.remove(&(place, seller)) {
            unpaid.push(place);
        }
        let signer = signature::parse(&consent.signature).and_then(|signed| signed.recover(id));
        if signer != Ok(seller) {
            by_others.push(place);
        }
    }
    if let Some((acceptance, _)) = subjects.pop_first() {
        return Err(CohortFault::NotInFile(acceptance));
    }
    if let Some((place, seller)) = paid.pop_first() {
        return Err(CohortFault::PaidForNothing(place, seller));
    }
    Ok(Checked { manifest, unpaid, by_others })
}
