//! `medtrail organisations`: who reports to a running log.

use super::Configured;
use crate::client::Client;
use crate::config::Config;
use crate::exit::{Failure, OK, Outcome};
use crate::render;
use crate::session::{Session, text};
use alloy_primitives::Address;
use medtrail_keys::file::check_folder;
use medtrail_keys::person::PersonKey;
use serde_json::{Value, json};
use std::process::ExitCode;
use time::OffsetDateTime;

/// Adds organisations to a running log, invites their keys, and gives them API keys.
///
/// Asks the log at `public_url`, signed in with the operator's key. Each change is an entry of the
/// log.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Adds an organisation and prints the invite for its gateway
    Add {
        /// Its name, as people know it
        name: String,
        /// Its internet domain
        #[arg(long, value_name = "DOMAIN")]
        domain: String,
        /// The only key that may enrol, where it is known already
        #[arg(long, value_name = "ADDRESS")]
        address: Option<Address>,
        /// Its number in a public register
        #[arg(long, value_name = "NUMBER")]
        register_number: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
    /// Lists who reports, by what, and when they were last heard
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Prints a new invite: for a further key, or in the place of a lost one
    Invite {
        /// The organisation's id
        id: Address,
        #[command(flatten)]
        shared: Shared,
    },
    /// Makes an API key: what comes by it stands as the operator's word, not the organisation's
    ApiKey {
        /// The organisation's id
        id: Address,
        #[command(flatten)]
        shared: Shared,
    },
    /// Revokes an API key for ever
    RevokeKey {
        /// The API key's id
        key_id: String,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct Shared {
    #[command(flatten)]
    configured: Configured,
    /// Print JSON, as the log answers it
    #[arg(long)]
    json: bool,
}

impl Shared {
    /// Prints the log's answer, or says it for a person.
    fn tell(&self, answer: &Value, say: impl FnOnce() -> Result<(), Failure>) -> Outcome {
        match self.json {
            true => println!("{answer}"),
            false => say()?,
        }
        Ok(ExitCode::from(OK))
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Add { name, domain, address, register_number, shared } => {
            let mut new = json!({ "name": name, "domain": domain });
            if let Some(address) = address {
                new["address"] = json!(address);
            }
            if let Some(number) = register_number {
                new["registerNumber"] = json!(number);
            }
            let answer = sign_in(&shared.configured).await?.post("/v1/organisations", &new).await?;
            shared.tell(&answer, || invited(&name, &answer))
        }
        Command::List { shared } => {
            let config = shared.configured.load()?;
            let asked = Client::new(&config.public_url)?.get("/v1/organisations").await;
            let (status, answer) = asked.map_err(|failure| silent(&config, &failure))?;
            if !status.is_success() {
                return Err(Failure::new(format!("the log answered {status}: {answer}")));
            }
            shared.tell(&answer, || listed(&answer))
        }
        Command::Invite { id, shared } => {
            let path = format!("/v1/organisations/{id}/invites");
            let answer = sign_in(&shared.configured).await?.post(&path, &json!({})).await?;
            shared.tell(&answer, || invited("the organisation", &answer))
        }
        Command::ApiKey { id, shared } => {
            let path = format!("/v1/organisations/{id}/api-keys");
            let answer = sign_in(&shared.configured).await?.post(&path, &json!({})).await?;
            shared.tell(&answer, || {
                println!("Id:   {}   (by which it is revoked)", text(&answer, "id")?);
                println!("Key:  {}   (shown this once)", text(&answer, "key")?);
                println!(
                    "Send FHIR AuditEvents to /fhir with the header Authorization: Bearer KEY."
                );
                println!("They stand in the log as relayed: your word, not the organisation's.");
                Ok(())
            })
        }
        Command::RevokeKey { key_id, shared } => {
            // An id goes into a path: whatever is no id must not become another path.
            if key_id.is_empty() || !key_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Failure::new(format!("{key_id:?} is no id of an API key")));
            }
            sign_in(&shared.configured).await?.delete(&format!("/v1/api-keys/{key_id}")).await?;
            shared.tell(&json!({ "revoked": key_id }), || {
                println!("{key_id} opens nothing any more.");
                Ok(())
            })
        }
    }
}

/// Signs in as the operator.
pub(super) async fn sign_in(configured: &Configured) -> Result<Session, Failure> {
    let config = configured.load()?;
    if config.operator.remote_signer.is_some() {
        return Err(Failure::new(
            "a remote signer holds the operator's key, and it signs no texts: sign in to the \
             log's page with the wallet of that key, or use the API as docs/for-operators.md says",
        ));
    }
    check_folder(&config.keys_dir)?;
    let path = config.keys_dir.join("operator.json");
    let passphrase = configured.passphrase().read()?;
    let loading = tokio::task::spawn_blocking(move || PersonKey::load(&path, &passphrase));
    let key = loading.await??;
    let url = config.public_url.trim_end_matches('/');
    Session::open(url, key).await.map_err(|failure| silent(&config, &failure))
}

/// What to look at if the log cannot be asked.
fn silent(config: &Config, failure: &Failure) -> Failure {
    let url = &config.public_url;
    Failure::new(format!(
        "{failure}\nThe log was asked at {url} (public_url). Is it running? `medtrail serve` \
         starts it; a log that was just started needs a moment."
    ))
}

fn invited(whom: &str, answer: &Value) -> Result<(), Failure> {
    let invite = &answer["invite"];
    let url = text(invite, "url")?;
    println!("Organisation:  {}", text(answer, "id")?);
    println!("Invite:        {url}");
    println!("Code:          {}", text(invite, "code")?);
    println!("Good until:    {}", time_text(&invite["expiresMs"]));
    println!();
    println!("Whoever uses it first speaks for {whom}: send it to them alone, and ask by another");
    println!("way whether it was they. On the machine of their gateway:");
    println!("  medtrail gateway init '{url}' --dir gateway --passphrase-file FILE");
    Ok(())
}

fn listed(answer: &Value) -> Result<(), Failure> {
    let Some(organisations) = answer["organisations"].as_array() else {
        return Err(Failure::new(format!("the log's answer lists nothing: {answer}")));
    };
    if organisations.is_empty() {
        println!("Nobody yet. Add the first: medtrail organisations add NAME --domain DOMAIN");
        return Ok(());
    }
    let row = |one: &Value| -> Result<Vec<String>, Failure> {
        let reports_by = match text(one, "reportsBy")? {
            "signature" => "its signature",
            "apiKey" => "API key (relayed)",
            _ => "nothing yet",
        };
        Ok(vec![
            text(one, "name")?.to_owned(),
            text(one, "domain")?.to_owned(),
            text(one, "id")?.to_owned(),
            reports_by.to_owned(),
            time_text(&one["lastHeardMs"]),
            one["coverage"]["gaps"].as_array().map_or(String::new(), |gaps| match gaps.len() {
                0 => "none".to_owned(),
                some => some.to_string(),
            }),
        ])
    };
    let rows = organisations.iter().map(row).collect::<Result<_, _>>()?;
    render::table(&["Name", "Domain", "Id", "Reports by", "Last heard", "Gaps"], rows);
    Ok(())
}

/// Milliseconds since 1970 as a person reads them.
pub(super) fn time_text(ms: &Value) -> String {
    let Some(ms) = ms.as_i64() else { return "never".to_owned() };
    let Ok(at) = OffsetDateTime::from_unix_timestamp(ms / 1000) else { return ms.to_string() };
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_minute() {
        assert_eq!(time_text(&json!(1_795_404_245_999_i64)), "2026-11-23 03:24 UTC");
        assert_eq!(time_text(&Value::Null), "never");
        assert_eq!(time_text(&json!(i64::MAX)), i64::MAX.to_string());
    }
}
