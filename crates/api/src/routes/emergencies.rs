//! `/v1/emergencies`: changes that were made without asking, each with the clock of its person's
//! word. To answer, a person signs: `POST /v1/permissions`.

use super::questions::Named;
use super::said::{Listed, Whom};
use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, routes};
use alloy_primitives::B256;
use medtrail_ledger::schema::Report;
use medtrail_oracle::emergencies::EmergencyView;
use medtrail_oracle::opener::Entry;
use medtrail_permit::permits::CONFIRM_MS;
use serde::Serialize;
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/emergencies-v1";

/// Emergency changes, newest first.
#[derive(Serialize, ToSchema)]
struct Emergencies {
    /// `medtrail/emergencies-v1`.
    version: &'static str,
    /// How long a person is asked, in milliseconds.
    #[serde(rename = "confirmWithinMs")]
    confirm_within_ms: u64,
    emergencies: Vec<Emergency>,
    /// The `before` of the next page.
    next: Option<u64>,
}

/// A change that was made without asking, and what its person says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Emergency {
    /// The commitment of the change's line: a revocation that names it says no.
    #[schema(value_type = String)]
    id: B256,
    /// The change's line.
    index: u64,
    /// In whose trail it stands.
    #[schema(value_type = String)]
    subject: B256,
    /// Whose word it is, if an organisation's.
    organisation: Option<Named>,
    /// What was reported, unless it cannot be opened any more.
    #[schema(value_type = Option<Object>)]
    report: Option<Report>,
    /// When the log took it, milliseconds since 1970.
    received_ms: u64,
    /// Since when somebody is asked, milliseconds since 1970; none: the person has no key and nobody
    /// who acts for them.
    since_ms: Option<u64>,
    /// Until when, milliseconds since 1970.
    due_ms: Option<u64>,
    /// `open`, `confirmed`, `denied`, `unanswered` or `nobody-to-ask`.
    state: &'static str,
    answer: Option<Answer>,
    /// The line that says that nobody answered in time. It permits nothing.
    unanswered: Option<u64>,
}

/// What the person says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EmergencyAnswer)]
struct Answer {
    /// The line that says so; none: it stands on the chain.
    index: Option<u64>,
    /// When the log took or found it, milliseconds since 1970.
    at_ms: u64,
}

impl Emergency {
    fn of(state: &State, view: EmergencyView) -> Self {
        let stands = view.state();
        let EmergencyView { id, line, index, subject, organisation, received_ms, .. } = view;
        let EmergencyView { clock, answer, unanswered, .. } = view;
        Self {
            id,
            index,
            subject,
            organisation: organisation.map(|id| Named::of(state, id)),
            report: line.map(|Entry { report, .. }| report),
            received_ms,
            since_ms: clock.map(|(since_ms, _)| since_ms),
            due_ms: clock.map(|(_, due_ms)| due_ms),
            state: stands,
            answer: answer.map(|answer| Answer { index: answer.index, at_ms: answer.at_ms }),
            unanswered,
        }
    }
}

/// Changes that were made without asking a person, for that person and for the organisation that
/// made them. A session that is both says by `as` which is meant; left out, it is the organisation.
/// `state=open`: those that still wait.
#[utoipa::path(get, path = "/v1/emergencies", operation_id = "emergencies", tag = "permissions",
    params(Listed), responses((status = 200, body = Emergencies)))]
#[routes]
#[get("/v1/emergencies")]
#[head("/v1/emergencies")]
pub(super) async fn list(
    listed: Result<Query<Listed>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Whom { whose, wish } = Whom::of(&caller, listed, &state).await?;
    let asked = state.clone();
    let (views, next) = blocking(move || asked.service.emergencies(whose, wish)).await?;
    Ok(json(&Emergencies {
        version: VERSION,
        confirm_within_ms: CONFIRM_MS,
        emergencies: views.into_iter().map(|view| Emergency::of(&state, view)).collect(),
        next,
    }))
}
