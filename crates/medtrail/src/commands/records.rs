//! `medtrail records`: the vault, with a key.

mod bundle;

use super::signing::{Signed, Signing, shown, subject};
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::B256;
use bundle::pieces;
use medtrail_ledger::entry::batch_root;
use medtrail_ledger::schema::{ReportBatch, domain};
use medtrail_ledger::vault::{About, BUNDLES, UPLOADS, own_record, version_of};
use reqwest::Response;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Keeps, reads and lists records in a log's vault.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists the records that you may know of
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        signing: Signing,
    },
    /// Lists the versions of a record
    Versions {
        /// The record's id
        record: B256,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        signing: Signing,
    },
    /// Reads a record into a file; the line that says so is written first
    Get {
        /// The record's id
        record: B256,
        /// An older version
        #[arg(long, value_name = "0x…")]
        version: Option<B256>,
        /// Where to
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        signing: Signing,
    },
    /// Writes a file as the next version of a record
    Put {
        /// The file
        file: PathBuf,
        /// The record's id; by default that of your own record of this file's name
        #[arg(long, value_name = "0x…")]
        record: Option<B256>,
        /// What a person calls it
        #[arg(long)]
        title: String,
        /// Its media type
        #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
        media_type: String,
        /// Its type, if it is a FHIR R4 resource
        #[arg(long, value_name = "TYPE")]
        resource_type: Option<String>,
        /// The version it builds on; by default that of the approval, or the one that counts, as
        /// far as you may know it
        #[arg(long, value_name = "0x…")]
        from: Option<B256>,
        /// The permission it rests on
        #[arg(long, value_name = "ID", default_value_t = B256::ZERO)]
        permission: B256,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        signing: Signing,
    },
    /// Keeps a sensor's day: the file that grows with it is the next version of that day's record
    Append {
        /// All of the day so far
        file: PathBuf,
        /// The sensor, always by the same name
        #[arg(long, value_name = "NAME")]
        source: String,
        /// The day of its readings: 2026-11-27
        #[arg(long, value_name = "DAY", value_parser = day)]
        day: String,
        /// What a person calls it; by default the sensor and the day
        #[arg(long)]
        title: Option<String>,
        /// Its media type
        #[arg(long, value_name = "TYPE", default_value = "text/csv")]
        media_type: String,
        #[command(flatten)]
        signing: Signing,
    },
    /// Keeps each resource of a FHIR Bundle as a record of your own, under one signature
    Import {
        /// The Bundle, JSON
        file: PathBuf,
        #[command(flatten)]
        signing: Signing,
    },
}

#[derive(clap::Args)]
pub(super) struct Whose {
    /// Whose: an address or a pseudonym; your own, if left out
    #[arg(long, value_name = "0x…", value_parser = subject)]
    subject: Option<B256>,
    /// What for, of an organisation (v3-ActReason)
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
}

impl Whose {
    fn query(&self) -> String {
        let subject = self.subject.map(|subject| format!("subject={subject}"));
        let purpose = self.purpose.as_ref().map(|purpose| format!("purpose={purpose}"));
        let parts: Vec<String> = subject.into_iter().chain(purpose).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { whose, signing } => {
            let signed = signing.open().await?;
            let answer = signed.session.get(&format!("/v1/records{}", whose.query())).await?;
            signed.list(&answer, &["record", "title", "type", "versions", "version"], |told| {
                let rows = told["records"].as_array().into_iter().flatten();
                let row = |one: &Value| {
                    let now = &one["current"];
                    let versions = one["versions"].to_string();
                    let (title, kind) = (shown(now, "title"), shown(now, "resourceType"));
                    vec![shown(one, "record"), title, kind, versions, shown(one, "head")]
                };
                rows.map(row).collect()
            })
        }
        Command::Versions { record, whose, signing } => {
            let signed = signing.open().await?;
            let path = format!("/v1/records/{record}/versions{}", whose.query());
            let answer = signed.session.get(&path).await?;
            signed.list(&answer, &["line", "version", "title", "bytes", "signed by"], |told| {
                let rows = told.as_array().into_iter().flatten();
                let row = |one: &Value| {
                    let who = shown(&one["organisation"], "name");
                    let who = if who.is_empty() { shown(one, "actor") } else { who };
                    let (index, bytes) = (one["index"].to_string(), one["bytes"].to_string());
                    vec![index, shown(one, "version"), shown(one, "title"), bytes, who]
                };
                rows.map(row).collect()
            })
        }
        Command::Get { record, version, out, whose, signing } => {
            let signed = signing.open().await?;
            let mut path = format!("/v1/records/{record}/content{}", whose.query());
            if let Some(version) = version {
                let between = if path.contains('?') { '&' } else { '?' };
                path.push_str(&format!("{between}version={version}"));
            }
            let answer = signed.session.open_stream(&path).await?;
            let told = save(answer, version, &out).await?;
            signed.tell(&told, saved_words)
        }
        Command::Put {
            file,
            record,
            title,
            media_type,
            resource_type,
            from,
            permission,
            whose,
            signing,
        } => {
            let content = read(&file)?;
            let signed = signing.open().await?;
            let of = whose.subject.unwrap_or_else(|| signed.session.address().into_word());
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let record = record.unwrap_or_else(|| own_record(of, UPLOADS, &name));
            let to = version_of(&content);
            let from = match from {
                Some(from) => Some(from),
                None if permission.is_zero() => None,
                None => approved(&signed, record, to).await?,
            };
            let from = match from {
                Some(from) => from,
                None => head(&signed, &whose, record).await?,
            };
            let about = About { title, media_type, resource_type, ..About::default() };
            let details = version_details(&about, content.len(), whose.purpose.as_deref());
            let mut report = signed.report(2, &details)?;
            (report.subject, report.record, report.permission) = (of, record, permission);
            (report.fromVersion, report.toVersion) = (from, to);
            report.action = if from.is_zero() { b'C' } else { b'U' };
            let body = signed.body(&report, &details, Some(&content));
            let answer =
                signed.session.post(&format!("/v1/records/{record}/versions"), &body).await?;
            signed.tell(&answer, |told| format!("Record {record} counts, line {}.", told["index"]))
        }
        Command::Append { file, source, day, title, media_type, signing } => {
            let content = read(&file)?;
            let signed = signing.open().await?;
            let of = signed.session.address().into_word();
            let record = own_record(of, &source, &day);
            let known = signed.session.get("/v1/records").await?;
            let mut all = known["records"].as_array().into_iter().flatten();
            let now = all.find(|one| one["record"] == json!(record)).cloned().unwrap_or_default();
            let from: B256 =
                now["head"].as_str().and_then(|head| head.parse().ok()).unwrap_or_default();
            let to = version_of(&content);
            if from == to {
                let answer = json!({ "record": record, "version": to, "isNew": false });
                return signed.tell(&answer, |_| format!("Record {record} holds this already."));
            }
            // Whoever appends takes nothing away: a shorter file is another one, or a broken one.
            let kept = now["current"]["bytes"].as_u64().filter(|_| !from.is_zero());
            if kept.is_some_and(|kept| kept > content.len() as u64) {
                return Err(Failure::new(
                    "the file is shorter than what is kept of this day: records put replaces it",
                ));
            }
            let title = title.unwrap_or_else(|| format!("{source}, {day}"));
            let about = About { title, media_type, ..About::default() };
            let details = version_details(&about, content.len(), None);
            let mut report = signed.report(2, &details)?;
            (report.subject, report.record) = (of, record);
            (report.fromVersion, report.toVersion) = (from, to);
            report.action = if from.is_zero() { b'C' } else { b'U' };
            let body = signed.body(&report, &details, Some(&content));
            let path = format!("/v1/records/{record}/versions");
            let answer = signed.session.post(&path, &body).await?;
            signed.tell(&answer, |told| format!("Record {record} counts, line {}.", told["index"]))
        }
        Command::Import { file, signing } => import(&file, signing).await,
    }
}

/// The form of a day, so that one day is one record.
fn day(text: &str) -> Result<String, String> {
    // RFC 3339 reads a whole moment: midnight makes one of a day.
    let is_day = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).is_ok();
    match is_day && text.len() == 10 {
        true => Ok(text.to_owned()),
        false => Err("a day of the calendar, as 2026-11-27".to_owned()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

fn version_details(about: &About, bytes: usize, purpose: Option<&str>) -> Value {
    let purposes: Vec<&str> = purpose.into_iter().collect();
    json!({
        "version": "medtrail/version-v1",
        "about": about,
        "bytes": bytes,
        "purposes": purposes,
    })
}

/// The version that an approval of this change builds on: whoever was allowed one change and nothing
/// else may list no records.
async fn approved(signed: &Signed, record: B256, to: B256) -> Result<Option<B256>, Failure> {
    let told = signed.session.get("/v1/approvals").await?;
    let mut all = told["requests"].as_array().into_iter().flatten();
    let is_it = |one: &&Value| {
        one["record"] == json!(record)
            && one["toVersion"] == json!(to)
            && one["state"] == "approved"
    };
    Ok(all.find(is_it).and_then(|one| one["fromVersion"].as_str()?.parse().ok()))
}

/// The version of a record that counts; zero for one that is not there.
async fn head(signed: &Signed, whose: &Whose, record: B256) -> Result<B256, Failure> {
    let answer = signed.session.get(&format!("/v1/records{}", whose.query())).await?;
    let mut all = answer["records"].as_array().into_iter().flatten();
    let found = all.find(|one| one["record"] == json!(record));
    Ok(found.and_then(|one| one["head"].as_str()?.parse().ok()).unwrap_or_default())
}

async fn import(file: &Path, signing: Signing) -> Outcome {
    let bundle = read(file)?;
    let pieces =
        pieces(&bundle).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let signed = signing.open().await?;
    let of = signed.session.address().into_word();
    let known = signed.session.get("/v1/records").await?;
    let mut items = Vec::new();
    for piece in &pieces {
        let record = own_record(of, BUNDLES, &piece.id);
        let mut all = known["records"].as_array().into_iter().flatten();
        let from = all.find(|one| one["record"] == json!(record));
        let from = from.and_then(|one| one["head"].as_str()?.parse().ok()).unwrap_or(B256::ZERO);
        let to = version_of(&piece.bytes);
        if from == to {
            continue;
        }
        let details = version_details(&piece.about, piece.bytes.len(), None);
        let mut report = signed.report(2, &details)?;
        (report.subject, report.record) = (of, record);
        (report.fromVersion, report.toVersion) = (from, to);
        report.action = if from.is_zero() { b'C' } else { b'U' };
        items.push((report, details, &piece.bytes));
    }
    if items.is_empty() {
        return signed.tell(&json!({ "results": [] }), |_| "Nothing new in it.".to_owned());
    }
    let hashes: Vec<B256> = items.iter().map(|(report, ..)| report.hash()).collect();
    let batch = ReportBatch { root: B256::from(batch_root(&hashes)), count: hashes.len() as u64 };
    let domain = domain(signed.trust.chain_id, signed.trust.registry);
    let signature = signed.session.key().sign_document(&batch, &domain);
    let items: Vec<Value> = items
        .iter()
        .map(|(report, details, bytes)| {
            use base64::Engine;
            let content = base64::engine::general_purpose::STANDARD.encode(bytes);
            json!({ "report": report, "details": details, "content": content })
        })
        .collect();
    let body = json!({
        "root": batch.root, "count": batch.count, "signature": signature, "items": items,
    });
    let answer = signed.session.post("/v1/records", &body).await?;
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    let kept = results.iter().filter(|one| one["written"].is_object()).count();
    signed.tell(&answer, |_| format!("{kept} of {} records are kept.", results.len()))?;
    match kept == results.len() {
        true => Ok(ExitCode::from(OK)),
        false => Err(Failure::new("not all were kept; --json tells why")),
    }
}

/// Writes the bytes of a version that the service sends, if they are those that it names, and those
/// that were asked for.
pub(super) async fn save(
    answer: Response,
    wanted: Option<B256>,
    out: &Path,
) -> Result<Value, Failure> {
    let line = answer.headers().get("medtrail-entry").cloned();
    let told = answer.headers().get("etag").cloned();
    let bytes = answer.bytes().await?;
    let found = version_of(&bytes);
    let is_it = told.is_some_and(|tag| tag.as_bytes() == format!("\"{found}\"").as_bytes());
    if !is_it || wanted.is_some_and(|asked| asked != found) {
        return Err(Failure::new("the bytes are not the version that was asked for"));
    }
    std::fs::write(out, &bytes)?;
    let line = line.and_then(|line| line.to_str().map(str::to_owned).ok()).unwrap_or_default();
    Ok(json!({ "version": found, "bytes": bytes.len(), "index": line }))
}

/// What was saved.
pub(super) fn saved_words(told: &Value) -> String {
    let (version, line) = (shown(told, "version"), shown(told, "index"));
    format!("{} bytes, version {version}, line {line}.", told["bytes"])
}
