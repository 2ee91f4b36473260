//! `medtrail notices`: the channels by which a person is told that something happened.

use super::signing::{Asking, shown};
use crate::exit::Outcome;
use crate::render::harmless;
use crate::session::Session;
use serde_json::{Value, json};

/// Shows and chooses the channels by which one is told that something happened.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Shows them
    Show {
        #[command(flatten)]
        asking: Asking,
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
        asking: Asking,
    },
}

fn path(session: &Session) -> String {
    format!("/v1/subjects/{}/notices", session.address())
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Show { asking } => {
            let asker = asking.open().await?;
            let channels = asker.session.get(&path(&asker.session)).await?;
            asker.tell(&channels, || print_channels(&channels))
        }
        Command::Set { email, daily, language, webhook, asking } => {
            let mut body = json!({});
            if let Some(address) = email {
                let when = if daily { "daily" } else { "at-once" };
                body["email"] = json!({ "address": address, "when": when, "language": language });
            }
            if let Some(url) = webhook {
                body["webhook"] = json!({ "url": url });
            }
            let asker = asking.open().await?;
            let channels = asker.session.put(&path(&asker.session), &body).await?;
            asker.tell(&channels, || print_channels(&channels))
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
            let (address, when) = (shown(email, "address"), shown(email, "when"));
            println!("E-mail:   {address}, {when}, {confirmed}");
        }
    }
    let webhook = &channels["webhook"];
    match webhook.is_null() {
        true => println!("Webhook:  none"),
        false => println!("Webhook:  {}", shown(webhook, "url")),
    }
    if let Some(secret) = webhook["secret"].as_str() {
        println!("Secret:   {}   (shown this once)", harmless(secret));
    }
}
