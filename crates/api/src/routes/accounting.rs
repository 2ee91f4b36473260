//! `/v1/subjects/{subject}/accounting`: who was given what about a person, when and for what, as one
//! table (45 CFR 164.528). Taking it is an access of its own: its line stands before a byte leaves.

use crate::answer::blocking;
use crate::caller::{Caller, Seer};
use crate::client::Client;
use crate::limits::LINES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, get};
use alloy_primitives::{Address, B256};
use futures::Stream;
use futures::stream::try_unfold;
use medtrail_fhir::accounting::audit_event;
use medtrail_fhir::reading::{Who, reading};
use medtrail_ledger::entry::{Kind, commitment};
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::accounting::{VERSION, is_accounting};
use medtrail_oracle::opener::Entry;
use medtrail_oracle::trail::TrailQuery;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt::Write;
use std::io;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

/// Six years of 365.25 days: how far back an accounting goes if nobody says otherwise.
const USUAL_MS: u64 = 6 * 31_557_600 * 1000;
/// The first line of the table.
const COLUMNS: &str = "time,organisation,signed,person,role,act,data,record,purpose,recipient,\
                       outcome,line,commitment\r\n";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Asked {
    /// Only what happened then or later, milliseconds since 1970; six years ago if left out.
    from: Option<u64>,
    /// Only what happened before, milliseconds since 1970; now if left out.
    until: Option<u64>,
    /// `csv` (RFC 4180), or `json`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    format: Form,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Csv,
    #[default]
    Json,
    /// A Bundle of AuditEvents: `/fhir/Patient/{id}/$accounting`.
    #[serde(skip)]
    Fhir,
}

/// A line of the accounting.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Disclosure {
    /// When it happened, as reported, milliseconds since 1970.
    time_ms: u64,
    /// Who reported it; none: it has no name here.
    organisation: Option<String>,
    /// Whether the organisation signed it; else the operator passed its word on.
    is_signed: bool,
    /// Who did it, as far as they were named: name, number, role.
    #[schema(value_type = Object)]
    who: Option<Who>,
    /// `read`, `search`, `create`, `change`, `delete`, `use`, `passOn`, `receive`, `ask`.
    act: String,
    /// Which data, as codes (`allergies`, `medicines`… or `other`).
    data: Vec<String>,
    /// The first record, as the organisation names it.
    record: Option<String>,
    /// Purpose of use (v3-ActReason).
    purpose: Option<String>,
    /// Of data passed on: to whom, or from whom.
    recipient: Option<String>,
    /// It was tried and did not succeed, or was not allowed.
    has_failed: bool,
    /// The line's index in the log.
    index: u64,
    /// Its commitment, by which it is checked.
    #[schema(value_type = String)]
    commitment: B256,
}

/// An accounting, newest line first.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used: it is written line by line")]
struct Accounting {
    /// `medtrail/accounting-v1`.
    version: String,
    #[schema(value_type = String)]
    subject: B256,
    from_ms: u64,
    until_ms: u64,
    disclosures: Vec<Disclosure>,
}

/// Who was given what about whoever is signed in: all that organisations reported as looked at,
/// changed or passed on. Taking it is a line of the trail itself. An answer that was cut short does
/// not end like a whole one.
#[utoipa::path(get, path = "/v1/subjects/{subject}/accounting", operation_id = "accounting",
    tag = "trail",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes; or who the caller acts for"),
        Asked),
    responses((status = 200, body = Accounting, description = "With `format=csv`: a table")))]
#[get("/v1/subjects/{subject}/accounting")]
pub(super) async fn get(
    subject: Path<String>,
    asked: Result<Query<Asked>, actix_web::Error>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let seer = caller.sees(&state, &subject).await?;
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let Some(span) = span(&state, asked.from, asked.until) else {
        let told = "from: it must be before until";
        return Err(Problem::new(&problem::INVALID_QUERY, told).at("from"));
    };
    let (media, name) = match asked.format {
        Form::Csv => ("text/csv; charset=utf-8; header=present", "accounting.csv"),
        _ => ("application/json", "accounting.json"),
    };
    let parts = take(&request, state, seer, span, asked.format).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(parts))
}

/// What is asked for, or the usual time: `[from, until)`; none if nothing lies between.
pub(super) fn span(state: &State, from_ms: Option<u64>, until_ms: Option<u64>) -> Option<Span> {
    let now_ms = state.now_ms();
    let until_ms = until_ms.unwrap_or(now_ms);
    let from_ms = from_ms.unwrap_or(now_ms.saturating_sub(USUAL_MS));
    (from_ms < until_ms).then_some(Span { from_ms, until_ms })
}

/// The time of an accounting.
#[derive(Clone, Copy)]
pub(super) struct Span {
    from_ms: u64,
    until_ms: u64,
}

/// Enters that an accounting is taken, and gives its parts.
pub(super) async fn take(
    request: &HttpRequest,
    state: Data<State>,
    seer: Seer,
    span: Span,
    form: Form,
) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, Problem> {
    // Each leaves a line.
    state.rates.document(Client::of(request))?;
    let Span { from_ms, until_ms } = span;
    let word = match form {
        Form::Csv => "csv",
        Form::Json => "json",
        Form::Fhir => "fhir",
    };
    let (service, who, subject) = (state.service.clone(), seer.session.address, seer.subject);
    blocking(move || service.take_accounting(who, subject, from_ms, until_ms, word)).await?;
    let query = TrailQuery {
        from_ms: Some(from_ms),
        until_ms: Some(until_ms),
        kinds: vec![Kind::Access, Kind::Change, Kind::HandOver],
        limit: LINES_MAX,
        ..TrailQuery::default()
    };
    Ok(Writing { state, seer, query, form, step: Step::Begin }.parts())
}

/// How far the answer is written.
enum Step {
    Begin,
    /// Whether a line was written already.
    Lines(bool),
    Over,
}

/// An answer under way: one page of the trail in memory at a time.
struct Writing {
    state: Data<State>,
    seer: Seer,
    query: TrailQuery,
    form: Form,
    step: Step,
}

impl Writing {
    fn parts(self) -> impl Stream<Item = io::Result<Bytes>> {
        try_unfold(self, |mut writing| async move {
            // What went wrong was told to the operator; the answer ends without its end.
            let part = writing.next().await.map_err(|_| io::Error::other("the trail"))?;
            Ok(part.map(|part| (part, writing)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut out = match self.step {
            Step::Over => return Ok(None),
            Step::Begin => self.head(),
            Step::Lines(_) => String::new(),
        };
        let mut has_line = matches!(self.step, Step::Lines(true));
        let (service, seer, query) =
            (self.state.service.clone(), self.seer.clone(), self.query.clone());
        let page = blocking(move || match seer.may_go_on(&service) {
            true => Ok(service.trail_about(seer.subject, &query)?),
            false => Err(Problem::no_such_trail()),
        })
        .await?;
        for entry in &page.entries {
            let own = entry.details.as_deref().filter(|_| entry.evidence == Evidence::Relayed);
            if own.is_some_and(is_accounting) {
                continue;
            }
            let line = disclosure(&self.state, entry);
            match self.form {
                Form::Csv => write_row(&mut out, &line),
                Form::Json => {
                    out.push_str(if has_line { "," } else { "" });
                    out.push_str(&serde_json::to_string(&line).expect("our answers are JSON"));
                }
                // R4 forbids empty lists: it begins with the first.
                Form::Fhir => {
                    out.push_str(if has_line { "," } else { r#","entry":["# });
                    out.push_str(&bundled(&self.state, entry, &line).to_string());
                }
            }
            has_line = true;
        }
        self.step = Step::Lines(has_line);
        match page.next {
            Some(next) => self.query.before = Some(next),
            None => {
                self.step = Step::Over;
                out.push_str(match self.form {
                    Form::Csv => "",
                    Form::Fhir if !has_line => "}",
                    Form::Json | Form::Fhir => "]}",
                });
            }
        }
        Ok(Some(out.into()))
    }

    fn head(&self) -> String {
        match self.form {
            Form::Csv => COLUMNS.to_owned(),
            Form::Fhir => r#"{"resourceType":"Bundle","type":"searchset""#.to_owned(),
            Form::Json => format!(
                r#"{{"version":"{VERSION}","subject":"{}","fromMs":{},"untilMs":{},"disclosures":["#,
                self.seer.subject,
                self.query.from_ms.unwrap_or_default(),
                self.query.until_ms.unwrap_or_default(),
            ),
        }
    }
}

fn disclosure(state: &State, entry: &Entry) -> Disclosure {
    let names = |address: Address| Some(state.named(address).1).filter(|name| !name.is_empty());
    let is_relayed = entry.evidence == Evidence::Relayed;
    let facts = reading(&entry.report, entry.details.as_deref(), is_relayed, &names);
    Disclosure {
        time_ms: entry.report.timeMs,
        organisation: facts.organisation,
        is_signed: !is_relayed,
        who: facts.who,
        act: facts.verb,
        data: facts.categories,
        record: facts.resource,
        purpose: facts.purpose,
        recipient: facts.counterpart,
        has_failed: facts.failed || facts.refused,
        index: entry.index,
        commitment: commitment(&entry.report, &entry.place),
    }
}

/// An entry of the Bundle.
fn bundled(state: &State, entry: &Entry, line: &Disclosure) -> serde_json::Value {
    let made = medtrail_fhir::accounting::Disclosure {
        index: line.index,
        commitment: line.commitment,
        subject: entry.report.subject,
        time_ms: line.time_ms,
        action: entry.report.action,
        act: &line.act,
        organisation: line.organisation.as_deref(),
        actor: entry.report.actor,
        is_signed: line.is_signed,
        who: line.who.as_ref(),
        data: &line.data,
        record: entry.report.record,
        record_name: line.record.as_deref(),
        purpose: line.purpose.as_deref(),
        recipient: line.recipient.as_deref(),
        has_failed: line.has_failed,
    };
    let source = format!("{}/v1/entries/{}", state.site.url, line.index);
    let resource = audit_event(&made, &source);
    json!({ "fullUrl": source, "resource": resource, "search": { "mode": "match" } })
}

fn write_row(out: &mut String, line: &Disclosure) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.time_ms) * 1_000_000);
    let time = time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
    let person = line.who.as_ref().map_or_else(String::new, |who| {
        let parts = [who.name.as_deref(), who.id.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let role = line.who.as_ref().and_then(|who| who.role.clone()).unwrap_or_default();
    let (index, commitment) = (line.index.to_string(), line.commitment.to_string());
    let texts = [
        time.as_str(),
        line.organisation.as_deref().unwrap_or_default(),
        if line.is_signed { "yes" } else { "no" },
        &person,
        &role,
        &line.act,
        &line.data.join("; "),
        line.record.as_deref().unwrap_or_default(),
        line.purpose.as_deref().unwrap_or_default(),
        line.recipient.as_deref().unwrap_or_default(),
        if line.has_failed { "failed" } else { "done" },
        &index,
        &commitment,
    ];
    for (place, text) in texts.into_iter().enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        write_field(out, text);
    }
    out.push_str("\r\n");
}

/// A field as RFC 4180 has it. What a spreadsheet would take for a formula begins with an
/// apostrophe: names come from reporters, and whoever opens the table must not run their formulas.
fn write_field(out: &mut String, text: &str) {
    let first = text.trim_start().chars().next();
    let is_formula = first.is_some_and(|first| "=+-@|%＝＋－＠".contains(first))
        || text.starts_with(['\t', '\r', '\n']);
    let guard = if is_formula { "'" } else { "" };
    match is_formula || text.contains([',', '"', '\r', '\n', ';', '\t']) {
        true => {
            let _ = write!(out, "\"{guard}{}\"", text.replace('"', "\"\""));
        }
        false => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> String {
        let mut out = String::new();
        write_field(&mut out, text);
        out
    }

    #[test]
    fn fields_are_those_of_rfc_4180_and_none_is_a_formula() {
        assert_eq!(field("Kalda Family Doctors"), "Kalda Family Doctors");
        assert_eq!(field(""), "");
        assert_eq!(field("Saar, \"Peeter\""), r#""Saar, ""Peeter""""#);
        assert_eq!(field("a\r\nb"), "\"a\r\nb\"");
        for hostile in [
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "  =1",
            "\r=1",
            "|cmd",
            "%x",
            "＝1",
        ] {
            let written = field(hostile);
            assert!(written.starts_with("\"'") && written.ends_with('"'), "{written}");
            assert_eq!(written[2..written.len() - 1].replace("\"\"", "\""), hostile);
        }
    }
}
