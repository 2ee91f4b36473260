//! Who sells: whose signature counts for them now, whether they may, and whether they want to.

use super::{Sales, SalesError};
use crate::opener::EntryError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{DirectoryChange, OptOutRow};
use medtrail_ledger::signature;
use medtrail_permit::consents;
use medtrail_permit::documents::Document;
use medtrail_permit::permits::ChainState;

impl Sales {
    /// Whether a signature is of who acts for the seller now, and the seller is not frozen.
    pub(crate) fn is_by_seller(
        &self,
        seller: Address,
        digest: B256,
        bytes: &Bytes,
        block: B256,
    ) -> Result<bool, SalesError> {
        let chain = self.chain_of(seller)?;
        let controller = chain.controller_of(seller);
        if self.is_frozen(seller, &chain) {
            return Ok(false);
        }
        let by = signature::parse(bytes).and_then(|signature| signature.recover(digest));
        if by == Ok(controller) {
            return Ok(true);
        }
        Ok(self.0.trade.accepts(controller, digest, bytes, block)?)
    }

    pub(crate) fn chain_of(&self, seller: Address) -> Result<ChainState, SalesError> {
        let records = self.0.service.0.permissions.consents.about(seller)?;
        Ok(consents::fold(seller, &records))
    }

    pub(crate) fn is_frozen(&self, seller: Address, chain: &ChainState) -> bool {
        let now_s = self.now_ms() / 1000;
        let mut freezes = chain.freezes.iter().filter(|freeze| freeze.subject == seller);
        freezes.any(|freeze| freeze.until_s.is_none_or(|until_s| now_s < until_s))
    }

    /// Whether the person behind an address may sell at all.
    pub(crate) fn may_sell(&self, seller: Address) -> Result<(), SalesError> {
        let person = self.person_of(seller);
        if self.is_guarded(person)? {
            return Err(SalesError::Child);
        }
        match self.has_opted_out(person) {
            true => Err(SalesError::OptedOut),
            false => Ok(()),
        }
    }

    /// Whether somebody else acts for the person by a guardianship: a child, or somebody under
    /// guardianship. By any of the names that organisations knew them by, and until it ends by its
    /// own time or by an organisation's word.
    pub(crate) fn is_guarded(&self, person: Address) -> Result<bool, EntryError> {
        let service = &self.0.service;
        let now_s = self.now_ms() / 1000;
        for part in service.parts(person) {
            let papers = service.papers(part)?;
            let world = papers.world(service.registries(), ChainState::default());
            let is_ended = |id: B256| world.ends.iter().any(|end| end.guardianship == id);
            let stands = papers.documents().iter().any(|recorded| {
                matches!(&recorded.signed.document, Document::Guardianship(guardianship)
                    if guardianship.expiresAt > now_s && !is_ended(recorded.id))
            });
            if stands {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn has_opted_out(&self, person: Address) -> bool {
        self.0.service.0.live.rows().stall.opt_out(person).is_some_and(|row| row.is_out)
    }

    /// What a person wants of sales in general, and since when; none: nothing was ever said.
    pub fn opt_out(&self, person: Address) -> Option<(bool, u64)> {
        let row = self.0.service.0.live.rows().stall.opt_out(self.person_of(person));
        row.map(|row| (row.is_out, row.since_ms))
    }

    /// Says no to all sales, or takes that back. Their trail says so; durable when this returns.
    ///
    /// # Errors
    /// [`SalesError`].
    pub async fn set_opt_out(&self, who: Address, is_out: bool) -> Result<u64, SalesError> {
        self.blocking(move |sales| {
            let subject = sales.person_of(who);
            let live = &sales.0.service.0.live;
            let since_ms = {
                let _act = live.begin()?;
                let known = live.rows().stall.opt_out(subject);
                if let Some(row) = known.filter(|row| row.is_out == is_out) {
                    return Ok(row.since_ms);
                }
                let since_ms = sales.now_ms();
                let row = OptOutRow { subject, is_out, since_ms };
                let owed = sales.owe_opt_out(&row)?;
                live.apply(vec![DirectoryChange::PutOptOut(row), owed])?;
                since_ms
            };
            sales.0.service.pay();
            Ok(since_ms)
        })
        .await
    }
}
