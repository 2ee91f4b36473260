//! A call to many as its next step is asked for, with nothing done yet.

#![allow(dead_code, reason = "each test binary uses its own part")]

use alloy_primitives::{Address, B256, U256};
use medtrail_market::cohort::delivery::{OnChain, Seen, Seller, Standing};

pub(crate) const DELIVER_BY_S: u64 = 1000;
pub(crate) const GRACE_S: u64 = 1000;
pub(crate) const SETTLED_BY_S: u64 = DELIVER_BY_S + GRACE_S;
pub(crate) const MARGIN_S: u64 = 400;
pub(crate) const OPEN: OnChain = OnChain::Open { is_bound: false };
pub(crate) const BOUND: OnChain = OnChain::Open { is_bound: true };

pub(crate) fn id(number: u32) -> B256 {
    B256::from(U256::from(1000 + number))
}

pub(crate) fn seller(number: u32) -> Seller {
    Seller {
        acceptance: id(number),
        place: number,
        seller: Address::left_padding_from(&(number + 1).to_be_bytes()),
        standing: Standing::Sure,
        is_barred: false,
        entered: None,
        is_anchored: false,
        is_sent: false,
        is_paid_at_head: false,
        is_paid_at_final: false,
    }
}

pub(crate) fn seen(count: u32) -> Seen {
    Seen {
        now_s: 0,
        final_s: Some(0),
        deliver_by_s: DELIVER_BY_S,
        grace_s: GRACE_S,
        margin_s: MARGIN_S,
        places: 50,
        at_final: Some(OPEN),
        at_head: Some(OPEN),
        fault: None,
        is_kept: true,
        sellers: (0..count).map(seller).collect(),
    }
}

pub(crate) fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<B256> {
    numbers.into_iter().map(id).collect()
}
