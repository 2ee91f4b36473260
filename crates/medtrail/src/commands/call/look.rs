//! One look at a call: on the chain, at the service, into the folder.

use super::buyer::Caller;
use super::next::{Seen, Served, Settled};
use crate::commands::market::calls::{CallView, settlement};
use crate::commands::market::views::read;
use crate::exit::Failure;
use medtrail_chain::cohort::{CohortStep, Status};
use medtrail_chain::{At, own};
use medtrail_permit::sale::Cohort;

impl Caller {
    pub(super) async fn look(&self, call: &Cohort) -> Result<(Seen, Option<CallView>), Failure> {
        let (place, id, market) = (&self.place, call.id(&self.market), self.market.cohort_market);
        let standing = place.chain.cohort_standing(market, id, At::Latest).await?;
        let first = settlement(&place.chain, &self.market, id, &standing).await?;
        let settled = match first.map(|first| (first.step, first.is_final)) {
            Some((CohortStep::Settled { to_version, .. }, is_final)) => {
                let at_s = standing.settled_at_s.unwrap_or_default();
                Some(Settled { at_s, file: to_version, is_final })
            }
            _ if standing.settled_at_s.is_some() => {
                return Err(Failure::new(
                    "the first are paid, but your endpoint has no event of it: ask another one",
                ));
            }
            _ => None,
        };
        let paid_final = match settled {
            Some(Settled { is_final: true, .. }) => {
                place.chain.cohort_standing(market, id, At::Finalized).await?.paid
            }
            _ => 0,
        };
        let view = match standing.status {
            Status::Unknown => None,
            _ => self.signed.session.find(&format!("/v1/calls/{id}")).await.or_else(|failure| {
                // With all in hand nobody need be asked.
                let held = self.folder.held();
                let has_all = settled.is_some_and(|settled| {
                    held.file == Some(settled.file)
                        && held.proofs.is_some_and(|(of, _)| of == settled.file)
                });
                if has_all || held.opened { Ok(None) } else { Err(failure) }
            })?,
        };
        let view = view.map(read::<CallView>).transpose()?;
        if let Some(view) = &view {
            view.described(&self.market, id)?;
        }
        let seen = Seen {
            status: standing.status,
            settled,
            paid_final,
            places: call.places,
            paid: standing.paid,
            has_pending: own::turn(&place.rpc, call.buyer).await?.is_taken(),
            now_s: place.now_s().await?,
            deliver_by_s: call.deliverBy,
            settled_by_s: call.settled_by().unwrap_or(u64::MAX),
            served: view.as_ref().map(served),
            held: self.folder.held(),
        };
        Ok((seen, view))
    }
}

/// What the service says, as far as it counts.
fn served(view: &CallView) -> Served {
    let delivery = view.delivery.as_ref();
    let state = delivery.map_or("collecting", |delivery| delivery.state.as_str());
    let has_file = matches!(state, "ready" | "settling" | "settled");
    let file = delivery.filter(|told| has_file && told.bytes.is_some());
    Served {
        is_final: view.state != "heard",
        state: state.to_owned(),
        refusal: delivery.and_then(|delivery| delivery.refusal.clone()),
        file: file.and_then(|told| told.file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use serde_json::json;

    #[test]
    fn a_file_that_the_service_is_still_making_is_not_asked_for() {
        let view = |state: &str, bytes: Option<u64>| {
            let told = json!({
                "id": B256::ZERO, "cohort": Cohort::default(), "dataset": "", "state": "open",
                "accepted": 2, "own": [], "proposed": null,
                "delivery": {
                    "state": state, "refusal": null, "file": B256::repeat_byte(1), "bytes": bytes,
                    "sellers": 2, "paid": 0, "lock": null,
                },
            });
            served(&read::<CallView>(told).unwrap_or_else(|failure| panic!("{failure}")))
        };
        assert_eq!(view("making", Some(5)).file, None);
        assert_eq!(view("ready", None).file, None);
        assert_eq!(view("ready", Some(5)).file, Some(B256::repeat_byte(1)));
    }
}
