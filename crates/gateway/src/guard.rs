//! Who may ask at all. Nobody signs in at a gateway, so a browser on the same machine must not be
//! made to speak for the organisation by a page that somebody else wrote.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use std::net::IpAddr;

/// Refuses what a page in a browser sends (`Origin`), and, at a gateway of this machine alone,
/// names that are not this machine's (DNS rebinding).
pub(crate) async fn guard(
    is_own: bool,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if headers.contains_key(ORIGIN) || (is_own && !is_this_machine(host)) {
        let refusal = HttpResponse::Forbidden().body(
            "A gateway takes nothing from web pages; send it without Origin, to its address.",
        );
        return Ok(request.into_response(refusal));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_s_own_names_pass() {
        for host in ["127.0.0.1:8090", "localhost", "LOCALHOST:1", "[::1]:8090", "10.0.0.7"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:8090", "127.0.0.1.nip.io", "[x]"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
