//! `$accounting` of a patient: the rows of `/v1/subjects/{subject}/accounting` as AuditEvents, for
//! the same people and with the same line in the trail first.

use super::{STATEMENT_DATE, fhir, refused, require_json_is_read};
use crate::body::Format;
use crate::caller::{Caller, Seer};
use crate::problem::Problem;
use crate::routes::accounting::{Form, span, take};
use crate::state::State;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, get, post, routes};
use medtrail_fhir::accounting::{Asked, definition as operation, read_parameters, read_query};
use medtrail_fhir::event::{Issue, Severity};
use medtrail_fhir::search::pairs;

/// Who was given what about a patient: the person signed in (`me`, or their address), or whom they
/// act for. `start`, `end`: dates; six years if left out. Taking it is a line of the trail itself.
/// An answer that was cut short does not end as JSON.
#[utoipa::path(get, path = "/fhir/Patient/{id}/$accounting", operation_id = "fhirAccounting",
    tag = "fhir",
    params(("id" = String, Path, description = "`me`, an address, or a pseudonym"),
        ("start" = Option<String>, Query, description = "A FHIR date or dateTime"),
        ("end" = Option<String>, Query, description = "A FHIR date or dateTime, included")),
    responses((status = 200, description = "A searchset of AuditEvents",
        content_type = "application/fhir+json")))]
#[get("/fhir/Patient/{id}/$accounting")]
pub(crate) async fn by_get(
    id: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let seer = seer(&id, &caller, &state).await?;
    let asked = read_query(&pairs(request.query_string()));
    answer(&request, state, seer, asked).await
}

/// The same; `start` and `end` in a Parameters resource, or no body at all.
#[utoipa::path(post, path = "/fhir/Patient/{id}/$accounting",
    operation_id = "fhirAccountingByPost", tag = "fhir",
    params(("id" = String, Path, description = "`me`, an address, or a pseudonym")),
    request_body(description = "Parameters",
        content(("application/fhir+json"), ("application/json"))),
    responses((status = 200, description = "A searchset of AuditEvents",
        content_type = "application/fhir+json")))]
#[post("/fhir/Patient/{id}/$accounting")]
pub(crate) async fn by_post(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let body = state.bodies.small(&request, payload).await?;
    let seer = seer(&id, &caller, &state).await?;
    let mut asked = read_query(&pairs(request.query_string()));
    if !body.is_empty() {
        Format::require_fhir(&request)?;
        asked = asked.and_then(|asked| read_parameters(&body, asked));
    }
    answer(&request, state, seer, asked).await
}

/// What `$accounting` takes and gives.
#[utoipa::path(get, path = "/fhir/OperationDefinition/accounting",
    operation_id = "fhirAccountingDefinition", tag = "fhir",
    responses((status = 200, description = "An OperationDefinition",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/OperationDefinition/accounting")]
#[head("/fhir/OperationDefinition/accounting")]
pub(crate) async fn definition(
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let told = operation(&format!("{}/fhir", state.site.url), STATEMENT_DATE);
    Ok(fhir(&mut HttpResponse::Ok())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(told.to_string()))
}

async fn seer(id: &str, caller: &Caller, state: &Data<State>) -> Result<Seer, Problem> {
    match id {
        "me" => {
            // An API key has no trail of its own: as for everybody else's.
            let own = match caller {
                Caller::Organisation(_) => return Err(Problem::no_such_trail()),
                other => other.session()?.address.to_string(),
            };
            caller.sees(state, &own).await
        }
        other => caller.sees(state, other).await,
    }
}

async fn answer(
    request: &HttpRequest,
    state: Data<State>,
    seer: Seer,
    asked: Result<Asked, Vec<Issue>>,
) -> Result<HttpResponse, Problem> {
    let asked = match asked {
        Ok(asked) => asked,
        Err(issues) => return Ok(refused(&issues)),
    };
    let Some(span) = span(&state, asked.from_ms, asked.until_ms) else {
        let text = "It must be before end, and not to come.".to_owned();
        let rule = "search.value";
        return Ok(refused(&[Issue {
            path: "start".into(),
            rule,
            text,
            severity: Severity::Error,
        }]));
    };
    let parts = take(request, state, seer, span, Form::Fhir).await?;
    Ok(fhir(&mut HttpResponse::Ok()).insert_header((CACHE_CONTROL, "no-store")).streaming(parts))
}
