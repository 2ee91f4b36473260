//! Checks a delivery against its entry: what a buyer does before and after paying, and a court.
//! That the entry stands in an anchored log is [`medtrail_ledger::verify`]'s to say.

use crate::archive::{self, ArchiveError};
use crate::entry::{DeliveryDetails, DetailsError};
use crate::manifest::Manifest;
use crate::seal::{BuyerKey, Counted, LockKey, SealError, open};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, subject_of};
use medtrail_ledger::schema::Report;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Why a delivery is not what was ordered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The entry is of another kind, order or seller.
    #[error("the entry's {0} is not that of a delivery of this order")]
    Entry(&'static str),
    /// The details are not those that the entry has the hash of.
    #[error("these are not the details of this entry")]
    OtherDetails,
    /// The details.
    #[error("details: {0}")]
    Details(#[from] DetailsError),
    /// The file is not the one that was logged.
    #[error(
        "the file's SHA-256 is {found}, the entry says {expected}: another file, or a part of it"
    )]
    File {
        /// The file's.
        found: B256,
        /// The entry's.
        expected: B256,
    },
    /// The key is not the one that was logged.
    #[error("the key's SHA-256 is not that of the entry: a key of another sale")]
    Key,
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is in it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The manifest is of another order or dataset.
    #[error("the manifest's {0} is not that of this order")]
    Manifest(&'static str),
    /// Reading.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a buyer ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ordered {
    /// The log.
    pub log: B256,
    /// The order's id.
    pub order: B256,
    /// Who sells.
    pub seller: Address,
    /// The dataset's id.
    pub dataset: B256,
}

/// Checks what can be checked before the key is shown: the entry is of this order, and the file
/// that the buyer holds is the one it names.
pub fn before_payment(
    ordered: &Ordered,
    report: &Report,
    details: &[u8],
    file: impl Read,
) -> Result<DeliveryDetails, Fault> {
    let details = entry(ordered, report, details)?;
    let mut counted = Counted { to: file, hash: Sha256::new(), bytes: 0 };
    io::copy(&mut counted, &mut io::sink())?;
    same_file(counted.hash, report.toVersion)?;
    Ok(details)
}

/// Checks all of a delivery. Files go to `take` as they are read, before all is checked: keep
/// nothing of them where this fails.
pub fn delivery(
    ordered: &Ordered,
    report: &Report,
    details: &[u8],
    key: &LockKey,
    buyer: &BuyerKey,
    file: impl Read,
    take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Manifest, Fault> {
    let details = entry(ordered, report, details)?;
    if key.lock() != report.fromVersion {
        return Err(Fault::Key);
    }
    let mut counted = Counted { to: file, hash: Sha256::new(), bytes: 0 };
    let manifest = {
        let mut plain = open(key, buyer, &mut counted)?;
        archive::read(&mut plain, details.manifest, take)?
    };
    // A seal ends where it says; whatever stands behind it belongs to the file all the same.
    io::copy(&mut counted, &mut io::sink())?;
    same_file(counted.hash, report.toVersion)?;
    if manifest.order != ordered.order {
        return Err(Fault::Manifest("order"));
    }
    if manifest.dataset != ordered.dataset {
        return Err(Fault::Manifest("dataset"));
    }
    Ok(manifest)
}

fn entry(ordered: &Ordered, report: &Report, details: &[u8]) -> Result<DeliveryDetails, Fault> {
    let same = |field, is_same: bool| if is_same { Ok(()) } else { Err(Fault::Entry(field)) };
    same("log", report.log == ordered.log)?;
    same("kind", report.kind == Kind::Delivery.number())?;
    same("action", report.action == b'E')?;
    same("subject", report.subject == subject_of(ordered.seller))?;
    same("record", report.record == ordered.order)?;
    same("permission", report.permission == ordered.order)?;
    if details_hash(details) != report.details {
        return Err(Fault::OtherDetails);
    }
    Ok(DeliveryDetails::parse(details)?)
}

pub(crate) fn same_file(hash: Sha256, expected: B256) -> Result<(), Fault> {
    let found = B256::from(<[u8; 32]>::from(hash.finalize()));
    if found == expected { Ok(()) } else { Err(Fault::File { found, expected }) }
}
