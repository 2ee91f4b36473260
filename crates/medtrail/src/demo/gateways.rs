//! The organisations' gateways, each with a key, a spool and a port of its own, as
//! `medtrail gateway` runs them; here all in this process.

use super::accounts::Accounts;
use super::organisations::Organisation;
use crate::client::checked;
use crate::clock::Shared;
use crate::exit::Failure;
use crate::session::{Session, text};
use medtrail_gateway::{Gateway, Options, Running, enrol};
use medtrail_keys::file::create_folder;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::custodian::SpoolLimits;
use medtrail_ledger::ports::SecretKey;
use medtrail_store::SpoolDb;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What may wait for the log: far more than the whole of the story.
const LIMITS: SpoolLimits = SpoolLimits { count: 100_000, bytes: 1 << 30 };
/// How long gateways may take to forward the past.
const SETTLE: Duration = Duration::from_secs(120);

/// Those that have started. Dropped without [`Self::stop`], their ports stay open for a moment.
#[derive(Default)]
pub(crate) struct Gateways(Vec<Running>);

impl Gateways {
    /// Enrols an organisation's key by an invite of the operator, and starts its gateway in a
    /// folder of its own; returns the gateway's URL, and the key of the organisation's pseudonyms.
    pub(crate) async fn start(
        &mut self,
        organisation: &Organisation,
        folder: &Path,
        accounts: &Accounts,
        log: &str,
        operator: &Session,
    ) -> Result<(String, SecretKey), Failure> {
        let account = accounts.named(organisation.name)?;
        let path = format!("/v1/organisations/{}/invites", account.address);
        let invited = operator.post(&path, &Value::Null).await?;
        let key = ReporterKey::from_bytes(&account.secret())?;
        let enrolment = enrol(log, text(&invited["invite"], "code")?, &key, &Shared).await?;
        let shared_key = SecretKey(enrolment.shared_key.0);
        let folder = folder.join("gateways").join(organisation.slug);
        std::fs::create_dir_all(folder.parent().unwrap_or(&folder))?;
        create_folder(&folder)?;
        let opening = tokio::task::spawn_blocking(move || SpoolDb::open(&folder, LIMITS));
        let spool = Arc::new(opening.await??);
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            clock: Arc::new(Shared),
            ..Options::default()
        };
        let running = Gateway::start(options, enrolment, spool, Arc::new(key)).await?;
        let url = format!("http://{}", running.addr());
        self.0.push(running);
        Ok((url, shared_key))
    }

    /// Waits until everything they took is in the log; a report that the log refused is a failure.
    pub(crate) async fn settle(&self, http: &reqwest::Client) -> Result<(), Failure> {
        let until = Instant::now() + SETTLE;
        for running in &self.0 {
            let url = format!("http://{}/status", running.addr());
            loop {
                let asked = http.get(&url).send().await?;
                let status: Value = checked(asked).await?.json().await?;
                let of = |name: &str| status["spool"][name].as_u64();
                match (of("unsigned"), of("waiting"), of("setAside")) {
                    (Some(0), Some(0), Some(0)) => break,
                    (Some(_), Some(_), Some(0)) if Instant::now() < until => {}
                    _ => return Err(Failure::new(format!("{url}: {status}"))),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    /// Lets each end what it is at.
    pub(crate) async fn stop(self) {
        futures::future::join_all(self.0.into_iter().map(Running::stop)).await;
    }
}
