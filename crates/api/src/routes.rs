//! One file a path.

mod anchors;
mod entries;
mod health;
mod home;
mod log;
mod reports;
mod trust;

use crate::problem::Problem;
use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use medtrail_ledger::ports::JournalError;

/// Everything on the public port.
pub(crate) fn public(config: &mut ServiceConfig) {
    config
        .service(reports::post)
        .service(entries::receipt)
        .service(entries::proof)
        .service(anchors::get)
        .service(trust::file)
        .service(trust::organisations)
        .service(log::checkpoint)
        .service(log::entries)
        .service(log::tile)
        .service(health::healthz)
        .service(health::readyz)
        .service(home::page);
}

/// What a client sent that is no request to anything here.
pub(crate) async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}

/// Runs what may wait for the disk off the async threads.
async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem>
where
    Problem: From<E>,
{
    match web::block(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => Err(JournalError::Storage(error.to_string()).into()),
    }
}

pub(crate) use health::word as state_word;
