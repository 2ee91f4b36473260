//! `medtrail grant`, `medtrail revoke`: what a person permits, and takes back, with a key.

use super::signing::{Signing, in_days, pseudonym, salt, shown};
use crate::exit::Outcome;
use alloy_primitives::{Address, B256};
use medtrail_permit::documents::{Document, Grant, Revoke, RevokeAll, named};

/// Permits somebody to use your data; signs the very words that the page shows, in English.
#[derive(clap::Args)]
pub(crate) struct GrantArgs {
    /// Whom: an organisation's id, or a key
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// What, as SMART scopes with a blank between: "patient/Observation.rs"
    #[arg(long, value_name = "SCOPES")]
    scopes: String,
    /// What for, as codes of v3-ActReason with a blank between
    #[arg(long, value_name = "CODES", default_value = "TREAT")]
    purposes: String,
    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u64,
    /// For a person without a key, whose guardian you are: their pseudonym
    #[arg(long = "for", value_name = "PSEUDONYM", value_parser = pseudonym)]
    whom: Option<B256>,
    #[command(flatten)]
    signing: Signing,
}

/// Takes back one permission, or all of them.
#[derive(clap::Args)]
pub(crate) struct RevokeArgs {
    /// The permission's id
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    id: Option<B256>,
    /// Everything that you ever gave
    #[arg(long)]
    all: bool,
    /// For a person without a key, whose guardian you are: their pseudonym
    #[arg(long = "for", value_name = "PSEUDONYM", value_parser = pseudonym)]
    whom: Option<B256>,
    #[command(flatten)]
    signing: Signing,
}

pub(crate) async fn grant(args: GrantArgs) -> Outcome {
    let GrantArgs { to, scopes, purposes, days, whom, signing } = args;
    let signed = signing.open().await?;
    let grant = Grant {
        statement: String::new(),
        subject: whom.map_or_else(|| signed.session.address(), named),
        grantee: to,
        scopes,
        purposes,
        epoch: signed.epoch(whom).await?,
        expiresAt: in_days(days),
        salt: salt()?,
    };
    let answer = signed.permit(Document::Grant(grant), whom).await?;
    signed.tell(&answer, |told| {
        format!("Permission {} is given, line {}.", shown(told, "id"), told["index"])
    })
}

pub(crate) async fn revoke(args: RevokeArgs) -> Outcome {
    let RevokeArgs { id, whom, signing, .. } = args;
    let signed = signing.open().await?;
    let subject = whom.map_or_else(|| signed.session.address(), named);
    let document = match id {
        Some(permission) => Document::Revoke(Revoke { subject, permission }),
        None => Document::RevokeAll(RevokeAll { subject, epoch: signed.epoch(whom).await? }),
    };
    let answer = signed.permit(document, whom).await?;
    signed.tell(&answer, |told| format!("It is taken back, line {}.", told["index"]))
}
