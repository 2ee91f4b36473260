//! Stands at a custodian: takes FHIR audit events from its software, signs them with its key and
//! forwards them to a log. Keeps all of it through an outage.
//!
//! An event passes three tasks, each of which leaves it durable for the next: `intake` spools it
//! and only then answers, `sign` makes numbered reports of it, `forward` sends them until the log's
//! receipt, checked, stands beside them.

mod answers;
pub mod clock;
mod coverage;
mod desk;
mod enrol;
mod fhir;
mod forward;
mod guard;
mod held;
mod intake;
mod moves;
mod questions;
mod session;
mod sign;
mod state;
mod status;
mod upstream;

pub use enrol::{ENROLMENT_VERSION, EnrolError, Enrolment, enrol};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use clock::{Clock, SystemClock};
use medtrail_ledger::custodian::{ReportSigner, Spool};
use state::State;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How a gateway runs.
#[derive(Clone)]
pub struct Options {
    /// Where it listens. Whoever reaches it speaks for the organisation.
    pub listen: SocketAddr,
    /// Where the log is reached, if not where the enrolment says. Its name stays that of the
    /// enrolment: only sign-ins there are signed.
    pub upstream: Option<String>,
    /// Reports of one request to the log at most; the log takes 1,000.
    pub batch_reports_max: usize,
    /// Bytes of a request from the custodian's software at most.
    pub body_bytes_max: usize,
    /// How long a code of the desk is good, milliseconds; the log takes 7 days at most.
    pub code_ms: u64,
    /// Between two looks for bindings that wait for a countersignature.
    pub poll: Duration,
    /// What time it is, and what waits for it.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            upstream: None,
            batch_reports_max: 1_000,
            body_bytes_max: 4 << 20,
            code_ms: 24 * 3600 * 1000,
            poll: Duration::from_secs(2),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address cannot be listened at.
    #[error("{0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The operator's note key in the enrolment cannot be read.
    #[error("the enrolment's trust file: {0}")]
    Trust(#[from] medtrail_ledger::note::NoteError),
    /// The HTTP client cannot be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A custodian's gateway.
pub struct Gateway;

impl Gateway {
    /// Listens, and begins to sign and forward what waits in the spool.
    ///
    /// # Errors
    /// See [`GatewayError`]. That the log cannot be reached is none: it is waited for.
    pub async fn start(
        options: Options,
        enrolment: Enrolment,
        spool: Arc<dyn Spool>,
        signer: Arc<dyn ReportSigner>,
    ) -> Result<Running, GatewayError> {
        let wrong = |error| GatewayError::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let addr = listener.local_addr().map_err(wrong)?;
        let (intake, queue) = intake::queue();
        let state = Arc::new(State::new(options.clone(), enrolment, spool, signer, intake)?);
        let mut tasks = JoinSet::new();
        tasks.spawn(intake::run(state.clone(), queue));
        tasks.spawn(sign::run(state.clone()));
        tasks.spawn(forward::run(state.clone()));
        tasks.spawn(desk::run(state.clone()));
        let data = Data::from(state);
        let is_own = addr.ip().is_loopback();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .wrap(actix_web::middleware::from_fn(move |request, next| {
                    guard::guard(is_own, request, next)
                }))
                .configure(fhir::routes)
                .configure(desk::routes)
                .configure(questions::routes)
                .configure(status::routes)
        })
        .workers(2)
        .disable_signals()
        .shutdown_timeout(5)
        .listen(listener)
        .map_err(wrong)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Running { addr, handle, tasks })
    }
}

/// A gateway that runs.
pub struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    tasks: JoinSet<()>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers what has begun, then ends. What was not yet sent waits in the spool.
    pub async fn stop(mut self) {
        self.handle.stop(true).await;
        self.tasks.shutdown().await;
    }
}
