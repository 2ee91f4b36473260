//! Deliveries to calls to many, and downloads of them, held against the acceptance that they name:
//! the seller's own trail tells it whole, its terms stand, nobody delivered after a no, the call was
//! paid then, and the market was shown the key of this very file. A file that was made anew, since
//! somebody said no, leaves entries of the one before: these delivered nothing.

use super::deliveries::{Came, Delivery};
use super::readings::{EDGE_MS, VAULT_MS};
use super::{Replay, Setting};
use crate::dataset::Dataset;
use crate::papers::CallLine;
use crate::sale::cohort::{CohortMarket, check, check_acceptance};
use crate::sale::{Cohort, CohortAcceptance};
use alloy_primitives::B256;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::{Flaw, evidence::Judged};
use medtrail_ledger::entry::{Kind, address_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::vault::version_of;
use serde::Serialize;
use std::collections::HashMap;

/// How the cohort market shows a call at the audit's final block. All none: it has never heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallSeen {
    /// When it was paid for, the block's seconds.
    pub opened_s: Option<u64>,
    /// When it was first settled, the block's seconds.
    pub settled_s: Option<u64>,
    /// What opened the lock, and SHA-256 of the file that it opens.
    pub shown: Option<(B256, B256)>,
}

/// A call, as lines of its sellers' trails tell it.
struct Told {
    cohort: Cohort,
    /// The exact text of the description.
    dataset: String,
}

/// A seller's yes.
struct Acceptance {
    document: CohortAcceptance,
    /// When the log received that it was given; none: no line says so.
    accepted_ms: Option<u64>,
    /// When it received that it was taken back.
    withdrawn_ms: Option<u64>,
}

/// What is known of calls, by their ids, and of acceptances, by theirs.
#[derive(Default)]
pub(super) struct Calls {
    told: HashMap<B256, Told>,
    seen: HashMap<B256, CallSeen>,
    acceptances: HashMap<B256, Acceptance>,
}

impl Calls {
    pub(super) fn knows(&self, acceptance: B256) -> bool {
        self.acceptances.contains_key(&acceptance)
    }

    fn hear(&mut self, entry: &Opened, market: &CohortMarket) {
        let Some((line, id)) = line(entry, market) else { return };
        let Some(seller) = address_of(entry.report.subject) else { return };
        let CallLine { act, call, dataset, place, epoch, expires_at } = line;
        let document = call.acceptance(market, place, seller, epoch, expires_at);
        // Known by the id that follows from what the line says: it tells of no other document.
        let known = self.acceptances.entry(document.id(market));
        let known = known.or_insert(Acceptance { document, accepted_ms: None, withdrawn_ms: None });
        let received_ms = entry.place.receivedMs;
        match act.as_str() {
            "accepted" => _ = known.accepted_ms.get_or_insert(received_ms),
            "withdrawn" => _ = known.withdrawn_ms.get_or_insert(received_ms),
            _ => {}
        }
        let told =
            self.told.entry(id).or_insert_with(|| Told { cohort: call, dataset: dataset.clone() });
        // Another description in an earlier line hides nothing.
        let is_its = |text: &str| version_of(text.as_bytes()) == told.cohort.terms.dataset;
        if !is_its(&told.dataset) && is_its(&dataset) {
            told.dataset = dataset;
        }
    }
}

/// What a line of a call says, and the call's id.
fn line(entry: &Opened, market: &CohortMarket) -> Option<(CallLine, B256)> {
    let is_of_sale = Kind::from_number(entry.report.kind) == Kind::Sale;
    if !is_of_sale || entry.evidence != Evidence::Relayed {
        return None;
    }
    let line = CallLine::read(entry.details.as_deref()?)?;
    let id = line.call.id(market);
    Some((line, id))
}

impl Replay<'_> {
    /// Which call of the cohort market must be told before this entry is followed; none: none, or it
    /// was.
    pub fn asks_call(&self, entry: &Opened) -> Option<B256> {
        let (_, id) = line(entry, self.setting.cohort_market.as_ref()?)?;
        (!self.calls.seen.contains_key(&id)).then_some(id)
    }

    /// Tells how the cohort market shows a call at the audit's final block.
    pub fn tell_call(&mut self, call: B256, seen: CallSeen) {
        self.calls.seen.insert(call, seen);
    }

    pub(super) fn hear_of_call(&mut self, entry: &Opened) {
        if let Some(market) = &self.setting.cohort_market {
            self.calls.hear(entry, market);
        }
    }

    /// What shows a fault of a delivery under an acceptance, in place of an order.
    pub(super) fn shows_call(&self, acceptance: B256, judged: &mut Judged) {
        let (Some(yes), Some(market)) =
            (self.calls.acceptances.get(&acceptance), &self.setting.cohort_market)
        else {
            return;
        };
        let id = yes.document.cohort;
        let Some(told) = self.calls.told.get(&id) else { return };
        judged.market = serde_json::to_value(market).ok();
        judged.sales = vec![serde_json::json!({
            "call": told.cohort,
            "dataset": told.dataset,
            "acceptance": yes.document,
            "acceptedMs": yes.accepted_ms,
            "withdrawnMs": yes.withdrawn_ms,
            "seen": self.calls.seen.get(&id),
        })];
    }
}

impl Calls {
    /// What a delivery under an acceptance came to.
    pub(super) fn came(&self, one: &Delivery, setting: &Setting<'_>) -> Came {
        let wrong = |why: &str| Came::Wrong(Flaw::DeliveryUnfounded, why.to_owned());
        let (Some(yes), Some(market)) =
            (self.acceptances.get(&one.report.permission), &setting.cohort_market)
        else {
            return Came::NotTold;
        };
        let id = yes.document.cohort;
        let Some(told) = self.told.get(&id) else { return Came::NotTold };
        let (cohort, seen) = (&told.cohort, self.seen.get(&id).copied().unwrap_or_default());
        let at_ms = |at_s: u64| at_s.saturating_mul(1000);
        let with_edge = |ms: u64| ms.saturating_add(EDGE_MS);
        match seen.opened_s {
            None => return wrong("the market was never paid for its call"),
            Some(at_s) if at_ms(at_s) > with_edge(one.received_ms) => {
                return wrong("the market was paid for its call only afterwards");
            }
            Some(_) => {}
        }
        if yes.document.seller.into_word() != one.report.subject {
            return wrong("its seller is somebody else");
        }
        if cohort.log != setting.trust.log {
            return wrong("it is to be delivered by another log");
        }
        let Ok(dataset) = Dataset::parse(told.dataset.as_bytes()) else {
            return wrong("the description of its data is none");
        };
        let stands = check(cohort, &dataset)
            .and_then(|()| check_acceptance(&yes.document, cohort, market, &dataset));
        if let Err(error) = stands {
            return wrong(&format!("its terms do not stand: {error}"));
        }
        if let Some(download) = &one.download {
            if download.reader != cohort.buyer {
                let why = "who downloaded is not the call's buyer".to_owned();
                return Came::Wrong(Flaw::LookByOther, why);
            }
            return Came::Downloaded;
        }
        if yes.accepted_ms.is_none_or(|at_ms| at_ms > one.received_ms) {
            return wrong("no line before says that it was accepted");
        }
        let is_long_before = |at_ms: u64| at_ms.saturating_add(VAULT_MS) < one.received_ms;
        if yes.withdrawn_ms.is_some_and(is_long_before) {
            return wrong("its seller had taken it back before");
        }
        if cohort.settled_by().is_some_and(|by_s| with_edge(at_ms(by_s)) < one.received_ms) {
            return wrong("its time was over");
        }
        let is_its = |key: B256| version_of(key.as_slice()) == one.report.fromVersion;
        // The contract asks for the entry first.
        if seen.settled_s.is_some_and(|at_s| with_edge(at_ms(at_s)) < one.received_ms) {
            return wrong("its call had been settled before");
        }
        match seen.shown {
            Some((key, file)) if is_its(key) && file == one.report.toVersion => Came::Settled,
            Some((key, _)) if is_its(key) => wrong("another file was settled under its lock"),
            _ => Came::Open,
        }
    }
}
