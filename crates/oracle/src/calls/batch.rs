//! What pays a delivery: claims of some sellers, sent as one transaction with the gas of the worst.

use super::listing::cohort_in;
use super::look::Looked;
use super::trade::{Batch, Claim};
use super::{Calls, CallsError, locked};
use crate::opener::EntryError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{AcceptanceRow, CallDelivery, CallRow};
use medtrail_ledger::entry::commitment;
use medtrail_ledger::gas::gas_limit;
use medtrail_ledger::group::{Group, Included, group};
use medtrail_ledger::merkle::leaf_hash;
use medtrail_ledger::plan::{Anchor, Call};
use medtrail_ledger::ports::JournalError;
use medtrail_permit::sale::Cohort;

/// What the interface of the contract asks for, beside the transaction's own gas: of a batch, and of
/// each claim in it.
const BATCH_GAS: u64 = 150_000;
const CLAIM_GAS: u64 = 150_000;
const WALLET_GAS: u64 = 200_000;
const PUSH_GAS: u64 = 30_000;
const TOKEN_GAS: u64 = 300_000;

/// One claim, and what it is proved by.
struct Proved {
    claim: Claim,
    included: Included,
    gas: u64,
}

impl Calls {
    /// Notes that the key may be seen, and has these claims sent.
    pub(super) fn settle(
        &self,
        row: &CallRow,
        looked: &Looked,
        claims: Vec<B256>,
    ) -> Result<(), CallsError> {
        let Some((key, file, sellers)) = row.delivery.file() else { return Ok(()) };
        let Some(anchor) = looked.anchor else { return Ok(()) };
        let cohort = cohort_in(row)?;
        if !row.delivery.is_shown() {
            // Durable before anybody is shown it: from here on the buyer may have it. A no that was
            // taken since this was looked at counts, and the next tick says so.
            let shown = CallDelivery::Shown { key, file, sellers: sellers.to_vec() };
            let is_shown = self.to_if(row, |acceptances| {
                let of = |id: &B256| acceptances.iter().find(|one| one.id == *id);
                let inside: Option<Vec<&AcceptanceRow>> = sellers.iter().map(of).collect();
                let all_stand = inside.is_some_and(|inside| {
                    !inside.iter().any(|one| self.says_no(one))
                        && self.twice(&cohort, inside.iter().copied()).is_empty()
                });
                Ok(all_stand.then_some(shown))
            })?;
            if !is_shown {
                return Ok(());
            }
        }
        let mut proved = Vec::with_capacity(claims.len());
        for id in claims {
            let moved = looked.moved.contains(&id);
            proved.extend(self.proved(id, &anchor, &cohort, moved)?);
        }
        let Some(actor) = proved.first().map(|one| one.claim.report.actor) else { return Ok(()) };
        // One actor a batch: the operator's key may have changed while they were entered.
        proved.retain(|one| one.claim.report.actor == actor);
        let k = self.lock_key(row.id, &key)?;
        let made = |proved: &[Proved]| self.call_of(&cohort, k, file.hash, actor, anchor, proved);
        let gas_max = self.0.trade.gas_max()?;
        loop {
            let gas = proved.iter().fold(BATCH_GAS, |gas, one| gas + one.gas);
            let data = made(&proved)?;
            let whole = gas_limit(&data, gas);
            if whole <= gas_max {
                let (market, call) = (self.market().cohort_market, row.id);
                let claims = proved.iter().map(|one| one.claim.acceptance).collect();
                let due = Call::SettleMany { market, call, claims, gas, data };
                locked(&self.0.settling).insert(row.id, due);
                return Ok(());
            }
            // Fewer at once, rather than with too little gas.
            proved.pop();
            if proved.is_empty() {
                let told = format!("no transaction takes the {whole} gas of one claim");
                return Err(JournalError::Storage(told).into());
            }
        }
    }

    /// None: its seller or entry was erased, and nobody can prove it any more.
    fn proved(
        &self,
        id: B256,
        anchor: &Anchor,
        cohort: &Cohort,
        has_moved: bool,
    ) -> Result<Option<Proved>, CallsError> {
        let service = self.service();
        let row = service.0.live.rows().board.acceptance(id).cloned();
        let Some(row) = row else { return Ok(None) };
        let Some(delivered) = row.delivered else { return Ok(None) };
        let index = delivered.index;
        let entry = match service.entry(index) {
            Ok(entry) => entry,
            Err(EntryError::Erased(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let leaf = leaf_hash(&commitment(&entry.report, &entry.place).0);
        let path = service.path(index, anchor.size)?;
        let pay = if cohort.token.is_zero() { PUSH_GAS } else { TOKEN_GAS };
        let wallets = if has_moved { 2 } else { 1 };
        Ok(Some(Proved {
            claim: Claim {
                acceptance: id,
                place: row.place,
                seller: row.seller,
                epoch: row.epoch,
                expires_at_s: row.expires_at_s,
                signature: row.signature,
                entry_place: entry.place.hash(),
                report: entry.report,
                index,
            },
            included: Included { index, leaf, path },
            gas: CLAIM_GAS + wallets * WALLET_GAS + pay,
        }))
    }

    fn call_of(
        &self,
        cohort: &Cohort,
        key: B256,
        file: B256,
        actor: Address,
        anchor: Anchor,
        proved: &[Proved],
    ) -> Result<Bytes, CallsError> {
        let included: Vec<Included> = proved.iter().map(|one| one.included.clone()).collect();
        let apart = || JournalError::Damaged("entries of one log share no node".to_owned());
        let group: Group = group(anchor.size, &included).ok_or_else(apart)?;
        let claims: Vec<Claim> = proved.iter().map(|one| one.claim.clone()).collect();
        let (group, claims) = (&group, claims.as_slice());
        Ok(self.0.trade.settle(&Batch { cohort, key, file, actor, anchor, group, claims }))
    }
}
