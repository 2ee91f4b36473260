//! A market contract in memory for a log behind a server: it holds money and shows orders.

use crate::support::{CHAIN, now_ms};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::{Anchor, BlockRef, Header};
use medtrail_ledger::ports::{RegistryError, Tips};
use medtrail_oracle::calls::trade::{Batch, Calling, OnChain as Called, Standing as CallStanding};
use medtrail_oracle::sales::trade::{Bought, OnChain, Shown, Standing, Trade};
use medtrail_oracle::sales::{Rule, Rules};
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::cohort::CohortMarket;
use medtrail_permit::sale::{Market, Offer};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;

pub(crate) const MARKET: Market =
    Market { chain_id: CHAIN, data_market: Address::repeat_byte(0x44) };

pub(crate) const FAIR: CohortMarket =
    CohortMarket { chain_id: CHAIN, cohort_market: Address::repeat_byte(0x45) };

/// The contracts.
#[derive(Default)]
pub(crate) struct Stall(Mutex<HashMap<B256, Standing>>, Mutex<HashMap<B256, CallStanding>>);

impl Stall {
    /// A call that was opened, in a final block.
    pub(crate) fn open(&self, call: B256) {
        let on_chain = Called::Open { is_bound: false };
        let opened_at_s = now_ms() / 1000;
        let standing = CallStanding { on_chain, opened_at_s, settled_at_s: None, paid: 0 };
        self.1.lock().unwrap().insert(call, standing);
    }

    /// Paid, in a final block.
    pub(crate) fn pay(&self, order: B256) {
        self.put(order, OnChain::Paid);
    }

    pub(crate) fn settle(&self, order: B256) {
        self.put(order, OnChain::Settled);
    }

    fn put(&self, order: B256, on_chain: OnChain) {
        let now_s = now_ms() / 1000;
        let ended_at_s = (on_chain != OnChain::Paid).then_some(now_s);
        let (approved_at_s, revoked_at_s) = (None, None);
        let standing =
            Standing { on_chain, paid_at_s: now_s, approved_at_s, ended_at_s, revoked_at_s };
        self.0.lock().unwrap().insert(order, standing);
    }
}

impl Calling for Stall {
    fn market(&self) -> CohortMarket {
        FAIR
    }

    fn standing(&self, call: B256, _: B256) -> Result<CallStanding, RegistryError> {
        let on_chain = Called::None;
        let none = CallStanding { on_chain, opened_at_s: 0, settled_at_s: None, paid: 0 };
        Ok(self.1.lock().unwrap().get(&call).copied().unwrap_or(none))
    }

    fn paid_place(&self, _: B256, _: Address, _: B256) -> Result<Option<u32>, RegistryError> {
        Ok(None)
    }

    fn gas_max(&self) -> Result<u64, RegistryError> {
        Ok(1 << 24)
    }

    fn settle(&self, _: &Batch<'_>) -> Bytes {
        Bytes::from_static(b"settle many")
    }
}

pub(crate) fn rules() -> Rules {
    Rules {
        default: Rule::Off,
        countries: [("EE".to_owned(), Rule::On)].into(),
        windows: Windows { delivery_s_min: 600, grace_s_min: 600 },
        withdrawal_ms: 3_600_000,
    }
}

impl Trade for Stall {
    fn market(&self) -> Market {
        MARKET
    }

    fn tips(&self) -> Result<Tips, RegistryError> {
        let block = BlockRef { number: 9, hash: B256::repeat_byte(9) };
        let header = Header { block, parent: B256::ZERO, time_s: now_ms() / 1000 };
        Ok(Tips { head: header, finalized: header })
    }

    fn bought(&self, _: &[Address], _: RangeInclusive<u64>) -> Result<Vec<Bought>, RegistryError> {
        Ok(Vec::new())
    }

    fn standing(&self, order: B256, _: B256) -> Result<Standing, RegistryError> {
        let none = Standing {
            on_chain: OnChain::None,
            paid_at_s: 0,
            approved_at_s: None,
            ended_at_s: None,
            revoked_at_s: None,
        };
        Ok(self.0.lock().unwrap().get(&order).copied().unwrap_or(none))
    }

    fn is_open(&self, _: &Offer, _: B256) -> Result<bool, RegistryError> {
        Ok(true)
    }

    fn accepts(&self, _: Address, _: B256, _: &[u8], _: B256) -> Result<bool, RegistryError> {
        Ok(false)
    }

    fn is_living(&self, _: B256, _: &Anchor, _: B256) -> Result<bool, RegistryError> {
        Ok(true)
    }

    fn settle(&self, _: &Shown<'_>) -> Bytes {
        Bytes::from_static(b"settle")
    }
}
