//! `/v1/subjects/{subject}/notices`: by which channels a person wants to be told that something
//! happened. What leaves says that, and not what.

use crate::answer::json;
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, post, put, routes};
use medtrail_oracle::notices::{Chosen, NoticeError, Wanted, WantedMail};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/notices-v1";

/// When mail comes.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum When {
    /// Of what is urgent, as it comes.
    AtOnce,
    /// Of everything, once a day.
    Daily,
}

/// Channels, as somebody wants them. What is left out ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewChannels {
    email: Option<NewEmail>,
    webhook: Option<NewWebhook>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEmail {
    /// Nothing but a code goes there before the code was shown.
    address: String,
    when: When,
    /// Of the mail (BCP 47); `en` and `et` are written.
    language: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// `https://…`, on the internet.
    url: String,
}

/// Channels, as they stand.
#[derive(Serialize, ToSchema)]
struct NoticeChannels {
    /// `medtrail/notices-v1`.
    version: &'static str,
    /// What this log has.
    available: Available,
    email: Option<Email>,
    webhook: Option<Webhook>,
}

#[derive(Serialize, ToSchema)]
struct Available {
    email: bool,
    webhook: bool,
}

#[derive(Serialize, ToSchema)]
struct Email {
    address: String,
    when: When,
    language: String,
    /// Nothing else is sent before it is.
    confirmed: bool,
}

#[derive(Serialize, ToSchema)]
struct Webhook {
    url: String,
    /// `whsec_…`, of the Standard Webhooks scheme. Shown once: when the URL was set just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn told(state: &State, chosen: Chosen) -> HttpResponse {
    let Chosen { email, webhook, secret } = chosen;
    let available = state.service.notice_channels();
    let mut answer = json(&NoticeChannels {
        version: VERSION,
        available: Available { email: available.email, webhook: available.webhook },
        email: email.map(|(WantedMail { address, is_daily, language }, confirmed)| Email {
            address,
            when: if is_daily { When::Daily } else { When::AtOnce },
            language,
            confirmed,
        }),
        webhook: webhook.map(|url| Webhook { url, secret }),
    });
    let no_store = actix_web::http::header::HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    answer
}

/// By which channels one is told.
#[utoipa::path(get, path = "/v1/subjects/{subject}/notices", operation_id = "notices",
    tag = "notices",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes")),
    responses((status = 200, body = NoticeChannels)))]
#[routes]
#[get("/v1/subjects/{subject}/notices")]
#[head("/v1/subjects/{subject}/notices")]
pub(super) async fn get(
    subject: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let address = caller.trail_of(&subject)?.address;
    Ok(told(&state, state.service.channels(address)))
}

/// Chooses the channels by which one is told: all of them at once. A new e-mail address gets a code
/// first; a new webhook its secret in this answer.
#[utoipa::path(put, path = "/v1/subjects/{subject}/notices", operation_id = "setNotices",
    tag = "notices",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes")),
    request_body = NewChannels, responses((status = 200, body = NoticeChannels)))]
#[put("/v1/subjects/{subject}/notices")]
pub(super) async fn set(
    subject: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let address = caller.trail_of(&subject)?.address;
    state.rates.document(Client::of(&request))?;
    let NewChannels { email, webhook } = state.bodies.json(&request, payload).await?;
    let email = email.map(|NewEmail { address, when, language }| WantedMail {
        address,
        is_daily: matches!(when, When::Daily),
        language,
    });
    let wanted = Wanted { email, webhook: webhook.map(|webhook| webhook.url) };
    let chosen = state.service.set_channels(address, wanted).await?;
    Ok(told(&state, chosen))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddressCode {
    /// From the mail.
    code: String,
}

/// Confirms an e-mail address by the code that it was sent. No session: whoever reads the mail has
/// the code.
#[utoipa::path(post, path = "/v1/notices/confirm", operation_id = "confirmAddress",
    tag = "notices", request_body = AddressCode,
    responses((status = 204, description = "Confirmed")))]
#[post("/v1/notices/confirm")]
pub(super) async fn confirm(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let AddressCode { code } = state.bodies.json(&request, payload).await?;
    match state.service.confirm_address(code).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(NoticeError::Code) => {
            state.rates.guess(Client::of(&request))?;
            Err(NoticeError::Code.into())
        }
        Err(error) => Err(error.into()),
    }
}

impl From<NoticeError> for Problem {
    fn from(error: NoticeError) -> Self {
        let told = error.to_string();
        let invalid = |field: &str| Self::new(&problem::INVALID_FIELD, told.clone()).at(field);
        match error {
            NoticeError::NoChannel(_) => Self::new(&problem::NO_CHANNEL, told),
            NoticeError::Address => invalid("email.address"),
            NoticeError::Language => invalid("email.language"),
            NoticeError::Url => invalid("webhook.url"),
            NoticeError::Again => Self::new(&problem::TOO_MANY_REQUESTS, told).after(60),
            NoticeError::Code => Self::new(&problem::NO_SUCH_CODE, told).at("code"),
            NoticeError::Journal(error) => error.into(),
            other => {
                tracing::error!("channels were not set: {other}");
                Self::new(&problem::BUSY, "channels cannot be set just now")
            }
        }
    }
}
