//! Deliveries (kind 6) and downloads of them, held against the order that they name: it was paid then,
//! its terms are about this person's data in this log, the market was shown the key of this very
//! file, and who downloaded it is its buyer. Whether a
//! seller's signed approval stood when it was made is in no line: the market asks for it when it
//! settles, and of what never settled nobody gets the key.

use super::acts::act;
use super::readings::EDGE_MS;
use super::sales::{OrderSeen, Told};
use super::{Replay, WHOLE_MAX};
use crate::dataset::Dataset;
use crate::permits::{Need, Refusal, Verdict};
use crate::sale::check;
use alloy_primitives::{Address, B256};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::{Judged, OpenedEntry};
use medtrail_ledger::audit::{Check, Fault, Flaw, Tally};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::version_of;
use serde::Deserialize;

/// An entry of a delivery or of a download, until the log's end: a line that tells its order may
/// come after it.
pub(super) struct Delivery {
    index: u64,
    pub(super) received_ms: u64,
    pub(super) report: Report,
    pub(super) download: Option<Download>,
    entry: Option<Box<Opened>>,
}

/// `medtrail/download-v1`, as far as it is looked at.
#[derive(Deserialize)]
pub(super) struct Download {
    version: String,
    pub(super) reader: Address,
}

impl Download {
    /// Its details say so, and it is the log's own word.
    pub(super) fn of(entry: &Opened) -> Option<Self> {
        const NAME: &str = "medtrail/download-v1";
        let details = entry.details.as_deref().filter(|_| entry.evidence == Evidence::Relayed)?;
        // Most looks are reported by others, with long details.
        details.windows(NAME.len()).find(|one| *one == NAME.as_bytes())?;
        serde_json::from_slice(details).ok().filter(|read: &Self| read.version == NAME)
    }
}

/// What a delivery came to.
pub(super) enum Came {
    Settled,
    /// The money waits or went back.
    Open,
    NotTold,
    /// The buyer had the sealed file.
    Downloaded,
    Wrong(Flaw, String),
}

impl Replay<'_> {
    pub(super) fn take_delivery(&mut self, entry: &Opened, tally: &mut Tally) {
        tally.count(Check::Permissions, 1);
        let whole = (self.deliveries.len() < WHOLE_MAX).then(|| Box::new(entry.clone()));
        let (index, received_ms) = (entry.index, entry.place.receivedMs);
        let report = entry.report.clone();
        let download = match Kind::from_number(report.kind) {
            Kind::Access => Download::of(entry),
            _ => None,
        };
        self.deliveries.push(Delivery { index, received_ms, report, download, entry: whole });
    }

    pub(super) fn end_deliveries(&mut self, tally: &mut Tally) {
        for one in std::mem::take(&mut self.deliveries) {
            match one.download {
                Some(_) => self.found.downloads += 1,
                None => self.found.deliveries += 1,
            }
            let id = one.report.permission;
            let is_of_call = self.calls.knows(id);
            if !is_of_call && self.setting.market.is_none() {
                self.found.sale_no_market += 1;
                continue;
            }
            if one.received_ms.saturating_add(EDGE_MS) > self.setting.final_ms {
                self.found.both += 1;
                continue;
            }
            // One that names no order asked for none.
            let seen = self.sales.seen(id).copied().unwrap_or_default();
            let came = match is_of_call {
                true => self.calls.came(&one, &self.setting),
                false => one.came(&seen, self.sales.told(id), self.setting.trust.log),
            };
            match came {
                Came::Settled => self.found.deliveries_settled += 1,
                Came::Open => self.found.deliveries_open += 1,
                Came::NotTold => self.found.sale_not_told += 1,
                Came::Downloaded => {}
                Came::Wrong(flaw, why) => {
                    self.found.deliveries_unfounded += 1;
                    let what = if one.download.is_some() { "is a download" } else { "delivers" };
                    let of = if is_of_call { "acceptance" } else { "order" };
                    let words = format!("entry {} {what} under {of} {id}: {why}.", one.index);
                    let fault = Fault::new(flaw, words).at(one.index);
                    let shown = one.entry.map(|entry| self.shown(&entry));
                    self.fault(fault, shown, tally);
                }
            }
        }
    }
}

impl Replay<'_> {
    /// What shows it. `permits` is asked about no delivery, and says so.
    fn shown(&self, entry: &Opened) -> (OpenedEntry, Judged) {
        let act = act(entry, self.organisations.reporter_of(entry), Need::default());
        let document = Some(act.report.permission);
        let verdict = Verdict::DoesNotCount { reason: Refusal::Kind, document };
        let mut judged = self.judged(&act, entry.details.as_deref(), &verdict);
        self.shows_call(act.report.permission, &mut judged);
        (OpenedEntry::from(entry), judged)
    }
}

impl Delivery {
    fn came(&self, seen: &OrderSeen, told: Option<&Told>, log: B256) -> Came {
        let at_ms = |at_s: u64| at_s.saturating_mul(1000);
        let is_after = |end_s: Option<u64>| {
            end_s.is_some_and(|end_s| at_ms(end_s).saturating_add(EDGE_MS) < self.received_ms)
        };
        let wrong = |why: &str| Came::Wrong(Flaw::DeliveryUnfounded, why.to_owned());
        // An order that no line tells may be another market's.
        match (seen.paid_s, told) {
            (None, None) => return Came::NotTold,
            (None, Some(_)) => return wrong("the market was never paid for it"),
            (Some(paid_s), _) if at_ms(paid_s) > self.received_ms.saturating_add(EDGE_MS) => {
                return wrong("the market was paid for it only afterwards");
            }
            _ => {}
        }
        let is_delivery = self.download.is_none();
        if is_delivery && is_after(seen.refunded_s) {
            return wrong("the money had gone back before");
        }
        if is_delivery && is_after(seen.settled_s) {
            return wrong("it had been settled before, with another delivery");
        }
        let opens = |key: B256| version_of(key.as_slice()) == self.report.fromVersion;
        if is_delivery && seen.key.is_some_and(|key| !opens(key)) {
            return wrong("the key by which it was settled does not open this one's lock");
        }
        let Some(told) = told else { return Came::NotTold };
        let offer = &told.order.offer;
        if offer.seller.into_word() != self.report.subject {
            return wrong("its seller is somebody else");
        }
        if offer.log != log {
            return wrong("it is to be delivered by another log");
        }
        let dataset = Dataset::parse(told.dataset.as_bytes());
        let Ok(dataset) = dataset else { return wrong("the description of its data is none") };
        if let Err(error) = check::order(&told.order, &dataset) {
            return wrong(&format!("its terms do not stand: {error}"));
        }
        match &self.download {
            Some(download) if download.reader != told.order.buyer => {
                let why = "who downloaded is not its buyer".to_owned();
                return Came::Wrong(Flaw::LookByOther, why);
            }
            Some(_) => return Came::Downloaded,
            None => {}
        }
        if seen.settled_s.is_some() { Came::Settled } else { Came::Open }
    }
}
