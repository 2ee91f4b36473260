//! Provenance out: what was received as one, byte for byte, and of other changes and hand-overs one
//! that is made here and says so.

use super::find::{Reader, gather, is_me};
use super::{fhir, prefers, refused, require_json_is_read, written};
use crate::answer::blocking;
use crate::caller::Caller;
use crate::limits::{LINES_MAX, LINES_USUAL, SEARCHED_LINES_MAX, SEARCHED_PAGES_MAX};
use crate::problem::Problem;
use crate::state::State;
use actix_web::http::header::ETAG;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, routes};
use medtrail_fhir::bundle::{Found, provenance_of, searchset};
use medtrail_fhir::provenance::{Made, made, names_target};
use medtrail_fhir::search::{pairs, read};
use medtrail_ledger::entry::Kind;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::trail::TrailQuery;

/// One Provenance: as it was received, or of another change or hand-over made from its entry.
#[utoipa::path(get, path = "/fhir/Provenance/{index}", operation_id = "fhirReadProvenance",
    tag = "fhir", params(("index" = u64, Path, description = "Index in the log, from 0")),
    responses((status = 200, description = "A Provenance",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/Provenance/{index}")]
#[head("/fhir/Provenance/{index}")]
pub(crate) async fn read_one(
    index: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let (entry, _) = caller.entry(&state, &index, None).await?;
    let told = told(&entry, &state).ok_or_else(Problem::no_such_entry)?;
    Ok(fhir(&mut HttpResponse::Ok()).insert_header((ETAG, "W/\"1\"")).body(told))
}

/// Searches by `patient target _count`: a person's own changes and hand-overs; for an organisation,
/// what it reported about `patient`. `target` is `Type/id`, an identifier, or a record's id (0x…).
#[utoipa::path(get, path = "/fhir/Provenance", operation_id = "fhirSearchProvenance", tag = "fhir",
    responses((status = 200, description = "A searchset",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/Provenance")]
#[head("/fhir/Provenance")]
#[get("/fhir/Provenance/")]
pub(crate) async fn search(
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let reader = Reader::of(&caller, &state)?;
    let (targets, asked): (Vec<_>, Vec<_>) =
        pairs(request.query_string()).into_iter().partition(|(name, _)| name == "target");
    let search = match read(&asked, prefers(&request, "handling=strict")) {
        Ok(search) => search,
        Err(issues) => return Ok(refused(&issues)),
    };
    let reader = reader.about(search.patient.as_deref(), &caller, &state).await?;
    let base = format!("{}/fhir/Provenance", state.site.url);
    let (searched, at, wanted) = (search.clone(), base.clone(), targets.clone());
    let (found, next) = blocking(move || {
        // A person's own lines are all about them: another name than `me` is the organisation's.
        let patient = match &reader {
            Reader::Person(address) => {
                searched.patient.as_deref().filter(|one| !is_me(one, *address))
            }
            Reader::For(_) | Reader::Organisation(_) => None,
        };
        let query = TrailQuery {
            before: searched.cursor,
            kinds: vec![Kind::Change, Kind::HandOver],
            limit: searched.count.clamp(LINES_USUAL, LINES_MAX),
            ..TrailQuery::default()
        };
        let matching = |entry: &Entry| {
            let resource = told(entry, &state)?;
            let names = |name: &str| names_target(&resource, entry.report.record, name);
            let fits = wanted.iter().all(|(_, target)| names(target)) && patient.is_none_or(names);
            fits.then(|| Found { full_url: format!("{at}/{}", entry.index), resource })
        };
        if searched.count == 0 {
            return Ok::<_, Problem>((Vec::new(), None));
        }
        let pages = |query: &TrailQuery| reader.page(&state, &searched, query);
        // Also what was opened and does not fit costs.
        let cost = |_: &_| SEARCHED_LINES_MAX / SEARCHED_PAGES_MAX;
        gather(query, pages, cost, searched.count, matching)
    })
    .await?;
    let with_target = |link: String| {
        targets.iter().fold(link, |link, (_, target)| {
            let joint = if link.contains('?') { '&' } else { '?' };
            format!("{link}{joint}target={}", escaped(target))
        })
    };
    let next = next.map(|cursor| with_target(search.next_link(&base, cursor)));
    let page = searchset(with_target(search.self_link(&base)), next, found, &search.ignored);
    Ok(fhir(&mut HttpResponse::Ok()).body(written(page)?))
}

/// What is told of an entry, if it is a change or a hand-over.
fn told(entry: &Entry, state: &State) -> Option<String> {
    let details = entry.details.as_deref();
    let received = details.and_then(provenance_of).map(|found| found.into_owned());
    received.or_else(|| {
        let organisation = state.service.reporter_of(entry).map(|id| state.named(id).1);
        let of = Made {
            index: entry.index,
            report: &entry.report,
            details,
            organisation: organisation.as_deref().filter(|name| !name.is_empty()),
        };
        let source = format!("{}/v1/entries/{}", state.site.url, entry.index);
        made(&of, &source).map(|made| made.to_string())
    })
}

/// A value in a query: everything but letters, digits and what a reference is made of.
fn escaped(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    value
        .bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
