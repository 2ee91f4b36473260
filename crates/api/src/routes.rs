//! One file a family of paths.

mod anchors;
mod entries;
pub(crate) mod health;
mod home;
mod log;
mod problems;
mod reports;
mod trust;

use actix_web::web::ServiceConfig;

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
        // Before the tiles: `entries` is no level.
        .service(log::entries)
        .service(log::tile)
        .service(health::healthz)
        .service(health::readyz)
        .service(problems::get)
        .service(home::page);
}

/// Everything on the operator's port.
pub(crate) fn operator(config: &mut ServiceConfig) {
    config.service(crate::metrics::get);
}
