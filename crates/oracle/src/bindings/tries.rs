//! Wrong codes of late.

use super::{TRIERS_MAX, TRIES_MAX, TRIES_MS};
use alloy_primitives::Address;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Wrong codes of late. That guessing is hopeless does not rest on this but on the 60 random bits
/// of a code. So nobody is refused for what others tried: addresses cost nothing, and whoever has
/// many could else keep everybody from joining.
#[derive(Default)]
pub(crate) struct Tries(Mutex<TriesOfLate>);

#[derive(Default)]
struct TriesOfLate {
    since_ms: u64,
    of_one: HashMap<Address, u32>,
}

impl Tries {
    pub(super) fn allows(&self, caller: Address, now_ms: u64) -> bool {
        let mut late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms >= late.since_ms + TRIES_MS || late.of_one.len() >= TRIERS_MAX {
            *late = TriesOfLate { since_ms: now_ms, ..TriesOfLate::default() };
        }
        late.of_one.get(&caller).copied().unwrap_or_default() < TRIES_MAX
    }

    pub(super) fn was_wrong(&self, caller: Address) {
        let mut late = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *late.of_one.entry(caller).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_count_for_whoever_tried_them_and_are_forgotten_after_an_hour() {
        let tries = Tries::default();
        let one = Address::repeat_byte(1);
        for _ in 0..TRIES_MAX {
            assert!(tries.allows(one, TRIES_MS));
            tries.was_wrong(one);
        }
        assert!(!tries.allows(one, 2 * TRIES_MS - 1));
        assert!(tries.allows(Address::repeat_byte(2), 2 * TRIES_MS - 1));
        assert!(tries.allows(one, 2 * TRIES_MS));
    }

    #[test]
    fn many_addresses_lock_nobody_out_and_take_no_more_memory_than_so_much() {
        let tries = Tries::default();
        for number in 0..3 * TRIERS_MAX as u64 {
            let trier = Address::left_padding_from(&number.to_be_bytes());
            assert!(tries.allows(trier, TRIES_MS));
            tries.was_wrong(trier);
        }
        assert!(tries.allows(Address::repeat_byte(2), TRIES_MS));
        assert!(tries.0.lock().unwrap().of_one.len() <= TRIERS_MAX);
    }
}
