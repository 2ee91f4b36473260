//! `medtrail delegate`, `medtrail guardians`: who acts for a person, named and ended with keys.

use super::signing::{Signed, Signing, in_days, pseudonym, salt, shown};
use crate::exit::{Failure, Outcome};
use crate::render::harmless;
use alloy_primitives::{Address, B256};
use medtrail_permit::documents::{Delegation, Document, Guardianship, Revoke, named};
use medtrail_permit::guardianship_end::GuardianshipEnd;
use medtrail_permit::statements::{Language, language_of};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Lets somebody act for you: see what you see, or give and take back permissions, or both. End it
/// with `medtrail revoke ID`.
#[derive(clap::Args)]
pub(crate) struct DelegateArgs {
    /// Whom: their address
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    signing: Signing,
}

/// What somebody may do for another, and for how long.
#[derive(clap::Args)]
struct Terms {
    /// SEE, PERMIT or "SEE PERMIT"
    #[arg(long, value_name = "RIGHTS", default_value = "SEE")]
    rights: String,
    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u64,
}

/// Names, lists and ends guardians of a person who has no key.
///
/// Exits with 0, or with 1 where the log refused.
#[derive(clap::Args)]
pub(crate) struct GuardiansArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// As the guardian: signs, and writes a file for the organisation that keeps the pseudonym
    Ask {
        /// The organisation's key that will confirm it
        #[arg(long, value_name = "ADDRESS")]
        organisation: Address,
        /// By what right: parent, a court and its number
        #[arg(long, value_name = "TEXT")]
        ground: String,
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        shared: Shared,
    },
    /// As the organisation: reads what a guardian signed, signs it too and has it recorded
    Confirm {
        /// What the guardian signed
        file: PathBuf,
        #[command(flatten)]
        signing: Signing,
    },
    /// As a guardian: lists who acts for the person, and how each stands
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Ends a guardianship at once: with --order as the organisation, without it as the guardian
    End {
        /// The guardianship's id
        id: B256,
        /// Whose order, and its number
        #[arg(long, value_name = "TEXT")]
        order: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct Shared {
    /// The pseudonym of the person without a key
    #[arg(long, value_name = "PSEUDONYM", value_parser = pseudonym)]
    of: B256,
    #[command(flatten)]
    signing: Signing,
}

pub(crate) async fn delegate(args: DelegateArgs) -> Outcome {
    let DelegateArgs { to, terms, signing } = args;
    let signed = signing.open().await?;
    let delegation = Delegation {
        statement: String::new(),
        subject: signed.session.address(),
        delegate: to,
        rights: terms.rights,
        epoch: signed.epoch(None).await?,
        expiresAt: in_days(terms.days),
        salt: salt()?,
    };
    let answer = signed.permit(Document::Delegation(delegation), None).await?;
    signed.tell(&answer, |told| {
        format!("{to} acts for you by {}, line {}.", shown(told, "id"), told["index"])
    })
}

pub(crate) async fn guardians(args: GuardiansArgs) -> Outcome {
    match args.command {
        Command::Ask { organisation, ground, out, terms, shared } => {
            let signed = shared.signing.open().await?;
            let document = Document::Guardianship(Guardianship {
                statement: String::new(),
                subject: shared.of,
                guardian: signed.session.address(),
                custodian: organisation,
                rights: terms.rights,
                ground,
                expiresAt: in_days(terms.days),
            });
            let body = signed.carried(document)?;
            std::fs::write(&out, format!("{body:#}\n"))?;
            signed
                .tell(&body, |_| format!("Signed. The organisation confirms it: {}", out.display()))
        }
        Command::Confirm { file, signing } => confirm(&file, signing.open().await?).await,
        Command::List { shared } => list(shared.of, &shared.signing.open().await?).await,
        Command::End { id, order, shared } => {
            let signed = shared.signing.open().await?;
            match order {
                Some(order) => end(&signed, shared.of, id, order).await,
                None => {
                    let revoke = Revoke { subject: named(shared.of), permission: id };
                    let document = Document::Revoke(revoke);
                    let answer = signed.permit(document, Some(shared.of)).await?;
                    signed.tell(&answer, |told| format!("It has ended, line {}.", told["index"]))
                }
            }
        }
    }
}

/// What is confirmed is shown in the words that the guardian read.
async fn confirm(file: &std::path::Path, signed: Signed) -> Outcome {
    let mut body: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let document: Document = serde_json::from_value(body["document"].clone())?;
    let (Document::Guardianship(guardianship), Some(Language::En | Language::Et)) =
        (&document, language_of(&document))
    else {
        return Err(Failure::new("this is no guardianship in words that this program knows"));
    };
    if guardianship.custodian != signed.session.address() {
        return Err(Failure::new("it names another key of an organisation than this one"));
    }
    eprintln!("{}", harmless(&guardianship.statement));
    body["countersignature"] = json!(signed.countersign(guardianship));
    let answer = signed.session.post("/v1/permissions", &body).await?;
    signed.tell(&answer, |told| {
        format!("Guardianship {} is recorded, line {}.", shown(told, "id"), told["index"])
    })
}

async fn list(of: B256, signed: &Signed) -> Outcome {
    let told = signed.session.get(&format!("/v1/subjects/{of}/permissions")).await?;
    let all = told["permissions"].as_array().cloned().unwrap_or_default();
    let is_one = |one: &Value| one["document"]["guardianship"].is_object();
    let guardians: Vec<Value> = all.into_iter().filter(is_one).collect();
    let head = ["guardianship", "guardian", "rights", "ground", "state"];
    signed.list(&Value::Array(guardians), &head, |told| {
        let row = |one: &Value| {
            let document = &one["document"]["guardianship"];
            let mut cells = vec![shown(one, "id")];
            cells.extend(["guardian", "rights", "ground"].map(|name| shown(document, name)));
            cells.push(shown(one, "state"));
            cells
        };
        told.as_array().into_iter().flatten().map(row).collect()
    })
}

async fn end(signed: &Signed, of: B256, id: B256, order: String) -> Outcome {
    let details = serde_json::to_value(GuardianshipEnd::new(id, order))?;
    let mut report = signed.report(11, &details)?;
    (report.action, report.subject, report.permission) = (b'D', of, id);
    let body = json!({
        "report": report, "details": details, "signature": signed.sign(&report),
    });
    let answer = signed.session.post("/v1/reports", &body).await?;
    signed.tell(&answer, |told| format!("The guardianship has ended, line {}.", told["index"]))
}
