//! What the service answers about calls to many, and how they stand on the chain.

use super::Place;
use super::views::{Disbelief, described};
use crate::commands::delivery::money::{BLOCKS_MAX, first_block};
use crate::exit::Failure;
use alloy_primitives::{Address, B256};
use medtrail_chain::Chain;
use medtrail_chain::cohort::{self as chain, CohortRecord, CohortStep};
use medtrail_ledger::ports::Registry;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::cohort::CohortMarket;
use medtrail_permit::sale::{Cohort, CohortAcceptance};
use serde::Deserialize;

/// A call, as whoever is signed in sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct CallView {
    pub(in crate::commands) id: B256,
    pub(in crate::commands) cohort: Cohort,
    pub(in crate::commands) dataset: String,
    pub(in crate::commands) state: String,
    /// To the buyer only.
    pub(in crate::commands) accepted: Option<u64>,
    #[serde(default)]
    pub(in crate::commands) own: Vec<OwnAcceptance>,
    pub(in crate::commands) proposed: Option<CohortAcceptance>,
    /// To the buyer only.
    #[serde(default)]
    pub(in crate::commands) delivery: Option<CallDelivery>,
    /// To the buyer only.
    #[serde(default)]
    pub(in crate::commands) withdrawals: Vec<PartWithdrawal>,
}

/// A part of the file that its seller wants deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct PartWithdrawal {
    /// What the person's files begin with, after `person-`.
    pub(in crate::commands) label: String,
    /// The acceptance, or what stands for it in the manifest: what is signed about.
    pub(in crate::commands) part: B256,
    /// `waiting`, `deleted` or `not-answered`.
    pub(in crate::commands) state: String,
}

/// A seller's own acceptance.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct OwnAcceptance {
    pub(in crate::commands) id: B256,
    pub(in crate::commands) seller: Address,
    pub(in crate::commands) place: u32,
    pub(in crate::commands) epoch: u64,
    pub(in crate::commands) expires_at_s: u64,
    pub(in crate::commands) state: String,
}

/// How far the delivery is, for the buyer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct CallDelivery {
    /// `collecting`, `making`, `ready`, `settling`, `settled` or `over`.
    pub(in crate::commands) state: String,
    pub(in crate::commands) refusal: Option<String>,
    pub(in crate::commands) file: Option<B256>,
    pub(in crate::commands) bytes: Option<u64>,
}

impl CallView {
    /// The description of what is called for, once it and the call are what their ids say, and the
    /// words say what the fields do. The id commits to every field: nothing the service says beside
    /// it counts.
    pub(in crate::commands) fn described(
        &self,
        market: &CohortMarket,
        id: B256,
    ) -> Result<Dataset, Failure> {
        if self.id != id || self.cohort.id(market) != id {
            return Err(Disbelief::Other("call", id).into());
        }
        let dataset = described(&self.dataset, self.cohort.terms.dataset)?;
        medtrail_permit::sale::cohort::check(&self.cohort, &dataset)?;
        Ok(dataset)
    }
}

/// How a call stands on the chain, in words.
pub(in crate::commands) fn standing_words(standing: &chain::Standing) -> &'static str {
    match (standing.status, standing.settled_at_s) {
        (chain::Status::Unknown, _) => {
            "it was never opened: the market contract has no money of it"
        }
        (chain::Status::Open, None) => "the market contract holds the money of all places",
        (chain::Status::Open, Some(_)) => "the first were paid, and the key is public",
        (chain::Status::Closed, _) => "it is closed: the rest went back to the buyer",
    }
}

/// The whole call of an id, out of the event of its opening: no service is asked, and no file is
/// needed. Terms are there as their hash.
pub(in crate::commands) async fn opened(
    place: &Place,
    market: &CohortMarket,
    id: B256,
    standing: &chain::Standing,
) -> Result<chain::Cohort, Failure> {
    let found = events_in(&place.chain, market, id, standing.opened_at_s).await?;
    let opened = found.into_iter().find_map(|record| match record.step {
        CohortStep::Opened(cohort) => Some(*cohort),
        _ => None,
    });
    opened.ok_or_else(|| {
        Failure::new(format!(
            "your endpoint has no event of the opening of call {id}: ask another one, or give the \
             call's file (--call)"
        ))
    })
}

/// The first settlement, where the market says that there was one.
pub(in crate::commands) async fn settlement(
    chain: &Chain,
    market: &CohortMarket,
    id: B256,
    standing: &chain::Standing,
) -> Result<Option<CohortRecord>, Failure> {
    let Some(time_s) = standing.settled_at_s else { return Ok(None) };
    let found = events_in(chain, market, id, time_s).await?;
    let is_settled = |record: &CohortRecord| matches!(record.step, CohortStep::Settled { .. });
    Ok(found.into_iter().find(is_settled))
}

/// A call's events in the blocks of this second. Found by their times, so that no node is asked for
/// more blocks than it will answer for.
async fn events_in(
    chain: &Chain,
    market: &CohortMarket,
    id: B256,
    time_s: u64,
) -> Result<Vec<CohortRecord>, Failure> {
    let head = chain.tips().await?.head.block.number;
    let first = first_block(chain, head, time_s).await?;
    let after = first_block(chain, head, time_s.saturating_add(1)).await?;
    if first >= after {
        return Ok(Vec::new());
    }
    let blocks = first..=(after - 1).min(first.saturating_add(BLOCKS_MAX));
    Ok(chain.cohort_events(market.cohort_market, &[id], blocks).await?)
}

#[cfg(test)]
pub(in crate::commands) mod tests {
    use super::*;
    use alloy_primitives::U256;
    use medtrail_permit::dataset::{Form, Origin};
    use medtrail_permit::sale::{Terms, cohort};
    use medtrail_permit::statements::Language;

    pub(in crate::commands) const MARKET: CohortMarket =
        CohortMarket { chain_id: 31_338, cohort_market: Address::repeat_byte(0xc0) };

    /// A call as an honest service shows it, with nobody in it.
    pub(in crate::commands) fn view() -> CallView {
        let (form, origin) = (Form::AsItIs, Origin::Signed);
        let dataset = Dataset::new("patient/*.rs", vec![], 0, 60, form, origin).unwrap();
        let bare = Cohort {
            buyer: Address::repeat_byte(4),
            log: B256::repeat_byte(2),
            price: U256::from(5),
            places: 9,
            recipient: B256::repeat_byte(0x11),
            deliverBy: 1_767_614_400,
            grace: 86_400,
            terms: Terms {
                purpose: "HRESCH".into(),
                dataset: dataset.id(),
                salt: B256::repeat_byte(3),
                ..Terms::default()
            },
            salt: B256::repeat_byte(5),
            ..Cohort::default()
        };
        let cohort = cohort::worded(bare, &dataset, Language::En).unwrap();
        CallView {
            id: cohort.id(&MARKET),
            cohort,
            dataset: String::from_utf8(dataset.bytes()).unwrap(),
            state: "open".into(),
            accepted: None,
            own: Vec::new(),
            proposed: None,
            delivery: None,
            withdrawals: Vec::new(),
        }
    }

    #[test]
    fn a_service_that_shows_another_call_under_the_same_id_is_not_believed() {
        let good = view();
        let id = good.id;
        assert!(good.described(&MARKET, id).is_ok());
        let cheaper = Cohort { price: U256::from(4), ..good.cohort.clone() };
        assert!(CallView { cohort: cheaper, ..good.clone() }.described(&MARKET, id).is_err());
        let elsewhere = CohortMarket { cohort_market: Address::repeat_byte(1), ..MARKET };
        assert!(good.described(&elsewhere, id).is_err());
        assert!(good.described(&MARKET, B256::ZERO).is_err());
        let other = good.dataset.replace("patient/*.rs", "patient/Condition.rs");
        assert!(CallView { dataset: other, ..good }.described(&MARKET, id).is_err());
    }

    #[test]
    fn words_that_say_another_thing_than_the_fields_are_refused_though_the_chain_has_them() {
        let mut lying = view();
        let statement = &mut lying.cohort.terms.statement;
        *statement = statement.replace("5 wei", "500 wei");
        lying.id = lying.cohort.id(&MARKET);
        assert!(lying.described(&MARKET, lying.id).is_err());
    }
}
