//! How often somebody may ask: each limit is a bucket that refills evenly (governor's GCRA).
//!
//! Signed reports are not limited here: the queue in front of the writer is, and says 503.

use crate::client::{Client, Site};
use crate::limits::{
    ASKS_BURST, ASKS_PER_S, DOCUMENTS_BURST, DOCUMENTS_PER_MINUTE, GUESSES_BURST,
    GUESSES_PER_MINUTE, RATE_SWEEP_CHECKS, RELAYED_BURST, RELAYED_PER_S, SIGN_INS_BURST,
    SIGN_INS_PER_MINUTE, SITE_SHARES,
};
use crate::problem::{self, Problem};
use alloy_primitives::Address;
use governor::clock::{Clock, DefaultClock, QuantaInstant};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// The buckets.
pub(crate) struct Rates {
    asks: Buckets,
    sign_ins: Buckets,
    guesses: Buckets,
    documents: Buckets,
    relayed: DefaultKeyedRateLimiter<Address>,
    clock: DefaultClock,
    /// Checks until those with full buckets are forgotten: this bounds the memory.
    checked: AtomicU32,
}

/// A bucket for each client, and one for each site of several.
struct Buckets {
    clients: DefaultKeyedRateLimiter<Client>,
    sites: DefaultKeyedRateLimiter<Site>,
}

impl Buckets {
    fn new(quota: impl Fn(u32, u32) -> Quota, rate: u32, burst: u32) -> Self {
        Self {
            clients: RateLimiter::keyed(quota(rate, burst)),
            sites: RateLimiter::keyed(quota(rate * SITE_SHARES, burst * SITE_SHARES)),
        }
    }

    /// The client's own bucket first: what it refuses must not empty its neighbours'.
    fn check(&self, from: Client) -> Result<(), NotUntil<QuantaInstant>> {
        self.clients.check_key(&from)?;
        from.site().map_or(Ok(()), |site| self.sites.check_key(&site))
    }

    fn sweep(&self) {
        self.clients.retain_recent();
        self.sites.retain_recent();
    }
}

impl Default for Rates {
    fn default() -> Self {
        let a_second = |rate, burst| Quota::per_second(number(rate)).allow_burst(number(burst));
        let a_minute = |rate, burst| Quota::per_minute(number(rate)).allow_burst(number(burst));
        Self {
            asks: Buckets::new(a_second, ASKS_PER_S, ASKS_BURST),
            sign_ins: Buckets::new(a_minute, SIGN_INS_PER_MINUTE, SIGN_INS_BURST),
            guesses: Buckets::new(a_minute, GUESSES_PER_MINUTE, GUESSES_BURST),
            documents: Buckets::new(a_minute, DOCUMENTS_PER_MINUTE, DOCUMENTS_BURST),
            relayed: RateLimiter::keyed(a_second(RELAYED_PER_S, RELAYED_BURST)),
            clock: DefaultClock::default(),
            checked: AtomicU32::new(0),
        }
    }
}

impl Rates {
    /// Any request that is not a report.
    pub(crate) fn ask(&self, from: Client) -> Result<(), Problem> {
        self.check(&self.asks, from)
    }

    /// A step of signing in.
    pub(crate) fn sign_in(&self, from: Client) -> Result<(), Problem> {
        self.check(&self.sign_ins, from)
    }

    /// Something that could be guessed was shown, and was wrong: an invite, a desk's code, an API
    /// key. What is right is not counted: else a neighbour behind the same address could keep
    /// somebody out with junk, and at this rate nobody finds what is random.
    pub(crate) fn guess(&self, from: Client) -> Result<(), Problem> {
        self.check(&self.guesses, from)
    }

    /// A document that somebody signed is carried to the log.
    pub(crate) fn document(&self, from: Client) -> Result<(), Problem> {
        self.check(&self.documents, from)
    }

    /// Reports that an organisation's events become, sent with its API key: one a patient.
    pub(crate) fn relayed(&self, organisation: Address, reports: usize) -> Result<(), Problem> {
        let counted = u32::try_from(reports).unwrap_or(u32::MAX);
        let Some(counted) = NonZeroU32::new(counted) else { return Ok(()) };
        match self.relayed.check_key_n(&organisation, counted) {
            Ok(outcome) => outcome.map_err(|until| self.refusal(&until)),
            // More at once than the bucket holds.
            Err(_) => {
                let rule = format!(
                    "{reports} reports would be made of these events, one a patient; at most \
                     {RELAYED_BURST} are taken at once"
                );
                Err(Problem::new(&problem::TOO_MANY_REPORTS, rule))
            }
        }
    }

    /// Forgets whoever has a full bucket again.
    fn sweep(&self) {
        self.asks.sweep();
        self.sign_ins.sweep();
        self.guesses.sweep();
        self.documents.sweep();
        self.relayed.retain_recent();
    }

    fn check(&self, buckets: &Buckets, from: Client) -> Result<(), Problem> {
        if self.checked.fetch_add(1, Ordering::Relaxed).is_multiple_of(RATE_SWEEP_CHECKS) {
            self.sweep();
        }
        buckets.check(from).map_err(|until| self.refusal(&until))
    }

    fn refusal(&self, until: &NotUntil<QuantaInstant>) -> Problem {
        let wait = until.wait_time_from(self.clock.now());
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let told = format!("too many requests of this sort; wait {seconds} s");
        Problem::new(&problem::TOO_MANY_REQUESTS, told).after(seconds)
    }
}

fn number(limit: u32) -> NonZeroU32 {
    NonZeroU32::new(limit).expect("no limit is zero")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn guess_until_refused(rates: &Rates, from: Client) -> Problem {
        for _ in 0..GUESSES_BURST {
            rates.guess(from).unwrap();
        }
        rates.guess(from).unwrap_err()
    }

    #[test]
    fn whoever_asks_too_often_is_told_when_to_come_back_and_nobody_else() {
        let rates = Rates::default();
        let client = |last| Client::at([192, 0, 2, last].into());
        let refused = guess_until_refused(&rates, client(1));
        assert_eq!(refused.kind.slug, "too-many-requests");
        assert!((1..=60).contains(&refused.retry_after_s().unwrap()));
        rates.guess(client(2)).unwrap();
    }

    #[test]
    fn another_address_of_the_same_ipv6_network_is_no_new_bucket_nor_are_networks_without_end() {
        let rates = Rates::default();
        let at = |site, network, last| {
            Client::at(Ipv6Addr::new(0x2001, 0xdb8, site, network, 0, 0, 0, last).into())
        };
        guess_until_refused(&rates, at(1, 0, 1));
        rates.guess(at(1, 0, 2)).unwrap_err();
        // What was refused to one network is not taken from the others of its site.
        for network in 1..SITE_SHARES as u16 {
            guess_until_refused(&rates, at(1, network, 1));
        }
        rates.guess(at(1, 0xffff, 1)).unwrap_err();
        rates.guess(at(2, 0, 1)).unwrap();
    }
}
