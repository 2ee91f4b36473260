//! What the log's answer to a report means.

use crate::held::Why;
use crate::state::State;
use crate::upstream::Refusal;
use alloy_primitives::B256;
use medtrail_ledger::checkpoint::CheckpointError;
use medtrail_ledger::custodian::ReportState;
use medtrail_ledger::note::NoteError;
use medtrail_ledger::proof::spell;
use medtrail_ledger::receipt::{Receipt, ReceiptError};
use medtrail_ledger::schema::Report;
use std::time::Duration;

/// What the log said of one report.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Its wait is over.
    End(ReportState),
    /// Its patient is known by another subject.
    Moved(B256),
    /// The log takes nothing now, and may have said when to come back.
    Later(Option<Duration>),
    /// It does not take this one now, and may take others.
    Held(Why, String),
    /// It failed: on this report or on any, that shows when others are tried.
    Failed(String),
}

/// What a refusal means. Only what the log itself says of a report ends its wait: a proxy's 403 or
/// 404 is an outage. Nor does what time cures: an acknowledged event must reach the log.
pub(crate) fn refused(refusal: Refusal, asked: Option<Duration>) -> Verdict {
    let asked = refusal.retry_after_s.map(Duration::from_secs).or(asked);
    let detail: String = refusal.detail.chars().take(400).collect();
    match (refusal.status, refusal.slug(), refusal.subject) {
        (409, Some("subject-moved"), Some(to)) => Verdict::Moved(to),
        (409, Some("subject-moved"), None) => {
            Verdict::Held(Why::Moved, "the log says that its patient moved, not whither".to_owned())
        }
        (422, Some("time-ahead"), _) => Verdict::Held(
            Why::Ahead,
            format!(
                "time-ahead: {detail}. One clock is wrong: this one, its sender's or the log's"
            ),
        ),
        (401 | 408 | 425 | 429 | 502..=504, ..) => Verdict::Later(asked),
        // Said of this gateway, not of the report: its key is not known yet, or no more.
        (403, Some("unknown-custodian"), _) => {
            tracing::error!("the log knows this gateway's key no more: {detail}");
            Verdict::Later(asked)
        }
        (400..=499, Some(slug), _) => {
            Verdict::End(ReportState::SetAside(format!("{slug}: {detail}")))
        }
        (status, slug, _) => {
            let slug = slug.map_or_else(|| "no problem of the log's".to_owned(), str::to_owned);
            Verdict::Failed(format!("the log answers {status} ({slug}) again and again: {detail}"))
        }
    }
}

/// The receipt if it binds the log to this report. One that the log signed and that is wrong is
/// kept as evidence against it. One by a key that is not known here is neither: the log may have a
/// new key, or a wrong clock, and the report is sent again until that is mended.
pub(crate) fn believe(state: &State, answer: &[u8], report: &Report) -> Verdict {
    match check(state, answer, report) {
        Ok(receipt) => Verdict::End(ReportState::Receipted(spell(&receipt).into())),
        Err(Wrong::Key(reason)) => Verdict::Held(Why::Key, reason),
        Err(Wrong::Receipt(reason)) => {
            Verdict::End(ReportState::WrongReceipt { answer: answer.to_vec().into(), reason })
        }
    }
}

/// Why a receipt does not count.
enum Wrong {
    /// It is by nobody whom the enrolment names, as far as this gateway can tell.
    Key(String),
    Receipt(String),
}

fn check(state: &State, answer: &[u8], report: &Report) -> Result<Receipt, Wrong> {
    let receipt: Receipt = serde_json::from_slice(answer)
        .map_err(|error| Wrong::Receipt(format!("no receipt: {error}")))?;
    if receipt.report_hash != report.hash() {
        return Err(Wrong::Receipt("it is for another report".to_owned()));
    }
    let unknown = |what: String| {
        Wrong::Key(format!(
            "{what}. If the operator has a new key, and it is theirs: medtrail gateway trust"
        ))
    };
    let mut wrong = unknown("the enrolment names no key of the log's operator".to_owned());
    for keys in &state.log_keys {
        wrong = match receipt.verify(keys) {
            Ok((_, time_ms)) if state.enrolment.trust.operator_speaks(keys.operator, time_ms) => {
                return Ok(receipt);
            }
            Ok((_, time_ms)) => unknown(format!(
                "the log's receipts are signed at {time_ms} ms by a key that does not speak at that \
                 time; the log's clock is wrong, or the enrolment old"
            )),
            Err(ReceiptError::Checkpoint(
                CheckpointError::NoOperator(_) | CheckpointError::Note(NoteError::NotSigned(_)),
            )) => match wrong {
                // What another key of the operator's says of it weighs more.
                Wrong::Receipt(reason) => Wrong::Receipt(reason),
                Wrong::Key(_) => unknown(
                    "the log's receipts are signed by a key that the enrolment does not name"
                        .to_owned(),
                ),
            },
            Err(error) => Wrong::Receipt(error.to_string()),
        };
    }
    Err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, slug: &str) -> Verdict {
        let r#type = match slug {
            "" => "about:blank".to_owned(),
            slug => format!("https://log.example/problems/{slug}"),
        };
        let subject = (slug == "subject-moved").then(|| B256::repeat_byte(7));
        refused(Refusal { r#type, status, subject, ..Refusal::default() }, None)
    }

    #[test]
    fn only_what_the_log_says_of_a_report_ends_its_wait() {
        for (status, slug) in [(422, "invalid-field"), (409, "event-conflict"), (422, "wrong-log")]
        {
            let verdict = told(status, slug);
            assert!(matches!(verdict, Verdict::End(ReportState::SetAside(_))), "{status} {slug}");
        }
        for (status, slug) in [
            (502, ""),
            (503, "busy"),
            (429, "rate-limited"),
            (401, "signed-out"),
            (403, "unknown-custodian"),
        ] {
            assert!(matches!(told(status, slug), Verdict::Later(_)), "{status} {slug}");
        }
        for (status, slug) in [(403, ""), (404, ""), (413, ""), (500, "internal"), (500, "")] {
            assert!(matches!(told(status, slug), Verdict::Failed(_)), "{status} {slug}");
        }
        assert!(matches!(told(409, "subject-moved"), Verdict::Moved(to) if to.0 == [7; 32]));
    }

    #[test]
    fn what_time_cures_ends_no_wait() {
        assert!(matches!(told(422, "time-ahead"), Verdict::Held(Why::Ahead, _)));
        let r#type = "https://log.example/problems/subject-moved".to_owned();
        let whither = Refusal { r#type, status: 409, ..Refusal::default() };
        assert!(matches!(refused(whither, None), Verdict::Held(Why::Moved, _)));
    }
}
