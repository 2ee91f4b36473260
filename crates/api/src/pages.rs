//! What is no interface: the pages, the demo's own paths, and what no route has taken.

use crate::caller::require_own_page;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures::future::BoxFuture;
use medtrail_oracle::calls::Calls;
use medtrail_oracle::sales::Sales;
use medtrail_oracle::vault::Vault;
use std::borrow::Cow;
use std::sync::Arc;

/// What a server shows besides its interface.
#[derive(Clone, Default)]
pub struct Extras {
    /// The pages; none for a notice in their place.
    pub pages: Option<Arc<dyn Pages>>,
    /// What a demo answers under `/demo/`; none outside of demos.
    pub demo: Option<Arc<dyn DemoRoutes>>,
    /// People's records; none where only the log is served.
    pub vault: Option<Vault>,
    /// Sales; none where nothing is sold.
    pub sales: Option<Sales>,
    /// Calls to many; none: the operator takes none.
    pub calls: Option<Calls>,
}

/// Pages that are part of the binary.
pub trait Pages: Send + Sync {
    /// The page or file at this path of the URL (`/`, `/verify`, `/assets/…`).
    fn page(&self, path: &str) -> Option<Page>;
}

/// A page, or a file that a page needs.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type, as it stands in `Content-Type`.
    pub media_type: String,
    /// Its entity tag, in quotes (RFC 9110 section 8.8.3).
    pub etag: String,
    /// Whether its path changes with its content.
    pub is_immutable: bool,
    /// Whether it may ask any node of any chain: a verifier trusts no server with that.
    pub reaches_any_chain: bool,
}

/// What a demo answers.
pub trait DemoRoutes: Send + Sync {
    /// The answer to a request for a path under `/demo/`; `None` if nothing is there.
    fn answer(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> BoxFuture<'static, Option<DemoAnswer>>;
}

/// An answer of a demo.
#[derive(Clone, Debug)]
pub struct DemoAnswer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub media_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

/// What no route has taken.
pub(crate) async fn unrouted(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let of = |route: String| state.methods.of(route.strip_suffix('/').unwrap_or(&route));
    if let Some(allowed) = request.match_pattern().and_then(of) {
        // A stream has no head alone.
        let allowed = match *request.method() {
            Method::HEAD => allowed.replace(", HEAD", ""),
            _ => allowed.to_owned(),
        };
        let path = request.path();
        return Err(match path == "/fhir/Consent" || path.starts_with("/fhir/Consent/") {
            true => Problem::signed_by_the_person(request.method(), &allowed),
            false => Problem::method_not_allowed(request.method(), &allowed),
        });
    }
    if let (Some(demo), true) = (&state.extras.demo, request.path().starts_with("/demo/")) {
        return demo_answer(demo.as_ref(), &request, payload, &state).await;
    }
    let page = state.extras.pages.as_ref().and_then(|pages| pages.page(request.path()));
    let page = page.or_else(|| (request.path() == "/").then(|| crate::routes::home::page(&state)));
    match page {
        Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            Err(Problem::method_not_allowed(request.method(), "GET, HEAD"))
        }
        Some(page) => Ok(show(&request, page)),
        None => Err(nothing()),
    }
}

fn nothing() -> Problem {
    Problem::new(&problem::NOT_FOUND, "there is nothing at this path")
}

fn show(request: &HttpRequest, page: Page) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == page.etag));
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut answer = HttpResponse::build(status);
    answer.insert_header((ETAG, page.etag));
    answer.insert_header((CONTENT_SECURITY_POLICY, policy(page.reaches_any_chain)));
    let cached = if page.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer.insert_header((CACHE_CONTROL, cached));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, page.media_type));
    match page.bytes {
        Cow::Borrowed(bytes) => answer.body(Bytes::from_static(bytes)),
        Cow::Owned(bytes) => answer.body(bytes),
    }
}

/// No inline script, no third party; the DOM takes only what Svelte made (Trusted Types).
fn policy(reaches_any_chain: bool) -> &'static str {
    match reaches_any_chain {
        false => concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; ",
            "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; ",
            "require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
        ),
        true => concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; ",
            "connect-src 'self' https: http://localhost:* http://127.0.0.1:*; ",
            "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; ",
            "require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
        ),
    }
}

async fn demo_answer(
    demo: &dyn DemoRoutes,
    request: &HttpRequest,
    payload: Payload,
    state: &State,
) -> Result<HttpResponse, Problem> {
    // Any page in the same browser could press the demo's buttons.
    if request.headers().contains_key("sec-fetch-site") {
        require_own_page(request, state)?;
    }
    let body = state.bodies.read(request, payload).await?;
    let answer = demo.answer(request.method().as_str(), request.path(), body).await;
    let DemoAnswer { status, media_type, body } = answer.ok_or_else(nothing)?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(HttpResponse::build(status).insert_header((CONTENT_TYPE, media_type)).body(body))
}
