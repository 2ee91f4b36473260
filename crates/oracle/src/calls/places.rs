//! Places of a call: which is free, who accepts it, and who takes that back.

use super::listing::{cohort_in, dataset_in, takes_acceptances};
use super::told::CallAct;
use super::{CallView, Calls, CallsError};
use crate::sales::SalesError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{AcceptanceRow, CallRow, DirectoryChange};
use medtrail_market::cohort::delivery::OnChain;
use medtrail_permit::permits::ChainState;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::{Cohort, CohortAcceptance, cohort};

/// Acceptances of one person in one call, those that were taken back included: each leaves lines.
const TRIES_MAX: usize = 8;

/// A seller's yes to a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The document.
    pub acceptance: CohortAcceptance,
    /// By who acts for the seller.
    pub signature: Bytes,
    /// Where the seller lives.
    pub country: String,
}

impl Calls {
    /// What somebody may sign to have a free place; none: all are taken.
    pub(super) fn propose(
        &self,
        who: Address,
        row: &CallRow,
        cohort: &Cohort,
        seller: Option<Address>,
    ) -> Result<Option<CohortAcceptance>, CallsError> {
        let seller = seller.unwrap_or(who);
        if !self.0.sales.is_party(who, seller) {
            let rule = "your address, or one that you sell under";
            return Err(CallsError::Field { field: "seller", rule });
        }
        let place = self.service().0.live.rows().board.free_place(row.id, cohort.places, seller);
        let Some(place) = place else { return Ok(None) };
        let chain = self.0.sales.chain_of(seller)?;
        let mut own = self.acceptances_of(row.id);
        own.retain(|one| self.0.sales.is_party(who, one.seller));
        let until_s = cohort.acceptance_ends(own.len()).unwrap_or(u64::MAX);
        let epoch = epoch_of(seller, &chain);
        Ok(Some(cohort.acceptance(&self.market(), place, seller, epoch, until_s)))
    }

    /// Keeps a seller's signed yes. Their trail says so when this returns. The same again is answered
    /// alike.
    ///
    /// # Errors
    /// [`CallsError::Taken`] where another was faster: ask for the call again, and sign what it
    /// proposes then.
    pub async fn accept(
        &self,
        who: Address,
        id: B256,
        accepted: Accepted,
    ) -> Result<(CallView, bool), CallsError> {
        self.blocking(move |calls| calls.accept_now(who, id, accepted)).await
    }

    fn accept_now(
        &self,
        who: Address,
        id: B256,
        accepted: Accepted,
    ) -> Result<(CallView, bool), CallsError> {
        let Accepted { acceptance, signature, country } = accepted;
        let sales = &self.0.sales;
        // To who sees no such call.
        let call = self.view_for(who, id)?.row;
        let seller = acceptance.seller;
        let fault = |field, rule| Err(CallsError::Field { field, rule });
        if !sales.is_party(who, seller) {
            return fault("acceptance.seller", "your address, or one that you sell under");
        }
        let digest = acceptance.id(&self.market());
        let known = self.service().0.live.rows().board.acceptance(digest).cloned();
        match known {
            Some(row) if row.withdrawn_ms.is_some() => return spent(),
            Some(_) => return Ok((self.view_for(who, id)?, false)),
            None => {}
        }
        let (cohort, dataset) = (cohort_in(&call)?, dataset_in(&call)?);
        cohort::check_acceptance(&acceptance, &cohort, &self.market(), &dataset)?;
        // By another of their addresses it is still oneself.
        if sales.person_of(seller) == sales.person_of(cohort.buyer) {
            return Err(SaleError::Oneself.into());
        }
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return fault("country", "two capital letters (ISO 3166-1): where the seller lives");
        }
        let tips = sales.trade().tips()?;
        let head = tips.head.block.hash;
        // Of two clocks the later.
        let now_s = (self.now_ms() / 1000).max(tips.head.time_s);
        let on_chain = self.0.trade.standing(id, head)?.on_chain;
        if !takes_acceptances(&call, now_s) || on_chain != (OnChain::Open { is_bound: false }) {
            return Err(CallsError::TooLate);
        }
        // The signature before all that tells something about the seller.
        if !sales.is_by_seller(seller, digest, &signature, head)? {
            return Err(SalesError::Signature.into());
        }
        let chain = sales.chain_of(seller)?;
        if acceptance.epoch != epoch_of(seller, &chain) {
            return fault("acceptance.epoch", "the seller's epoch in the ConsentRegistry");
        }
        if is_revoked(seller, digest, &chain) {
            return spent();
        }
        if !sales.rules().of(&country).allows(dataset.form()) {
            return Err(SalesError::Rule.into());
        }
        sales.may_sell(seller)?;
        let (records, left_out) = sales.count(seller, &dataset)?;
        if records == 0 {
            return Err(SalesError::Nothing { left_out }.into());
        }
        let row = AcceptanceRow {
            id: digest,
            call: id,
            seller,
            place: acceptance.place,
            epoch: acceptance.epoch,
            expires_at_s: acceptance.expiresAt,
            signature,
            country,
            accepted_ms: self.now_ms(),
            accepted_entry: None,
            withdrawn_ms: None,
            ended_entry: None,
            is_paid: false,
            delivered: None,
            withdrawal: None,
        };
        let is_new = self.take(&row)?;
        self.tell_accepted(&call, &row)?;
        Ok((self.view_for(who, id)?, is_new))
    }

    /// Keeps an acceptance, as the call stands by now: one place a person, one person a place.
    fn take(&self, row: &AcceptanceRow) -> Result<bool, CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let (call, others) = {
            let rows = live.rows();
            let others: Vec<AcceptanceRow> = rows.board.acceptances_of(row.call).cloned().collect();
            (rows.board.call(row.call).cloned(), others)
        };
        let call = call.ok_or(CallsError::NoSuchCall)?;
        if !takes_acceptances(&call, self.now_ms() / 1000) {
            return Err(CallsError::TooLate);
        }
        if let Some(known) = others.iter().find(|one| one.id == row.id) {
            return if known.withdrawn_ms.is_some() { spent() } else { Ok(false) };
        }
        // A person has as many addresses as they like, and one set of data.
        let person = self.0.sales.person_of(row.seller);
        let own = |one: &&AcceptanceRow| self.0.sales.person_of(one.seller) == person;
        if others.iter().filter(own).any(|one| one.withdrawn_ms.is_none()) {
            return Err(CallsError::Twice);
        }
        let tries = others.iter().filter(own).count();
        if tries >= TRIES_MAX {
            return Err(CallsError::TooOften(tries));
        }
        if others.iter().any(|one| one.place == row.place && one.withdrawn_ms.is_none()) {
            return Err(CallsError::Taken(row.place));
        }
        live.apply(vec![DirectoryChange::PutAcceptance(row.clone())])?;
        Ok(true)
    }

    /// Takes back whatever acceptance the caller has of a call: their data get into no file that is
    /// made later, and a file whose key nobody was shown is made anew without them. Their trail says so when this returns. On the chain `revoke` ends it too.
    ///
    /// # Errors
    /// [`CallsError::NotAccepted`]; [`CallsError::TooLate`] once the key of a file with their data may have been
    /// seen, or the call was settled or closed.
    pub async fn withdraw(&self, who: Address, id: B256) -> Result<CallView, CallsError> {
        self.blocking(move |calls| {
            let call = calls.view_for(who, id)?;
            let own = call.own.into_iter().map(|own| own.row);
            // The last one: again is answered alike, and finishes what a crash left.
            let row = own.last().ok_or(CallsError::NotAccepted)?;
            if row.withdrawn_ms.is_none() {
                // A final block may be too old to tell: the newest has shown the key to all.
                let head = calls.0.sales.trade().tips()?.head.block.hash;
                let on_chain = calls.0.trade.standing(id, head)?.on_chain;
                let is_early =
                    matches!(on_chain, OnChain::None | OnChain::Open { is_bound: false });
                if !is_early || row.ended_entry.is_some() {
                    return Err(CallsError::TooLate);
                }
            }
            let now_ms = calls.now_ms();
            calls.change(row.id, |row| {
                // As it stands now, in one act: from `Shown` on nobody's no makes another file.
                let is_shown = calls.row(id).is_some_and(|call| call.shown.is_some());
                if row.withdrawn_ms.is_none() && (row.ended_entry.is_some() || is_shown) {
                    return Err(CallsError::TooLate);
                }
                row.withdrawn_ms.get_or_insert(now_ms);
                Ok(())
            })?;
            let kept = calls.service().0.live.rows().board.acceptance(row.id).cloned();
            let kept = kept.ok_or(CallsError::NotAccepted)?;
            if kept.accepted_entry.is_none() {
                calls.tell_accepted(&call.row, &kept)?;
            }
            if kept.ended_entry.is_none() {
                let at_s = kept.withdrawn_ms.unwrap_or(now_ms) / 1000;
                calls.tell_end(&call.row, &kept, CallAct::Withdrawn, at_s)?;
            }
            calls.view_for(who, id)
        })
        .await
    }
}

/// An acceptance that was taken back is not given again: who reads the trail could not tell which of
/// the two lines is the last word.
fn spent<T>() -> Result<T, CallsError> {
    Err(CallsError::Field {
        field: "acceptance",
        rule: "another than the one that was taken back: let it end a second later (expiresAt)",
    })
}

pub(super) fn epoch_of(seller: Address, chain: &ChainState) -> u64 {
    let own = chain.epochs.iter().filter(|epoch| epoch.subject == seller);
    own.map(|epoch| epoch.epoch).max().unwrap_or(0)
}

pub(super) fn is_revoked(seller: Address, id: B256, chain: &ChainState) -> bool {
    let mut own = chain.standings.iter().filter(|one| one.subject == seller && one.id == id);
    own.any(|one| one.revoked_s.is_some())
}
