//! What a person reads of what happened in Medtrail's own vault: versions, looks, requests for
//! changes, and what was refused there.

use super::{CODE_LETTERS_MAX, Facts, NAME_LETTERS_MAX, text};
use crate::json::Node;
use crate::words;
use alloy_primitives::Address;
use medtrail_ledger::entry::{Kind, subject_of};
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{READ_VERSION, REQUEST_VERSION, VERSION_VERSION};

impl Facts {
    /// Adds what a document of the vault tells; `false` if it is none, or not in its place. Who
    /// signed stands beside the report: a document that only the log writes is read only where
    /// nobody did.
    pub(super) fn take_vault(
        &mut self,
        report: &Report,
        tree: &Node<'_>,
        is_signed: bool,
        names: &dyn Fn(Address) -> Option<String>,
    ) -> bool {
        match (tree.text("version"), Kind::from_number(report.kind)) {
            (Some(VERSION_VERSION), Kind::Change) => {
                self.is_self = is_signed && subject_of(report.actor) == report.subject;
                self.take_about(tree);
                self.take_purposes(tree);
            }
            (Some(READ_VERSION), Kind::Access) => {
                if tree.get("listed").is_some() {
                    self.verb = "search".to_owned();
                }
                let reader = tree.text("reader").and_then(|id| id.parse::<Address>().ok());
                match reader.filter(|_| !is_signed) {
                    Some(reader) if subject_of(reader) == report.subject => self.is_self = true,
                    // By an order: nobody acts for the person there.
                    Some(_) if !report.permission.is_zero() => self.take_sold_look(tree, names),
                    Some(reader) => self.take_reader(reader, names),
                    None => {}
                }
                self.take_purposes(tree);
            }
            (Some(REQUEST_VERSION), Kind::Question) => {
                return self.take_request(tree, is_signed, names);
            }
            _ => return false,
        }
        true
    }

    fn take_request(
        &mut self,
        tree: &Node<'_>,
        is_signed: bool,
        names: &dyn Fn(Address) -> Option<String>,
    ) -> bool {
        let verb = match (tree.text("act"), is_signed) {
            (Some("asked"), true) => "askChange",
            (Some("declined"), false) => "declineChange",
            (Some("withdrawn"), false) => "withdrawChange",
            (Some("expired"), false) => "expireChange",
            _ => return false,
        };
        self.verb = verb.to_owned();
        self.take_about(tree);
        if !is_signed {
            let organisation = tree.text("organisation").and_then(|id| id.parse().ok());
            let name = organisation.and_then(names);
            self.counterpart = name.and_then(|name| text(&name, NAME_LETTERS_MAX));
            // Nobody said no: that is the log's own finding.
            self.relayed = verb != "expireChange";
        }
        true
    }

    fn take_about(&mut self, tree: &Node<'_>) {
        let Some(about) = tree.get("about") else { return };
        let category = about.text("resourceType").map(words::category);
        self.categories = category.into_iter().map(str::to_owned).collect();
        self.resource = about.text("title").and_then(|title| text(title, CODE_LETTERS_MAX));
        let topics = about.list("topics").iter().filter_map(Node::as_text);
        self.topic = topics.into_iter().find(|topic| words::is_topic(topic)).map(str::to_owned);
        let is_restricted = matches!(about.text("confidentiality"), Some("R" | "V"));
        self.sensitive = self.topic.is_some() || is_restricted;
    }

    fn take_purposes(&mut self, tree: &Node<'_>) {
        if self.is_self {
            return;
        }
        let all: Vec<&str> = tree.list("purposes").iter().filter_map(Node::as_text).collect();
        let urgent = ["BTG", "ETREAT"].into_iter().find(|code| all.contains(code));
        self.emergency = urgent.is_some();
        let given = || all.iter().find_map(|code| text(code, CODE_LETTERS_MAX));
        self.purpose = urgent.map(str::to_owned).or_else(given);
    }
}
