//! No sequence of calls makes a record's version count without its person: any calls in any order,
//! with crashes between them, against a model of a few lines that knows nothing of how permissions
//! are judged.
//!
//! The model: Anna may always write. The clinic may write where a grant that covers it was given and
//! neither taken back nor ended with its epoch, and only what the grant says it may (new, over,
//! away), or where an approval of exactly that change was given and not used. Whoever else writes
//! changes nothing. Whatever is written must build on what counts.

use crate::permits::{ANNA, STRANGER, grant_for, id, revoke, revoke_all};
use crate::safe::{Safe, Write, approval, bytes, write};
use crate::support::{CLINIC, FAULTS, Fault};
use alloy_primitives::B256;
use medtrail_oracle::vault::VaultError;
use medtrail_permit::documents::{Document, Grant};
use medtrail_permit::statements::{Language, worded};
use proptest::prelude::*;

const LETTERS: [char; 4] = ['0', 'A', 'B', 'C'];
const SCOPES: [&str; 4] =
    ["patient/*.c", "patient/AllergyIntolerance.u", "patient/*.cud", "patient/Observation.cud"];

#[derive(Clone, Debug)]
enum Call {
    /// Anna gives a grant of these scopes, perhaps one of an epoch that is over.
    Grant { scope: usize, is_old: bool },
    /// Anna approves one change.
    Approve { from: char, to: char },
    /// Somebody gives the clinic what only Anna can give.
    Forge { from: char, to: char },
    /// Anna takes back one of what she gave.
    Revoke { which: usize },
    /// Anna takes everything back.
    RevokeAll,
    /// Somebody writes, naming nothing or one of what was given; the report says it is this old.
    Write { by: u8, to: char, on: On, named: Option<usize>, age_s: u64 },
    /// The same while a file fails.
    Crash { by: u8, to: char, at: usize, fault: Fault, is_log: bool },
    /// The process ends and starts.
    Restart,
}

/// What a write says it builds on.
#[derive(Clone, Copy, Debug)]
enum On {
    Current,
    Letter(char),
}

fn call() -> impl Strategy<Value = Call> {
    let letter = || prop::sample::select(&LETTERS[..]);
    let by = || prop::sample::select(vec![ANNA, CLINIC, CLINIC, CLINIC, STRANGER]);
    let on = prop_oneof![3 => Just(On::Current), 1 => letter().prop_map(On::Letter)];
    prop_oneof![
        3 => (0..SCOPES.len(), prop::bool::weighted(0.2))
            .prop_map(|(scope, is_old)| Call::Grant { scope, is_old }),
        3 => (letter(), letter()).prop_map(|(from, to)| Call::Approve { from, to }),
        1 => (letter(), letter()).prop_map(|(from, to)| Call::Forge { from, to }),
        2 => any::<usize>().prop_map(|which| Call::Revoke { which }),
        1 => Just(Call::RevokeAll),
        10 => (by(), letter(), on, prop::option::of(any::<usize>()), 0..100_000u64)
            .prop_map(|(by, to, on, named, age_s)| Call::Write { by, to, on, named, age_s }),
        3 => (by(), letter(), 0..2usize, prop::sample::select(&FAULTS[..]), any::<bool>())
            .prop_map(|(by, to, at, fault, is_log)| Call::Crash { by, to, at, fault, is_log }),
        1 => Just(Call::Restart),
    ]
}

/// What Anna gave.
#[derive(Clone)]
struct Given {
    id: B256,
    what: What,
    is_ended: bool,
}

#[derive(Clone, Copy)]
enum What {
    Grant { creates: bool, updates: bool, deletes: bool },
    Approval { from: char, to: char },
}

#[derive(Default)]
struct Model {
    given: Vec<Given>,
    epoch: u64,
}

impl Model {
    /// Whether this write is allowed: by what is named, or by any grant where nothing is.
    fn allows(&self, by: u8, from: char, to: char, named: Option<usize>) -> bool {
        if by == ANNA {
            return true;
        }
        let covers = |one: &Given| match one.what {
            What::Grant { creates, updates, deletes } => match (from, to) {
                ('0', _) => creates,
                (_, '0') => deletes,
                _ => updates,
            },
            What::Approval { from: allowed, to: becomes } => (allowed, becomes) == (from, to),
        };
        let mut named = match named {
            Some(at) => vec![&self.given[at]],
            None => {
                let grants = self.given.iter();
                grants.filter(|one| matches!(one.what, What::Grant { .. })).collect()
            }
        }
        .into_iter();
        by == CLINIC && named.any(|one| !one.is_ended && covers(one))
    }

    fn use_up(&mut self, named: Option<usize>) {
        if let Some(at) = named
            && let What::Approval { .. } = self.given[at].what
        {
            self.given[at].is_ended = true;
        }
    }
}

struct Run {
    folder: tempfile::TempDir,
    safe: Option<Safe>,
    model: Model,
    head: char,
    event: u64,
}

impl Run {
    fn safe(&self) -> &Safe {
        self.safe.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        self.safe.take().unwrap().stop().await;
        self.safe = Some(Safe::start(&self.folder));
    }

    /// Which letter counts, by the bytes that Anna is shown.
    async fn shown(&self) -> char {
        match self.safe().own("penicillin").await {
            None => '0',
            Some(found) => *LETTERS.iter().find(|letter| bytes(**letter) == found).unwrap(),
        }
    }

    fn next(&mut self, by: u8, from: char, to: char) -> Write {
        self.event += 1;
        write(self.event, by, from, to)
    }

    async fn call(&mut self, call: &Call) {
        let salt = u8::try_from(self.model.given.len() + 1).unwrap();
        match *call {
            Call::Grant { scope, is_old } => {
                // An epoch that is over; while none is, one that has not begun.
                let epoch = match (is_old, self.model.epoch) {
                    (false, epoch) => epoch,
                    (true, 0) => 7,
                    (true, epoch) => epoch - 1,
                };
                let Document::Grant(grant) = grant_for(SCOPES[scope], salt) else { unreachable!() };
                let grant = Document::Grant(Grant { epoch, statement: String::new(), ..grant });
                let grant = worded(grant, Language::En).unwrap();
                self.safe().world.give(ANNA, grant.clone()).await;
                // The third letter of three is of no use for an allergy.
                let (creates, updates, deletes) = match scope {
                    0 => (true, false, false),
                    1 => (false, true, false),
                    2 => (true, true, true),
                    _ => (false, false, false),
                };
                let what = What::Grant { creates, updates, deletes };
                self.model.given.push(Given { id: id(&grant), what, is_ended: is_old });
            }
            Call::Approve { from, to } | Call::Forge { from, to } if from == to => {}
            Call::Approve { from, to } => {
                let mut yes = approval(from, to, salt);
                if let Document::ChangeApproval(one) = &mut yes {
                    (one.epoch, one.statement) = (self.model.epoch, String::new());
                }
                let yes = worded(yes, Language::En).unwrap();
                self.safe().world.give(ANNA, yes.clone()).await;
                let what = What::Approval { from, to };
                self.model.given.push(Given { id: id(&yes), what, is_ended: false });
            }
            Call::Forge { from, to } => {
                for by in [CLINIC, STRANGER] {
                    let forged = crate::permits::signed(by, approval(from, to, salt));
                    self.safe().world.service.record(forged).await.unwrap_err();
                }
            }
            Call::Revoke { which } if !self.model.given.is_empty() => {
                let at = which % self.model.given.len();
                self.safe().world.give(ANNA, revoke(self.model.given[at].id)).await;
                self.model.given[at].is_ended = true;
            }
            Call::Revoke { .. } => {}
            Call::RevokeAll => {
                self.safe().world.give(ANNA, revoke_all(self.model.epoch)).await;
                self.model.epoch += 1;
                self.model.given.iter_mut().for_each(|one| one.is_ended = true);
            }
            Call::Write { by, to, on, named, age_s } => {
                let from = match on {
                    On::Current => self.head,
                    On::Letter(letter) => letter,
                };
                if from == to {
                    return;
                }
                let named = named.filter(|_| !self.model.given.is_empty());
                let named = named.map(|which| which % self.model.given.len());
                let mut sent = self.next(by, from, to);
                sent.permission = named.map_or(B256::ZERO, |at| self.model.given[at].id);
                sent.time_ms -= age_s * 1000;
                let allowed = self.model.allows(by, from, to, named);
                let outcome = self.safe().put(&sent).await;
                let counts = allowed && from == self.head;
                assert_eq!(outcome.is_ok(), counts, "{call:?}: {outcome:?}");
                if allowed && !counts {
                    assert!(matches!(outcome, Err(VaultError::Conflict { .. })), "{outcome:?}");
                }
                if counts {
                    self.head = to;
                    self.model.use_up(named);
                }
            }
            Call::Crash { by, to, at, fault, is_log } => {
                let from = self.head;
                if from == to {
                    return;
                }
                let sent = self.next(by, from, to);
                let allowed = self.model.allows(by, from, to, None);
                {
                    let safe = self.safe();
                    match is_log {
                        true => safe.world.disk.faults.fail_after(at, fault),
                        false => safe.cellar.faults.fail_after(at, fault),
                    }
                    let outcome = safe.put(&sent).await;
                    assert!(allowed || outcome.is_err(), "{call:?}: {outcome:?}");
                    if outcome.is_ok() {
                        self.head = to;
                    }
                }
                self.restart().await;
                // It happened or it did not; but not without permission.
                let shown = self.shown().await;
                let may_be = shown == self.head || (allowed && shown == to);
                assert!(may_be, "{call:?}: {shown} instead of {}", self.head);
                self.head = shown;
            }
            Call::Restart => self.restart().await,
        }
        assert_eq!(self.shown().await, self.head, "after {call:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_calls_makes_a_version_count_without_its_person(
        calls in prop::collection::vec(call(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let safe = Some(Safe::start(&folder));
            let mut run = Run { folder, safe, model: Model::default(), head: '0', event: 0 };
            for call in &calls {
                run.call(call).await;
            }
            run.safe.take().unwrap().stop().await;
        });
    }
}
