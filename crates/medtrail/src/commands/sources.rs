//! `medtrail sources`: where records are kept, with the key of a person or of an organisation.

use super::signing::{Signed, Signing, shown, subject};
use crate::exit::{Failure, Outcome};
use alloy_primitives::B256;
use medtrail_ledger::source::{Registered, Relocated, Told, Whereabouts};
use medtrail_ledger::vault::version_of;
use serde_json::{Value, json};
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Tells the log where records are kept, and shows which of these places still answer.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists your sources and how they stand
    List {
        #[command(flatten)]
        signing: Signing,
    },
    /// Tells where a version of a record is kept
    Register {
        /// The record's id
        record: B256,
        /// What it is, in words its person knows: `90 days of readings`
        #[arg(long)]
        title: String,
        /// Who keeps it, by the name its person knows
        #[arg(long)]
        keeper: String,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        bytes: Bytes,
        /// Whose record: an address or a pseudonym; your own, if left out
        #[arg(long, value_name = "0x…", value_parser = subject)]
        subject: Option<B256>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Tells where a source is now
    Move {
        /// The source's id
        id: B256,
        #[command(flatten)]
        at: At,
        /// Who keeps it now; as before, if left out
        #[arg(long)]
        keeper: Option<String>,
        #[command(flatten)]
        signing: Signing,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct At {
    /// Where it answers, https://…
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// Where it is, if nobody can ask there
    #[arg(long, value_name = "WORDS")]
    place: Option<String>,
}

impl At {
    fn whereabouts(self) -> Whereabouts {
        match self.at {
            Some(url) => Whereabouts::Url(url),
            None => Whereabouts::Described(self.place.unwrap_or_default()),
        }
    }
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Bytes {
    /// The very bytes, in a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Their SHA-256
    #[arg(long, value_name = "0x…")]
    content: Option<B256>,
}

impl Bytes {
    fn content(self) -> Result<B256, Failure> {
        match (self.content, self.file) {
            (Some(content), _) => Ok(content),
            (None, Some(path)) => {
                let read = std::fs::read(&path);
                let told = |error| Failure::new(format!("{}: {error}", path.display()));
                Ok(version_of(&read.map_err(told)?))
            }
            (None, None) => Err(Failure::new("name --file or --content")),
        }
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { signing } => {
            let signed = signing.open().await?;
            let answer = signed.session.get("/v1/sources").await?;
            let head = ["what", "kept by", "state", "since", "kept", "last asked", "id"];
            signed.list(&answer, &head, |told| {
                let row = |one: &Value| {
                    let mut row = vec![shown(one, "title"), shown(one, "keeper")];
                    row.extend([shown(one, "state"), moment(&one["sinceMs"])]);
                    row.extend([shown(one, "kept"), moment(&one["probedMs"]), shown(one, "id")]);
                    row
                };
                told["sources"].as_array().into_iter().flatten().map(row).collect()
            })
        }
        Command::Register { record, title, keeper, at, bytes, subject, signing } => {
            let told = Told::Registered(Registered::new(title, keeper, at.whereabouts()));
            let content = bytes.content()?;
            check(&told)?;
            let signed = signing.open().await?;
            let subject = subject.unwrap_or_else(|| signed.session.address().into_word());
            let answer = tell(&signed, subject, record, content, B256::ZERO, &told).await?;
            signed.tell(&answer, |told| {
                format!("Source {} is recorded, line {}.", shown(told, "id"), told["index"])
            })
        }
        Command::Move { id, at, keeper, signing } => {
            let signed = signing.open().await?;
            let now = find(&signed, id).await?;
            let from: Whereabouts = serde_json::from_value(now["at"].clone())?;
            let before = || now["keeper"].as_str().unwrap_or_default().to_owned();
            let keeper = keeper.unwrap_or_else(before);
            let told = Told::Moved(Relocated::new(id, from, at.whereabouts(), keeper));
            check(&told)?;
            let word = |name: &str| -> Result<B256, Failure> {
                Ok(serde_json::from_value(now[name].clone())?)
            };
            let (record, content) = (word("record")?, word("content")?);
            let answer = tell(&signed, word("subject")?, record, content, id, &told).await?;
            signed.tell(&answer, |told| format!("It is moved, line {}.", told["index"]))
        }
    }
}

fn check(told: &Told) -> Result<(), Failure> {
    told.check().map_err(|error| Failure::new(error.to_string()))
}

async fn tell(
    signed: &Signed,
    subject: B256,
    record: B256,
    content: B256,
    permission: B256,
    told: &Told,
) -> Result<Value, Failure> {
    let details = json!(told);
    let mut report = signed.report(7, &details)?;
    (report.subject, report.record) = (subject, record);
    (report.toVersion, report.permission) = (content, permission);
    let signature = signed.sign(&report);
    let body = json!({ "report": report, "details": details, "signature": signature });
    signed.session.post("/v1/sources", &body).await
}

/// A source of one's own, on whichever page it stands.
async fn find(signed: &Signed, id: B256) -> Result<Value, Failure> {
    let mut path = "/v1/sources?limit=200".to_owned();
    loop {
        let page = signed.session.get(&path).await?;
        let mut all = page["sources"].as_array().into_iter().flatten();
        if let Some(found) = all.find(|one| one["id"] == json!(id)) {
            return Ok(found.clone());
        }
        match page["next"].as_u64() {
            Some(next) => path = format!("/v1/sources?limit=200&before={next}"),
            None => return Err(Failure::new("there is no such source of yours")),
        }
    }
}

fn moment(ms: &Value) -> String {
    let seconds = ms.as_i64().map(|ms| ms / 1000);
    let moment = seconds.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}
