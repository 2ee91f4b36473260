//! The server: what listens where, and how it ends.

use crate::limits::{
    BATCH_REPORTS_MAX, BLOCKING_THREADS_MAX, BODY_BYTES_MAX, CLIENT_HEAD_MS_MAX, CONNECTIONS_MAX,
    DRAIN_MS_MAX, IDLE_S_MAX, Limits,
};
use crate::middleware::{around, unrouted};
use crate::routes;
use crate::state::State;
use actix_web::dev::Server as ActixServer;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use medtrail_oracle::service::Service;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Where to listen, and how much to take.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
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
    pub fn bind(service: Service, options: ServerOptions) -> Result<Self, ServerError> {
        let ServerOptions { body_bytes_max, batch_reports_max, .. } = options;
        let state = Data::new(State::new(service, Limits { body_bytes_max, batch_reports_max }));
        let (public, address) = listen(options.listen, &state, options.workers, routes::public)?;
        let metrics = options.metrics_listen.map(|at| listen(at, &state, 1, routes::operator));
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

fn listen(
    address: SocketAddr,
    state: &Data<State>,
    workers: usize,
    routes: fn(&mut ServiceConfig),
) -> Result<(ActixServer, SocketAddr), ServerError> {
    let state = state.clone();
    let app = move || {
        App::new()
            .app_data(state.clone())
            .wrap(from_fn(around))
            .configure(routes)
            .default_service(web::to(unrouted))
    };
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
