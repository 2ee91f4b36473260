//! Exit codes, and how a command fails.

use medtrail_ledger::verify::Verdict;
use std::process::ExitCode;

/// Everything was done, or everything checked is green.
pub(crate) const OK: u8 = 0;
/// It failed, or something checked is red.
pub(crate) const FAILED: u8 = 1;
// 2 is clap's: the command line cannot be read.
/// Nothing checked is red, but something is amber.
pub(crate) const AMBER: u8 = 3;

/// As which a command ends that checked something.
pub(crate) fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Green => OK,
        Verdict::Amber => AMBER,
        Verdict::Red => FAILED,
    })
}

/// What a command prints before it ends with [`FAILED`]: what went wrong, and what to do.
pub(crate) struct Failure(String);

pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let below = error.to_string();
            // Many errors repeat their cause in their own text.
            if !text.contains(&below) {
                text.push_str(&format!(": {below}"));
            }
            cause = error.source();
        }
        Self(text)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
