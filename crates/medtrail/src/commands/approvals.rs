//! `medtrail approvals`: changes that an organisation asks a person to allow, with a key.

use super::signing::{Signing, in_days, pseudonym, salt, shown, subject};
use crate::exit::{Failure, Outcome};
use crate::session::text;
use alloy_primitives::B256;
use medtrail_ledger::vault::{About, version_of};
use medtrail_permit::documents::{ChangeApproval, Document, named};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Asks for changes in records, and answers.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists the requests that concern you
    List {
        #[command(flatten)]
        signing: Signing,
    },
    /// Asks a person to allow a change (an organisation)
    Ask {
        /// The file that the record is to become
        file: PathBuf,
        /// Whose record
        #[arg(long, value_name = "0x…", value_parser = subject)]
        subject: B256,
        /// The record's id
        #[arg(long, value_name = "0x…")]
        record: B256,
        /// The version it has now; none, if it is new
        #[arg(long, value_name = "0x…", default_value_t = B256::ZERO)]
        from: B256,
        /// What a person calls it
        #[arg(long)]
        title: String,
        /// Its media type
        #[arg(long, value_name = "TYPE", default_value = "application/fhir+json")]
        media_type: String,
        /// Its type, if it is a FHIR R4 resource
        #[arg(long, value_name = "TYPE")]
        resource_type: Option<String>,
        /// Why, in a sentence
        #[arg(long)]
        why: String,
        /// For how many days an answer is waited for
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        days: u64,
        #[command(flatten)]
        signing: Signing,
    },
    /// Approves exactly the change that was asked for
    Approve {
        /// The request
        id: B256,
        /// For how many days the approval is good
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        days: u64,
        /// For a person without a key, whose guardian you are: their pseudonym
        #[arg(long = "for", value_name = "PSEUDONYM", value_parser = pseudonym)]
        whom: Option<B256>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Says no
    Decline {
        /// The request
        id: B256,
        #[command(flatten)]
        signing: Signing,
    },
    /// Takes a request of yours back (an organisation)
    Withdraw {
        /// The request
        id: B256,
        #[command(flatten)]
        signing: Signing,
    },
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { signing } => {
            let signed = signing.open().await?;
            let answer = signed.session.get("/v1/approvals").await?;
            signed.list(&answer, &["request", "state", "who", "what", "why"], |told| {
                let rows = told["requests"].as_array().into_iter().flatten();
                let row = |one: &Value| {
                    let who = shown(&one["organisation"], "name");
                    let (title, why) = (shown(one, "title"), shown(one, "why"));
                    vec![shown(one, "id"), shown(one, "state"), who, title, why]
                };
                rows.map(row).collect()
            })
        }
        Command::Ask {
            file,
            subject,
            record,
            from,
            title,
            media_type,
            resource_type,
            why,
            days,
            signing,
        } => {
            let content = std::fs::read(&file)
                .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
            let signed = signing.open().await?;
            let about = About { title, media_type, resource_type, ..About::default() };
            let details = json!({
                "version": "medtrail/change-request-v1",
                "act": "asked",
                "about": about,
                "bytes": content.len(),
                "why": why,
                "untilMs": in_days(days) * 1000,
            });
            let mut report = signed.report(12, &details)?;
            (report.subject, report.record) = (subject, record);
            (report.fromVersion, report.toVersion) = (from, version_of(&content));
            let body = signed.body(&report, &details, Some(&content));
            let answer = signed.session.post("/v1/approvals", &body).await?;
            signed.tell(&answer, |told| format!("Asked, request {}.", shown(told, "id")))
        }
        Command::Approve { id, days, whom, signing } => {
            let signed = signing.open().await?;
            let query = whom.map(|whole| format!("?subject={whole}")).unwrap_or_default();
            let asked = signed.session.get(&format!("/v1/approvals/{id}{query}")).await?;
            let proposed = format!("/v1/approvals/{id}/content{query}");
            let to: B256 = text(&asked, "toVersion")?.parse()?;
            // What is approved is what came: the bytes are hashed here.
            let is_shown = to.is_zero() || {
                let bytes = signed.session.open_stream(&proposed).await?.bytes().await?;
                version_of(&bytes) == to
            };
            if !is_shown {
                return Err(Failure::new("the bytes shown are not the version to be approved"));
            }
            let approval = ChangeApproval {
                statement: String::new(),
                subject: whom.map_or_else(|| signed.session.address(), named),
                custodian: text(&asked, "custodian")?.parse()?,
                record: text(&asked, "record")?.parse()?,
                fromVersion: text(&asked, "fromVersion")?.parse()?,
                toVersion: to,
                epoch: signed.epoch(whom).await?,
                expiresAt: in_days(days),
                salt: salt()?,
            };
            let answer = signed.permit(Document::ChangeApproval(approval), whom).await?;
            signed.tell(&answer, |told| format!("Approved, line {}.", told["index"]))
        }
        Command::Decline { id, signing } => end(signing, id, "decline").await,
        Command::Withdraw { id, signing } => end(signing, id, "withdraw").await,
    }
}

async fn end(signing: Signing, id: B256, how: &str) -> Outcome {
    let signed = signing.open().await?;
    let answer = signed.session.post(&format!("/v1/approvals/{id}/{how}"), &json!({})).await?;
    signed.tell(&answer, |told| format!("The request is {} now.", shown(told, "state")))
}
