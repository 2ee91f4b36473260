//! Where a page of offers or sales ends, as its `next` tells and its `before` takes it.

use crate::problem::{self, Problem};
use medtrail_oracle::sales::Ended;

/// Reads what a page before told.
pub(super) fn read(before: Option<String>) -> Result<Option<Ended>, Problem> {
    let Some(text) = before else { return Ok(None) };
    let parsed =
        text.split_once('-').and_then(|(at_ms, id)| Some((at_ms.parse().ok()?, id.parse().ok()?)));
    let fault = || Problem::new(&problem::INVALID_QUERY, "before is the `next` of a page");
    parsed.map(Some).ok_or_else(|| fault().at("before"))
}

/// The same, told.
pub(super) fn write((at_ms, id): Ended) -> String {
    format!("{at_ms}-{id}")
}
