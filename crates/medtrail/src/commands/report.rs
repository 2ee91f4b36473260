//! `medtrail report`: tells a log what happened.

use super::PassphraseArgs;
use super::verify::read_trust;
use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use crate::node::now_ms;
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
/// The same event sent again gets the same place, so a lost answer costs nothing.
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
    /// When it happened, in milliseconds since 1970; now if absent
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
        timeMs: args.time_ms.unwrap_or_else(now_ms),
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
