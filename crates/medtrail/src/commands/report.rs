//! `medtrail report`: tells a log what happened.

use super::PassphraseArgs;
use super::verify::read_trust;
use crate::client::Client;
use crate::clock::now_ms;
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::{Address, B256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::proof::spell;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Report, domain};
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::process::ExitCode;

/// Signs one report and sends it; prints the receipt, or keeps it in a file.
///
/// The same command again gets the same place, so a lost answer costs nothing: as long as the time
/// is the document's own, or named with --time-ms.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(long, value_name = "URL")]
    url: String,
    /// The log's trust file (its /.well-known/medtrail.json)
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Your keystore (`medtrail keys reporter`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// What it is about
    #[arg(long, value_enum, default_value = "access")]
    kind: ReportedKind,
    /// FHIR AuditEvent.action
    #[arg(long, value_enum)]
    action: Option<Action>,
    /// The person: their address, or the 32-byte pseudonym you know them by
    #[arg(long, value_name = "0x…", value_parser = subject)]
    subject: B256,
    /// The record, as its 32-byte id
    #[arg(long, value_name = "0x…", default_value_t = B256::ZERO)]
    record: B256,
    /// When it happened, in milliseconds since 1970; by default the document's `recorded` (FHIR),
    /// else now
    #[arg(long, value_name = "MS")]
    time_ms: Option<u64>,
    /// Your own id of the event; by default the bytes of the details are its id
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// The details document, JSON, kept byte for byte (a FHIR AuditEvent)
    #[arg(long, value_name = "FILE")]
    details: PathBuf,
    /// Keep the receipt here
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

/// Kinds that custodians report.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ReportedKind {
    Access = 1,
    Change = 2,
    HandOver = 3,
    Source = 7,
    Question = 12,
    Correction = 13,
    Coverage = 14,
    Claim = 15,
}

/// FHIR audit-event-action.
#[derive(Clone, Copy, clap::ValueEnum)]
#[clap(rename_all = "UPPER")]
enum Action {
    C = b'C' as isize,
    R = b'R' as isize,
    U = b'U' as isize,
    D = b'D' as isize,
    E = b'E' as isize,
}

fn subject(text: &str) -> Result<B256, String> {
    if let Ok(address) = text.parse::<Address>() {
        return Ok(subject_of(address));
    }
    text.parse().map_err(|_| "a person is an address (20 bytes) or a pseudonym (32 bytes)".into())
}

pub(crate) async fn run(args: Args) -> Outcome {
    let trust = read_trust(&args.trust)?;
    let document = std::fs::read(&args.details)
        .map_err(|error| Failure::new(format!("{}: {error}", args.details.display())))?;
    let (path, passphrase) = (args.key.clone(), args.passphrase.read()?);
    let opening = tokio::task::spawn_blocking(move || ReporterKey::load(&path, &passphrase));
    let key = opening.await??;
    let id = args.event_id.as_ref().map_or(document.as_slice(), |id| id.as_bytes());
    let body_document = details_as_sent(&document)
        .map_err(|error| Failure::new(format!("{}: {error}", args.details.display())))?;
    let report = Report {
        log: trust.log,
        eventId: event_id(key.address(), id),
        kind: args.kind as u8,
        action: args.action.map_or(0, |action| action as u8),
        timeMs: args.time_ms.or_else(|| recorded_ms(&document)).unwrap_or_else(now_ms),
        subject: args.subject,
        actor: key.address(),
        record: args.record,
        details: details_hash(body_document.get().as_bytes()),
        ..Report::default()
    };
    let signature = key.sign(&report, &domain(trust.chain_id, trust.registry));
    let body = one_report(&report, &body_document, &signature)?;
    let receipt: Receipt = Client::new(&args.url)?.report(body).await?;
    let text = spell(&receipt);
    match &args.receipt {
        Some(file) => {
            std::fs::write(file, text)?;
            println!("Entry {} is recorded; the receipt is in {}.", receipt.index, file.display());
        }
        None => print!("{}", String::from_utf8_lossy(&text)),
    }
    Ok(ExitCode::from(OK))
}

/// The document as a JSON value, byte for byte: blanks around it are no part of a JSON value, so
/// they are left out of what is hashed.
pub(crate) fn details_as_sent(document: &[u8]) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::from_slice(document)
}

/// When a FHIR AuditEvent or Provenance says that it was recorded. Our own clock would make a
/// repeated command another report under the same event id, which the log must refuse.
fn recorded_ms(document: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Recorded {
        recorded: String,
    }
    instant_ms(&serde_json::from_slice::<Recorded>(document).ok()?.recorded)
}

/// A FHIR instant (RFC 3339) in milliseconds since 1970; `None` if it is none, or lies before.
fn instant_ms(text: &str) -> Option<u64> {
    fn number(digits: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let parsed = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        parsed?.filter(|number| range.contains(number))
    }
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = date.split('-').collect::<Vec<_>>().try_into().ok()?;
    let (time, offset_minutes) = match rest.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = rest.split_at_checked(rest.rfind(['+', '-'])?)?;
            let (hours, minutes) = offset[1..].split_once(':')?;
            let minutes = number(hours, 0..=14)? * 60 + number(minutes, 0..=59)?;
            (time, if offset.starts_with('-') { -minutes } else { minutes })
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>().try_into().ok()?;
    let milli = number(format!("{fraction:0<3}").get(..3)?, 0..=999)?;
    let (year, month) = (number(year, 1970..=9999)?, number(month, 1..=12)?);
    let day = number(day, 1..=31)?;
    // A civil date to days, by eras of 400 years that begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let minutes = days * 1_440 + number(hour, 0..=23)? * 60 + number(minute, 0..=59)?;
    let seconds = (minutes - offset_minutes) * 60 + number(second, 0..=60)?;
    u64::try_from(seconds * 1_000 + milli).ok()
}

/// The body of `POST /v1/reports`.
pub(crate) fn one_report(
    report: &Report,
    details: &RawValue,
    signature: &alloy_primitives::Bytes,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        report: &'a Report,
        details: &'a RawValue,
        signature: &'a alloy_primitives::Bytes,
    }
    serde_json::to_vec(&Body { report, details, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_s_own_time_is_read_to_the_millisecond_in_any_offset() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2020-04-29T09:49:00.000Z", 1_588_153_740_000),
            ("2020-02-29T23:59:59.9Z", 1_583_020_799_900),
            ("2024-12-31T23:30:00.1239-01:00", 1_735_691_400_123),
            ("2026-02-11T08:15:02.250+02:00", 1_770_790_502_250),
        ] {
            assert_eq!(instant_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_no_time() {
        for text in [
            "",
            "2026",
            "2026-02-11",
            "2026-02-11T08:15Z",
            "2026-02-11T08:15:02",
            "2026-13-11T08:15:02Z",
            "2026-02-11T24:15:02Z",
            "2026-02-11T+8:15:02Z",
            "2026-02-11T08:15:02.ä€Z",
            "2026-02-11T08:15:02+2:ö",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(instant_ms(text), None, "{text}");
        }
        assert_eq!(recorded_ms(br#"{"recorded":7}"#), None);
        assert_eq!(recorded_ms(br#"{"recorded":"1970-01-01T00:00:01Z","x":[]}"#), Some(1_000));
    }
}
