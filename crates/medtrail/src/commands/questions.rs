//! `medtrail ask`, `questions`, `claims`, `correct`: what people and organisations ask each other, with
//! a key of their own.

use super::organisations::time_text;
use super::signing::{Asking, Signing};
use crate::exit::{Failure, Outcome};
use crate::render::harmless;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, event_id};
use medtrail_ledger::inquiry::{Answered, Correction, LineRef, Mended, Mistake};
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};

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
    asking: Asking,
}

pub(crate) async fn ask(args: AskArgs) -> Outcome {
    let wants = if args.correction { "correction" } else { "reason" };
    let mut body = json!({ "index": args.index, "wants": wants });
    put(&mut body, "text", args.text);
    put(&mut body, "language", args.language);
    let asker = args.asking.open().await?;
    let noted = asker.session.post("/v1/questions", &body).await?;
    asker.tell(&noted, || {
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
        asking: Asking,
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
        signing: Signing,
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
        QuestionsCommand::List { wish, asking } => {
            let asker = asking.open().await?;
            let listed = asker.session.get(&wish.path("questions")).await?;
            asker.tell(&listed, || print_questions(&listed))
        }
        QuestionsCommand::Answer { id, text, language, signing } => {
            let signed = signing.open().await?;
            let question = signed.session.get(&format!("/v1/questions/{id}")).await?;
            let (subject, organisation) =
                (word(&question["subject"])?, address(&question["organisation"]["id"])?);
            let details = serde_json::to_value(Answered::new(id, text, language))?;
            let report = Report {
                eventId: event_id(organisation, &[b"answer\0", id.as_slice()].concat()),
                subject,
                permission: id,
                ..signed.report(Kind::Question.number(), &details)?
            };
            let body = signed.plain_body(&report, &details);
            let noted = signed.session.post(&format!("/v1/questions/{id}/answer"), &body).await?;
            signed.tell(&noted, |noted| format!("Answered, as line {}.", noted["index"]))
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
    signing: Signing,
}

pub(crate) async fn correct(args: CorrectArgs) -> Outcome {
    let signed = args.signing.open().await?;
    let line = signed.session.get(&format!("/v1/entries/{}", args.index)).await?;
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
    let details = serde_json::to_value(&correction)?;
    let words = details.to_string();
    let report = Report {
        eventId: event_id(report.actor, &[b"correction\0", words.as_bytes()].concat()),
        subject: report.subject,
        permission: commitment,
        ..signed.report(Kind::Correction.number(), &details)?
    };
    let noted =
        signed.session.post("/v1/corrections", &signed.plain_body(&report, &details)).await?;
    signed.tell(&noted, |noted| {
        format!("Line {} is corrected by line {}.", args.index, noted["index"])
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
        asking: Asking,
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
        asking: Asking,
    },
}

pub(crate) async fn claims(args: ClaimsArgs) -> Outcome {
    match args.command {
        ClaimsCommand::List { wish, asking } => {
            let asker = asking.open().await?;
            let listed = asker.session.get(&wish.path("claims")).await?;
            asker.tell(&listed, || print_claims(&listed))
        }
        ClaimsCommand::Answer { id, answer, text, language, asking } => {
            let mut body = json!({ "answer": answer });
            put(&mut body, "text", text);
            put(&mut body, "language", language);
            let path = format!("/v1/claims/{id}/answer");
            let asker = asking.open().await?;
            let noted = asker.session.post(&path, &body).await?;
            asker.tell(&noted, || println!("Answered, as line {}.", noted["index"]))
        }
    }
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
