//! `/` of a binary without pages: what this is, for somebody who opens it in a browser.

use crate::pages::Page;
use crate::state::State;
use medtrail_ledger::entry::details_hash;

const PAGE: &str = include_str!("home.html");

pub(crate) fn page(state: &State) -> Page {
    let trust = state.service.trust();
    let text = PAGE
        .replace("{origin}", &escape(&trust.origin))
        .replace("{operator}", &escape(&trust.operator.name));
    Page {
        etag: format!("\"{:x}\"", details_hash(text.as_bytes())),
        bytes: text.into_bytes().into(),
        media_type: "text/html; charset=utf-8".to_owned(),
        is_immutable: false,
        reaches_any_chain: false,
    }
}

/// Names come from the operator's own configuration; they are text here all the same.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
