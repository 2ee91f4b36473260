//! The server: what listens where, what every answer carries, and how it ends.

use crate::limits::{
    BATCH_BODIES, BATCH_REPORTS_MAX, BODY_BYTES_MAX, CLIENT_HEAD_MS_MAX, CONNECTIONS_MAX,
};
use crate::metrics::{self, Metrics};
use crate::routes;
use actix_web::dev::{Server as ActixServer, ServiceRequest, ServiceResponse};
use actix_web::http::KeepAlive;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Data, PayloadConfig};
use actix_web::{App, Error, HttpServer};
use medtrail_oracle::service::Service;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Where to listen, and how much to take.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// The public port; 0 for any.
    pub listen: SocketAddr,
    /// The metrics port; none for no metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// Bytes of a body with one report at most.
    pub body_bytes_max: usize,
    /// Reports in one request at most.
    pub batch_reports_max: usize,
    /// Threads that answer requests.
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

/// What a request may hold.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes_max: usize,
    pub(crate) batch_reports_max: usize,
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
        cause: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(std::io::Error),
}

/// A server that listens but does not answer yet.
pub struct Server {
    public: ActixServer,
    metrics: Option<ActixServer>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
}

impl Server {
    /// Listens.
    pub fn bind(service: Service, options: ServerOptions) -> Result<Self, ServerError> {
        let metrics = Metrics::new();
        let limits = Limits {
            body_bytes_max: options.body_bytes_max,
            batch_reports_max: options.batch_reports_max,
        };
        let body_bytes_max = options.body_bytes_max * BATCH_BODIES;
        let (shared, counted) = (Data::new(service.clone()), Data::new(metrics.clone()));
        let public = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(counted.clone())
                .app_data(Data::new(limits))
                .app_data(PayloadConfig::new(body_bytes_max))
                .wrap(from_fn(measured))
                .wrap(safe_headers())
                .configure(routes::public)
                .default_service(web::to(routes::nothing_here))
        });
        let listen = options.listen;
        let public = public
            .workers(options.workers)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(Duration::from_millis(CLIENT_HEAD_MS_MAX))
            .keep_alive(KeepAlive::Timeout(Duration::from_secs(75)))
            .shutdown_timeout(5)
            .disable_signals()
            .bind(listen)
            .map_err(|cause| ServerError::Listen { address: listen, cause })?;
        let address = public.addrs().first().copied().unwrap_or(listen);

        let mut metrics_address = None;
        let mut metrics_server = None;
        if let Some(listen) = options.metrics_listen {
            let (shared, counted) = (Data::new(service), Data::new(metrics));
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(shared.clone())
                    .app_data(counted.clone())
                    .configure(metrics::configure)
            });
            let server = server
                .workers(1)
                .shutdown_timeout(1)
                .disable_signals()
                .bind(listen)
                .map_err(|cause| ServerError::Listen { address: listen, cause })?;
            metrics_address = server.addrs().first().copied();
            metrics_server = Some(server.run());
        }
        Ok(Self { public: public.run(), metrics: metrics_server, address, metrics_address })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers `/metrics`.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Answers until `stop`, then finishes what is under way.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServerError> {
        let handles: Vec<_> =
            [Some(self.public.handle()), self.metrics.as_ref().map(ActixServer::handle)]
                .into_iter()
                .flatten()
                .collect();
        let stopping = async move {
            stop.cancelled().await;
            for handle in handles {
                handle.stop(true).await;
            }
        };
        let metrics = async {
            match self.metrics {
                Some(server) => server.await,
                None => Ok(()),
            }
        };
        let served = async { tokio::try_join!(self.public, metrics) };
        let (served, ()) = tokio::join!(served, stopping);
        served.map(|_| ()).map_err(ServerError::Ended)
    }
}

/// Times every request.
async fn measured(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody>,
) -> Result<ServiceResponse<impl actix_web::body::MessageBody>, Error> {
    let metrics = request.app_data::<Data<Metrics>>().cloned();
    let started = Instant::now();
    let response = next.call(request).await;
    if let Some(metrics) = metrics {
        metrics.answered(started.elapsed());
    }
    response
}

/// What a browser must know about every answer: nothing here is a page but `/`.
fn safe_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        .add(("Referrer-Policy", "no-referrer"))
}
