//! What a call needs next. Pure: asked anew at every look, a restart included.
//!
//! Invariants are those of a purchase:
//! - Whether it is opened, the chain says, never a file and never the service. So it is paid once.
//! - While a transaction of the buyer waits in a pool, none is sent: it may be this one.
//! - What is opened is settled by a final block, and the file that the chain was settled for: before
//!   that the log may make another one.

use alloy_primitives::B256;
use medtrail_chain::cohort::Status;

/// How long it waits for the payments of all sellers after the first of them. Who could not be paid
/// by then may never be, and the others' data are the buyer's.
pub(super) const PAYMENTS_S: u64 = 3600;

/// What there is to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The call's, at the newest block.
    pub(super) status: Status,
    /// The first settlement, at the newest block; none: nobody was paid.
    pub(super) settled: Option<Settled>,
    /// Places paid at the final block.
    pub(super) paid_final: u32,
    /// All places.
    pub(super) places: u32,
    /// Places paid at the newest block.
    pub(super) paid: u32,
    /// A transaction of the buyer waits to be mined.
    pub(super) has_pending: bool,
    /// The newest block's time.
    pub(super) now_s: u64,
    /// Until when it is to be delivered.
    pub(super) deliver_by_s: u64,
    /// Until when sellers are paid.
    pub(super) settled_by_s: u64,
    /// What the service says; none: it knows no such call.
    pub(super) served: Option<Served>,
    /// What stands in the folder.
    pub(super) held: Held,
}

/// What the chain was settled for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Settled {
    /// When, in seconds.
    pub(super) at_s: u64,
    /// SHA-256 of the file that the key opens.
    pub(super) file: B256,
    /// By a final block.
    pub(super) is_final: bool,
}

/// What the service says of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Served {
    /// Its opening stands in a final block.
    pub(super) is_final: bool,
    /// How far the delivery is, in its word.
    pub(super) state: String,
    /// Why nothing is delivered.
    pub(super) refusal: Option<String>,
    /// The file that can be downloaded.
    pub(super) file: Option<B256>,
}

/// What stands in the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// SHA-256 of the whole file.
    pub(super) file: Option<B256>,
    /// Of which file the proofs are, and of how many sellers.
    pub(super) proofs: Option<(B256, u32)>,
    /// The opened files.
    pub(super) opened: bool,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Opens the call, with the money of all places.
    Pay,
    /// Tells the service of the call.
    Tell,
    /// Downloads the file.
    Download,
    /// Downloads the proofs of its entries.
    Prove,
    /// Checks everything, and opens it if there is an identity.
    Open,
    /// Takes back what is left of the money.
    Close,
    /// Waits.
    Wait(Waiting),
    /// All is done.
    Done {
        /// Money of places that nobody was paid for still waits.
        has_rest: bool,
    },
    /// It ends without data.
    Ended(Ending),
}

/// For what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waiting {
    /// A transaction of the buyer to be mined.
    Transaction,
    /// Blocks after which the opening is final.
    Final,
    /// People who accept.
    Acceptances,
    /// The file to be made.
    Delivery,
    /// Entries to be anchored, and the first people to be paid, and the key with it.
    Settlement,
    /// The settlement to be final.
    SettledFinal,
    /// The others to be paid.
    Payments,
}

/// How.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Never opened, and too late to.
    NotPaid,
    /// The money went back.
    Closed,
    /// The service does not deliver it; why, in its word. The money can be taken back later.
    Refused(String),
}

/// What to do next.
pub(super) fn next(seen: &Seen) -> Next {
    if seen.held.opened {
        return rest(seen);
    }
    match (seen.status, seen.settled) {
        (Status::Unknown, _) if seen.has_pending => Next::Wait(Waiting::Transaction),
        (Status::Unknown, _) if seen.now_s >= seen.deliver_by_s => Next::Ended(Ending::NotPaid),
        (Status::Unknown, _) => Next::Pay,
        (_, Some(settled)) => bound(seen, settled),
        (Status::Closed, None) => Next::Ended(Ending::Closed),
        (Status::Open, None) if seen.now_s > seen.settled_by_s => close(seen),
        (Status::Open, None) => collecting(seen),
    }
}

/// What is left of the money, once the data are opened.
fn rest(seen: &Seen) -> Next {
    let has_rest = seen.status == Status::Open && seen.paid < seen.places;
    match has_rest && seen.now_s > seen.settled_by_s {
        true => close(seen),
        false => Next::Done { has_rest },
    }
}

fn close(seen: &Seen) -> Next {
    if seen.has_pending { Next::Wait(Waiting::Transaction) } else { Next::Close }
}

fn collecting(seen: &Seen) -> Next {
    let Some(served) = &seen.served else { return Next::Tell };
    if let (Some(word), "over") = (&served.refusal, served.state.as_str()) {
        return Next::Ended(Ending::Refused(word.clone()));
    }
    // While it can be had: the service may be gone when the key is shown.
    if let Some(file) = served.file {
        if seen.held.file != Some(file) {
            return Next::Download;
        }
        if has_proofs(served) && !is_proven(seen, file) {
            return Next::Prove;
        }
    }
    Next::Wait(match served.state.as_str() {
        _ if !served.is_final => Waiting::Final,
        "collecting" => Waiting::Acceptances,
        "ready" | "settling" | "settled" => Waiting::Settlement,
        // Making, and whatever a newer service calls its work on it.
        _ => Waiting::Delivery,
    })
}

/// Every entry is anchored before the key is shown.
fn has_proofs(served: &Served) -> bool {
    matches!(served.state.as_str(), "settling" | "settled")
}

fn is_proven(seen: &Seen, file: B256) -> bool {
    seen.held.proofs.is_some_and(|(of, _)| of == file)
}

/// The key is public: what it opens is this file, and no other.
fn bound(seen: &Seen, settled: Settled) -> Next {
    let has_file = seen.held.file == Some(settled.file);
    let sellers = match seen.held.proofs {
        Some((of, sellers)) if has_file && of == settled.file => sellers,
        _ => {
            return match &seen.served {
                None => Next::Tell,
                Some(_) if has_file => Next::Prove,
                Some(served) if served.file == Some(settled.file) => Next::Download,
                Some(_) => Next::Wait(Waiting::Delivery),
            };
        }
    };
    if !settled.is_final {
        return Next::Wait(Waiting::SettledFinal);
    }
    let has_ended = |served: &Served| matches!(served.state.as_str(), "settled" | "over");
    let is_all = seen.paid_final >= sellers
        || seen.status == Status::Closed
        || seen.now_s > seen.settled_by_s
        || seen.now_s > settled.at_s.saturating_add(PAYMENTS_S)
        || seen.served.as_ref().is_some_and(has_ended) && seen.paid_final == seen.paid;
    if is_all { Next::Open } else { Next::Wait(Waiting::Payments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: B256 = B256::repeat_byte(0xf1);
    const OLDER: B256 = B256::repeat_byte(0xf0);

    fn fresh() -> Seen {
        Seen {
            status: Status::Unknown,
            settled: None,
            paid_final: 0,
            places: 3,
            paid: 0,
            has_pending: false,
            now_s: 100,
            deliver_by_s: 2_000,
            settled_by_s: 9_000,
            served: None,
            held: Held::default(),
        }
    }

    fn open() -> Seen {
        Seen { status: Status::Open, ..fresh() }
    }

    fn served(state: &str) -> Option<Served> {
        let has_file = matches!(state, "ready" | "settling" | "settled");
        Some(Served {
            is_final: true,
            state: state.to_owned(),
            refusal: None,
            file: has_file.then_some(FILE),
        })
    }

    fn held(file: Option<B256>, proofs: Option<B256>) -> Held {
        Held { file, proofs: proofs.map(|of| (of, 2)), opened: false }
    }

    fn settled(is_final: bool) -> Option<Settled> {
        Some(Settled { at_s: 1_000, file: FILE, is_final })
    }

    #[test]
    fn a_call_that_goes_well_takes_these_steps() {
        let heard = served("collecting").map(|served| Served { is_final: false, ..served });
        let both = held(Some(FILE), Some(FILE));
        let bound = Seen { settled: settled(false), paid: 1, held: both, ..open() };
        let is_final = Seen { settled: settled(true), paid_final: 1, ..bound.clone() };
        let cases = [
            (fresh(), Next::Pay),
            (Seen { has_pending: true, ..fresh() }, Next::Wait(Waiting::Transaction)),
            (open(), Next::Tell),
            (Seen { served: heard, ..open() }, Next::Wait(Waiting::Final)),
            (Seen { served: served("collecting"), ..open() }, Next::Wait(Waiting::Acceptances)),
            (Seen { served: served("making"), ..open() }, Next::Wait(Waiting::Delivery)),
            (Seen { served: served("ready"), ..open() }, Next::Download),
            (
                Seen { served: served("ready"), held: held(Some(FILE), None), ..open() },
                Next::Wait(Waiting::Settlement),
            ),
            (
                Seen { served: served("settling"), held: held(Some(FILE), None), ..open() },
                Next::Prove,
            ),
            (
                Seen { served: served("settling"), held: both, ..open() },
                Next::Wait(Waiting::Settlement),
            ),
            (Seen { served: served("settling"), ..bound }, Next::Wait(Waiting::SettledFinal)),
            (
                Seen { served: served("settling"), ..is_final.clone() },
                Next::Wait(Waiting::Payments),
            ),
            (Seen { paid: 2, paid_final: 2, ..is_final.clone() }, Next::Open),
            (
                Seen { held: Held { opened: true, ..both }, paid: 2, ..is_final.clone() },
                Next::Done { has_rest: true },
            ),
            (
                Seen { held: Held { opened: true, ..both }, paid: 3, ..is_final },
                Next::Done { has_rest: false },
            ),
        ];
        for (seen, expected) in cases {
            assert_eq!(next(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn whatever_is_seen_only_a_call_that_the_chain_does_not_know_is_paid_for() {
        let states = ["collecting", "making", "ready", "settling", "settled", "over", "another"];
        let all_served = || states.into_iter().map(served).chain([None]);
        for status in [Status::Unknown, Status::Open, Status::Closed] {
            for (has_pending, now_s) in [(false, 100), (true, 100), (false, 2_500), (false, 9_999)]
            {
                for settled in [None, settled(false), settled(true)] {
                    for held in [Held::default(), held(Some(FILE), Some(FILE))] {
                        for served in all_served() {
                            let seen = Seen {
                                status,
                                settled,
                                has_pending,
                                now_s,
                                held,
                                served,
                                ..fresh()
                            };
                            let may = status == Status::Unknown && !has_pending && now_s < 2_000;
                            assert_eq!(next(&seen) == Next::Pay, may, "{seen:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_was_made_anew_is_downloaded_anew_with_its_proofs() {
        let older = Seen { held: held(Some(OLDER), Some(OLDER)), ..open() };
        assert_eq!(next(&Seen { served: served("ready"), ..older }), Next::Download);
        let held_new = held(Some(FILE), Some(OLDER));
        let seen = Seen { served: served("settling"), held: held_new, ..open() };
        assert_eq!(next(&seen), Next::Prove);
        // The chain was settled for a file that the service does not show any more, or not yet.
        let bound = Seen { settled: settled(true), paid: 2, paid_final: 2, ..older };
        let shows_older = served("ready").map(|served| Served { file: Some(OLDER), ..served });
        let seen = Seen { served: shows_older, ..bound };
        assert_eq!(next(&seen), Next::Wait(Waiting::Delivery));
        assert_eq!(next(&Seen { served: served("settled"), ..bound }), Next::Download);
    }

    #[test]
    fn nothing_is_opened_before_its_settlement_is_final_and_of_this_file() {
        let both = held(Some(FILE), Some(FILE));
        for settled in [None, settled(false)] {
            for served in [None, served("settled")] {
                let seen = Seen { settled, served, paid: 3, paid_final: 3, held: both, ..open() };
                assert_ne!(next(&seen), Next::Open, "{seen:?}");
            }
        }
        for held in [held(Some(OLDER), Some(OLDER)), held(Some(FILE), Some(OLDER))] {
            let seen = Seen { settled: settled(true), paid: 3, paid_final: 3, held, ..open() };
            assert_ne!(next(&seen), Next::Open, "{seen:?}");
        }
    }

    #[test]
    fn who_is_never_paid_holds_up_nobody_s_data_for_longer_than_an_hour() {
        let both = held(Some(FILE), Some(FILE));
        let some = Seen { settled: settled(true), paid: 1, paid_final: 1, held: both, ..open() };
        let settling = Seen { served: served("settling"), now_s: 1_500, ..some };
        assert_eq!(next(&settling), Next::Wait(Waiting::Payments));
        assert_eq!(next(&Seen { now_s: 1_001 + PAYMENTS_S, ..settling }), Next::Open);
        let ended = Seen { served: served("settled"), ..some };
        assert_eq!(next(&ended), Next::Open);
        // The last batch is not final yet.
        assert_eq!(next(&Seen { paid: 2, paid_final: 1, ..ended }), Next::Wait(Waiting::Payments));
        assert_eq!(next(&Seen { status: Status::Closed, ..some }), Next::Open);
    }

    #[test]
    fn a_call_that_does_not_go_well_says_where_the_money_is() {
        let mut refused = served("over");
        if let Some(served) = &mut refused {
            served.refusal = Some("nobody".to_owned());
        }
        let cases = [
            (Seen { now_s: 2_000, ..fresh() }, Next::Ended(Ending::NotPaid)),
            (Seen { served: refused, ..open() }, Next::Ended(Ending::Refused("nobody".to_owned()))),
            (Seen { now_s: 9_001, ..open() }, Next::Close),
            // The service says settled; the chain holds the money, and the chain is right.
            (Seen { now_s: 9_001, served: served("settled"), ..open() }, Next::Close),
            (Seen { now_s: 9_001, has_pending: true, ..open() }, Next::Wait(Waiting::Transaction)),
            (Seen { status: Status::Closed, ..fresh() }, Next::Ended(Ending::Closed)),
        ];
        for (seen, expected) in cases {
            assert_eq!(next(&seen), expected, "{seen:?}");
        }
        // The last second is still the sellers'.
        let last = Seen { now_s: 9_000, served: served("settling"), ..open() };
        assert_ne!(next(&last), Next::Close);
    }

    #[test]
    fn what_is_left_of_the_money_is_taken_back_once_it_may_be() {
        let opened = Held { opened: true, ..held(Some(FILE), Some(FILE)) };
        let late = Seen { settled: settled(true), now_s: 9_001, paid: 2, held: opened, ..open() };
        assert_eq!(next(&late), Next::Close);
        assert_eq!(
            next(&Seen { has_pending: true, ..late.clone() }),
            Next::Wait(Waiting::Transaction)
        );
        // Of a full call nothing is left: a transaction would cost gas for nothing.
        assert_eq!(next(&Seen { paid: 3, ..late.clone() }), Next::Done { has_rest: false });
        let closed = Seen { status: Status::Closed, ..late };
        assert_eq!(next(&closed), Next::Done { has_rest: false });
    }

    #[test]
    fn with_file_and_proofs_in_hand_the_service_may_be_gone() {
        let both = held(Some(FILE), Some(FILE));
        let bound = Seen { settled: settled(false), paid: 2, paid_final: 2, held: both, ..open() };
        assert_eq!(next(&bound), Next::Wait(Waiting::SettledFinal));
        assert_eq!(next(&Seen { settled: settled(true), ..bound.clone() }), Next::Open);
        assert_eq!(next(&Seen { held: held(Some(FILE), None), ..bound }), Next::Tell);
    }
}
