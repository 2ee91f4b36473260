//! What questions, claims and corrections have in common: who speaks for whom, and what is
//! answered once it stands.

use crate::answer::{created, json};
use crate::caller::Caller;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::{Data, Query};
use alloy_primitives::{B256, Bytes};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_oracle::inquiries::{self, PAGE_MAX, Whose, Wish};
use medtrail_oracle::intake::Submission;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Where something stands in the log.
#[derive(Serialize, ToSchema)]
pub(super) struct Noted {
    /// Of a question or claim: its id. Else the commitment of the line.
    #[schema(value_type = String)]
    id: B256,
    index: u64,
    /// medtrail/receipt-v1, the place hashed.
    #[schema(value_type = Object)]
    receipt: Receipt,
}

impl Noted {
    /// 201 if it is new, 200 if it stood there.
    pub(super) fn answer(noted: inquiries::Noted) -> HttpResponse {
        let inquiries::Noted { id, receipt, is_new } = noted;
        let index = receipt.index;
        let told = Self { id, index, receipt };
        let mut answer = if is_new { created(&told) } else { json(&told) };
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/entries/{index}")) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }
}

/// How an organisation says something.
pub(super) enum Said {
    /// By a report that its key signed.
    Signed(Box<Submission>),
    /// In plain fields.
    Plain,
}

impl Said {
    /// Of a body's fields; `is_plain` where plain ones stand in it.
    pub(super) fn of(
        report: Option<Report>,
        details: Option<Box<RawValue>>,
        signature: Option<Bytes>,
        is_plain: bool,
    ) -> Result<Self, Problem> {
        let wrong = |field: &str, told: &str| {
            Err(Problem::new(&problem::INVALID_FIELD, told.to_owned()).at(field))
        };
        match (report, details, signature) {
            (Some(report), Some(details), Some(signature)) if !is_plain => {
                let evidence = Evidence::Signed(signature);
                let details = Some(details.get().as_bytes().to_vec());
                Ok(Self::Signed(Box::new(Submission { report, evidence, details })))
            }
            (None, None, None) => Ok(Self::Plain),
            (Some(_), ..) if is_plain => {
                wrong("report", "a signed report says all: leave the other fields out")
            }
            (None, ..) => wrong("report", "report is missing"),
            (_, None, _) => wrong("details", "details is missing"),
            _ => wrong("signature", "signature is missing"),
        }
    }

    /// Plain words are taken from API keys alone: an organisation with a key signs.
    pub(super) fn require_api_key(caller: &Caller) -> Result<(), Problem> {
        match caller {
            Caller::Organisation(_) => Ok(()),
            _ => {
                let told = "this organisation has a key: sign the report with it";
                Err(Problem::new(&problem::SIGN_YOURSELF, told))
            }
        }
    }
}

/// Which are listed.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Listed {
    /// `open`: only those without an answer; `all` (left out: this).
    state: Option<String>,
    /// `person` or `organisation`.
    r#as: Option<String>,
    /// Whose, for who acts for somebody: an address or a pseudonym.
    subject: Option<String>,
    /// Only those with a smaller index: the `next` of the page before.
    before: Option<u64>,
    /// At most, to 200; 50 if left out.
    limit: Option<usize>,
}

/// Where no number is named.
const USUAL: usize = 50;

/// Whose are listed, and which.
pub(super) struct Whom {
    pub(super) whose: Whose,
    pub(super) wish: Wish,
}

impl Whom {
    pub(super) async fn of(
        caller: &Caller,
        listed: Result<Query<Listed>, actix_web::Error>,
        state: &Data<State>,
    ) -> Result<Self, Problem> {
        let sides = Self::sides(caller, state)?;
        let invalid = |told: String| Problem::new(&problem::INVALID_QUERY, told);
        let Listed { state: which, r#as, subject, before, limit } =
            listed.map_err(|error| invalid(error.to_string()))?.into_inner();
        let sides = match subject {
            Some(subject) => vec![Whose::About(caller.sees(state, &subject).await?.subject)],
            None => sides,
        };
        let open = match which.as_deref() {
            None | Some("all") => false,
            Some("open") => true,
            Some(_) => return Err(invalid("state is open or all".to_owned()).at("state")),
        };
        let limit = limit.unwrap_or(USUAL);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid(format!("limit is from 1 to {PAGE_MAX}")).at("limit"));
        }
        let is_meant = |whose: &&Whose| match r#as.as_deref() {
            None => true,
            Some("person") => matches!(whose, Whose::Person(_) | Whose::About(_)),
            Some("organisation") => matches!(whose, Whose::Organisation(_)),
            Some(_) => false,
        };
        let whose = sides.iter().find(is_meant).copied();
        let whose = whose.ok_or_else(|| {
            invalid("as is person or organisation, and what you are".to_owned()).at("as")
        })?;
        Ok(Self { whose, wish: Wish { claims: false, open, before, limit } })
    }

    /// As whom somebody may ask: the organisation first.
    pub(super) fn sides(caller: &Caller, state: &State) -> Result<Vec<Whose>, Problem> {
        if let Caller::Organisation(api) = caller {
            return Ok(vec![Whose::Organisation(api.organisation)]);
        }
        let address = caller.session()?.address;
        let organisation = state.organisation_of(address).map(Whose::Organisation);
        Ok(organisation.into_iter().chain([Whose::Person(address)]).collect())
    }
}
