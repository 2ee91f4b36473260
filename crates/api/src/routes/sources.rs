//! `/v1/sources`: where records are kept. Who keeps one registers it and moves it by a signed report;
//! the person sees which of them still answer.

use super::questions::Named;
use super::said::{Noted, Said, Whom};
use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::SourceOwner;
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::{Elsewhere, Whereabouts};
use medtrail_oracle::inquiries::{PAGE_MAX, Whose};
use medtrail_oracle::sources::SourceView;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Where no number is named.
const USUAL: usize = 50;

/// What whoever keeps a source says of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSource)]
struct Told {
    /// Kind 7: `record`, and `toVersion` = SHA-256 of the bytes. To move one, `permission` is its id.
    #[schema(value_type = Object)]
    report: Option<Report>,
    /// `medtrail/source-v1`, act `registered` or `moved`.
    #[schema(value_type = Object)]
    details: Option<Box<RawValue>>,
    /// 65 bytes, by a key of the organisation, or of the person.
    #[schema(value_type = String)]
    signature: Option<Bytes>,
}

/// Registers a source, or moves it: the signature says whose word it is. 201; 200 if this very report
/// stands already.
#[utoipa::path(post, path = "/v1/sources", operation_id = "tellSource", tag = "sources",
    request_body = Told, responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/sources")]
pub(super) async fn tell(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&request))?;
    let told = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Told { report, details, signature } = told;
    match Said::of(report, details, signature, false)? {
        Said::Signed(submission) => {
            Ok(Noted::answer(state.service.tell_source(*submission).await?))
        }
        Said::Plain => Err(Problem::new(&problem::INVALID_FIELD, "report is missing").at("report")),
    }
}

/// Which are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wished {
    /// `person` or `organisation`, for a session that is both.
    r#as: Option<String>,
    /// Only those registered by an earlier line: the `next` of the page before.
    before: Option<u64>,
    /// At most, to 200; 50 if left out.
    limit: Option<usize>,
}

/// Sources, newest first.
#[derive(Serialize, ToSchema)]
struct Sources {
    /// `medtrail/sources-v1`.
    version: &'static str,
    sources: Vec<Source>,
    /// The `before` of the next page.
    next: Option<u64>,
}

/// A source and how it stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Source {
    /// What a move names: the commitment of the line that registered it.
    #[schema(value_type = String)]
    id: B256,
    /// That line.
    index: u64,
    /// The last line about it.
    last: u64,
    /// Whose trail it stands in.
    #[schema(value_type = String)]
    subject: B256,
    #[schema(value_type = String)]
    record: B256,
    /// SHA-256 of the bytes: what answers with others is not the same data.
    #[schema(value_type = String)]
    content: B256,
    /// What it is.
    title: String,
    language: Option<String>,
    /// Who keeps it now.
    keeper: String,
    /// `{"url"}` or `{"described"}`.
    #[schema(value_type = Object)]
    at: Whereabouts,
    /// Who registered it; none: the person.
    organisation: Option<Named>,
    registered_ms: u64,
    /// `here`, `stale` (it did not answer of late), `lost`, `moved` (not yet found there) or `changed`.
    state: &'static str,
    /// Since when, milliseconds since 1970.
    since_ms: u64,
    /// When it was asked last; never, where it has no URL.
    probed_ms: Option<u64>,
    /// When it is asked next.
    next_probe_ms: Option<u64>,
    /// How often in a row it did not answer.
    failed: u32,
    /// Where else the same bytes are: `here` (in the vault), `elsewhere`, `nowhere`. For the person.
    #[schema(value_type = Option<String>)]
    kept: Option<Elsewhere>,
}

impl Source {
    fn of(state: &State, view: SourceView, is_person: bool) -> Self {
        let (stands, since_ms) = (view.state(), view.since_ms());
        let SourceView { row, registered, at, keeper, kept } = view;
        let organisation: Option<Address> = match row.by {
            SourceOwner::Organisation(id) => Some(id),
            SourceOwner::Person(_) => None,
        };
        Self {
            id: row.id,
            index: row.index,
            last: row.after.index,
            subject: row.subject,
            record: row.record,
            content: row.version,
            title: registered.title,
            language: registered.language,
            keeper,
            at,
            organisation: organisation.map(|id| Named::of(state, id)),
            registered_ms: row.registered_ms,
            state: stands,
            since_ms,
            probed_ms: row.probed_ms,
            next_probe_ms: row.has_url.then_some(row.due_ms),
            failed: row.failed,
            kept: is_person.then_some(kept),
        }
    }
}

/// Where one's records are kept; of an organisation, those that it registered, until their person
/// moves them.
#[utoipa::path(get, path = "/v1/sources", operation_id = "sources", tag = "sources",
    params(Wished), responses((status = 200, body = Sources)))]
#[routes]
#[get("/v1/sources")]
#[head("/v1/sources")]
pub(super) async fn list(
    wished: Result<Query<Wished>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let invalid = |told: String| Problem::new(&problem::INVALID_QUERY, told);
    let sides = Whom::sides(&caller, &state)?;
    let Wished { r#as, before, limit } =
        wished.map_err(|error| invalid(error.to_string()))?.into_inner();
    let limit = limit.unwrap_or(USUAL);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(invalid(format!("limit is from 1 to {PAGE_MAX}")).at("limit"));
    }
    let is_person = |whose: &Whose| matches!(whose, Whose::Person(_));
    let is_meant = |whose: &&Whose| match r#as.as_deref() {
        None => true,
        Some("person") => is_person(whose),
        Some("organisation") => !is_person(whose),
        Some(_) => false,
    };
    let whose = sides.iter().find(is_meant).copied();
    let whose = whose.ok_or_else(|| {
        invalid("as is person or organisation, and what you are".to_owned()).at("as")
    })?;
    let asked = state.clone();
    let found = blocking(move || asked.service.sources(whose, before, limit));
    let (views, next) = found.await?;
    let sources = views.into_iter().map(|view| Source::of(&state, view, is_person(&whose)));
    Ok(json(&Sources { version: "medtrail/sources-v1", sources: sources.collect(), next }))
}
