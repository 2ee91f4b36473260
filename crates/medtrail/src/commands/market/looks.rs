//! How a buyer waits: look after look, each of which may fail.

use crate::commands::signing::Signed;
use crate::exit::{Failure, Outcome};
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// From one look to the next while it waits: short at first, a quarter of a minute later.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(15);
/// Looks that may fail one after the other: the service or the endpoint is started anew, say.
const FAILURES_MAX: u32 = 40;

/// Until the next look of somebody who waits since `start`.
async fn pause(start: Instant) {
    let pause = LOOK + start.elapsed() / 40;
    tokio::time::sleep(pause.min(LOOK_MAX)).await;
}

/// Somebody who buys, and waits for what they bought.
pub(in crate::commands) trait Waits {
    /// What was said last of what is waited for.
    type Waiting;

    fn signed(&mut self) -> &mut Signed;

    /// One look, and what it asks for; a code: it has ended.
    async fn step(
        &self,
        said: &mut Option<Self::Waiting>,
        stays: bool,
    ) -> Result<Option<ExitCode>, Stuck>;
}

/// Takes every step that can be taken; who `stays` waits for those that cannot yet.
pub(in crate::commands) async fn follow<W: Waits>(mut who: W, stays: bool) -> Outcome {
    let (start, mut failures, mut said) = (Instant::now(), 0, None);
    loop {
        match who.step(&mut said, stays).await {
            Ok(Some(code)) => return Ok(code),
            Ok(None) => failures = 0,
            Err(failure) if !stays || failures >= FAILURES_MAX || failure.is_final => {
                return Err(failure.why);
            }
            Err(failure) => {
                failures += 1;
                eprintln!("medtrail: {} – trying again", failure.why);
                // A session may have ended while it waited.
                let _ = who.signed().session.renew().await;
            }
        }
        pause(start).await;
    }
}

/// The last that is said of a run: one document, or words.
pub(in crate::commands) fn end(signed: &Signed, mut told: Value, more: Value, words: &str) {
    if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
        told.extend(more);
    }
    match signed.json {
        true => println!("{told:#}"),
        false => println!("{words}"),
    }
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
