//! `/v1/subjects/{subject}/trail`: what was reported about whoever is signed in, or about somebody
//! for whom they act.

use crate::answer::{blocking, json};
use crate::caller::{Caller, Seer, View};
use crate::limits::{COUNTED_LINES_MAX, LINES_MAX, LINES_USUAL};
use crate::line::Line;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, routes};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_oracle::service::Service;
use medtrail_oracle::trail::{TrailPage, TrailPart, TrailQuery};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// The version this code writes.
const VERSION: &str = "medtrail/trail-page-v1";
/// Minutes that a clock may be off UTC.
const OFFSET_MINUTES_MAX: i64 = 14 * 60;

#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Asked {
    /// Only lines with a smaller index: the `next` of the page before.
    before: Option<u64>,
    /// Lines at most, to 1000; 100 if left out.
    limit: Option<usize>,
    /// Only these kinds: words or numbers, with commas between them.
    kind: Option<String>,
    /// Only what this key signed.
    #[param(value_type = Option<String>)]
    actor: Option<Address>,
    /// Only what concerns this record.
    #[param(value_type = Option<String>)]
    record: Option<B256>,
    /// Only what happened then or later, milliseconds since 1970.
    from: Option<u64>,
    /// Only what happened before, milliseconds since 1970.
    until: Option<u64>,
    /// `day`: only how many lines each day has.
    counts: Option<String>,
    /// How far the clock that cuts the days is ahead of UTC.
    #[serde(default)]
    offset_minutes: i64,
}

/// A page of a trail, newest line first.
#[derive(Serialize, ToSchema)]
pub(super) struct Page {
    /// `medtrail/trail-page-v1`.
    version: &'static str,
    /// Whose trail it is.
    #[schema(value_type = String)]
    subject: B256,
    /// All parts of the trail, whatever was asked for: by them a reader sees that nothing lacks.
    parts: Vec<Part>,
    lines: Vec<Line>,
    /// The `before` of the next page. A page may be short, or empty, and still have a next one.
    next: Option<u64>,
}

/// One subject id of a person: their address, a pseudonym that was bound to it, or another address
/// of theirs that joined it.
#[derive(Serialize, ToSchema)]
pub(super) struct Part {
    #[schema(value_type = String)]
    subject: B256,
    /// Whose pseudonym it was; none of an address.
    #[schema(value_type = Option<String>)]
    organisation: Option<Address>,
    /// Lines in it; their ordinals are 1 to this.
    lines: u64,
    /// The last one's commitment.
    #[schema(value_type = Option<String>)]
    last: Option<B256>,
}

/// Lines by day.
#[derive(Serialize, ToSchema)]
pub(super) struct Days {
    /// Days that have any, oldest first.
    days: Vec<Day>,
    /// Where older lines begin that were not counted.
    next: Option<u64>,
}

/// Lines of one day.
#[derive(Serialize, ToSchema)]
pub(super) struct Day {
    /// `2026-11-22`.
    day: String,
    lines: u64,
}

/// A page of one's own trail, or of one that one may see, over all its parts; or its lines counted by day.
#[utoipa::path(get, path = "/v1/subjects/{subject}/trail", operation_id = "trail", tag = "trail",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes; or who the caller acts for"),
        Asked),
    responses((status = 200, body = Page, description = "With `counts=day`: `Days` instead")))]
#[routes]
#[get("/v1/subjects/{subject}/trail")]
#[head("/v1/subjects/{subject}/trail")]
pub(super) async fn get(
    subject: Path<String>,
    asked: Result<Query<Asked>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Seer { subject, is_whole, .. } = caller.sees(&state, &subject).await?;
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let query = asked.query()?;
    let service = state.service.clone();
    match asked.counts.as_deref() {
        None => Ok(json(&blocking(move || page(&service, subject, is_whole, &query)).await?)),
        Some("day") => {
            let offset_s = 60 * asked.offset_minutes;
            let counted = move || days(&service, subject, is_whole, query, offset_s);
            Ok(json(&blocking(counted).await?))
        }
        Some(_) => Err(invalid("counts", "only by day")),
    }
}

impl Asked {
    fn query(&self) -> Result<TrailQuery, Problem> {
        let limit = self.limit.unwrap_or(LINES_USUAL);
        if !(1..=LINES_MAX).contains(&limit) {
            return Err(invalid("limit", &format!("{limit}; it must be from 1 to {LINES_MAX}")));
        }
        if self.offset_minutes.abs() > OFFSET_MINUTES_MAX {
            let most = format!("at most {OFFSET_MINUTES_MAX} either way");
            return Err(invalid("offsetMinutes", &most));
        }
        let words = self.kind.as_deref().unwrap_or_default().split(',');
        let kinds = words.filter(|word| !word.is_empty()).map(|word| {
            let known = (1..=u8::MAX).map(Kind::from_number).find(|kind| kind.word() == word);
            let known = known.or_else(|| word.parse().ok().map(Kind::from_number));
            known.ok_or_else(|| invalid("kind", &format!("{word} is no kind")))
        });
        Ok(TrailQuery {
            before: self.before,
            from_ms: self.from,
            until_ms: self.until,
            kinds: kinds.collect::<Result<_, _>>()?,
            actor: self.actor,
            record: self.record,
            limit,
        })
    }
}

fn invalid(parameter: &str, rule: &str) -> Problem {
    Problem::new(&problem::INVALID_QUERY, format!("{parameter}: {rule}")).at(parameter)
}

fn trail(
    service: &Service,
    subject: B256,
    is_whole: bool,
    query: &TrailQuery,
) -> Result<TrailPage, Problem> {
    Ok(match is_whole {
        true => service.whole_trail(subject, query)?,
        false => service.trail_about(subject, query)?,
    })
}

fn page(
    service: &Service,
    subject: B256,
    is_whole: bool,
    query: &TrailQuery,
) -> Result<Page, Problem> {
    let found = trail(service, subject, is_whole, query)?;
    let lines = found.entries.into_iter().map(|entry| Line::read(service, entry, View::Opened));
    let parts = found.parts.into_iter().map(|part| {
        let TrailPart { subject, organisation, lines, last } = part;
        Part { subject, organisation, lines, last }
    });
    Ok(Page {
        version: VERSION,
        subject,
        parts: parts.collect(),
        lines: lines.collect::<Result<_, _>>()?,
        next: found.next,
    })
}

fn days(
    service: &Service,
    subject: B256,
    is_whole: bool,
    mut query: TrailQuery,
    offset_s: i64,
) -> Result<Days, Problem> {
    query.limit = LINES_MAX;
    let pages = |query: &TrailQuery| trail(service, subject, is_whole, query);
    let (counted, next) = count(query, pages, offset_s)?;
    let days = counted.into_iter().map(|(day, lines)| Day { day: day.to_string(), lines });
    Ok(Days { days: days.collect(), next })
}

/// Lines by day, of so many pages as one request may cost, and where the next request goes on.
fn count(
    mut query: TrailQuery,
    mut page: impl FnMut(&TrailQuery) -> Result<TrailPage, Problem>,
    offset_s: i64,
) -> Result<(BTreeMap<Date, u64>, Option<u64>), Problem> {
    let (mut counted, mut opened) = (BTreeMap::new(), 0);
    loop {
        let found = page(&query)?;
        let days = found.entries.iter().map(|entry| day_of(entry.report.timeMs, offset_s));
        days.flatten().for_each(|day| *counted.entry(day).or_default() += 1);
        // Also where nothing fits: each was opened to see.
        opened += found.opened.max(1);
        query.before = found.next;
        if found.next.is_none() || opened >= COUNTED_LINES_MAX {
            return Ok((counted, found.next));
        }
    }
}

/// The day of a time, for a clock so many seconds ahead of UTC; `None` after the year 9999.
fn day_of(ms: u64, offset_s: i64) -> Option<Date> {
    let seconds = i64::try_from(ms / 1000).ok()?.checked_add(offset_s)?;
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(OffsetDateTime::date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_what_never_fits_ends_and_says_where_to_go_on() {
        let mut asked = Vec::new();
        let page = |query: &TrailQuery| {
            asked.push(query.before);
            let next = Some(query.before.map_or(10_000_000, |before| before - 4_000));
            Ok(TrailPage { parts: Vec::new(), entries: Vec::new(), next, opened: 4_000 })
        };
        let (counted, next) = count(TrailQuery::default(), page, 0).unwrap();
        assert!(counted.is_empty());
        assert_eq!(asked.len(), COUNTED_LINES_MAX / 4_000);
        assert_eq!(next, Some(10_000_000 - 4_000 * (asked.len() as u64 - 1)));
    }

    #[test]
    fn a_day_is_cut_by_the_reader_s_clock() {
        let late = 1_767_655_800_000; // 2026-01-05T23:30:00Z
        assert_eq!(day_of(late, 0).unwrap().to_string(), "2026-01-05");
        assert_eq!(day_of(late, 2 * 3600).unwrap().to_string(), "2026-01-06");
        assert_eq!(day_of(late, -24 * 3600).unwrap().to_string(), "2026-01-04");
        assert_eq!(day_of(u64::MAX, 0), None);
    }
}
