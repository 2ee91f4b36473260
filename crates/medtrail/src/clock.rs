//! What time it is. The machine's clock, which only the demo sets back: it lets a day pass by that
//! was over before it began.

use futures::future::BoxFuture;
use medtrail_gateway::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static BEHIND_MS: AtomicU64 = AtomicU64::new(0);

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    machine_ms().saturating_sub(BEHIND_MS.load(Ordering::Relaxed))
}

/// The machine's own, whatever the demo's clock shows: for those outside who hold it against theirs.
pub(crate) fn machine_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The clock of the demo, for the whole process. It goes on from wherever it is put, and is put
/// forward only: a log's own time never decreases.
pub(crate) struct DemoClock(());

impl DemoClock {
    /// Puts it back to `now_ms`, before anything has asked what time it is.
    pub(crate) fn start_at(now_ms: u64) -> Self {
        BEHIND_MS.store(machine_ms().saturating_sub(now_ms), Ordering::Relaxed);
        Self(())
    }

    /// Puts it forward to `now_ms`, if it does not show as much already.
    pub(crate) fn forward_to(&self, now_ms: u64) {
        let behind = machine_ms().saturating_sub(now_ms);
        BEHIND_MS.fetch_min(behind, Ordering::Relaxed);
    }

    /// The present, from now on.
    pub(crate) fn present(self) {
        BEHIND_MS.store(0, Ordering::Relaxed);
    }
}

/// The same clock, for gateways in this process.
pub(crate) struct Shared;

impl Clock for Shared {
    fn now_ms(&self) -> u64 {
        now_ms()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}
