//! The secret of one sale: 32 random bytes from which everything follows that must be fresh in that
//! sale and the same after a crash.

use alloy_primitives::{B256, FixedBytes};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Days by which dates are moved back at most: five years.
const DAYS_MAX: u64 = 5 * 365;

/// The secret of one sale. It is kept with the delivery, sealed, and never given away: it would
/// move the dates back.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SaleSecret([u8; 32]);

impl std::fmt::Debug for SaleSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaleSecret(…)")
    }
}

impl SaleSecret {
    /// These random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    fn derived(&self, purpose: &str, of: B256) -> B256 {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(of.as_slice());
        B256::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
    }

    /// The secret of one seller of a call to many: dates, order and blinds of one tell nothing of
    /// another's, even to whom one is opened.
    pub(crate) fn of_seller(&self, acceptance: B256) -> Self {
        Self(self.derived("seller", acceptance).0)
    }

    /// What a seller is called in the file of a call to many: nobody else knows it, and the next
    /// file has another.
    pub(crate) fn label(&self, acceptance: B256) -> FixedBytes<8> {
        FixedBytes::from_slice(&self.derived("label", acceptance)[..8])
    }

    /// What hides in the manifest whose consent it is.
    pub(crate) fn consent_blind(&self, acceptance: B256) -> B256 {
        self.derived("consent", acceptance)
    }

    /// Where a record stands in the delivery: an order that tells nothing.
    pub(crate) fn rank(&self, record: B256) -> B256 {
        self.derived("rank", record)
    }

    /// What hides a record's origin in the manifest. Given away, it opens that record and no other.
    pub(crate) fn blind(&self, record: B256) -> B256 {
        self.derived("origin", record)
    }

    /// By how many days dates are moved back.
    pub(crate) fn days(&self) -> i64 {
        let random = self.derived("days", B256::ZERO);
        let [a, b, c, d, e, f, g, h, ..] = random.0;
        (1 + u64::from_be_bytes([a, b, c, d, e, f, g, h]) % DAYS_MAX) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_have_nothing_in_common() {
        let (one, other) = (SaleSecret::new([1; 32]), SaleSecret::new([2; 32]));
        let record = B256::repeat_byte(7);
        assert_eq!(one.rank(record), SaleSecret::new([1; 32]).rank(record));
        assert_ne!(one.rank(record), other.rank(record));
        assert_ne!(one.rank(record), one.blind(record));
        for seed in 0..=255 {
            assert!((1..=1825).contains(&SaleSecret::new([seed; 32]).days()));
        }
        assert_eq!(format!("{one:?}"), "SaleSecret(…)");
    }
}
