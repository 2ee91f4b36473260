//! `/problems/{slug}`: where the `type` of a problem leads (RFC 9457 section 3.1.1).

use crate::answer::json;
use crate::problem::{self, KINDS, Problem, Words};
use actix_web::web::Path;
use actix_web::{HttpResponse, routes};

/// What a refusal means, and what to do about it.
#[utoipa::path(get, path = "/problems/{slug}", operation_id = "problem", tag = "operation",
    params(("slug" = String, Path, description = "Last part of a problem's `type`")),
    responses((status = 200, description = "What holds of every such refusal",
        content_type = "application/json")))]
#[routes]
#[get("/problems/{slug}")]
#[head("/problems/{slug}")]
pub(super) async fn get(slug: Path<String>) -> Result<HttpResponse, Problem> {
    let kind = KINDS.iter().find(|kind| kind.slug == slug.as_str());
    let kind = kind.ok_or_else(|| Problem::new(&problem::NOT_FOUND, "no problem of this name"))?;
    Ok(json(&Words::from(*kind)))
}
