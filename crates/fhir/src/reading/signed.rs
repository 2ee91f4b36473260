//! What a person signed: permissions given and taken back, and what they want erased.

use super::{CATEGORIES_MAX, CODE_LETTERS_MAX, Facts, NAME_LETTERS_MAX, short_of, text};
use crate::json::Node;
use crate::words;
use alloy_primitives::Address;

/// What a grant lets somebody do, as far as a line tells.
#[derive(Default)]
struct Allowed {
    read: bool,
    change: bool,
    everything: bool,
    categories: Vec<&'static str>,
    marked: bool,
}

impl Allowed {
    /// Of scopes that were checked when they were recorded; what cannot be read adds nothing.
    fn of(scopes: &str) -> Self {
        let mut allowed = Self::default();
        for scope in scopes.split(' ') {
            let (plain, parameter) = scope.split_once('?').unwrap_or((scope, ""));
            let named = plain.strip_prefix("patient/").and_then(|rest| rest.split_once('.'));
            let Some((resource, letters)) = named else { continue };
            let any = |of: &str| letters.contains(|letter| of.contains(letter));
            allowed.read |= matches!(letters, "read" | "*") || letters != "write" && any("rs");
            allowed.change |= matches!(letters, "write" | "*") || letters != "read" && any("cud");
            allowed.marked |= parameter.starts_with("_security=");
            if resource == "*" {
                allowed.everything = true;
                continue;
            }
            let category = words::category(resource);
            if !allowed.categories.contains(&category) {
                allowed.categories.push(category);
            }
        }
        if allowed.everything {
            allowed.categories.clear();
        }
        allowed
    }
}

impl Facts {
    /// Adds what a document tells that the person, or who acts for them, signed.
    pub(super) fn take_permission(
        &mut self,
        tree: &Node<'_>,
        names: &dyn Fn(Address) -> Option<String>,
    ) {
        let whom = |document: &Node<'_>, member: &str| {
            let address: Option<Address> = document.text(member).and_then(|id| id.parse().ok());
            let name = address.and_then(names).and_then(|name| text(&name, NAME_LETTERS_MAX));
            name.or_else(|| address.map(short_of))
        };
        let Some(document) = tree.get("document") else { return };
        let Some((word, document)) = document.members().first() else { return };
        let (verb, counterpart) = match word.as_str() {
            "grant" => {
                let Some(verb) = self.take_grant(document) else { return };
                (verb, whom(document, "grantee"))
            }
            "changeApproval" => ("approve", whom(document, "custodian")),
            "delegation" => ("delegate", whom(document, "delegate")),
            "guardianship" => ("guard", whom(document, "guardian")),
            "revoke" => ("takeBack", None),
            "revokeAll" => ("takeBackAll", None),
            _ => return,
        };
        (self.verb, self.counterpart) = (verb.to_owned(), counterpart);
    }

    fn take_grant(&mut self, grant: &Node<'_>) -> Option<&'static str> {
        let allowed = Allowed::of(grant.text("scopes").unwrap_or_default());
        let verb = match (allowed.read, allowed.change) {
            (true, true) => "permitBoth",
            (true, false) => "permitRead",
            (false, true) => "permitChange",
            (false, false) => return None,
        };
        self.more = allowed.categories.len() > CATEGORIES_MAX;
        let shown = allowed.categories.into_iter().take(CATEGORIES_MAX);
        self.categories = shown.map(str::to_owned).collect();
        self.sensitive = allowed.marked;
        // Of several a line would tell only a part.
        let purposes = grant.text("purposes").filter(|purposes| !purposes.contains(' '));
        self.purpose = purposes.and_then(|code| text(code, CODE_LETTERS_MAX));
        Some(verb)
    }

    /// Adds what the log tells of an erasure.
    pub(super) fn take_erasure(&mut self, tree: &Node<'_>) {
        let is_records = tree.text("form") == Some("records");
        let reason = tree.get("reason").and_then(|reason| reason.text("kind"));
        let verb = match (tree.text("act"), is_records, reason) {
            (Some("asked"), false, _) => "eraseAsk",
            (Some("asked"), true, _) => "eraseAskRecords",
            (Some("cancelled"), ..) => "eraseCancel",
            (Some("refused"), _, Some("retention")) => "eraseDuty",
            (Some("refused"), _, Some("legal-hold")) => "eraseHold",
            (Some("done"), false, _) => "eraseDone",
            (Some("done"), true, _) => "eraseDoneRecords",
            _ => return,
        };
        self.verb = verb.to_owned();
    }
}
