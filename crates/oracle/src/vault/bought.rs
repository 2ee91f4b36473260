//! Looks of a buyer, by a settled order: what its dataset describes and nothing else, as it stands
//! when it is looked at. The entry stands before anything is shown, and the order is judged once
//! more in that very place.

use super::bench::{NotPermitted, placed};
use super::refusals::{Refused, Titles};
use super::sold::Kept;
use super::{Vault, VaultError, Why};
use crate::intake::Submission;
use crate::opener::Entry;
use crate::own::random;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{READ_VERSION, ReadDetails};
use medtrail_market::assemble::sold;
use medtrail_market::manifest::{Original, Whose};
use medtrail_permit::consents;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::permits::{Act, Data, Granted, Need, Sold, Verdict, World, permits};
use medtrail_permit::sale::{Market, Order};

/// How the market shows an order: when it was settled, at a final block, and when its access was
/// ended, at the newest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ends {
    pub(crate) settled: Option<Granted>,
    pub(crate) revoked_s: Option<u64>,
}

/// A buyer's look. Whoever asks has seen to it that the order is of this service, and the caller its
/// buyer.
pub(crate) struct Bought<'a> {
    pub(crate) id: B256,
    pub(crate) order: &'a Order,
    pub(crate) dataset: &'a Dataset,
    pub(crate) market: Market,
    /// Whose vault it is: the seller's own, or that of whoever the seller is an alias of.
    pub(crate) person: Address,
    /// Asks the market, each time anew.
    pub(crate) ends: &'a dyn Fn() -> Result<Ends, VaultError>,
}

/// A record that a buyer may look at: what the manifest of a delivery would say of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Whose word it is.
    pub word: Whose,
    /// Where it comes from.
    pub origin: Original,
    /// How long it is.
    pub bytes: u64,
}

/// The bytes of a record that a buyer looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The record.
    pub shown: Shown,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The receipt of the entry that says so.
    pub receipt: Receipt,
}

impl Vault {
    /// What there is to look at, once the log has the entry that says it was asked for.
    pub(crate) fn list_bought(&self, look: &Bought<'_>) -> Result<Vec<Shown>, VaultError> {
        self.permit_bought(look)?;
        let mut all = Vec::new();
        self.each_of(look.person, |kept| {
            if let Some(data) = data_of(look.dataset, &kept)? {
                all.push((shown(&kept), data));
            }
            Ok(())
        })?;
        // By date or place their order would tell something.
        all.sort_by_key(|(shown, _)| shown.origin.record);
        let mut needed: Vec<Data> = Vec::new();
        for (_, data) in &all {
            if !needed.contains(data) {
                needed.push(data.clone());
            }
        }
        let listed = Some(all.len() as u64);
        self.enter_bought(look, (B256::ZERO, B256::ZERO), needed, listed)?;
        Ok(all.into_iter().map(|(shown, _)| shown).collect())
    }

    /// The bytes of the version that counts of one record.
    pub(crate) fn read_bought(&self, look: &Bought<'_>, record: B256) -> Result<Seen, VaultError> {
        // Before anything is looked for: whoever may not look learns nothing of what there is.
        self.permit_bought(look)?;
        let kept = self.find_of(look.person, record)?.ok_or(VaultError::NotFound)?;
        let data = data_of(look.dataset, &kept)?.ok_or(VaultError::NotFound)?;
        let shown = shown(&kept);
        let place = (record, shown.origin.version);
        let receipt = self.enter_bought(look, place, vec![data], None)?;
        Ok(Seen { shown, bytes: kept.into_bytes(), receipt })
    }

    /// Whether the order permits any look now.
    fn permit_bought(&self, look: &Bought<'_>) -> Result<(), VaultError> {
        let submission = self.word_of(look, (B256::ZERO, B256::ZERO), Some(0))?;
        let act = self.act_of(look, &submission, Vec::new(), true);
        self.judge_bought(look, &act)?.map_err(VaultError::from)
    }

    fn enter_bought(
        &self,
        look: &Bought<'_>,
        place: (B256, B256),
        data: Vec<Data>,
        listed: Option<u64>,
    ) -> Result<Receipt, VaultError> {
        let submission = self.word_of(look, place, listed)?;
        let act = self.act_of(look, &submission, data, listed.is_some());
        let event = submission.report.hash();
        let receipt = self.place_look(submission, None)?;
        let entry: Entry = self.0.service.open_row(receipt.index)?;
        match self.judge_bought(look, &placed(act, &entry))? {
            Ok(()) => Ok(receipt),
            // It ended in this very moment: the line says that nothing was shown.
            Err(no) => {
                let what = (Refused::Read, Titles::default());
                self.refuse(what, &entry.report, Some(&entry), None, no, event)?;
                Err(no.into())
            }
        }
    }

    /// The operator's word for the buyer's session, in the trail in which the sale stands.
    fn word_of(
        &self,
        look: &Bought<'_>,
        (record, version): (B256, B256),
        listed: Option<u64>,
    ) -> Result<Submission, VaultError> {
        let Order { offer, buyer, .. } = look.order;
        let details = ReadDetails {
            version: READ_VERSION.to_owned(),
            purposes: vec![offer.terms.purpose.clone()],
            listed,
            reader: Some(*buyer),
        };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let report = Report {
            eventId: event_id(*buyer, &random::<32>()?),
            kind: Kind::Access.number(),
            action: if listed.is_some() { b'E' } else { b'R' },
            timeMs: self.now_ms(),
            subject: subject_of(offer.seller),
            record,
            fromVersion: version,
            toVersion: version,
            permission: look.id,
            details: details_hash(&details),
            ..self.0.service.own_report()
        };
        Ok(Submission { report, evidence: Evidence::Relayed, details: Some(details) })
    }

    fn act_of(
        &self,
        look: &Bought<'_>,
        submission: &Submission,
        data: Vec<Data>,
        is_search: bool,
    ) -> Act {
        let purposes = vec![look.order.offer.terms.purpose.clone()];
        let act = self.act_now(submission, Need { data, purposes, is_search });
        Act { party: vec![look.order.buyer], ..act }
    }

    /// Judges a look by the papers of the trail in which the sale stands, and by the chain as it is.
    fn judge_bought(
        &self,
        look: &Bought<'_>,
        act: &Act,
    ) -> Result<Result<(), NotPermitted>, VaultError> {
        let (service, seller) = (&self.0.service, look.order.offer.seller);
        let Ends { settled, revoked_s } = (look.ends)()?;
        let records = service.0.permissions.consents.about(seller);
        let records = records.map_err(VaultError::ChainUnreadable)?;
        let chain = consents::fold(seller, &records);
        let papers = service.papers(subject_of(seller))?;
        let world = papers.world_before(act.index, service.registries(), chain);
        let of_this = world.sales.iter().filter(|sold| sold.order == *look.order);
        let sales = of_this.map(|sold| {
            let revoked_s = sold.revoked_s.into_iter().chain(revoked_s).min();
            Sold { settled, revoked_s, ..sold.clone() }
        });
        let mut sales: Vec<Sold> = sales.collect();
        if sales.is_empty() {
            // Until the trail says that it was settled, it was not.
            let dataset = String::from_utf8_lossy(&look.dataset.bytes()).into_owned();
            let order = look.order.clone();
            let settled = settled.filter(|one| !one.is_final);
            sales.push(Sold { order, dataset, settled, revoked_s });
        }
        let world = World { market: Some(look.market), sales, ..world };
        Ok(match permits(act, &world) {
            Verdict::Counts { .. } => Ok(()),
            Verdict::DoesNotCount { reason, document } => {
                Err(NotPermitted { why: Why::Refused(reason), document })
            }
            Verdict::Unconfirmed { reason, document } => {
                Err(NotPermitted { why: Why::Pending(reason), document })
            }
        })
    }
}

fn data_of(dataset: &Dataset, kept: &Kept) -> Result<Option<Data>, VaultError> {
    let found = sold(dataset, &kept.record());
    Ok(found.map_err(|error| JournalError::Damaged(error.to_string()))?)
}

fn shown(kept: &Kept) -> Shown {
    let record = kept.record();
    Shown {
        word: Whose::of(&record),
        origin: Original::of(&record),
        bytes: record.bytes.len() as u64,
    }
}
