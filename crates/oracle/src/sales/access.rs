//! Looks of a buyer where the data are kept: a settled order that gives time for it is the
//! permission, and every look under it is an entry like any other.

use super::offers::dataset_in;
use super::orders::order_in;
use super::{Sales, SalesError};
use crate::vault::bought::{Bought, Ends};
use crate::vault::{Seen, Shown, VaultError, Why};
use alloy_primitives::{Address, B256};
use medtrail_market::delivery::OnChain;
use medtrail_permit::permits::{Granted, Refusal};

impl Sales {
    /// What the buyer of a sale may look at: of each record what the manifest of a delivery would say
    /// now. By when this returns the seller's trail has the entry that says so.
    ///
    /// # Errors
    /// [`SalesError::NoSuchSale`] for everybody but the buyer; [`SalesError::NoLook`] for a buyer
    /// whose order permits no look now.
    pub async fn records(&self, who: Address, id: B256) -> Result<Vec<Shown>, SalesError> {
        self.blocking(move |sales| sales.looking(who, id, |look| sales.0.vault.list_bought(look)))
            .await
    }

    /// The bytes of one of those, in the version that counts now.
    ///
    /// # Errors
    /// As for [`Self::records`]; [`VaultError::NotFound`] for a record that was not sold, whether or
    /// not it is there.
    pub async fn record(&self, who: Address, id: B256, record: B256) -> Result<Seen, SalesError> {
        self.blocking(move |sales| {
            sales.looking(who, id, |look| sales.0.vault.read_bought(look, record))
        })
        .await
    }

    fn looking<T>(
        &self,
        who: Address,
        id: B256,
        look: impl FnOnce(&Bought<'_>) -> Result<T, VaultError>,
    ) -> Result<T, SalesError> {
        let (row, offer) = self.rows_for(who, id)?;
        if row.buyer != who {
            return Err(SalesError::NoSuchSale);
        }
        let (order, dataset) = (order_in(&row)?, dataset_in(&offer)?);
        let person = self.person_of(row.seller);
        if self.is_guarded(person)? {
            // Why it ended is nobody's business.
            let why = Why::Refused(Refusal::Revoked);
            return Err(SalesError::NoLook { why });
        }
        let ends = || self.access_ends(id);
        let market = self.market();
        let (order, dataset) = (&order, &dataset);
        let bought = Bought { id, order, dataset, market, person, ends: &ends };
        look(&bought).map_err(|error| match error {
            VaultError::Refused { why, .. } => SalesError::NoLook { why },
            other => other.into(),
        })
    }

    /// Settled as a final block shows it, ended as the newest does.
    fn access_ends(&self, id: B256) -> Result<Ends, VaultError> {
        let read = || {
            let tips = self.0.trade.tips()?;
            self.ends(id, &tips)
        };
        let ends = read().map_err(|error| match error {
            SalesError::ChainUnreadable(error) => VaultError::ChainUnreadable(error),
            SalesError::Vault(error) => error,
            other => medtrail_ledger::ports::JournalError::Storage(other.to_string()).into(),
        })?;
        let settled = |standing: &super::trade::Standing| match standing.on_chain {
            OnChain::Settled => standing.ended_at_s,
            _ => None,
        };
        let (at_final, at_head) = (settled(&ends.at_final), settled(&ends.at_head));
        let granted = |at_s, is_final| Granted { at_s, is_final };
        let settled = at_final.map(|at_s| granted(at_s, true));
        let settled = settled.or(at_head.map(|at_s| granted(at_s, false)));
        // A block's clock may be ahead: what took it away was seen now.
        let now_s = self.now_ms() / 1000;
        let revoked_s = ends.at_head.revoked_at_s.or(ends.at_final.revoked_at_s);
        Ok(Ends { settled, revoked_s: revoked_s.map(|at_s| at_s.min(now_s)) })
    }
}
