//! What a purchase needs next. Pure: asked anew at every look, a restart included.
//!
//! Invariants:
//! - Whether it is paid, the chain says, never a file and never the service. So it is paid once.
//! - While a transaction of the buyer waits in a pool, nothing is paid: it may be this payment.
//! - What is opened is settled by a final block: before that a reorganisation could take the payment
//!   of the seller back, with the key out already.

use medtrail_chain::market::Status;

/// What there is to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The order's, at the newest block.
    pub(super) status: Status,
    /// It is settled at the final block too.
    pub(super) is_settled_final: bool,
    /// A transaction of the buyer waits to be mined.
    pub(super) has_pending: bool,
    /// The newest block's time.
    pub(super) now_s: u64,
    /// Until when the offer can be paid.
    pub(super) expires_at_s: u64,
    /// Until when the order is to be delivered.
    pub(super) deliver_by_s: u64,
    /// Until when it is settled.
    pub(super) settled_by_s: u64,
    /// What the service says; none: it knows no such sale.
    pub(super) served: Option<Served>,
    /// What stands in the folder.
    pub(super) held: Held,
}

/// What the service says of a sale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Served {
    /// Its state.
    pub(super) state: String,
    /// Why it is not delivered.
    pub(super) refusal: Option<String>,
    /// The file can be downloaded.
    pub(super) has_file: bool,
    /// The proof of its entry can be, too.
    pub(super) has_proof: bool,
}

/// What stands in the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// The whole delivery.
    pub(super) file: bool,
    /// The proof of its entry.
    pub(super) proof: bool,
    /// The opened files.
    pub(super) opened: bool,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Pays.
    Pay,
    /// Tells the service of the order.
    Tell,
    /// Downloads the file.
    Download,
    /// Downloads the proof.
    Prove,
    /// Checks everything, and opens it if there is an identity.
    Open,
    /// Waits.
    Wait(Waiting),
    /// All is done.
    Done,
    /// It ends without data.
    Ended(Ending),
}

/// For what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waiting {
    /// A transaction of the buyer to be mined.
    Transaction,
    /// Blocks after which the payment is final.
    Final,
    /// The seller's approval.
    Approval,
    /// The delivery to be made.
    Delivery,
    /// An anchor over its entry.
    Anchor,
    /// The seller to be paid, and the key with it.
    Settlement,
    /// The settlement to be final.
    SettledFinal,
}

/// How.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Never paid, and too late to.
    NotPaid,
    /// The money went back.
    Refunded,
    /// The time is over: the money can be taken back.
    TakeBack,
    /// The service does not deliver it; why, in its word. The money can be taken back later.
    Refused(String),
}

/// What to do next.
pub(super) fn next(seen: &Seen) -> Next {
    if seen.held.opened {
        return Next::Done;
    }
    match seen.status {
        Status::Refunded => Next::Ended(Ending::Refunded),
        Status::Unknown if seen.has_pending => Next::Wait(Waiting::Transaction),
        Status::Unknown if seen.now_s >= seen.expires_at_s || seen.now_s >= seen.deliver_by_s => {
            Next::Ended(Ending::NotPaid)
        }
        Status::Unknown => Next::Pay,
        Status::Paid if seen.now_s > seen.settled_by_s => Next::Ended(Ending::TakeBack),
        Status::Paid => paid(seen),
        Status::Settled => settled(seen),
    }
}

fn paid(seen: &Seen) -> Next {
    let Some(served) = &seen.served else { return Next::Tell };
    if let Some(next) = fetch(seen, served) {
        return next;
    }
    if matches!(served.state.as_str(), "over" | "refunded") {
        return Next::Ended(Ending::Refused(served.refusal.clone().unwrap_or_default()));
    }
    Next::Wait(match served.state.as_str() {
        "seen" => Waiting::Final,
        "waiting" => Waiting::Approval,
        "delivered" if !served.has_proof => Waiting::Anchor,
        "delivered" | "settling" | "settled" => Waiting::Settlement,
        // Preparing, and whatever a newer service calls its work on it.
        _ => Waiting::Delivery,
    })
}

fn settled(seen: &Seen) -> Next {
    let Some(served) = &seen.served else {
        return match (seen.held.file && seen.held.proof, seen.is_settled_final) {
            // Nothing more is needed of the service.
            (true, true) => Next::Open,
            (true, false) => Next::Wait(Waiting::SettledFinal),
            (false, _) => Next::Tell,
        };
    };
    if let Some(next) = fetch(seen, served) {
        return next;
    }
    match seen.held {
        Held { file: true, proof: true, .. } if seen.is_settled_final => Next::Open,
        Held { file: true, proof: true, .. } => Next::Wait(Waiting::SettledFinal),
        Held { file: false, .. } => Next::Wait(Waiting::Delivery),
        Held { proof: false, .. } => Next::Wait(Waiting::Anchor),
    }
}

/// What can be downloaded is, while it can.
fn fetch(seen: &Seen, served: &Served) -> Option<Next> {
    if served.has_file && !seen.held.file {
        return Some(Next::Download);
    }
    (served.has_proof && seen.held.file && !seen.held.proof).then_some(Next::Prove)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Seen {
        Seen {
            status: Status::Unknown,
            is_settled_final: false,
            has_pending: false,
            now_s: 100,
            expires_at_s: 1_000,
            deliver_by_s: 2_000,
            settled_by_s: 3_000,
            served: None,
            held: Held::default(),
        }
    }

    fn served(state: &str) -> Option<Served> {
        let has = |states: &[&str]| states.contains(&state);
        Some(Served {
            state: state.to_owned(),
            refusal: None,
            has_file: has(&["delivered", "settling", "settled"]),
            has_proof: has(&["settling", "settled"]),
        })
    }

    const FILE: Held = Held { file: true, proof: false, opened: false };
    const BOTH: Held = Held { file: true, proof: true, opened: false };

    #[test]
    fn a_sale_that_goes_well_takes_these_steps() {
        let paid = Seen { status: Status::Paid, ..fresh() };
        let settled = Seen { status: Status::Settled, ..fresh() };
        let is_final = Seen { is_settled_final: true, ..settled.clone() };
        let cases = [
            (fresh(), Next::Pay),
            (Seen { has_pending: true, ..fresh() }, Next::Wait(Waiting::Transaction)),
            (paid.clone(), Next::Tell),
            (Seen { served: served("seen"), ..paid.clone() }, Next::Wait(Waiting::Final)),
            (Seen { served: served("waiting"), ..paid.clone() }, Next::Wait(Waiting::Approval)),
            (Seen { served: served("preparing"), ..paid.clone() }, Next::Wait(Waiting::Delivery)),
            (Seen { served: served("delivered"), ..paid.clone() }, Next::Download),
            (
                Seen { served: served("delivered"), held: FILE, ..paid.clone() },
                Next::Wait(Waiting::Anchor),
            ),
            (Seen { served: served("settling"), held: FILE, ..paid.clone() }, Next::Prove),
            (
                Seen { served: served("settling"), held: BOTH, ..paid },
                Next::Wait(Waiting::Settlement),
            ),
            (
                Seen { served: served("settling"), held: BOTH, ..settled },
                Next::Wait(Waiting::SettledFinal),
            ),
            (Seen { served: served("settled"), held: BOTH, ..is_final.clone() }, Next::Open),
            (Seen { held: Held { opened: true, ..BOTH }, ..is_final }, Next::Done),
        ];
        for (seen, expected) in cases {
            assert_eq!(next(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn whatever_is_seen_only_an_order_that_the_chain_does_not_know_is_paid_for() {
        let states = [
            "seen",
            "waiting",
            "preparing",
            "delivered",
            "settling",
            "settled",
            "refunded",
            "over",
            "another",
        ];
        let all_served = || states.into_iter().map(served).chain([None]);
        for status in [Status::Unknown, Status::Paid, Status::Settled, Status::Refunded] {
            for (has_pending, now_s) in [(false, 100), (true, 100), (false, 1_500), (false, 9_000)]
            {
                for held in [Held::default(), FILE, BOTH] {
                    for served in all_served() {
                        let seen = Seen { status, has_pending, now_s, held, served, ..fresh() };
                        let may = status == Status::Unknown && !has_pending && now_s < 1_000;
                        assert_eq!(next(&seen) == Next::Pay, may, "{seen:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_opened_before_its_settlement_is_final() {
        for (status, is_settled_final) in
            [(Status::Unknown, false), (Status::Paid, false), (Status::Settled, false)]
        {
            for served in [None, served("settled")] {
                let seen = Seen { status, is_settled_final, served, held: BOTH, ..fresh() };
                assert_ne!(next(&seen), Next::Open, "{seen:?}");
            }
        }
    }

    #[test]
    fn a_sale_that_does_not_go_well_says_where_the_money_is() {
        let paid = Seen { status: Status::Paid, ..fresh() };
        let mut declined = served("over");
        if let Some(served) = &mut declined {
            served.refusal = Some("not-approved".to_owned());
        }
        let cases = [
            (Seen { now_s: 1_000, ..fresh() }, Ending::NotPaid),
            (Seen { status: Status::Refunded, ..fresh() }, Ending::Refunded),
            (Seen { now_s: 3_001, ..paid.clone() }, Ending::TakeBack),
            // The service says settled; the chain holds the money, and the chain is right.
            (Seen { now_s: 3_001, served: served("settled"), ..paid.clone() }, Ending::TakeBack),
            (Seen { served: declined, ..paid }, Ending::Refused("not-approved".to_owned())),
        ];
        for (seen, expected) in cases {
            assert_eq!(next(&seen), Next::Ended(expected), "{seen:?}");
        }
        // The last second is still the seller's.
        let paid = Seen { status: Status::Paid, ..fresh() };
        let last = Seen { now_s: 3_000, served: served("settling"), held: BOTH, ..paid };
        assert_eq!(next(&last), Next::Wait(Waiting::Settlement));
    }

    #[test]
    fn with_file_and_proof_in_hand_the_service_may_be_gone() {
        let settled = Seen { status: Status::Settled, held: BOTH, ..fresh() };
        assert_eq!(next(&settled), Next::Wait(Waiting::SettledFinal));
        assert_eq!(next(&Seen { is_settled_final: true, ..settled.clone() }), Next::Open);
        assert_eq!(next(&Seen { held: FILE, ..settled }), Next::Tell);
    }
}
