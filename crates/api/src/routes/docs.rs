//! `/openapi.json` and `/docs`: the interface's description, for programs and for people.

use crate::openapi::listed;
use crate::routes::home::escape;
use crate::state::State;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, routes};
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{OpenApi, RefOr};

const STYLE: &str = include_str!("docs.css");

/// This interface, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "docs",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
#[routes]
#[get("/openapi.json")]
#[head("/openapi.json")]
pub(super) async fn openapi(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.openapi.answer(&request)
}

/// This interface, for people. Nothing on it runs, and nothing comes from elsewhere.
#[utoipa::path(get, path = "/docs", operation_id = "docs", tag = "docs",
    responses((status = 200, description = "A page", content_type = "text/html")))]
#[routes]
#[get("/docs")]
#[head("/docs")]
pub(super) async fn page(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ))
        .content_type("text/html; charset=utf-8")
        .body(state.docs.clone())
}

/// How that page looks.
#[utoipa::path(get, path = "/docs/style.css", operation_id = "docsStyle", tag = "docs",
    responses((status = 200, description = "A style sheet", content_type = "text/css")))]
#[routes]
#[get("/docs/style.css")]
#[head("/docs/style.css")]
pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type("text/css; charset=utf-8")
        .body(STYLE)
}

/// A parameter that stands here, and not elsewhere in the document.
fn written_out(parameter: &RefOr<Parameter>) -> Option<&Parameter> {
    match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    }
}

/// The page, written once.
pub(crate) fn write(document: &OpenApi) -> String {
    let mut body = String::new();
    for tag in document.tags.iter().flatten() {
        let of_tag = listed(document)
            .into_iter()
            .filter(|(_, _, operation)| operation.tags.iter().flatten().next() == Some(&tag.name));
        let about = escape(tag.description.as_deref().unwrap_or_default());
        body.push_str(&format!("<h2 id=\"{0}\">{0}</h2>\n<p>{about}</p>\n", escape(&tag.name)));
        for (method, path, operation) in of_tag {
            let method = serde_json::to_value(&method).unwrap_or_default();
            let method = method.as_str().unwrap_or_default().to_uppercase();
            let summary = escape(operation.summary.as_deref().unwrap_or_default());
            let more = escape(operation.description.as_deref().unwrap_or_default());
            body.push_str(&format!(
                "<section>\n<h3><b>{method}</b> <code>{}</code></h3>\n<p>{summary}</p>\n",
                escape(path)
            ));
            if !more.is_empty() && more != summary {
                body.push_str(&format!("<p>{more}</p>\n"));
            }
            let parameters = operation.parameters.as_deref().unwrap_or_default();
            if !parameters.is_empty() {
                body.push_str("<dl>\n");
                for parameter in parameters.iter().filter_map(written_out) {
                    let about = escape(parameter.description.as_deref().unwrap_or_default());
                    let name = escape(&parameter.name);
                    body.push_str(&format!("<dt><code>{name}</code></dt><dd>{about}</dd>\n"));
                }
                body.push_str("</dl>\n");
            }
            let statuses: Vec<_> =
                operation.responses.responses.keys().map(String::as_str).collect();
            let statuses = statuses.join(", ");
            body.push_str(&format!("<p class=\"answers\">Answers: {statuses}</p>\n</section>\n"));
        }
    }
    let title = escape(&document.info.title);
    let about = escape(document.info.description.as_deref().unwrap_or_default());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}: the interface</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<main>\n\
         <h1>{title}: the interface</h1>\n<p>{about}</p>\n\
         <p>For programs: <a href=\"/openapi.json\">/openapi.json</a>.</p>\n{body}</main>\n</html>\n"
    )
}
