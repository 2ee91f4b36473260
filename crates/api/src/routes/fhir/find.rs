//! ITI-81: events out. A person finds their own trail; an organisation what it reported.

use super::{fhir, posted, prefers, refused, require_json_is_read, written};
use crate::answer::blocking;
use crate::caller::Caller;
use crate::limits::{LINES_MAX, LINES_USUAL, SEARCHED_LINES_MAX, SEARCHED_PAGES_MAX};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::ETAG;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256};
use medtrail_fhir::bundle::{Found, event_of, resource_of, searchset};
use medtrail_fhir::search::{Search, pairs, read};
use medtrail_ledger::entry::pseudonym;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::trail::{TrailPage, TrailQuery};

/// One event, byte for byte as it was received (blanks around it left out); of an event about
/// several, what concerns this
/// person.
#[utoipa::path(get, path = "/fhir/AuditEvent/{index}", operation_id = "fhirRead", tag = "fhir",
    params(("index" = u64, Path, description = "Index in the log, from 0")),
    responses((status = 200, description = "An AuditEvent",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/AuditEvent/{index}")]
#[head("/fhir/AuditEvent/{index}")]
pub(crate) async fn read_one(
    index: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let (entry, _) = caller.entry(&state, &index, None).await?;
    let event =
        entry.details.as_deref().and_then(resource_of).ok_or_else(Problem::no_such_entry)?;
    Ok(fhir(&mut HttpResponse::Ok()).insert_header((ETAG, "W/\"1\"")).body(event.into_owned()))
}

/// Searches (IHE ITI-81): `patient date agent entity action type subtype outcome _id _count`; see
/// `/fhir/metadata`. A person's own trail; for an organisation, what it reported about `patient`.
#[utoipa::path(get, path = "/fhir/AuditEvent", operation_id = "fhirSearch", tag = "fhir",
    responses((status = 200, description = "A searchset",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/AuditEvent")]
#[head("/fhir/AuditEvent")]
#[get("/fhir/AuditEvent/")]
pub(crate) async fn search_by_get(
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = pairs(request.query_string());
    find(&request, asked, caller, state).await
}

/// The same search, its parameters in the body: they stand in no log of addresses.
#[utoipa::path(post, path = "/fhir/AuditEvent/_search", operation_id = "fhirSearchByPost",
    tag = "fhir", request_body(description = "Parameters",
        content(("application/x-www-form-urlencoded"))),
    responses((status = 200, description = "A searchset",
        content_type = "application/fhir+json")))]
#[post("/fhir/AuditEvent/_search")]
pub(crate) async fn search_by_post(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = posted(&request, payload, &state).await?;
    find(&request, asked, caller, state).await
}

async fn find(
    request: &HttpRequest,
    asked: Vec<(String, String)>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(request)?;
    // Who asks, before what they ask.
    let reader = Reader::of(&caller, &state)?;
    let search = match read(&asked, prefers(request, "handling=strict")) {
        Ok(search) => search,
        Err(issues) => return Ok(refused(&issues)),
    };
    let reader = reader.about(search.patient.as_deref(), &caller, &state).await?;
    let base = format!("{}/fhir/AuditEvent", state.site.url);
    let (found, next) = match search.id {
        Some(index) => (by_id(&search, index, caller, &state, &base).await?, None),
        None => {
            let (searched, at) = (search.clone(), base.clone());
            blocking(move || reader.find(&state, &searched, &at)).await?
        }
    };
    let next = next.map(|cursor| search.next_link(&base, cursor));
    let page = searchset(search.self_link(&base), next, found, &search.ignored);
    Ok(fhir(&mut HttpResponse::Ok()).body(written(page)?))
}

/// One line by its index; nothing if the caller may not see it.
async fn by_id(
    search: &Search,
    index: u64,
    caller: Caller,
    state: &Data<State>,
    base: &str,
) -> Result<Vec<Found>, Problem> {
    match caller.entry(state, &index.to_string(), None).await {
        Ok((entry, _)) => Ok(matching(&entry, search, None, base).into_iter().collect()),
        Err(problem) if problem.kind.slug == problem::NO_SUCH_ENTRY.slug => Ok(Vec::new()),
        Err(problem) => Err(problem),
    }
}

/// Who searches.
pub(super) enum Reader {
    Person(Address),
    /// Somebody who acts for this person, whom the search names as `patient`.
    For(B256),
    Organisation(Address),
}

impl Reader {
    pub(super) fn of(caller: &Caller, state: &State) -> Result<Self, Problem> {
        match caller.organisation(state) {
            Ok(organisation) => Ok(Self::Organisation(organisation)),
            Err(_) => Ok(Self::Person(caller.session()?.address)),
        }
    }

    /// Whose lines are searched where a person names another one: theirs, if the person acts for
    /// them. An identifier that is no such person's is looked for in one's own lines.
    pub(super) async fn about(
        self,
        patient: Option<&str>,
        caller: &Caller,
        state: &Data<State>,
    ) -> Result<Self, Problem> {
        let (Self::Person(own), Some(patient)) = (&self, patient) else { return Ok(self) };
        let id = patient.strip_prefix("Patient/").unwrap_or(patient);
        if is_me(id, *own) || !id.starts_with("0x") {
            return Ok(self);
        }
        match caller.sees(state, id).await {
            Ok(seer) => Ok(Self::For(seer.subject)),
            Err(problem) if problem.kind.slug == Problem::no_such_trail().kind.slug => Ok(self),
            Err(problem) => Err(problem),
        }
    }

    /// A page, and where the next one begins. Blocks.
    fn find(
        &self,
        state: &State,
        search: &Search,
        base: &str,
    ) -> Result<(Vec<Found>, Option<u64>), Problem> {
        if search.count == 0 {
            return Ok((Vec::new(), None));
        }
        // Of a person's own lines, those that name this patient; an organisation's are found by
        // the pseudonym.
        let patient = match self {
            Self::Person(address) => search.patient.as_deref().filter(|one| !is_me(one, *address)),
            Self::For(_) | Self::Organisation(_) => None,
        };
        let query = TrailQuery {
            before: search.cursor,
            from_ms: search.from_ms,
            until_ms: search.until_ms,
            limit: search.count.clamp(LINES_USUAL, LINES_MAX),
            ..TrailQuery::default()
        };
        let limit = query.limit;
        let cost = |page: &TrailPage| match self {
            Self::Person(_) | Self::For(_) if page.entries.len() == limit => limit,
            // What was opened of others and not shown counts too, and is told to nobody.
            _ => SEARCHED_LINES_MAX / SEARCHED_PAGES_MAX,
        };
        let pages = |query: &TrailQuery| self.page(state, search, query);
        gather(query, pages, cost, search.count, |entry| matching(entry, search, patient, base))
    }

    pub(super) fn page(
        &self,
        state: &State,
        search: &Search,
        query: &TrailQuery,
    ) -> Result<TrailPage, Problem> {
        match self {
            Self::Person(address) => Ok(state.service.trail(*address, query)?),
            Self::For(subject) => Ok(state.service.trail_about(*subject, query)?),
            Self::Organisation(organisation) => {
                let patient = search.patient.as_deref().ok_or_else(|| {
                    let rule = "an organisation searches by patient or patient.identifier";
                    Problem::new(&problem::INVALID_QUERY, rule).at("patient")
                })?;
                let subject = subject(state, *organisation, patient)?;
                Ok(state.service.reported(*organisation, subject, query)?)
            }
        }
    }
}

/// What is found on so many pages as one request may cost, and where the next request goes on.
pub(super) fn gather<F>(
    mut query: TrailQuery,
    mut page: impl FnMut(&TrailQuery) -> Result<TrailPage, Problem>,
    cost: impl Fn(&TrailPage) -> usize,
    count: usize,
    matching: impl Fn(&Entry) -> Option<F>,
) -> Result<(Vec<F>, Option<u64>), Problem> {
    let (mut found, mut spent) = (Vec::new(), 0);
    loop {
        let page = page(&query)?;
        spent += cost(&page);
        for entry in &page.entries {
            found.extend(matching(entry));
            if found.len() == count {
                // Whether anything older fits, the next page says.
                return Ok((found, Some(entry.index)));
            }
        }
        query.before = page.next;
        if page.next.is_none() || spent >= SEARCHED_LINES_MAX {
            return Ok((found, page.next));
        }
    }
}

fn subject(state: &State, organisation: Address, patient: &str) -> Result<B256, Problem> {
    let key = state.service.key_of(organisation).ok_or_else(|| {
        Problem::new(&problem::STORAGE, "the organisation's key could not be read")
    })?;
    Ok(pseudonym(&key, patient.as_bytes()))
}

/// `me`, or the address that is signed in, as people write it.
pub(super) fn is_me(patient: &str, address: Address) -> bool {
    let id = patient.strip_prefix("Patient/").unwrap_or(patient);
    id == "me" || id.parse::<Address>().is_ok_and(|id| id == address)
}

/// The event of an entry, if it is among what is searched. Entries of other documents are no
/// events: the trail shows them.
fn matching(entry: &Entry, search: &Search, patient: Option<&str>, base: &str) -> Option<Found> {
    let details = entry.details.as_deref()?;
    let event = event_of(details)?;
    let names_patient = |wanted: &str| event.patients.iter().any(|one| one.identifier == wanted);
    if !search.admits(&event) || !patient.is_none_or(names_patient) {
        return None;
    }
    let resource = resource_of(details)?.into_owned();
    Some(Found { full_url: format!("{base}/{}", entry.index), resource })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_finds_nothing_costs_so_many_pages_and_says_where_to_go_on() {
        let mut asked = Vec::new();
        let page = |query: &TrailQuery| {
            asked.push(query.before);
            // Only others' entries: none is shown.
            let next = query.before.map(|before| before - 4000);
            Ok(TrailPage { entries: Vec::new(), parts: Vec::new(), next, opened: 4000 })
        };
        let query = TrailQuery { before: Some(1_000_000), limit: 100, ..TrailQuery::default() };
        let cost = |_: &TrailPage| SEARCHED_LINES_MAX / SEARCHED_PAGES_MAX;
        let (found, next) = gather(query, page, cost, 20, |_| Some(())).unwrap();
        assert!(found.is_empty());
        assert_eq!(asked, [Some(1_000_000), Some(996_000)]);
        assert_eq!(next, Some(992_000));
    }
}
