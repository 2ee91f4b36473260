//! How a buyer waits: look after look, each of which may fail.

use crate::exit::Failure;
use std::time::{Duration, Instant};

/// From one look to the next while it waits: short at first, a quarter of a minute later.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(15);
/// Looks that may fail one after the other: the service or the endpoint is started anew, say.
pub(in crate::commands) const FAILURES_MAX: u32 = 40;

/// Until the next look of somebody who waits since `start`.
pub(in crate::commands) async fn pause(start: Instant) {
    let pause = LOOK + start.elapsed() / 40;
    tokio::time::sleep(pause.min(LOOK_MAX)).await;
}

/// Why a step was not taken.
pub(in crate::commands) struct Stuck {
    pub(in crate::commands) why: Failure,
    /// Trying again would change nothing, or might cost something.
    pub(in crate::commands) is_final: bool,
}

impl Stuck {
    pub(in crate::commands) fn for_good(why: Failure) -> Self {
        Self { why, is_final: true }
    }
}

impl From<Failure> for Stuck {
    fn from(why: Failure) -> Self {
        Self { why, is_final: false }
    }
}
