//! How a seller's acceptance stands in the ConsentRegistry, by the rules of the contract: as of now
//! until the first settlement, and then as of that settlement's second.

use super::places::{epoch_of, is_revoked};
use super::{Calls, CallsError};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::directory::AcceptanceRow;
use medtrail_ledger::signature;
use medtrail_market::cohort::delivery::Standing;
use medtrail_permit::consents;

/// An acceptance, and whether somebody else acts for its seller by now: then two wallets may be asked.
pub(super) struct Stood {
    pub(super) standing: Standing,
    pub(super) has_moved: bool,
}

impl Calls {
    /// How an acceptance stands at this block; `bound_at_s` is the second of the first settlement.
    pub(super) fn stood(
        &self,
        row: &AcceptanceRow,
        bound_at_s: Option<u64>,
        block: B256,
    ) -> Result<Stood, CallsError> {
        let seller = row.seller;
        let records = self.service().0.permissions.consents.about(seller)?;
        let now = consents::fold(seller, &records);
        let controller = now.controller_of(seller);
        let is = |standing| Ok(Stood { standing, has_moved: controller != seller });
        let then = match bound_at_s {
            None => now,
            Some(at_s) => consents::fold(seller, &until(&records, at_s)),
        };
        if epoch_of(seller, &then) != row.epoch || is_revoked(seller, row.id, &then) {
            return is(Standing::Ended);
        }
        // The contract keeps no past of a freeze, and asks for none once it is bound.
        if bound_at_s.is_none() && self.0.sales.is_frozen(seller, &then) {
            return is(Standing::Frozen);
        }
        let bound_controller = bound_at_s.map(|_| then.controller_of(seller));
        let signed = signature::parse(&row.signature).and_then(|signed| signed.recover(row.id));
        let is_by = |who: Address| signed == Ok(who);
        if is_by(controller) || bound_controller.is_some_and(is_by) {
            return is(Standing::Sure);
        }
        // A wallet's word is asked for when it is settled, and only of these two.
        let own_wallet = bound_controller.filter(|who| *who == seller && controller != seller);
        for wallet in std::iter::once(controller).chain(own_wallet) {
            if self.0.sales.trade().accepts(wallet, row.id, &row.signature, block)? {
                return is(Standing::Unsure);
            }
        }
        is(Standing::Ended)
    }
}

/// What was recorded up to a second, and in it.
fn until(records: &[ConsentRecord], at_s: u64) -> Vec<ConsentRecord> {
    let is_before = |record: &&ConsentRecord| match record.event {
        ConsentEvent::Granted { at_s: when_s, .. }
        | ConsentEvent::Revoked { at_s: when_s, .. }
        | ConsentEvent::EpochStarted { at_s: when_s, .. }
        | ConsentEvent::ControlMoved { at_s: when_s, .. }
        | ConsentEvent::Frozen { at_s: when_s } => when_s <= at_s,
        // Of freezes nobody asks then.
        ConsentEvent::UnfreezeStarted { .. } => false,
    };
    records.iter().filter(is_before).copied().collect()
}
