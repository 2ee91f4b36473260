//! `/v1/subjects/{subject}/erasure`: what a person asked to be erased, and how far it is. It is asked
//! for by a signed document, through `/v1/permissions`; to cancel, being signed in is enough.

use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_oracle::erasure::{Erasures, Obstacle, OwnErasure, Stage};
use medtrail_permit::documents::Document;
use serde::Serialize;
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/erasures-v1";

/// What a person asked to be erased, and what they need to ask.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// `medtrail/erasures-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    subject: B256,
    /// The `log` of an Erase document.
    #[schema(value_type = String)]
    log: B256,
    /// The `upToOrdinal` of a document over everything: lines in the address's own part now. One
    /// over records alone names 0.
    lines: u64,
    /// From asking to erasing, milliseconds.
    wait_ms: u64,
    /// What keeps records from being erased now; none: nothing.
    keeps_records: Option<Keeps>,
    /// What keeps lines from being erased now; none: nothing.
    keeps_lines: Option<Keeps>,
    /// Addresses that joined this one. Their lines and records are not among those erased: for each a
    /// document must be signed with its own key.
    #[schema(value_type = Vec<String>)]
    aliases: Vec<Address>,
    /// Newest first.
    erasures: Vec<One>,
}

/// Why the law keeps something.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Keeps {
    /// Somebody ordered it.
    LegalHold {
        /// Why.
        reason: String,
        /// Who.
        ordered_by: String,
    },
    /// What organisations reported is kept for some years.
    Retention {
        /// Until when, milliseconds since 1970.
        until_ms: u64,
    },
}

impl From<Obstacle> for Keeps {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Hold { reason, ordered_by } => Self::LegalHold { reason, ordered_by },
            Obstacle::Duty { until_ms } => Self::Retention { until_ms },
        }
    }
}

/// An erasure.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct One {
    /// The id of what was signed.
    #[schema(value_type = String)]
    id: B256,
    /// `records`; `everything`: records and lines.
    form: &'static str,
    /// `{"erase": {…}}`.
    #[schema(value_type = Object)]
    document: Document,
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
    /// Whose lines go, up to which: the address's own part, and pseudonyms bound to it.
    parts: Vec<Part>,
    /// `waiting`, `cancelled`, `refused`, `erasing` or `done`.
    state: &'static str,
    /// When it was asked for, milliseconds since 1970.
    asked_ms: u64,
    /// When it is done, milliseconds since 1970.
    due_ms: u64,
    /// When it was cancelled, refused or done.
    ended_ms: Option<u64>,
    /// Why it was refused.
    reason: Option<Keeps>,
}

/// A subject id whose lines go.
#[derive(Serialize, ToSchema)]
struct Part {
    #[schema(value_type = String)]
    subject: B256,
    /// The last line that goes.
    through: u64,
}

impl From<OwnErasure> for One {
    fn from(own: OwnErasure) -> Self {
        let OwnErasure { id, signed, form, parts, asked_ms, due_ms, stage } = own;
        let (state, ended_ms, reason) = match stage {
            Stage::Waiting => ("waiting", None, None),
            Stage::Cancelled(at_ms) => ("cancelled", Some(at_ms), None),
            Stage::Refused { at_ms, obstacle } => ("refused", Some(at_ms), Some(obstacle.into())),
            Stage::Erasing => ("erasing", None, None),
            Stage::Done(at_ms) => ("done", Some(at_ms), None),
        };
        let part = |(subject, through)| Part { subject, through };
        Self {
            id,
            form: form.word(),
            document: signed.document,
            signature: signed.signature,
            parts: parts.into_iter().map(part).collect(),
            state,
            asked_ms,
            due_ms,
            ended_ms,
            reason,
        }
    }
}

/// How one's erasures stand.
#[utoipa::path(get, path = "/v1/subjects/{subject}/erasure", operation_id = "erasures",
    tag = "permissions",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes")),
    responses((status = 200, body = Told)))]
#[routes]
#[get("/v1/subjects/{subject}/erasure")]
#[head("/v1/subjects/{subject}/erasure")]
pub(super) async fn get(
    subject: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let address = caller.trail_of(&subject)?.address;
    let service = state.service.clone();
    let told = blocking(move || service.erasures(address)).await?;
    let Erasures { erasures, lines, wait_ms, keeps_records, keeps_lines } = told;
    Ok(json(&Told {
        version: VERSION,
        subject: address.into_word(),
        log: state.service.trust().log,
        lines,
        wait_ms,
        keeps_records: keeps_records.map(Keeps::from),
        keeps_lines: keeps_lines.map(Keeps::from),
        aliases: state.service.aliases(address).into_iter().map(|one| one.alias).collect(),
        erasures: erasures.into_iter().map(One::from).collect(),
    }))
}

/// Cancels the erasure that waits. Signing in is enough: nothing is lost by it.
#[utoipa::path(delete, path = "/v1/subjects/{subject}/erasure", operation_id = "cancelErasure",
    tag = "permissions",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes")),
    responses((status = 204, description = "It will not be done")))]
#[delete("/v1/subjects/{subject}/erasure")]
pub(super) async fn cancel(
    subject: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let address = caller.trail_of(&subject)?.address;
    state.service.cancel_erasure(address).await?;
    Ok(HttpResponse::NoContent().finish())
}
