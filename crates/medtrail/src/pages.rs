//! The page, as the server asks for it.

use medtrail_api::{Page, Pages};
use medtrail_web::{Asset, Assets};

/// The page that Vite built and this binary carries.
pub(crate) struct Embedded;

impl Pages for Embedded {
    fn page(&self, path: &str) -> Option<Page> {
        let Asset { bytes, media_type, etag, is_immutable, reaches_any_chain } =
            Assets.page(path)?;
        let media_type = media_type.to_owned();
        Some(Page { bytes, media_type, etag, is_immutable, reaches_any_chain })
    }
}
