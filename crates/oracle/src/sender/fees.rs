//! What a transaction may cost. Wei per gas throughout (EIP-1559).

use medtrail_ledger::plan::{Attempt, ChainView};

/// The two prices of an EIP-1559 transaction, wei per gas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fees {
    /// Priority fee; never above `max_fee`.
    pub tip: u128,
    /// Fee cap.
    pub max_fee: u128,
}

/// Never pay more than this many times what the market asks: if a transaction is stuck for
/// another reason than its price, raising the price for ever is the wrong answer.
pub const MARKET_MULTIPLE_MAX: u128 = 5;

impl Fees {
    /// What the market asks: twice the base fee leaves room for six full blocks in a row.
    pub fn market(view: &ChainView) -> Self {
        let tip = view.market_tip;
        Self { tip, max_fee: view.base_fee.saturating_mul(2).saturating_add(tip) }
    }

    /// The highest fee cap allowed now: `min(hard cap, 5 × market)`.
    pub fn cap(view: &ChainView, hard_cap: u128) -> u128 {
        hard_cap.min(Self::market(view).max_fee.saturating_mul(MARKET_MULTIPLE_MAX))
    }

    /// The fees of a first attempt, or `None` if the base fee is above the cap.
    pub fn fresh(view: &ChainView, hard_cap: u128) -> Option<Self> {
        Self { tip: 0, max_fee: 0 }.raised_to_market(view, hard_cap)
    }

    /// The fees of an attempt that replaces `old`, or `None` if no replacement is both allowed by
    /// the cap and of any use.
    ///
    /// Nodes take a replacement only if **both** fees grew by a tenth (geth, reth, Nethermind) or
    /// by an eighth (old Parity); one wei more settles every way of rounding.
    pub fn bumped(old: &Attempt, view: &ChainView, hard_cap: u128) -> Option<Self> {
        Self { tip: raised(old.tip), max_fee: raised(old.max_fee) }.raised_to_market(view, hard_cap)
    }

    /// At least `self`, the market's fees where those are higher, and below the cap.
    fn raised_to_market(self, view: &ChainView, hard_cap: u128) -> Option<Self> {
        let market = Self::market(view);
        let max_fee = self.max_fee.max(market.max_fee).min(Self::cap(view, hard_cap));
        let tip = self.tip.max(market.tip).min(max_fee);
        let allowed = max_fee >= self.max_fee && tip >= self.tip;
        (allowed && max_fee >= view.base_fee).then_some(Self { tip, max_fee })
    }
}

/// `⌈fee × 1.125⌉ + 1`.
fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::tests::{GWEI, attempt, view};

    #[test]
    fn both_fees_of_a_replacement_grow_by_more_than_an_eighth() {
        for old in [0, 1, 7, 8, 9, 1_000_000_007, 33 * GWEI] {
            let bump = raised(old);
            assert!(bump * 1000 >= old * 1125 + 1000, "{old} -> {bump}");
            assert!(bump <= old + old / 8 + 2, "{old} -> {bump}");
        }
    }

    #[test]
    fn a_replacement_pays_the_market_where_that_is_more() {
        let mut view = view();
        view.base_fee = 40 * GWEI;
        view.market_tip = 3 * GWEI;
        let fees = Fees::bumped(&attempt(1, GWEI, 10 * GWEI), &view, 1000 * GWEI).unwrap();
        assert_eq!(fees, Fees { tip: 3 * GWEI, max_fee: 83 * GWEI });
    }

    #[test]
    fn no_fee_is_ever_above_the_hard_cap_or_five_times_the_market() {
        let view = view();
        let market = Fees::market(&view).max_fee;
        let mut old = attempt(1, 1, 1);
        let mut bumps = 0;
        while let Some(fees) = Fees::bumped(&old, &view, 1000 * GWEI) {
            assert!(fees.max_fee <= 5 * market && fees.tip <= fees.max_fee);
            old = attempt(1, fees.tip, fees.max_fee);
            bumps += 1;
        }
        assert!((10..20).contains(&bumps), "a factor of five is about fourteen steps, not {bumps}");
        assert_eq!(Fees::bumped(&attempt(1, GWEI, 10 * GWEI), &view, 11 * GWEI), None);
    }

    #[test]
    fn a_hard_cap_below_twice_the_base_fee_is_still_used_while_it_covers_the_base_fee() {
        let mut view = view();
        view.base_fee = 10 * GWEI;
        assert_eq!(Fees::fresh(&view, 12 * GWEI).map(|fees| fees.max_fee), Some(12 * GWEI));
        assert_eq!(Fees::fresh(&view, 9 * GWEI), None, "it could not be mined");
    }

    #[test]
    fn a_market_without_tips_does_not_stop_replacements() {
        let mut view = view();
        view.market_tip = 0;
        let fees = Fees::bumped(&attempt(1, 0, 2 * view.base_fee), &view, 1000 * GWEI).unwrap();
        assert_eq!(fees.tip, 1);
    }
}
