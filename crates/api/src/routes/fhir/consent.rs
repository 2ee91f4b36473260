//! Consent out: a person's permissions, for whom `/v1/subjects/{subject}/permissions` shows them.
//! None is made here: a permission is what the person signed.

use super::{fhir, posted, prefers, refused, require_json_is_read, written};
use crate::answer::blocking;
use crate::caller::{Caller, View};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{ACCEPT_LANGUAGE, VARY};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::B256;
use medtrail_fhir::bundle::{Found, searchset};
use medtrail_fhir::consent::{ConsentSearch, Language, Permission, Scope, Signer, Standing, read};
use medtrail_fhir::provenance::SUBJECT_SYSTEM;
use medtrail_fhir::search::pairs;
use medtrail_oracle::permissions::{GivenDocument, Overview};
use medtrail_permit::documents::{Document, Grant};
use medtrail_permit::permits::State as Stand;
use medtrail_permit::signed::PermissionDetails;
use medtrail_permit::statements;
use medtrail_permit::{confidentiality, purposes, scopes};

/// One permission. Its id is the index of the line that records it, `identifier` the document's id.
#[utoipa::path(get, path = "/fhir/Consent/{index}", operation_id = "fhirReadConsent", tag = "fhir",
    params(("index" = u64, Path, description = "Index in the log, from 0")),
    responses((status = 200, description = "A Consent", content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/Consent/{index}")]
#[head("/fhir/Consent/{index}")]
pub(crate) async fn read_one(
    index: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let (entry, view) = caller.entry(&state, &index, None).await?;
    if view != View::Opened {
        return Err(Problem::no_such_entry());
    }
    let language = asked_language(&request);
    let subject = state.service.subject_now(entry.report.subject);
    let told = blocking(move || {
        let given = Given::read(&state, subject, language)?;
        let found = given.consents(&state, |one| one.index == entry.index).next();
        Ok::<_, Problem>(found.map(|(_, consent)| consent))
    });
    let told = told.await?.ok_or_else(Problem::no_such_entry)?;
    // No ETag: how it stands changes by the clock.
    Ok(fhir(&mut HttpResponse::Ok()).insert_header((VARY, "Accept-Language")).body(told))
}

/// Searches by `patient status date period actor purpose identifier _id _count`: the permissions of
/// whoever is signed in, or whom they act for. Narrative in English or Estonian (`Accept-Language`).
#[utoipa::path(get, path = "/fhir/Consent", operation_id = "fhirSearchConsent", tag = "fhir",
    responses((status = 200, description = "A searchset",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/Consent")]
#[head("/fhir/Consent")]
#[get("/fhir/Consent/")]
pub(crate) async fn search_by_get(
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = pairs(request.query_string());
    find(&request, asked, caller, state).await
}

/// The same search, its parameters in the body: they stand in no log of addresses.
#[utoipa::path(post, path = "/fhir/Consent/_search", operation_id = "fhirSearchConsentByPost",
    tag = "fhir", request_body(description = "Parameters",
        content(("application/x-www-form-urlencoded"))),
    responses((status = 200, description = "A searchset",
        content_type = "application/fhir+json")))]
#[post("/fhir/Consent/_search")]
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
    if !matches!(caller, Caller::Organisation(_)) {
        caller.session()?;
    }
    let search = match read(&asked, prefers(request, "handling=strict")) {
        Ok(search) => search,
        Err(issues) => return Ok(refused(&issues)),
    };
    let language = asked_language(request);
    let subject = subject(search.patient.as_deref(), &caller, &state).await?;
    let base = format!("{}/fhir/Consent", state.site.url);
    let (searched, at) = (search.clone(), base.clone());
    let (found, next) = blocking(move || match subject {
        // Nobody's, and somebody else's: no difference.
        None => Ok((Vec::new(), None)),
        Some(subject) => page(&state, subject, language, &searched, &at),
    })
    .await?;
    let next = next.map(|cursor| search.next_link(&base, cursor));
    let page = searchset(search.self_link(&base), next, found, &search.ignored);
    Ok(fhir(&mut HttpResponse::Ok()).insert_header((VARY, "Accept-Language")).body(written(page)?))
}

/// Whose permissions are searched; none: of nobody whose permissions the caller may see. Of others
/// than the caller the trail has a line when this returns.
async fn subject(
    patient: Option<&str>,
    caller: &Caller,
    state: &Data<State>,
) -> Result<Option<B256>, Problem> {
    let Ok(session) = caller.session() else { return Ok(None) };
    let own = session.address.into_word();
    let Some(patient) = patient else { return Ok(Some(own)) };
    let id = patient.strip_prefix("Patient/").unwrap_or(patient);
    let id = match id.split_once('|') {
        Some((system, value)) if system == SUBJECT_SYSTEM => value,
        Some(_) => return Ok(None),
        None => id,
    };
    if id == "me" {
        return Ok(Some(own));
    }
    match caller.sees(state, id).await {
        Ok(seer) => Ok(Some(seer.subject)),
        Err(problem) if problem.kind.slug == Problem::no_such_trail().kind.slug => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// A page, and below which line the next one begins. Blocks.
fn page(
    state: &State,
    subject: B256,
    language: Option<Language>,
    search: &ConsentSearch,
    base: &str,
) -> Result<(Vec<Found>, Option<u64>), Problem> {
    let given = Given::read(state, subject, language)?;
    if search.count == 0 {
        return Ok((Vec::new(), None));
    }
    let mut matching = given.consents(state, |one| search.admits(one));
    let (mut found, mut last) = (Vec::new(), None);
    for (index, resource) in matching.by_ref().take(search.count) {
        last = Some(index);
        found.push(Found { full_url: format!("{base}/{index}"), resource });
    }
    let has_more = matching.next().is_some();
    Ok((found, last.filter(|_| has_more)))
}

fn source(state: &State, index: u64) -> String {
    format!("{}/v1/entries/{index}", state.site.url)
}

/// The language that is preferred of those that statements are told in.
fn asked_language(request: &HttpRequest) -> Option<Language> {
    let header = request.headers().get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut wanted: Vec<(Language, f32)> = header
        .split(',')
        .filter_map(|range| {
            let (tag, rest) = range.split_once(';').unwrap_or((range, ""));
            let language = match tag.trim().get(..2)?.to_ascii_lowercase().as_str() {
                "en" => Language::En,
                "et" => Language::Et,
                _ => return None,
            };
            let weight = rest.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
            Some((language, weight.unwrap_or(1.0)))
        })
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    // Of equals the first.
    wanted.sort_by(|one, other| other.1.total_cmp(&one.1));
    wanted.first().map(|(language, _)| *language)
}

/// What a person gave, newest first.
struct Given {
    subject: B256,
    overview: Overview,
    topics: Vec<&'static str>,
    language: Option<Language>,
}

impl Given {
    /// Blocks.
    ///
    /// Where the chain cannot be read nobody can tell whether something was taken back there, and a
    /// Consent has no word for that: then nothing is told.
    fn read(state: &State, subject: B256, language: Option<Language>) -> Result<Self, Problem> {
        let overview = state.service.overview_about(subject)?;
        if !overview.is_chain_read {
            let told = "whether a permission still stands only the chain can tell, and it cannot \
                        be read now; GET /v1/subjects/{subject}/permissions tells what the log \
                        alone knows";
            return Err(Problem::new(&problem::CHAIN_UNREADABLE, told));
        }
        Ok(Self { subject, overview, topics: confidentiality::topics().collect(), language })
    }

    /// The grants among it that are wanted, as Consents. Each is made only when it is asked for: to
    /// recover who signed costs most.
    fn consents(
        &self,
        state: &State,
        wanted: impl Fn(&Permission<'_>) -> bool,
    ) -> impl Iterator<Item = (u64, String)> {
        self.overview.given.iter().filter_map(move |given| match &given.signed.document {
            Document::Grant(grant) => self.consent(state, given, grant, &wanted),
            _ => None,
        })
    }

    /// None also if it cannot be told what it permits: the log takes no such document.
    fn consent(
        &self,
        state: &State,
        given: &GivenDocument,
        grant: &Grant,
        wanted: &impl Fn(&Permission<'_>) -> bool,
    ) -> Option<(u64, String)> {
        let purposes = purposes::parse_list(&grant.purposes).ok()?;
        let known = Permission {
            index: given.index,
            id: given.id,
            signed: &[],
            subject: self.subject,
            grantee: grant.grantee,
            grantee_name: None,
            signer: Signer::Contract,
            scopes: &[],
            purposes: &purposes,
            topics: &self.topics,
            recorded_ms: given.received_ms,
            from_ms: began_ms(given),
            until_ms: grant.expiresAt.saturating_mul(1000),
            standing: match given.state {
                Stand::Standing => Standing::Standing,
                Stand::Revoked { at_ms } => Standing::Revoked { at_ms },
                Stand::Expired => Standing::Expired,
                Stand::Ended => Standing::Ended,
            },
            statement: "",
            language: Language::En,
        };
        if !wanted(&known) {
            return None;
        }
        let signed_in = statements::language_of(&given.signed.document)?;
        let (statement, language) = match self.language.map(stated) {
            Some(asked) if asked != signed_in => {
                (statements::render(&given.signed.document, asked)?, asked)
            }
            _ => (grant.statement.clone(), signed_in),
        };
        let scopes = scopes::parse_list(&grant.scopes).ok()?;
        let scopes: Vec<Scope> = scopes.into_iter().map(scope).collect();
        let (_, name) = state.named(grant.grantee);
        // As in the line.
        let signed = serde_json::to_vec(&PermissionDetails::of(given.signed.clone())).ok()?;
        let whole = Permission {
            signed: &signed,
            grantee_name: Some(name.as_str()).filter(|name| !name.is_empty()),
            signer: self.signer(state, given),
            scopes: &scopes,
            statement: &statement,
            language: match language {
                statements::Language::En => Language::En,
                statements::Language::Et => Language::Et,
            },
            ..known
        };
        Some((given.index, whole.consent(&source(state, given.index)).to_string()))
    }

    /// Whether the person's own key signed, or somebody who was named to act for them.
    fn signer(&self, state: &State, given: &GivenDocument) -> Signer {
        let Ok(Some(signer)) = given.signed.signer(&state.service.registries()) else {
            return Signer::Contract;
        };
        let is_named = |one: &GivenDocument| match &one.signed.document {
            Document::Delegation(delegation) => delegation.delegate == signer,
            Document::Guardianship(guardianship) => guardianship.guardian == signer,
            _ => false,
        };
        let is_own = signer.into_word() == self.subject || signer == self.overview.controller;
        match !is_own && self.overview.given.iter().any(is_named) {
            true => Signer::Other(signer),
            false => Signer::Person,
        }
    }
}

fn stated(language: Language) -> statements::Language {
    match language {
        Language::En => statements::Language::En,
        Language::Et => statements::Language::Et,
    }
}

fn scope(scope: scopes::Scope) -> Scope {
    Scope {
        text: scope.to_string(),
        resource: scope.resource.map(str::to_owned),
        letters: scope.interactions.letters().collect(),
        parameter: scope.parameter.map(|scopes::Parameter { name, value }| (name, value)),
    }
}

/// What was signed counts from its entry, what a contract gave from its block.
fn began_ms(given: &GivenDocument) -> u64 {
    let block_s = given.on_chain.and_then(|on_chain| on_chain.granted_at_s);
    match (&given.signed.signature, block_s) {
        (None, Some(block_s)) => block_s.saturating_mul(1000),
        _ => given.received_ms,
    }
}
