//! `medtrail alias`: fresh addresses to sell under, joined to one's own with both keys.

use super::signing::{Asking, Signing, Words, shown};
use crate::clock::now_ms;
use crate::exit::{Failure, Outcome};
use crate::render::table;
use medtrail_keys::passphrase::{Source, read};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::binding::alias::{Language, document};
use medtrail_ledger::schema::domain;
use serde_json::json;
use std::path::PathBuf;

/// How long what both keys sign is good, in seconds: an hour.
const GOOD_S: u64 = 3600;

/// Joins a fresh address to your own, to sell under: what is reported about it stands in your trail,
/// and nobody else learns that it is yours.
///
/// Exits with 0, or with 1 where the log refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Signs with both keys, and has it recorded. It cannot be undone
    Add {
        /// The keystore of the fresh address
        #[arg(long, value_name = "FILE")]
        alias_key: PathBuf,
        /// A file (mode 0600) whose first line is the passphrase of that keystore
        #[arg(long, value_name = "FILE")]
        alias_passphrase_file: PathBuf,
        /// The language of what both sign
        #[arg(long, value_enum, default_value_t = Words::En)]
        language: Words,
        #[command(flatten)]
        signing: Signing,
    },
    /// Lists your addresses for selling
    List {
        #[command(flatten)]
        asking: Asking,
    },
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Add { alias_key, alias_passphrase_file, language, signing } => {
            let language = match language {
                Words::En => Language::En,
                Words::Et => Language::Et,
            };
            let passphrase = read(&Source::File(alias_passphrase_file))?;
            let opening =
                tokio::task::spawn_blocking(move || PersonKey::load(&alias_key, &passphrase));
            add(opening.await??, language, signing).await
        }
        Command::List { asking } => {
            let asker = asking.open().await?;
            let told = asker.session.get("/v1/bindings/aliases").await?;
            let row = |one: &serde_json::Value| {
                // None yet: the two lines are on their way.
                let line = |place: usize| {
                    one["entries"][place]
                        .as_u64()
                        .map_or_else(|| "–".to_owned(), |at| at.to_string())
                };
                vec![shown(one, "alias"), line(1), line(0)]
            };
            asker.tell(&told, || {
                let rows = told["aliases"].as_array().into_iter().flatten().map(row).collect();
                table(&["address", "line in your trail", "line in its own"], rows);
            })
        }
    }
}

async fn add(fresh: PersonKey, language: Language, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let own = signed.session.address();
    if own == fresh.address() {
        return Err(Failure::new("both keystores hold the same address; draw a fresh one"));
    }
    let document = document(own, fresh.address(), now_ms() / 1000 + GOOD_S, language);
    eprintln!("{}", document.statement);
    let domain = domain(signed.trust.chain_id, signed.trust.registry);
    let body = json!({
        "alias": fresh.address(),
        "expiresAt": document.expiresAt,
        "language": language,
        "signature": signed.session.key().sign_document(&document, &domain),
        "countersignature": fresh.sign_document(&document, &domain),
    });
    let answer = signed.session.post("/v1/bindings/aliases", &body).await?;
    signed.tell(&answer, |told| {
        let at = &told["entries"][1];
        format!("{} is your address for selling, line {at}.", shown(told, "alias"))
    })
}
