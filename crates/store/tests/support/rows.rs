//! Any row of a directory, for the test that holds a file against a model.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use medtrail_ledger::directory::*;
use medtrail_ledger::inquiry::LineRef;
use medtrail_ledger::source::Elsewhere;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = B256> {
    (0..6u8).prop_map(B256::repeat_byte)
}

fn address() -> impl Strategy<Value = Address> {
    (0..6u8).prop_map(Address::repeat_byte)
}

fn emergency() -> impl Strategy<Value = EmergencyRow> {
    let times = (any::<u64>(), prop::option::of(any::<(u64, u64)>()), any::<bool>());
    let answer = (any::<bool>(), prop::option::of(any::<u64>()), any::<u64>())
        .prop_map(|(is_yes, index, at_ms)| EmergencyAnswer { is_yes, index, at_ms });
    let told = (prop::option::of(answer), prop::option::of(any::<u64>()));
    (word(), word(), word(), prop::option::of(address()), times, told).prop_map(
        |(id, subject, record, organisation, (received_ms, clock, is_reminded), (answer, told))| {
            EmergencyRow {
                id,
                // Rows are listed by where they stand; two of one place would have no order.
                index: u64::from_be_bytes(id[..8].try_into().unwrap()),
                subject,
                record,
                organisation,
                received_ms,
                clock,
                is_reminded,
                answer,
                unanswered: told,
            }
        },
    )
}

fn source() -> impl Strategy<Value = SourceRow> {
    let found =
        (any::<u64>(), any::<u32>(), word(), 0..4u8).prop_map(|(since_ms, tries, found, which)| {
            let kept =
                [Elsewhere::Here, Elsewhere::Elsewhere, Elsewhere::Nowhere][usize::from(which % 3)];
            let what = match which {
                0 => SourceFound::Lost { since_ms, tries, kept },
                1 => SourceFound::Changed { found, kept },
                _ => SourceFound::Back { since_ms },
            };
            SourceFinding { what, at_ms: since_ms, subject: found }
        });
    let owed = prop::option::of(found);
    let times = (any::<u64>(), prop::option::of(any::<u64>()), any::<u32>());
    // Its place follows from its id, as in the log: the rows are listed by it.
    (word(), address(), any::<bool>(), times, owed).prop_map(
        |(id, by, flag, (ms, other, failed), owed)| {
            let by = if flag { SourceOwner::Person(by) } else { SourceOwner::Organisation(by) };
            let state = if flag { SourceState::Lost } else { SourceState::Changed };
            SourceRow {
                id,
                index: id[0].into(),
                subject: id,
                record: id,
                version: id,
                by,
                registered_ms: ms,
                told_at: ms,
                after: LineRef { index: ms, commitment: id },
                has_url: flag,
                state,
                since_ms: ms,
                failed,
                failing_since_ms: other,
                probed_ms: other,
                due_ms: ms,
                owed,
            }
        },
    )
}

fn signature() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 65).prop_map(Bytes::from)
}

fn state() -> impl Strategy<Value = BindingState> {
    let parties = (".{0,20}", address(), address())
        .prop_map(|(name, custodian, subject)| BindingParties { name, custodian, subject });
    (0..7u8, parties, signature(), signature(), any::<[u64; 2]>()).prop_map(
        |(which, parties, signature, countersignature, entries)| match which {
            0 => BindingState::Issued,
            1 => BindingState::Claimed(parties),
            2 => BindingState::Signed { parties, signature },
            3 => {
                let time_ms = entries[0];
                BindingState::Entering { parties, signature, countersignature, time_ms }
            }
            4 => BindingState::Entered { subject: parties.subject, entries },
            5 => BindingState::IssuedBy(parties.custodian),
            _ => BindingState::Refused,
        },
    )
}

fn erasure_state() -> impl Strategy<Value = ErasureState> {
    let details = prop::collection::vec(any::<u8>(), 0..60);
    (0..5u8, any::<[u64; 2]>(), any::<Option<u64>>(), details).prop_map(
        |(which, [at_ms, index], ends_epoch, details)| match which {
            0 => ErasureState::Waiting,
            1 => ErasureState::Cancelled { at_ms },
            2 => ErasureState::Refused { at_ms, details },
            3 => ErasureState::Erasing { at_ms, ends_epoch },
            _ => ErasureState::Done { at_ms, index },
        },
    )
}

fn offer() -> impl Strategy<Value = OfferRow> {
    let text = prop::collection::vec(any::<u8>(), 0..60);
    (word(), address(), text, signature(), any::<[u64; 3]>(), any::<Option<u64>>()).prop_map(
        |(id, seller, text, signature, [expires_at_s, listed_ms, records], withdrawn_ms)| {
            let (document, dataset, country) = (text.clone(), text, "EE".to_owned());
            OfferRow {
                id,
                seller,
                document,
                dataset,
                signature,
                country,
                expires_at_s,
                listed_ms,
                records,
                withdrawn_ms,
            }
        },
    )
}

fn call() -> impl Strategy<Value = CallRow> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    (word(), address(), bytes(), bytes(), any::<[u64; 3]>(), 0..3u8, call_delivery()).prop_map(
        |(id, buyer, document, dataset, [deliver_by_s, heard_ms, opened_at_s], state, delivery)| {
            CallRow {
                id,
                buyer,
                document,
                dataset,
                deliver_by_s,
                heard_ms,
                state: match state {
                    0 => CallState::Heard,
                    1 => CallState::Open { opened_at_s },
                    _ => CallState::Closed { opened_at_s },
                },
                shown: (heard_ms % 2 == 0).then_some(id),
                withdrawals: (0..heard_ms % 3)
                    .map(|day| PartWithdrawalRow {
                        name: name(id),
                        asked: WithdrawalRow::new(day, 1),
                    })
                    .collect(),
                delivery,
            }
        },
    )
}

fn call_delivery() -> impl Strategy<Value = CallDelivery> {
    let sellers = prop::collection::vec(word(), 0..4);
    (0..7u8, word(), any::<[u64; 2]>(), any::<(u32, u16, u8)>(), sellers).prop_map(
        |(which, lock, [bytes, time_ms], (attempt, year, refusal), sellers)| {
            let key = FileKey { attempt, year, lock };
            let file = SealedFile { hash: lock, bytes, manifest: lock, time_ms };
            match which {
                0 => CallDelivery::Collecting,
                1 => CallDelivery::Keyed { key, sellers },
                2 => CallDelivery::Sealed { key, file, sellers },
                3 => CallDelivery::Shown { key, file, sellers },
                4 => CallDelivery::Settled { key, file, sellers },
                5 => CallDelivery::Refusing { refusal, attempt },
                _ => CallDelivery::Over { refusal },
            }
        },
    )
}

/// A part by a name that follows from it.
pub(crate) fn name(part: B256) -> PartName {
    PartName { label: FixedBytes::from_slice(&part[..8]), part }
}

fn acceptance() -> impl Strategy<Value = AcceptanceRow> {
    let ends = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>());
    let signature = prop::collection::vec(any::<u8>(), 0..70);
    (word(), word(), address(), any::<u32>(), any::<[u64; 3]>(), signature, "[A-Z]{2}", ends)
        .prop_map(|(id, call, seller, place, numbers, signature, country, ends)| {
            let [epoch, expires_at_s, accepted_ms] = numbers;
            let (accepted_entry, withdrawn_ms, ended_entry) = ends;
            AcceptanceRow {
                id,
                call,
                seller,
                place,
                epoch,
                expires_at_s,
                signature: signature.into(),
                country,
                accepted_ms,
                accepted_entry,
                withdrawn_ms,
                ended_entry,
                is_paid: ended_entry.is_some_and(|entry| entry % 2 == 0),
                delivered: accepted_entry.map(|index| DeliveredRow {
                    lock: id,
                    file: call,
                    index,
                    name: name(call),
                }),
                withdrawal: ended_entry.map(|asked_ms| PartWithdrawalRow {
                    name: name(id),
                    asked: WithdrawalRow { ended_entry, ..WithdrawalRow::new(asked_ms, 1) },
                }),
            }
        })
}

fn sale_state() -> impl Strategy<Value = SaleState> {
    (0..8u8, word(), any::<[u64; 2]>(), any::<u8>()).prop_map(
        |(which, hash, [time_ms, index], refusal)| {
            let file = SealedFile { hash, bytes: index, manifest: hash, time_ms };
            match which {
                0 => SaleState::New,
                1 => SaleState::Keyed { year: 2026 },
                2 => SaleState::Sealed { year: 2026, file },
                3 => SaleState::Entered { file, index },
                4 => SaleState::Shown { file, index },
                5 => SaleState::Settled { file, index },
                6 => SaleState::Over { refusal },
                _ => SaleState::Refusing { refusal },
            }
        },
    )
}

fn sale() -> impl Strategy<Value = SaleRow> {
    let approval = (any::<u64>(), signature());
    let approval = prop::option::of(
        approval.prop_map(|(expires_at_s, signature)| ApprovalRow { expires_at_s, signature }),
    );
    let ends = (any::<Option<u64>>(), any::<Option<u64>>(), any::<u64>(), any::<bool>());
    (word(), word(), address(), address(), approval, ends, sale_state()).prop_map(
        |(id, offer, seller, buyer, approval, (some, other, heard_ms, flag), state)| SaleRow {
            id,
            offer,
            seller,
            buyer,
            document: id.to_vec(),
            heard_ms,
            approval,
            declined_ms: some,
            paid_entry: some,
            ended_entry: some,
            left_out: vec![("out-of-period".to_owned(), heard_ms)],
            withdrawal: flag.then(|| WithdrawalRow {
                asked_ms: heard_ms,
                due_ms: heard_ms,
                asked_entry: some,
                deletion: other.map(|_| id.to_vec()),
                ended_entry: other,
            }),
            state,
        },
    )
}

/// Any change of a directory, with any row in it.
pub(crate) fn change() -> impl Strategy<Value = DirectoryChange> {
    let key = (address(), any::<u64>(), any::<Option<u64>>())
        .prop_map(|(address, from_ms, until_ms)| KeyRow { address, from_ms, until_ms });
    let keys = prop::collection::vec(key, 0..3);
    let organisation = (address(), ".{0,20}", any::<Option<String>>(), keys, any::<u64>())
        .prop_map(|(id, name, register_number, keys, since_ms)| OrganisationRow {
            id,
            name,
            register_number,
            domain: "clinic.example".to_owned(),
            expected_key: keys.first().map(|key| key.address),
            keys,
            since_ms,
        });
    let invite = (word(), address(), any::<u64>(), prop::option::of(address())).prop_map(
        |(code_hash, organisation, expires_ms, used_by)| InviteRow {
            code_hash,
            organisation,
            expires_ms,
            used_by,
        },
    );
    let api_key = ("[a-c]{1,2}", address(), word(), any::<u64>(), any::<Option<u64>>()).prop_map(
        |(id, organisation, secret_hash, created_ms, revoked_ms)| ApiKeyRow {
            id,
            organisation,
            secret_hash,
            created_ms,
            revoked_ms,
        },
    );
    let binding = (word(), address(), word(), any::<u64>(), state()).prop_map(
        |(id, organisation, pseudonym, expires_ms, state)| BindingRow {
            id,
            organisation,
            pseudonym,
            expires_ms,
            state,
        },
    );
    let details = prop::collection::vec(any::<u8>(), 0..60);
    let pending = (word(), any::<u8>(), word(), any::<u64>(), details).prop_map(
        |(event, kind, subject, time_ms, details)| PendingEntry {
            event,
            kind,
            subject,
            time_ms,
            details,
        },
    );
    let sort = prop::option::of((0..3u64, any::<u64>(), any::<bool>())).prop_map(|question| {
        let question = question.map(|(line, due_ms, is_correction)| InquirySort::Question {
            line,
            due_ms,
            is_correction,
        });
        question.unwrap_or(InquirySort::Claim)
    });
    let places = (0..9u64, any::<u64>(), any::<Option<u64>>(), any::<Option<u64>>());
    let inquiry = (word(), sort, word(), address(), places).prop_map(
        |(id, sort, subject, organisation, (index, asked_ms, answer, unanswered))| InquiryRow {
            id,
            index,
            sort,
            subject,
            organisation,
            asked_ms,
            answer,
            unanswered,
        },
    );
    let correction = (0..3u64, 0..3u64, any::<bool>())
        .prop_map(|(line, by, is_wrong_person)| CorrectionRow { line, by, is_wrong_person });
    let texts = ("[a-c]{0,9}", "[a-c]{0,9}", any::<u64>());
    let hold = (word(), word(), texts).prop_map(|(id, subject, (reason, ordered_by, since_ms))| {
        HoldRow { id, subject, reason, ordered_by, since_ms }
    });
    let parts = prop::collection::vec((word(), any::<u64>()), 0..3);
    let signed = prop::collection::vec(any::<u8>(), 0..60);
    let erasure = (word(), address(), signed, parts, any::<[u64; 2]>(), erasure_state()).prop_map(
        |(id, subject, signed, parts, [asked_ms, due_ms], state)| ErasureRow {
            id,
            subject,
            signed,
            subjects: parts.iter().map(|(part, _)| *part).collect(),
            parts,
            asked_ms,
            due_ms,
            state,
        },
    );
    let email =
        prop::option::of((".{0,9}", any::<bool>(), word(), any::<u64>())).prop_map(|email| {
            email.map(|(address, is_daily, code_hash, code_made_ms)| EmailChannel {
                address,
                is_daily,
                language: "en".to_owned(),
                is_confirmed: is_daily,
                code_hash,
                code_made_ms,
            })
        });
    let webhook = prop::option::of((".{0,9}", prop::collection::vec(any::<u8>(), 0..33)))
        .prop_map(|webhook| webhook.map(|(url, secret)| WebhookChannel { url, secret }));
    let channels =
        (address(), any::<u64>(), email, webhook).prop_map(|(subject, since, email, webhook)| {
            ChannelsRow { subject, since, email, webhook, code_sent_ms: since }
        });
    let way = (0..4u8, ".{0,9}").prop_map(|(which, text)| match which {
        0 => DueSort::Mail,
        1 => DueSort::Digest,
        2 => DueSort::Webhook,
        _ => DueSort::Confirm { to: text.clone(), language: "et".to_owned(), code: text },
    });
    let about = prop::collection::vec(any::<u64>(), 0..3);
    let due = (word(), address(), way, about, any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
        |(id, subject, sort, about, due_ms, tries, is_sent)| DueNotice {
            id,
            subject,
            sort,
            about,
            due_ms,
            tries,
            is_sent,
        },
    );
    let alias_state = (any::<[u64; 2]>(), prop::collection::vec(any::<u8>(), 0..60), any::<bool>())
        .prop_map(|(entries, details, is_entered)| match is_entered {
            true => AliasState::Entered { entries },
            false => AliasState::Entering { details, time_ms: entries[0] },
        });
    let alias = (address(), address(), word(), alias_state)
        .prop_map(|(alias, subject, id, state)| AliasRow { alias, subject, id, state });
    prop_oneof![
        alias.prop_map(DirectoryChange::PutAlias),
        offer().prop_map(DirectoryChange::PutOffer),
        sale().prop_map(DirectoryChange::PutSale),
        call().prop_map(DirectoryChange::PutCall),
        acceptance().prop_map(DirectoryChange::PutAcceptance),
        word().prop_map(DirectoryChange::DropCall),
        word().prop_map(DirectoryChange::DropAcceptance),
        (address(), any::<bool>(), any::<u64>()).prop_map(|(subject, is_out, since_ms)| {
            DirectoryChange::PutOptOut(OptOutRow { subject, is_out, since_ms })
        }),
        any::<[u64; 2]>().prop_map(|[block, time_s]| {
            DirectoryChange::Traded(MarketCursor { block, time_s })
        }),
        word().prop_map(DirectoryChange::DropOffer),
        word().prop_map(DirectoryChange::DropSale),
        erasure.prop_map(DirectoryChange::PutErasure),
        hold.prop_map(DirectoryChange::PutHold),
        word().prop_map(DirectoryChange::DropHold),
        organisation.prop_map(DirectoryChange::PutOrganisation),
        invite.prop_map(DirectoryChange::PutInvite),
        word().prop_map(DirectoryChange::DropInvite),
        api_key.prop_map(DirectoryChange::PutApiKey),
        binding.prop_map(DirectoryChange::PutBinding),
        word().prop_map(DirectoryChange::DropBinding),
        pending.prop_map(DirectoryChange::PutPending),
        word().prop_map(DirectoryChange::DropPending),
        (address(), any::<u64>()).prop_map(|(id, at_ms)| DirectoryChange::Heard(id, at_ms)),
        any::<u64>().prop_map(DirectoryChange::Judged),
        word().prop_map(DirectoryChange::PutGuarded),
        word().prop_map(DirectoryChange::DropGuarded),
        any::<u64>().prop_map(DirectoryChange::Guarded),
        inquiry.prop_map(DirectoryChange::PutInquiry),
        word().prop_map(DirectoryChange::DropInquiry),
        correction.prop_map(DirectoryChange::PutCorrection),
        any::<u64>().prop_map(DirectoryChange::Inquired),
        channels.prop_map(DirectoryChange::PutChannels),
        address().prop_map(DirectoryChange::DropChannels),
        due.prop_map(DirectoryChange::PutDue),
        word().prop_map(DirectoryChange::DropDue),
        any::<u64>().prop_map(DirectoryChange::Noticed),
        emergency().prop_map(DirectoryChange::PutEmergency),
        word().prop_map(DirectoryChange::DropEmergency),
        source().prop_map(DirectoryChange::PutSource),
        word().prop_map(DirectoryChange::DropSource),
    ]
}
