//! `medtrail ask`, `questions`, `claims`, `correct`, `notices`: what people and organisations ask each other,
//! with a key of their own.

use super::PassphraseArgs;
use super::organisations::time_text;
use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use crate::render::harmless;
use crate::session::Session;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_keys::person::PersonKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::inquiry::{Answered, Correction, LineRef, Mended, Mistake};
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::trust::TrustFile;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who asks, where, and how it is shown.
#[derive(clap::Args)]
struct Shared {
    /// Where the log is
    #[arg(long, value_name = "URL", env = "MEDTRAIL_URL")]
    url: String,
    /// The keystore of the person, or of the organisation
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON, as the log answers it
    #[arg(long)]
    json: bool,
}

impl Shared {
    fn url(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    async fn sign_in(&self) -> Result<Session, Failure> {
        let (path, passphrase) = (self.key.clone(), self.passphrase.read()?);
        let loading = tokio::task::spawn_blocking(move || PersonKey::load(&path, &passphrase));
        Session::open(self.url(), loading.await??).await
    }

    async fn reporter(&self) -> Result<ReporterKey, Failure> {
        let (path, passphrase) = (self.key.clone(), self.passphrase.read()?);
        let loading = tokio::task::spawn_blocking(move || ReporterKey::load(&path, &passphrase));
        Ok(loading.await??)
    }

    async fn trust(&self) -> Result<TrustFile, Failure> {
        let (status, file) = Client::new(&self.url)?.get("/.well-known/medtrail.json").await?;
        match status.is_success() {
            true => Ok(serde_json::from_value(file)?),
            false => Err(Failure::new(format!("the log answered {status}"))),
        }
    }

    fn tell(&self, answer: &Value, say: impl FnOnce()) -> Outcome {
        match self.json {
            true => println!("{answer}"),
            false => say(),
        }
        Ok(ExitCode::from(OK))
    }
}

/// Asks the organisation behind a line of one's own why, or to correct it.
#[derive(clap::Args)]
pub(crate) struct AskArgs {
    /// The line's index
    index: u64,
    /// The question, in one's own words
    text: Option<String>,
    /// Ask for a correction, not for the reason
    #[arg(long)]
    correction: bool,
    /// The language it is in: en, et, …
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

pub(crate) async fn ask(args: AskArgs) -> Outcome {
    let wants = if args.correction { "correction" } else { "reason" };
    let mut body = json!({ "index": args.index, "wants": wants });
    put(&mut body, "text", args.text);
    put(&mut body, "language", args.language);
    let noted = args.shared.sign_in().await?.post("/v1/questions", &body).await?;
    args.shared.tell(&noted, || {
        println!("Asked, as line {}. Question {}", noted["index"], plain(&noted["id"]));
    })
}

/// Lists questions, and answers them with the organisation's key.
#[derive(clap::Args)]
pub(crate) struct QuestionsArgs {
    #[command(subcommand)]
    command: QuestionsCommand,
}

#[derive(clap::Subcommand)]
enum QuestionsCommand {
    /// Lists one's own, or those to the organisation whose key this is
    List {
        #[command(flatten)]
        wish: Wish,
        #[command(flatten)]
        shared: Shared,
    },
    /// Answers a question, signed with the organisation's key
    Answer {
        /// The question's id
        id: B256,
        /// The answer
        text: String,
        /// The language it is in: en, et, …
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct Wish {
    /// Only those without an answer
    #[arg(long)]
    open: bool,
    /// As the person, where the key is an organisation's too
    #[arg(long)]
    person: bool,
    /// Only those before this index: the `next` of the page before
    #[arg(long, value_name = "INDEX")]
    before: Option<u64>,
}

impl Wish {
    fn path(&self, family: &str) -> String {
        let mut path = format!("/v1/{family}?state={}", if self.open { "open" } else { "all" });
        if self.person {
            path.push_str("&as=person");
        }
        if let Some(before) = self.before {
            path.push_str(&format!("&before={before}"));
        }
        path
    }
}

pub(crate) async fn questions(args: QuestionsArgs) -> Outcome {
    match args.command {
        QuestionsCommand::List { wish, shared } => {
            let listed = shared.sign_in().await?.get(&wish.path("questions")).await?;
            shared.tell(&listed, || print_questions(&listed))
        }
        QuestionsCommand::Answer { id, text, language, shared } => {
            let session = shared.sign_in().await?;
            let question = session.get(&format!("/v1/questions/{id}")).await?;
            let (subject, organisation) =
                (word(&question["subject"])?, address(&question["organisation"]["id"])?);
            let report = Report {
                eventId: event_id(organisation, &[b"answer\0", id.as_slice()].concat()),
                kind: Kind::Question.number(),
                subject,
                permission: id,
                ..Report::default()
            };
            let body = signed(&shared, report, &Answered::new(id, text, language)).await?;
            let path = format!("/v1/questions/{id}/answer");
            let noted = session.post_bytes(&path, body).await?;
            shared.tell(&noted, || println!("Answered, as line {}.", noted["index"]))
        }
    }
}

/// Corrects a line that the organisation reported, signed with its key.
#[derive(clap::Args)]
pub(crate) struct CorrectArgs {
    /// The line's index
    index: u64,
    /// Why it is corrected
    reason: String,
    /// What is mended, as FIELD=WHAT IS RIGHT; may be repeated
    #[arg(long = "field", value_name = "FIELD=TEXT")]
    fields: Vec<String>,
    /// All of it is wrong: it did not happen
    #[arg(long, conflicts_with_all = ["wrong_person", "fields"])]
    did_not_happen: bool,
    /// All of it is wrong: it is about somebody else, for whom it is to be reported
    #[arg(long, conflicts_with = "fields")]
    wrong_person: bool,
    #[command(flatten)]
    shared: Shared,
}

pub(crate) async fn correct(args: CorrectArgs) -> Outcome {
    let session = args.shared.sign_in().await?;
    let line = session.get(&format!("/v1/entries/{}", args.index)).await?;
    let report: Report = serde_json::from_value(line["report"].clone())?;
    let place_hash = word(&line["place"]["hash"])?;
    let commitment = medtrail_ledger::entry::commitment_of(report.hash(), place_hash);
    let mut correction =
        Correction::new(LineRef { index: args.index, commitment }, args.reason.clone());
    correction.mistake = match (args.did_not_happen, args.wrong_person) {
        (true, _) => Some(Mistake::DidNotHappen),
        (_, true) => Some(Mistake::WrongPerson),
        _ => None,
    };
    for field in &args.fields {
        let (field, is) = field
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("{field} is not FIELD=TEXT, as purpose=TREAT")))?;
        let mended = Mended { field: field.to_owned(), was: None, is: is.to_owned() };
        correction.fields.push(mended);
    }
    correction.check().map_err(|error| Failure::new(error.to_string()))?;
    let words = serde_json::to_vec(&correction)?;
    let report = Report {
        eventId: event_id(report.actor, &[b"correction\0", words.as_slice()].concat()),
        kind: Kind::Correction.number(),
        subject: report.subject,
        permission: commitment,
        ..Report::default()
    };
    let body = signed(&args.shared, report, &correction).await?;
    let noted = session.post_bytes("/v1/corrections", body).await?;
    args.shared.tell(&noted, || {
        println!("Line {} is corrected by line {}.", args.index, noted["index"]);
    })
}

/// Lists what was billed, and says whether one had it.
#[derive(clap::Args)]
pub(crate) struct ClaimsArgs {
    #[command(subcommand)]
    command: ClaimsCommand,
}

#[derive(clap::Subcommand)]
enum ClaimsCommand {
    /// Lists what was billed for oneself, or by the organisation whose key this is
    List {
        #[command(flatten)]
        wish: Wish,
        #[command(flatten)]
        shared: Shared,
    },
    /// Says whether one had what was billed
    Answer {
        /// The claim's id
        id: B256,
        /// yes: I had it; no: that was not me
        #[arg(value_parser = ["yes", "no"])]
        answer: String,
        /// In one's own words
        text: Option<String>,
        /// The language they are in: en, et, …
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
}

pub(crate) async fn claims(args: ClaimsArgs) -> Outcome {
    match args.command {
        ClaimsCommand::List { wish, shared } => {
            let listed = shared.sign_in().await?.get(&wish.path("claims")).await?;
            shared.tell(&listed, || print_claims(&listed))
        }
        ClaimsCommand::Answer { id, answer, text, language, shared } => {
            let mut body = json!({ "answer": answer });
            put(&mut body, "text", text);
            put(&mut body, "language", language);
            let path = format!("/v1/claims/{id}/answer");
            let noted = shared.sign_in().await?.post(&path, &body).await?;
            shared.tell(&noted, || println!("Answered, as line {}.", noted["index"]))
        }
    }
}

/// Shows and chooses the channels by which one is told that something happened.
#[derive(clap::Args)]
pub(crate) struct NoticesArgs {
    #[command(subcommand)]
    command: NoticesCommand,
}

#[derive(clap::Subcommand)]
enum NoticesCommand {
    /// Shows them
    Show {
        #[command(flatten)]
        shared: Shared,
    },
    /// Chooses them anew, all at once: what is left out ends
    Set {
        /// An e-mail address; a code is sent there first
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// One mail a day of everything, in the place of one at once of what is urgent
        #[arg(long, requires = "email")]
        daily: bool,
        /// The language of the mail: en, et
        #[arg(long, value_name = "TAG", default_value = "en")]
        language: String,
        /// Where webhooks go, https://…; the secret is shown once
        #[arg(long, value_name = "URL")]
        webhook: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
}

pub(crate) async fn notices(args: NoticesArgs) -> Outcome {
    match args.command {
        NoticesCommand::Show { shared } => {
            let session = shared.sign_in().await?;
            let path = format!("/v1/subjects/{}/notices", session.address());
            let channels = session.get(&path).await?;
            shared.tell(&channels, || print_channels(&channels))
        }
        NoticesCommand::Set { email, daily, language, webhook, shared } => {
            let mut body = json!({});
            if let Some(address) = email {
                let when = if daily { "daily" } else { "at-once" };
                body["email"] = json!({ "address": address, "when": when, "language": language });
            }
            if let Some(url) = webhook {
                body["webhook"] = json!({ "url": url });
            }
            let session = shared.sign_in().await?;
            let path = format!("/v1/subjects/{}/notices", session.address());
            let channels = session.put(&path, &body).await?;
            shared.tell(&channels, || print_channels(&channels))
        }
    }
}

fn print_channels(channels: &Value) {
    let email = &channels["email"];
    match email.is_null() {
        true => println!("E-mail:   none"),
        false => {
            let confirmed = match email["confirmed"] == true {
                true => "confirmed",
                false => "not confirmed yet: open the link in the mail",
            };
            let (address, when) = (plain(&email["address"]), plain(&email["when"]));
            println!("E-mail:   {address}, {when}, {confirmed}");
        }
    }
    let webhook = &channels["webhook"];
    match webhook.is_null() {
        true => println!("Webhook:  none"),
        false => println!("Webhook:  {}", plain(&webhook["url"])),
    }
    if let Some(secret) = webhook["secret"].as_str() {
        println!("Secret:   {}   (shown this once)", harmless(secret));
    }
}

/// A report of the organisation, signed, with its details.
async fn signed(
    shared: &Shared,
    report: Report,
    details: &impl Serialize,
) -> Result<Vec<u8>, Failure> {
    let (key, trust) = (shared.reporter().await?, shared.trust().await?);
    let details = serde_json::to_string(details)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let report = Report {
        log: trust.log,
        timeMs: now.map_or(0, |since| since.as_millis() as u64),
        actor: key.address(),
        details: details_hash(details.as_bytes()),
        ..report
    };
    let signature = key.sign(&report, &domain(trust.chain_id, trust.registry));
    // Spelled as it was hashed: a JSON value would sort its members anew.
    let details = RawValue::from_string(details)?;
    Ok(serde_json::to_vec(&Signed { report, details, signature })?)
}

/// A signed report as it is sent.
#[derive(Serialize)]
struct Signed {
    report: Report,
    details: Box<RawValue>,
    signature: Bytes,
}

fn put(body: &mut Value, member: &str, text: Option<String>) {
    if let Some(text) = text {
        body[member] = json!(text);
    }
}

fn word(value: &Value) -> Result<B256, Failure> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Failure::new("the service's answer cannot be read"))
}

fn address(value: &Value) -> Result<Address, Failure> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Failure::new("the service's answer cannot be read"))
}

fn plain(value: &Value) -> String {
    harmless(value.as_str().unwrap_or("-"))
}

/// Questions as a person reads them in a terminal: each with its id whole, to be copied.
pub(crate) fn print_questions(listed: &Value) {
    let questions = listed["questions"].as_array().map_or(&[][..], Vec::as_slice);
    if questions.is_empty() {
        println!("No questions.");
        return;
    }
    for one in questions {
        let wants = match one["wants"].as_str() {
            Some("correction") => "to correct",
            _ => "why there is",
        };
        let name = plain(&one["organisation"]["name"]);
        println!("{name} was asked {wants} line {}.", one["line"]["index"]);
        if !one["text"].is_null() {
            println!("  \u{201c}{}\u{201d}", plain(&one["text"]));
        }
        match one["state"].as_str() {
            Some("open") => println!("  open, to be answered by {}", time_text(&one["dueMs"])),
            Some("unanswered") => println!("  not answered by {}", time_text(&one["dueMs"])),
            _ => println!("  {}", plain(&one["state"])),
        }
        if one["answer"].is_object() {
            let at = time_text(&one["answer"]["atMs"]);
            println!("  Answer of {at}: {}", plain(&one["answer"]["text"]));
        }
        println!("  Question {}\n", plain(&one["id"]));
    }
    print_next(listed);
}

fn print_claims(listed: &Value) {
    let claims = listed["claims"].as_array().map_or(&[][..], Vec::as_slice);
    if claims.is_empty() {
        println!("No claims.");
        return;
    }
    for one in claims {
        let amount = &one["amount"];
        let amount = match amount.is_null() {
            true => String::new(),
            false => format!(", {} {}", plain(&amount["value"]), plain(&amount["currency"])),
        };
        let (day, name) = (plain(&one["day"]), plain(&one["organisation"]["name"]));
        println!("{day}: {name} billed {}{amount}.", plain(&one["service"]["text"]));
        if let Some(lines) = one["accountedForBy"].as_array() {
            let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
            match lines.is_empty() {
                true => println!("  No line of that day may be it."),
                false => println!("  May be what these lines tell of: {}", lines.join(", ")),
            }
        }
        match one["answer"]["answer"].as_str() {
            Some("yes") => println!("  The person had it."),
            Some("no") => println!("  The person says it was not them."),
            _ => println!("  Not answered."),
        }
        println!("  Claim {}\n", plain(&one["id"]));
    }
    print_next(listed);
}

fn print_next(listed: &Value) {
    if let Some(next) = listed["next"].as_u64() {
        println!("There are more: --before {next}");
    }
}
