//! What is told of the places where records are kept: who may say what of them.

use super::{Facts, NAME_LETTERS_MAX, QUERY_LETTERS_MAX, text};
use crate::json::Node;
use medtrail_ledger::entry::{Kind, subject_of};
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::SOURCE_VERSION;

impl Facts {
    /// Adds what such a document tells; `false` if it is none, or not said by who may say it: a source
    /// is registered and moved by a signature, and lost, changed and back by the log alone.
    pub(super) fn take_source(
        &mut self,
        report: &Report,
        tree: &Node<'_>,
        is_signed: bool,
    ) -> bool {
        let is_source = tree.text("version") == Some(SOURCE_VERSION);
        if !is_source || Kind::from_number(report.kind) != Kind::Source {
            return false;
        }
        let kept = || match tree.text("kept") {
            Some("here") => 0,
            Some("elsewhere") => 1,
            _ => 2,
        };
        let verb = match (tree.text("act"), is_signed) {
            (Some("registered"), true) => "registerSource",
            (Some("moved"), true) => "moveSource",
            (Some("lost"), false) => ["lostHere", "lostElsewhere", "lostNowhere"][kept()],
            (Some("changed"), false) => {
                ["changedHere", "changedElsewhere", "changedNowhere"][kept()]
            }
            (Some("back"), false) => "sourceBack",
            _ => return false,
        };
        let told = if is_signed { Some(tree) } else { tree.get("source") };
        let words = |member: &str, letters| {
            told.and_then(|told| told.text(member)).and_then(|words| text(words, letters))
        };
        self.said = words("title", QUERY_LETTERS_MAX);
        self.counterpart = words("keeper", NAME_LETTERS_MAX);
        self.verb = verb.to_owned();
        self.is_self = is_signed && subject_of(report.actor) == report.subject;
        self.relayed = false;
        true
    }
}
