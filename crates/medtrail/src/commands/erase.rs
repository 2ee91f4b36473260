//! `medtrail erase`: a person asks for erasure from a terminal, cancels it, and reads how far it is.

use super::PassphraseArgs;
use super::organisations::time_text;
use crate::client::Client;
use crate::exit::{FAILED, Failure, OK, Outcome};
use crate::render;
use crate::session::{Session, text};
use alloy_primitives::{Address, B256};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::schema::domain;
use medtrail_permit::documents::{Document, Erase};
use medtrail_permit::statements::{Language, worded};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// For how long a signed wish may be carried to the log.
const GOOD_FOR_S: u64 = 3600;

/// Asks a log to erase what it keeps about you, with your own key.
///
/// Exits with 0; with 1 where the log refused, or where nothing was asked for because --yes was not
/// given.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Shows what you would sign; with --yes, signs it and sends it
    Ask {
        /// Only the records in the vault: all lines stay
        #[arg(long)]
        records_only: bool,
        /// Sign it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// Cancels the erasure that waits
    Cancel {
        #[command(flatten)]
        shared: Shared,
    },
    /// Shows how far your erasures are
    Status {
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct Shared {
    /// The service
    #[arg(long, value_name = "URL")]
    url: String,
    /// Your keystore (version 3)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Shared {
    async fn sign_in(&self) -> Result<Session, Failure> {
        let (path, passphrase) = (self.key.clone(), self.passphrase.read()?);
        let loading = tokio::task::spawn_blocking(move || PersonKey::load(&path, &passphrase));
        Session::open(self.url.trim_end_matches('/'), loading.await??).await
    }
}

fn path(session: &Session) -> String {
    format!("/v1/subjects/{}/erasure", session.address())
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Ask { records_only, yes, shared } => ask(records_only, yes, &shared).await,
        Command::Cancel { shared } => {
            let session = shared.sign_in().await?;
            session.delete(&path(&session)).await?;
            match shared.json {
                true => println!("{}", json!({ "cancelled": true })),
                false => println!("Cancelled: nothing is erased."),
            }
            Ok(ExitCode::from(OK))
        }
        Command::Status { shared } => {
            let session = shared.sign_in().await?;
            let told = session.get(&path(&session)).await?;
            match shared.json {
                true => println!("{told}"),
                false => status(&told)?,
            }
            Ok(ExitCode::from(OK))
        }
    }
}

async fn ask(records_only: bool, yes: bool, shared: &Shared) -> Outcome {
    let session = shared.sign_in().await?;
    let told = session.get(&path(&session)).await?;
    let lines = told["lines"].as_u64().unwrap_or(0);
    if lines == 0 && !records_only {
        return Err(Failure::new("there is no line about you: nothing to erase"));
    }
    let log: B256 = text(&told, "log")?.parse()?;
    let (chain_id, registry) = signed_for(&shared.url).await?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let document = Document::Erase(Erase {
        statement: String::new(),
        subject: session.address(),
        log,
        upToOrdinal: if records_only { 0 } else { lines },
        // A statement tells the minute.
        expiresAt: (now_s + GOOD_FOR_S).next_multiple_of(60),
    });
    let document = worded(document, Language::En);
    let Some(document @ Document::Erase(_)) = document else {
        return Err(Failure::new("this document has no words"));
    };
    let statement = document.statement().unwrap_or_default();
    if !yes {
        match shared.json {
            true => println!("{}", json!({ "document": document, "asked": false })),
            false => println!("You would sign:\n\n{statement}\n\nNothing was sent: add --yes."),
        }
        return Ok(ExitCode::from(FAILED));
    }
    if !shared.json {
        println!("{statement}\n");
    }
    let Document::Erase(erase) = &document else { unreachable!("it was made above") };
    let signature = session.key().sign_document(erase, &domain(chain_id, registry));
    let body = json!({
        "version": "medtrail/permission-v1", "document": document, "signature": signature,
    });
    let answer = session.post("/v1/permissions", &body).await?;
    match shared.json {
        true => println!("{answer}"),
        false => {
            let told = session.get(&path(&session)).await?;
            let due = time_text(&told["erasures"][0]["dueMs"]);
            println!("Asked for, in line {}. It is done on {due};", answer["index"]);
            println!("until then: medtrail erase cancel");
        }
    }
    Ok(ExitCode::from(OK))
}

/// The chain and the registry that an Erase document is signed for.
async fn signed_for(url: &str) -> Result<(u64, Address), Failure> {
    let (status, told) = Client::new(url)?.get("/v1/permissions").await?;
    let chain_id = told["chainId"].as_u64().filter(|_| status.is_success());
    let chain_id = chain_id.ok_or_else(|| Failure::new("the service names no chain"))?;
    Ok((chain_id, text(&told, "anchorRegistry")?.parse()?))
}

fn status(told: &Value) -> Result<(), Failure> {
    println!("Lines about you: {}", told["lines"]);
    for (name, what) in [("keepsRecords", "Records"), ("keepsLines", "Lines")] {
        if told[name].is_object() {
            println!("{what} cannot be erased now: {}.", reason(&told[name]));
        }
    }
    let erasures = told["erasures"].as_array().map_or(&[][..], Vec::as_slice);
    if erasures.is_empty() {
        println!("You have asked for no erasure.");
        return Ok(());
    }
    let row = |one: &Value| -> Result<Vec<String>, Failure> {
        let state = match text(one, "state")? {
            "refused" => format!("refused: {}", reason(&one["reason"])),
            state => state.to_owned(),
        };
        let form = text(one, "form")?.to_owned();
        Ok(vec![form, time_text(&one["askedMs"]), time_text(&one["dueMs"]), state])
    };
    let rows = erasures.iter().map(row).collect::<Result<_, _>>()?;
    render::table(&["What", "Asked", "Day", "State"], rows);
    Ok(())
}

fn reason(reason: &Value) -> String {
    let word = |name: &str| render::harmless(reason[name].as_str().unwrap_or_default());
    match reason["kind"].as_str() {
        Some("legal-hold") => format!("held by {}: {}", word("orderedBy"), word("reason")),
        Some("retention") => {
            format!("the duty to keep them ends on {}", time_text(&reason["untilMs"]))
        }
        _ => "for a reason unknown to this version".to_owned(),
    }
}
