//! One file a family of paths.

mod accounting;
mod aliases;
mod anchors;
mod approvals;
mod bindings;
mod calls;
mod chain;
mod claims;
mod corrections;
mod cursor;
pub(crate) mod docs;
mod emergencies;
mod entries;
mod erasure;
pub(crate) mod feed;
pub(crate) mod fhir;
pub(crate) mod health;
mod holds;
pub(crate) mod home;
mod log;
mod looks;
mod market;
mod notices;
mod offers;
mod organisations;
mod parcel;
mod permissions;
mod problems;
mod questions;
mod records;
mod reports;
mod said;
mod sales;
mod session;
mod sources;
mod trail;

use utoipa_actix_web::service_config::ServiceConfig;

/// Everything on the public port. Only what describes itself can stand here; what nothing here
/// takes goes to `pages`.
pub(crate) fn public(config: &mut ServiceConfig) {
    config
        .service(reports::post)
        .service(entries::get)
        .service(entries::receipt)
        .service(entries::proof)
        .service(anchors::get)
        .service(organisations::file)
        .service(organisations::list)
        .service(organisations::add)
        .service(organisations::invite_again)
        .service(organisations::enrol)
        .service(organisations::create_api_key)
        .service(organisations::revoke_api_key)
        .service(trail::get)
        .service(accounting::get)
        .service(chain::get)
        .service(feed::get)
        // Before what names a binding by its id.
        .service(aliases::list)
        .service(aliases::join)
        .service(bindings::list)
        .service(bindings::of)
        .service(bindings::issue)
        .service(bindings::claim)
        .service(bindings::sign)
        .service(bindings::countersign)
        .service(permissions::domain)
        .service(permissions::record)
        .service(permissions::list)
        .service(notices::get)
        .service(notices::set)
        .service(notices::confirm)
        .service(questions::ask)
        .service(questions::list)
        .service(questions::get)
        .service(questions::take_answer)
        .service(emergencies::list)
        .service(sources::tell)
        .service(sources::list)
        .service(corrections::correct)
        .service(claims::bill)
        .service(claims::list)
        .service(claims::take_answer)
        .service(records::list)
        .service(records::import)
        .service(records::get)
        .service(records::list_versions)
        .service(records::put)
        .service(records::read_content)
        .service(records::signed_read)
        .service(approvals::list)
        .service(approvals::ask)
        .service(approvals::get)
        .service(approvals::proposed)
        .service(approvals::decline)
        .service(approvals::withdraw)
        .service(erasure::get)
        .service(erasure::cancel)
        .service(market::get)
        .service(market::get_opt_out)
        .service(market::set_opt_out)
        .service(offers::list)
        .service(offers::catalogue)
        .service(offers::get)
        .service(offers::withdraw)
        .service(calls::list)
        .service(calls::catalogue)
        .service(calls::get)
        .service(calls::accept)
        .service(calls::withdraw)
        .service(calls::withdraw_part)
        .service(calls::deleted)
        .service(calls::download)
        .service(calls::proofs)
        .service(sales::take)
        .service(sales::list)
        .service(sales::get)
        .service(sales::approve)
        .service(sales::decline)
        .service(sales::withdraw)
        .service(sales::deleted)
        .service(sales::download)
        .service(sales::proof)
        .service(looks::list)
        .service(looks::content)
        .service(holds::list)
        .service(holds::add)
        .service(holds::lift)
        .service(fhir::metadata)
        .service(fhir::smart)
        .service(fhir::take::create)
        .service(fhir::take::create_provenance)
        .service(fhir::take::batch)
        .service(fhir::find::search_by_get)
        .service(fhir::find::search_by_post)
        .service(fhir::find::read_one)
        .service(fhir::provenance::search)
        .service(fhir::provenance::read_one)
        .service(fhir::consent::search_by_get)
        .service(fhir::consent::search_by_post)
        .service(fhir::consent::read_one)
        .service(fhir::accounting::by_get)
        .service(fhir::accounting::by_post)
        .service(fhir::accounting::definition)
        .service(log::checkpoint)
        // Before the tiles: `entries` is no level.
        .service(log::entries)
        .service(log::tile)
        .service(health::healthz)
        .service(health::readyz)
        .service(problems::get)
        .service(session::nonce)
        .service(session::open)
        .service(session::get)
        .service(session::close)
        .service(docs::openapi)
        .service(docs::page)
        .service(docs::style);
}

/// Everything on the operator's port.
pub(crate) fn operator(config: &mut actix_web::web::ServiceConfig) {
    config.service(crate::metrics::get);
}
