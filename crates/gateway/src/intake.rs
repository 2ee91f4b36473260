//! Events on their way into the spool: whatever comes at the same time shares one commit.

use crate::state::State;
use medtrail_ledger::custodian::{NewEvent, SpoolError, Taken};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Events that wait for a commit, and that one commit takes, at most.
const QUEUE_MAX: usize = 1_000;

/// Why an event was not taken: nothing of it is kept.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// As much waits for the log as may.
    Full(String),
    /// The disk, or the gateway ends.
    Unavailable(String),
}

type Answer = Result<Taken, Refused>;
type Waiting = (NewEvent, oneshot::Sender<Answer>);

/// The way in.
pub(crate) struct Queue(mpsc::Sender<Waiting>);

pub(crate) fn queue() -> (Queue, mpsc::Receiver<Waiting>) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    (Queue(sender), receiver)
}

impl Queue {
    /// Durable once this is `Ok`.
    pub(crate) async fn take(&self, event: NewEvent) -> Answer {
        let ends = || Refused::Unavailable("the gateway ends".to_owned());
        let (sender, answer) = oneshot::channel();
        self.0.send((event, sender)).await.map_err(|_| ends())?;
        answer.await.unwrap_or_else(|_| Err(ends()))
    }
}

pub(crate) async fn run(state: Arc<State>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, QUEUE_MAX).await > 0 {
        let (events, senders): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let taking = state.on_spool(move |state| Ok(take(state, &events))).await;
        let answers = taking.unwrap_or_else(|error| vec![Err(refused(&error)); senders.len()]);
        state.taken.notify_one();
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Whoever went away asks again.
            let _ = sender.send(answer);
        }
    }
}

fn take(state: &State, events: &[NewEvent]) -> Vec<Answer> {
    match state.spool.take(events) {
        Ok(taken) => taken.into_iter().map(Ok).collect(),
        // One that is too large must not keep the others out.
        Err(SpoolError::Full { .. }) if events.len() > 1 => {
            let one = |event| state.spool.take(std::slice::from_ref(event));
            let first = |taken: Vec<Taken>| {
                let gone = || Refused::Unavailable("the spool did not answer".to_owned());
                taken.first().copied().ok_or_else(gone)
            };
            let each = events.iter().map(one);
            each.map(|taken| taken.map_err(|error| refused(&error)).and_then(first)).collect()
        }
        Err(error) => vec![Err(refused(&error)); events.len()],
    }
}

fn refused(error: &SpoolError) -> Refused {
    match error {
        SpoolError::Full { .. } => Refused::Full(error.to_string()),
        _ => Refused::Unavailable(error.to_string()),
    }
}
