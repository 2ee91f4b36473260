//! Who asks, and what that opens.
//!
//! Until somebody can sign in, the key to an entry is its place hash: 32 bytes with a secret salt
//! in them, which only its reporter (from the receipt), its subject and the operator know.

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use alloy_primitives::B256;
use std::future::{Ready, ready};

/// The place hash a caller shows, in the header `Medtrail-Place: 0x…`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownPlace(B256);

impl ShownPlace {
    /// Whether it opens the entry with this place. Takes the same time wherever they differ, so
    /// that the hash cannot be guessed a byte at a time.
    pub(crate) fn opens(self, place_hash: B256) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_slice(), place_hash.as_slice())
            .is_ok()
    }
}

impl FromRequest for ShownPlace {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// Missing and unreadable keys are answered like a wrong one.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get("Medtrail-Place");
        let shown = header.and_then(|value| value.to_str().ok()?.parse::<B256>().ok());
        ready(shown.map(Self).ok_or_else(Problem::no_such_entry))
    }
}
