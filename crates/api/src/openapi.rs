//! The interface's own description: OpenAPI 3.1, collected from the handlers themselves, so that
//! no route can be served without being described.

use crate::problem::KINDS;
use crate::routes;
use actix_web::App;
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
};
use utoipa::{OpenApi as _, PartialSchema};
use utoipa_actix_web::AppExt;

/// A refusal (RFC 9457, `application/problem+json`).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used: `problem` writes the real one")]
struct Problem {
    /// Stable; explained at this very path.
    r#type: String,
    /// What sort of refusal it is.
    title: String,
    /// HTTP status.
    status: u16,
    /// What happened in this very case.
    detail: String,
    /// What to do about it.
    advice: String,
    /// The member or parameter to blame.
    field: Option<String>,
    /// The entry that stands in the way.
    index: Option<u64>,
    /// The subject to report about instead.
    subject: Option<String>,
    /// The version of the record that counts.
    current: Option<String>,
    /// Why something was not permitted: a word of `permits`.
    reason: Option<String>,
    /// The permission that came nearest.
    document: Option<String>,
    /// Seconds after which trying again makes sense; also in `Retry-After`.
    retry_after_s: Option<u32>,
}

#[derive(utoipa::OpenApi)]
struct Nothing;

const TAGS: [(&str, &str); 19] = [
    ("session", "Signing in with an Ethereum address (EIP-4361)"),
    ("trail", "What was reported about whoever is signed in"),
    ("entries", "Single entries, their receipts and proofs"),
    ("reports", "Taking reports from organisations"),
    ("organisations", "Who reports here, invites and keys"),
    ("permissions", "What people permit, and take back"),
    ("questions", "A person asks about a line, and who reported it answers"),
    ("sources", "Where records are kept, and whether they still are"),
    ("notices", "By which channels a person is told that something happened"),
    ("corrections", "Who reported a line says that it was wrong"),
    ("claims", "Something was billed for a person, who says whether they had it"),
    ("records", "The vault: people's records and their versions"),
    ("sales", "What people sell, and to whom"),
    ("approvals", "Changes that organisations ask people to allow"),
    ("bindings", "Joining an organisation's pseudonym to a person"),
    ("fhir", "HL7 FHIR R4: IHE ITI-20 and ITI-81"),
    ("log", "The log as C2SP tlog-tiles, and its anchors"),
    ("operation", "Health, and what refusals mean"),
    ("docs", "This description"),
];

/// The description of everything on the public port.
pub(crate) fn document() -> OpenApi {
    let collected =
        App::new().into_utoipa_app().openapi(base()).configure(routes::public).split_for_parts();
    let mut document = collected.1;
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            complete(path, operation);
        }
    }
    document
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Medtrail")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Shows every person who used their medical data, and proves that nothing is hidden. \
             Refusals are problem documents with a stable `type`; under `/fhir` they are \
             OperationOutcomes.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()));
    let tags =
        TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    let mut components = Components::new();
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    let cookie = ApiKeyValue::with_description(crate::caller::COOKIE, "Set by POST /v1/session");
    let bearer = |text: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text));
        SecurityScheme::Http(scheme.build())
    };
    for (name, scheme) in [
        ("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
        ("bearer", bearer("The token of POST /v1/session")),
        ("apiKey", bearer("An organisation's API key, `mtk_…`")),
    ] {
        components.add_security_scheme(name, scheme);
    }
    OpenApiBuilder::from(Nothing::openapi())
        .info(info.build())
        .tags(Some(tags))
        .components(Some(components))
        .build()
}

/// What holds of every path of a family: how it refuses, and who may ask.
fn complete(path: &str, operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let is_fhir = path.starts_with("/fhir");
    let refusal = if is_fhir { outcome() } else { refusal() };
    operation.responses.responses.insert("default".to_owned(), RefOr::T(refusal));
    let schemes: &[&str] = match (tag.as_str(), path) {
        ("trail", _) | ("session", "/v1/session") => &["cookie", "bearer"],
        ("bindings" | "entries" | "records" | "approvals", _) => &["cookie", "bearer", "apiKey"],
        ("organisations", "/v1/organisations" | "/.well-known/medtrail.json") => &[],
        ("organisations", _) => &["cookie", "bearer"],
        ("sales", "/v1/market") => &[],
        ("sales", _) => &["cookie", "bearer"],
        ("fhir", "/fhir/metadata" | "/fhir/.well-known/smart-configuration") => &[],
        ("fhir", "/fhir/OperationDefinition/accounting") => &[],
        ("fhir", path) if path.starts_with("/fhir/Consent") || path.contains('$') => {
            &["cookie", "bearer"]
        }
        ("fhir", _) => &["apiKey", "cookie", "bearer"],
        _ => &[],
    };
    if !schemes.is_empty() && operation.security.is_none() {
        let each = schemes.iter().map(|name| SecurityRequirement::new(*name, [""; 0]));
        operation.security = Some(each.collect());
    }
}

fn refusal() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let slugs = KINDS.len();
    ResponseBuilder::new()
        .description(format!("Refused, for one of {slugs} reasons: `/problems/{{slug}}`"))
        .content("application/problem+json", content)
        .build()
}

fn outcome() -> Response {
    ResponseBuilder::new()
        .description("Refused: an OperationOutcome")
        .content("application/fhir+json", ContentBuilder::new().build())
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete, &mut item.put, &mut item.patch]
        .into_iter()
        .flatten()
}

/// The methods that each path takes, as `Allow` names them.
#[derive(Debug)]
pub(crate) struct Methods(HashMap<String, String>);

impl Methods {
    pub(crate) fn new(document: &OpenApi) -> Self {
        let methods = document.paths.paths.iter().map(|(path, item)| {
            let taken = [
                (&item.get, "GET, HEAD"),
                (&item.post, "POST"),
                (&item.put, "PUT"),
                (&item.delete, "DELETE"),
            ];
            let taken = taken.iter().filter(|(one, _)| one.is_some()).map(|(_, name)| *name);
            (path.clone(), taken.collect::<Vec<_>>().join(", "))
        });
        Self(methods.collect())
    }

    /// Of a path as actix writes its pattern: `{name:expression}` where we write `{name}`.
    pub(crate) fn of(&self, pattern: &str) -> Option<&str> {
        let mut path = String::new();
        for (number, part) in pattern.split('{').enumerate() {
            match (number, part.split_once('}')) {
                (0, _) | (_, None) => path.push_str(part),
                (_, Some((name, rest))) => {
                    let name = name.split(':').next().unwrap_or_default();
                    path.push_str(&format!("{{{name}}}{rest}"));
                }
            }
        }
        self.0.get(&path).map(String::as_str)
    }
}

/// Every operation: method, path, description.
pub(crate) fn listed(document: &OpenApi) -> Vec<(HttpMethod, &str, &Operation)> {
    let mut all = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [
            (HttpMethod::Get, &item.get),
            (HttpMethod::Post, &item.post),
            (HttpMethod::Delete, &item.delete),
        ] {
            all.extend(operation.as_ref().map(|operation| (method.clone(), &**path, operation)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_pattern() {
        let methods = Methods::new(&document());
        for (pattern, taken) in [
            ("/v1/reports", Some("POST")),
            ("/v1/session", Some("GET, HEAD, POST, DELETE")),
            ("/v1/entries/{index}", Some("GET, HEAD")),
            ("/log/tile/{level}/{path:.+}", Some("GET, HEAD")),
            ("/metrics", None),
        ] {
            assert_eq!(methods.of(pattern), taken, "{pattern}");
        }
    }
}
