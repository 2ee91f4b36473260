//! What commands of a person or an organisation share: a key, a service to sign in at, and what is
//! signed with that key. For which log something is signed the trust file says, never the service.

use super::PassphraseArgs;
use super::verify::read_trust;
use crate::clock::now_ms;
use crate::exit::{Failure, OK, Outcome};
use crate::session::Session;
use alloy_primitives::{Address, B256, Bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_chain::Contract;
use medtrail_keys::person::PersonKey;
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::{Document, Guardianship};
use medtrail_permit::statements::{Language, worded};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Whose key signs.
#[derive(clap::Args)]
pub(crate) struct Keystore {
    /// Your keystore (a person's, or an organisation's of `medtrail keys reporter`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Keystore {
    pub(crate) async fn open(self) -> Result<PersonKey, Failure> {
        let (path, passphrase) = (self.key, self.passphrase.read()?);
        let opening = tokio::task::spawn_blocking(move || PersonKey::load(&path, &passphrase));
        Ok(opening.await??)
    }
}

/// Who signs in, and where.
#[derive(clap::Args)]
pub(crate) struct SignIn {
    /// The service
    #[arg(long, value_name = "URL", env = "MEDTRAIL_URL")]
    url: String,
    #[command(flatten)]
    keystore: Keystore,
}

impl SignIn {
    pub(crate) async fn open(self) -> Result<Session, Failure> {
        Session::open(self.url.trim_end_matches('/'), self.keystore.open().await?).await
    }
}

/// Who asks a service, and signs nothing but the sign-in.
#[derive(clap::Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    sign_in: SignIn,
    /// Print JSON, as the service answers it
    #[arg(long)]
    json: bool,
}

/// Somebody signed in.
pub(crate) struct Asker {
    pub(crate) session: Session,
    pub(crate) json: bool,
}

impl Asking {
    pub(crate) async fn open(self) -> Result<Asker, Failure> {
        Ok(Asker { session: self.sign_in.open().await?, json: self.json })
    }
}

impl Asker {
    /// Prints the answer, or says what it says.
    pub(crate) fn tell(&self, answer: &Value, say: impl FnOnce()) -> Outcome {
        match self.json {
            true => println!("{answer:#}"),
            false => say(),
        }
        Ok(ExitCode::from(OK))
    }
}

/// Who signs something for a log.
#[derive(clap::Args)]
pub(crate) struct Signing {
    #[command(flatten)]
    sign_in: SignIn,
    /// The log's trust file (its /.well-known/medtrail.json)
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Print JSON, as the service answers it
    #[arg(long)]
    json: bool,
}

/// The languages of what a person signs.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Words {
    En,
    Et,
}

/// Somebody signed in, who knows what log they sign for.
pub(crate) struct Signed {
    pub(crate) session: Session,
    pub(crate) trust: TrustFile,
    pub(crate) json: bool,
}

impl Signing {
    /// Where the log's trust file is.
    pub(crate) fn trust_file(&self) -> &std::path::Path {
        &self.trust
    }

    /// Where the passphrase of the keystore comes from.
    pub(crate) fn passphrase(&self) -> &PassphraseArgs {
        &self.sign_in.keystore.passphrase
    }

    pub(crate) async fn open(self) -> Result<Signed, Failure> {
        let trust = read_trust(&self.trust)?;
        Ok(Signed { session: self.sign_in.open().await?, trust, json: self.json })
    }
}

impl Signed {
    pub(crate) fn of(session: Session, trust: TrustFile) -> Self {
        Self { session, trust, json: false }
    }

    /// A report by this key, with all but what it is about.
    pub(crate) fn report(&self, kind: u8, details: &Value) -> Result<Report, Failure> {
        let actor = self.session.address();
        Ok(Report {
            log: self.trust.log,
            eventId: event_id(actor, salt()?.as_slice()),
            kind,
            timeMs: now_ms(),
            actor,
            details: details_hash(details.to_string().as_bytes()),
            ..Report::default()
        })
    }

    pub(crate) fn sign(&self, report: &Report) -> Bytes {
        let domain = domain(self.trust.chain_id, self.trust.registry);
        self.session.key().sign_document(report, &domain)
    }

    /// The body that carries a signed report of the vault.
    pub(crate) fn body(&self, report: &Report, details: &Value, content: Option<&[u8]>) -> Value {
        let content = content.map(|bytes| STANDARD.encode(bytes));
        json!({
            "report": report,
            "details": details,
            "signature": self.sign(report),
            "content": content,
        })
    }

    /// The body that carries a signed report of what is no record.
    pub(crate) fn plain_body(&self, report: &Report, details: &Value) -> Value {
        json!({ "report": report, "details": details, "signature": self.sign(report) })
    }

    /// Words, signs and records a document; `pseudonym` is the whole of a person without a key, whom
    /// the document names by the last 20 bytes.
    pub(crate) async fn permit(
        &self,
        document: Document,
        pseudonym: Option<B256>,
    ) -> Result<Value, Failure> {
        let body = self.carried(document)?;
        let query = pseudonym.map(|whole| format!("?subject={whole}")).unwrap_or_default();
        self.session.post(&format!("/v1/permissions{query}"), &body).await
    }

    /// A second signature under what a guardian signed.
    pub(crate) fn countersign(&self, guardianship: &Guardianship) -> Bytes {
        let domain = domain(self.trust.chain_id, self.trust.registry);
        self.session.key().sign_document(guardianship, &domain)
    }

    /// A document in English, signed, as it is carried to the log. For which contract is signed, no
    /// service says: this program knows the ConsentRegistry, and the trust file the AnchorRegistry.
    pub(crate) fn carried(&self, document: Document) -> Result<Value, Failure> {
        let document = worded(document.clone(), Language::En).unwrap_or(document);
        let of_log = domain(self.trust.chain_id, self.trust.registry);
        let domain = domain(self.trust.chain_id, Contract::ConsentRegistry.address());
        let key = self.session.key();
        let signature = match &document {
            Document::Grant(document) => key.sign_document(document, &domain),
            Document::ChangeApproval(document) => key.sign_document(document, &domain),
            Document::Revoke(document) => key.sign_document(document, &domain),
            Document::RevokeAll(document) => key.sign_document(document, &domain),
            Document::Delegation(document) => key.sign_document(document, &of_log),
            Document::Guardianship(document) => key.sign_document(document, &of_log),
            Document::Erase(document) => key.sign_document(document, &of_log),
            Document::RecoveryPolicy(_) => {
                return Err(Failure::new("a recovery policy is signed for the chain only"));
            }
        };
        let version = "medtrail/permission-v1";
        Ok(json!({ "version": version, "document": document, "signature": signature }))
    }

    /// The epoch that a permission of this person, or of one for whom they act, must name now.
    pub(crate) async fn epoch(&self, of: Option<B256>) -> Result<u64, Failure> {
        let of = of.unwrap_or_else(|| self.session.address().into_word());
        let path = format!("/v1/subjects/{of}/permissions");
        let told = self.session.get(&path).await?;
        told["epoch"].as_u64().ok_or_else(|| Failure::new("the service tells no epoch"))
    }

    /// Says what goes on: beside the JSON, where JSON is what was asked for.
    pub(crate) fn say(&self, words: &str) {
        match self.json {
            true => eprintln!("{words}"),
            false => println!("{words}"),
        }
    }

    /// Prints the answer, or what it says in words.
    pub(crate) fn tell(&self, answer: &Value, words: impl FnOnce(&Value) -> String) -> Outcome {
        match self.json {
            true => println!("{answer:#}"),
            false => println!("{}", words(answer)),
        }
        Ok(ExitCode::from(OK))
    }

    /// Prints the answer, or a table of it.
    pub(crate) fn list(
        &self,
        answer: &Value,
        head: &[&str],
        rows: impl FnOnce(&Value) -> Vec<Vec<String>>,
    ) -> Outcome {
        match self.json {
            true => println!("{answer:#}"),
            false => crate::render::table(head, rows(answer)),
        }
        Ok(ExitCode::from(OK))
    }
}

/// A text of an answer, harmless for a terminal.
pub(crate) fn shown(value: &Value, name: &str) -> String {
    crate::render::harmless(value[name].as_str().unwrap_or_default())
}

/// 32 bytes of the system's.
pub(crate) fn salt() -> Result<B256, Failure> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::new("the system gives no random bytes"))?;
    Ok(bytes.into())
}

/// Seconds since 1970 in so many days.
pub(crate) fn in_days(days: u64) -> u64 {
    now_ms() / 1000 + days * 86_400
}

/// A person without a key.
pub(crate) fn pseudonym(text: &str) -> Result<B256, String> {
    let whole = text.parse::<B256>().ok().filter(|whole| whole.0[..12] != [0; 12]);
    whole.ok_or_else(|| "a pseudonym has 32 bytes and is no address".into())
}

/// A person: an address or a pseudonym.
pub(crate) fn subject(text: &str) -> Result<B256, String> {
    if let Ok(address) = text.parse::<Address>() {
        return Ok(address.into_word());
    }
    text.parse().map_err(|_| "a person is an address (20 bytes) or a pseudonym (32 bytes)".into())
}
