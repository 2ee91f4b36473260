//! Sends reports to the log until its receipt stands beside each, for ever, in their order. One that
//! the log does not take now is passed over and tried again, so that it holds up no other.
//!
//! A lost answer is harmless: the log knows a report again by its event id. A receipt is believed
//! only after its signatures and its path were checked, and only for the report it names.

use crate::answers::{Verdict, believe, refused};
use crate::fhir::AHEAD_MS_MAX;
use crate::held::{FAILURES_MAX, Why};
use crate::moves::{Followed, follow};
use crate::sign::Document;
use crate::state::{Board, State};
use crate::upstream::{Refusal, Reply};
use alloy_primitives::{B256, Bytes};
use medtrail_ledger::custodian::{ReportRow, ReportState, SpoolError};
use medtrail_ledger::entry::batch_root;
use medtrail_ledger::schema::{Report, ReportBatch, digest};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// From so many on, reports go as a batch: one signature for the log to check.
const ALONE_MAX: usize = 8;
/// Bytes of a batch at most; the log takes sixteen times 262,144.
const BATCH_BYTES_MAX: usize = 3 << 20;
/// The first wait after a failure; it doubles up to the last.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const WAIT_LAST: Duration = Duration::from_secs(60);
/// Between two looks where nothing was signed.
const LOOK: Duration = Duration::from_secs(30);

/// How an attempt ended.
enum Progress {
    /// At least one report was settled, or none waits any more.
    Some,
    /// The log could not take it now, and may have said when to come back.
    Later(Option<Duration>),
}

pub(crate) async fn run(state: Arc<State>) {
    let mut failures = 0u32;
    loop {
        let most = state.options.batch_reports_max.clamp(1, 1_000);
        let now_ms = state.now_ms();
        let passed_over = state.board().held.passed_over(most, now_ms);
        let waiting = state.on_spool(move |state| state.spool.waiting(most, &passed_over)).await;
        let progress = match waiting {
            Ok(rows) if rows.is_empty() => {
                let next_ms = {
                    let held = &mut state.board().held;
                    held.forget_due(now_ms);
                    held.next_ms()
                };
                let until_next = next_ms.map(|next| Duration::from_millis(next - now_ms));
                let wait = until_next.map_or(LOOK, |wait| wait.min(LOOK));
                tokio::select! {
                    () = state.signed.notified() => {}
                    () = state.clock().sleep(wait) => {}
                }
                continue;
            }
            Ok(rows) => send(&state, within_bytes(rows), failures).await,
            Err(error) => Err(error),
        };
        let asked = match progress {
            Ok(Progress::Some) => {
                failures = 0;
                state.settled.notify_one();
                continue;
            }
            Ok(Progress::Later(asked)) => asked,
            Err(error) => {
                tracing::warn!("forwarding waits for the spool: {error}");
                None
            }
        };
        let wait = asked.unwrap_or_default().min(Duration::from_secs(3600)).max(back_off(failures));
        failures = failures.saturating_add(1);
        state.clock().sleep(wait).await;
    }
}

/// Half of it, and a random part of the other half: many gateways do not come back at once.
fn back_off(failures: u32) -> Duration {
    let whole = WAIT_FIRST.saturating_mul(1 << failures.min(7)).min(WAIT_LAST);
    let mut drawn = [0u8; 1];
    // Without randomness the wait is the longer one.
    let part = aws_lc_rs::rand::fill(&mut drawn).map_or(255, |()| u32::from(drawn[0]));
    whole / 2 + whole / 2 * part / 255
}

fn within_bytes(rows: Vec<ReportRow>) -> Vec<ReportRow> {
    let mut bytes = 0;
    let mut fits = |row: &ReportRow| {
        bytes += row.report.document.len();
        bytes <= BATCH_BYTES_MAX
    };
    let count = rows.iter().take_while(|row| fits(row)).count().max(1);
    rows.into_iter().take(count).collect()
}

async fn send(
    state: &Arc<State>,
    rows: Vec<ReportRow>,
    failures: u32,
) -> Result<Progress, SpoolError> {
    if rows.len() > ALONE_MAX {
        match send_batch(state, &rows, failures).await {
            Some(verdicts) => return settle(state, rows, verdicts).await,
            // One of them makes the log refuse all of it: each is to stand or fall for itself.
            None => tracing::warn!("the log refuses a batch; its reports are sent alone"),
        }
    }
    let mut is_moving = false;
    for row in rows {
        let verdict = send_one(state, &row).await;
        match settle(state, vec![row], vec![verdict]).await? {
            // Order is kept: what comes behind waits too.
            Progress::Later(asked) if !is_moving => return Ok(Progress::Later(asked)),
            Progress::Later(_) => break,
            Progress::Some => is_moving = true,
        }
    }
    Ok(Progress::Some)
}

/// Writes what came of each. A wait is told only if nothing moved.
async fn settle(
    state: &Arc<State>,
    rows: Vec<ReportRow>,
    verdicts: Vec<Verdict>,
) -> Result<Progress, SpoolError> {
    let mut ends = Vec::new();
    let mut later = None;
    let mut is_moving = false;
    for (row, verdict) in rows.into_iter().zip(verdicts) {
        let sequence = row.sequence;
        match verdict {
            Verdict::End(end) => ends.push((sequence, end)),
            Verdict::Later(asked) => later = later.max(Some(asked.unwrap_or_default())),
            Verdict::Held(Why::Ahead, reason) if is_mistaken(state, &row) => {
                let reason = format!("made while this gateway's clock was wrong; {reason}");
                ends.push((sequence, ReportState::SetAside(reason)));
            }
            Verdict::Held(why, reason) => {
                hold(state, sequence, why, reason);
                is_moving = true;
            }
            Verdict::Failed(reason) => {
                let now_ms = state.now_ms();
                if state.board().held.fail(sequence, reason.clone(), now_ms) {
                    tracing::error!("report {sequence} is passed over: {reason}");
                    is_moving = true;
                } else {
                    later = later.max(Some(Duration::ZERO));
                }
            }
            Verdict::Moved(to) => match follow(state, row, to).await? {
                Followed::Anew => {
                    state.board().held.end(sequence);
                    is_moving = true;
                }
                Followed::Never(reason) => ends.push((sequence, ReportState::SetAside(reason))),
                Followed::Unshown(reason) => {
                    hold(state, sequence, Why::Moved, reason);
                    is_moving = true;
                }
            },
        }
    }
    is_moving |= !ends.is_empty();
    let told = ends.clone();
    state.on_spool(move |state| state.spool.settle(&ends)).await?;
    for (sequence, end) in told {
        tell(state, sequence, end);
    }
    match later {
        Some(asked) if !is_moving => Ok(Progress::Later(Some(asked))),
        _ => Ok(Progress::Some),
    }
}

/// Whether it is the gateway's own statement of a time that by its own clock has not come: no
/// event of anybody is lost with it.
fn is_mistaken(state: &State, row: &ReportRow) -> bool {
    let told = serde_json::from_slice::<Document<'_>>(&row.report.document);
    let ahead_of = state.now_ms().saturating_add(AHEAD_MS_MAX);
    row.report.event == 0 && told.is_ok_and(|document| document.report.timeMs > ahead_of)
}

fn hold(state: &State, sequence: u64, why: Why, reason: String) {
    let now_ms = state.now_ms();
    if state.board().held.hold(sequence, why, reason.clone(), now_ms) {
        tracing::warn!("report {sequence} is passed over: {reason}");
    }
}

fn tell(state: &State, sequence: u64, end: ReportState) {
    state.board().held.end(sequence);
    match end {
        ReportState::Waiting => {}
        ReportState::Receipted(_) => state.board().last_receipt_ms = Some(state.now_ms()),
        ReportState::SetAside(reason) => {
            tracing::warn!("report {sequence} is set aside: {reason}");
            Board::remember(&mut state.board().set_aside, (sequence, reason));
        }
        ReportState::WrongReceipt { reason, .. } => {
            state.alarm(format!("the log's receipt for report {sequence} is wrong: {reason}"));
            Board::remember(&mut state.board().set_aside, (sequence, reason));
        }
    }
}

async fn send_one(state: &State, row: &ReportRow) -> Verdict {
    let Ok(Document { report, .. }) = serde_json::from_slice(&row.report.document) else {
        return unreadable();
    };
    let numbers = row.sequence.to_string();
    match post(state, numbers, row.report.document.to_vec()).await {
        None => Verdict::Later(None),
        Some(reply) if reply.status == 201 => believe(state, &reply.body, &report),
        Some(reply) => refused(reply.refusal(), reply.retry_after),
    }
}

/// An answer for each, or `None` where the log refuses the batch as a whole for good.
async fn send_batch(state: &State, rows: &[ReportRow], failures: u32) -> Option<Vec<Verdict>> {
    #[derive(Serialize)]
    struct Item<'a> {
        report: Report,
        #[serde(borrow)]
        details: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        root: B256,
        count: u64,
        signature: Bytes,
        items: &'a [Item<'a>],
    }
    #[derive(Deserialize)]
    struct Outcomes<'a> {
        #[serde(borrow)]
        outcomes: Vec<Outcome<'a>>,
    }
    #[derive(Deserialize)]
    struct Outcome<'a> {
        status: u16,
        #[serde(borrow)]
        receipt: Option<&'a RawValue>,
        problem: Option<Refusal>,
    }
    let documents = rows.iter().map(|row| serde_json::from_slice(&row.report.document));
    let documents: Vec<Document<'_>> = documents.collect::<Result<_, _>>().ok()?;
    let items: Vec<_> = documents
        .iter()
        .map(|document| Item { report: document.report.clone(), details: &document.details })
        .collect();
    let hashes: Vec<_> = items.iter().map(|item| item.report.hash()).collect();
    let batch = ReportBatch { root: B256::from(batch_root(&hashes)), count: items.len() as u64 };
    let signature = state.signer.sign(digest(&batch, &state.domain));
    let body = Body { root: batch.root, count: batch.count, signature, items: &items };
    let (first, last) = (rows.first()?.sequence, rows.last()?.sequence);
    // A range says that all of its numbers come with it.
    let is_whole = last - first + 1 == rows.len() as u64;
    let numbers = if is_whole { format!("{first}-{last}") } else { String::new() };
    let later = |asked| Some(rows.iter().map(|_| Verdict::Later(asked)).collect());
    let Some(reply) = post(state, numbers, serde_json::to_vec(&body).ok()?).await else {
        return later(None);
    };
    if reply.status == 413 {
        // Whoever said so, log or proxy: less of it may pass.
        return None;
    }
    if reply.status != 200 {
        return match refused(reply.refusal(), reply.retry_after) {
            Verdict::Later(asked) => later(asked),
            Verdict::Failed(_) if failures < FAILURES_MAX => later(reply.retry_after),
            _ => None,
        };
    }
    let Ok(Outcomes { outcomes }) = serde_json::from_slice(&reply.body) else {
        return later(reply.retry_after);
    };
    if outcomes.len() != rows.len() {
        return later(reply.retry_after);
    }
    let verdict = |(outcome, item): (Outcome<'_>, &Item<'_>)| match outcome.receipt {
        Some(receipt) => believe(state, receipt.get().as_bytes(), &item.report),
        None => {
            let refusal = outcome.problem.unwrap_or_default();
            refused(Refusal { status: outcome.status, ..refusal }, reply.retry_after)
        }
    };
    Some(outcomes.into_iter().zip(&items).map(verdict).collect())
}

fn unreadable() -> Verdict {
    Verdict::End(ReportState::SetAside("its document in the spool cannot be read".to_owned()))
}

async fn post(state: &State, numbers: String, body: Vec<u8>) -> Option<Reply> {
    let mut headers = HeaderMap::new();
    if let Ok(numbers) = HeaderValue::from_str(&numbers)
        && !numbers.is_empty()
    {
        headers.insert("medtrail-sequence", numbers);
    }
    match state.upstream.send(Method::POST, "/v1/reports", headers, Some(body)).await {
        Ok(reply) => {
            state.heard(&reply);
            Some(reply)
        }
        Err(error) => {
            tracing::warn!("{error}");
            state.board().is_reachable = Some(false);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_are_spread() {
        for failures in 0..40 {
            let wait = back_off(failures);
            assert!(wait <= WAIT_LAST && !wait.is_zero(), "{failures}: {wait:?}");
        }
        assert!(back_off(30) >= WAIT_LAST / 2);
    }
}
