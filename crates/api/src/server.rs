//! The server: what listens where, and how it ends.

use crate::limits::{
    BATCH_REPORTS_MAX, BLOCKING_THREADS_MAX, BODY_BYTES_MAX, CLIENT_HEAD_MS_MAX, CONNECTIONS_MAX,
    DRAIN_MS_MAX, IDLE_S_MAX, Limits, SESSION_MS,
};
use crate::middleware::{around, nothing};
use crate::pages::{Extras, unrouted};
use crate::routes;
use crate::siwe::Site;
use crate::state::State;
use actix_web::body::MessageBody;
use actix_web::dev::{Server as ActixServer, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, Error, HttpServer};
use medtrail_oracle::service::Service;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt;

/// Where to listen, and how much to take.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where others reach this server: `http(s)://host[:port][/path]`. Who signs in signs for it.
    pub public_url: String,
    /// How long somebody stays signed in, in milliseconds.
    pub session_ms: u64,
    /// The public port; 0 for any.
    pub listen: SocketAddr,
    /// The metrics port; none for no metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// Bytes of a body with one report at most; a body with many has 16 times as many at most.
    pub body_bytes_max: usize,
    /// Reports in one request at most.
    pub batch_reports_max: usize,
    /// Threads that answer requests on the public port.
    pub workers: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".to_owned(),
            session_ms: SESSION_MS,
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            metrics_listen: None,
            body_bytes_max: BODY_BYTES_MAX,
            batch_reports_max: BATCH_REPORTS_MAX,
            workers: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on: taken, or not of this machine.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// The public URL is none.
    #[error("public_url {0:?} must be http:// or https:// with a host")]
    PublicUrl(String),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(io::Error),
}

/// A server that listens but does not answer yet.
pub struct Server {
    state: Data<State>,
    public: ActixServer,
    metrics: Option<ActixServer>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
}

impl Server {
    /// Listens. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError::Listen`] names the address that could not be had.
    /// [`ServerError::PublicUrl`] if nobody could sign in for such a place.
    pub fn bind(
        service: Service,
        options: ServerOptions,
        extras: Extras,
    ) -> Result<Self, ServerError> {
        let ServerOptions {
            public_url,
            session_ms,
            body_bytes_max,
            batch_reports_max,
            workers,
            ..
        } = options;
        let site = Site::new(&public_url, service.trust().chain_id);
        let site = site.ok_or(ServerError::PublicUrl(public_url))?;
        let limits = Limits { body_bytes_max, batch_reports_max };
        let state = Data::new(State::new(service, limits, session_ms, site, extras));
        let shared = state.clone();
        let public = move || {
            App::new()
                .app_data(shared.clone())
                .wrap(from_fn(around))
                .into_utoipa_app()
                .configure(routes::public)
                .default_service(web::to(unrouted))
                .into_app()
        };
        let (public, address) = listen(options.listen, workers, public)?;
        let shared = state.clone();
        let metrics = move || {
            App::new()
                .app_data(shared.clone())
                .wrap(from_fn(around))
                .configure(routes::operator)
                .default_service(web::to(nothing))
        };
        let metrics = options.metrics_listen.map(|at| listen(at, 1, metrics));
        let (metrics, metrics_address) = metrics.transpose()?.unzip();
        Ok(Self { state, public, metrics, address, metrics_address })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers `/metrics`.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Answers until `stop`; then takes no new connection, lets requests under way end for at most
    /// 5 s, and closes what is left. Handles no signals: that is the caller's business.
    ///
    /// # Errors
    /// [`ServerError::Ended`] if a port is served no more, though nobody asked for it.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServerError> {
        let servers: Vec<_> = [Some(self.public), self.metrics].into_iter().flatten().collect();
        let handles: Vec<_> = servers.iter().map(ActixServer::handle).collect();
        let mut serving: JoinSet<io::Result<()>> = servers.into_iter().collect();

        let ended = stop.run_until_cancelled(serving.join_next()).await.flatten();
        for handle in &handles {
            handle.pause().await;
        }
        self.state.stopping.cancel();
        let under_way = &self.state.under_way;
        under_way.close();
        let drain = Duration::from_millis(DRAIN_MS_MAX);
        if tokio::time::timeout(drain, under_way.wait()).await.is_err() {
            tracing::warn!(requests = under_way.len(), "requests are cut off");
        }
        tokio::time::sleep(FLUSH).await;
        // Not actix's graceful stop: it looks only once a second whether it may end, and waits for
        // connections that a client keeps open without asking anything.
        for handle in &handles {
            handle.stop(false).await;
        }
        while serving.join_next().await.is_some() {}
        match ended {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err(ServerError::Ended(io::Error::other("without being asked"))),
            Some(Ok(Err(error))) => Err(ServerError::Ended(error)),
            Some(Err(error)) => Err(ServerError::Ended(io::Error::other(error))),
        }
    }
}

/// From the end of the last handler until its answer has left: the worker writes it right after,
/// without waiting for anything, but on another thread than the one that counts.
const FLUSH: Duration = Duration::from_millis(20);

fn listen<F, T, B>(
    address: SocketAddr,
    workers: usize,
    app: F,
) -> Result<(ActixServer, SocketAddr), ServerError>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    T::Service: 'static,
    T::Future: 'static,
    B: MessageBody + 'static,
{
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(CONNECTIONS_MAX)
        .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
        .client_request_timeout(Duration::from_millis(CLIENT_HEAD_MS_MAX))
        .keep_alive(Duration::from_secs(IDLE_S_MAX))
        .disable_signals()
        .bind(address)
        .map_err(|cause| ServerError::Listen { address, cause })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    Ok((server.run(), bound))
}
