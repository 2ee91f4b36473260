//! What is told of questions, corrections, claims and notices: who may say what of them.

use super::{CODE_LETTERS_MAX, Facts, QUERY_LETTERS_MAX, text};
use crate::json::Node;
use medtrail_ledger::binding::alias;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::inquiry::{
    CLAIM_VERSION, CORRECTION_VERSION, EMERGENCY_VERSION, QUESTION_VERSION,
};

/// The version of what the log tells of a notice that it sent.
const NOTICE_VERSION: &str = "medtrail/notice-v1";
/// The version by which an organisation ends a guardianship.
const GUARDIANSHIP_END_VERSION: &str = "medtrail/guardianship-end-v1";

/// Whose word a document is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// The log's own: nobody signed it, and no organisation stands in an envelope around it.
    Log,
    /// An organisation's.
    Organisation,
}

impl Facts {
    /// Adds what such a document tells, if it may tell it: a person's questions and answers are the
    /// log's own entries, everything else is an organisation's word. Returns the organisation that
    /// it names, if it does.
    pub(super) fn take_said(&mut self, kind: Kind, tree: &Node<'_>, by: Voice) -> Option<String> {
        let version = tree.text("version");
        let act = tree.text("act");
        let said =
            |member: &str| tree.text(member).and_then(|words| text(words, QUERY_LETTERS_MAX));
        let (verb, said) = match (kind, version, act, by) {
            (Kind::Question, Some(QUESTION_VERSION), Some("asked"), Voice::Log) => {
                let is_correction = tree.text("wants") == Some("correction");
                (if is_correction { "askCorrection" } else { "askWhy" }, said("text"))
            }
            (Kind::Question, Some(QUESTION_VERSION), Some("unanswered"), Voice::Log) => {
                ("noAnswer", None)
            }
            (Kind::Question, Some(EMERGENCY_VERSION), Some("unanswered"), Voice::Log) => {
                ("noWord", None)
            }
            (Kind::Question, Some(QUESTION_VERSION), Some("answered"), Voice::Organisation) => {
                ("answer", said("text"))
            }
            (
                Kind::Correction,
                Some(CORRECTION_VERSION),
                Some("corrected"),
                Voice::Organisation,
            ) => {
                let verb = match tree.text("mistake") {
                    Some("wrongPerson") => "wrongPerson",
                    Some("didNotHappen") => "didNotHappen",
                    _ => "correct",
                };
                (verb, said("reason"))
            }
            (Kind::Binding, Some(GUARDIANSHIP_END_VERSION), None, Voice::Organisation) => {
                ("endGuard", said("order"))
            }
            (Kind::Binding, Some(alias::VERSION), None, Voice::Log) => ("joinAlias", None),
            (Kind::Claim, Some(CLAIM_VERSION), Some("billed"), Voice::Organisation) => {
                self.day = tree.text("day").and_then(|day| text(day, CODE_LETTERS_MAX));
                let service = tree.get("service").and_then(|service| service.text("text"));
                ("bill", service.and_then(|words| text(words, QUERY_LETTERS_MAX)))
            }
            (Kind::Claim, Some(CLAIM_VERSION), Some("answered"), Voice::Log) => {
                let is_yes = tree.text("answer") == Some("yes");
                (if is_yes { "hadIt" } else { "hadItNot" }, said("text"))
            }
            (Kind::Notice, Some(NOTICE_VERSION), _, Voice::Log) => {
                let verb = match tree.text("channel") {
                    Some("email") => "noticeByMail",
                    Some("webhook") => "noticeByWebhook",
                    _ => return None,
                };
                (verb, None)
            }
            _ => return None,
        };
        self.verb = verb.to_owned();
        self.said = said;
        if by == Voice::Log {
            self.relayed = false;
        }
        tree.text("organisation").map(str::to_owned)
    }
}
