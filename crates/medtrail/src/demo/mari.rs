//! Mari Tamm, 41, type 1 diabetes: what her trail opens with, and what comes while she watches.

use super::audit_event::{Act, Change, Happening, Staff};
use super::clock::Clock;
use super::organisations::{HARBOUR, KALDA, LUMI, Organisation, TIDE};

/// What all organisations of the demo call her.
pub(crate) const PATIENT: &str = "Patient/mari-tamm";
/// Automatic checks of the laboratory.
pub(crate) const CHECKS: u64 = 42;
/// Readings fetched from her sensor.
const READINGS: u64 = 8;
/// Both sides of the hand-over name it.
const HAND_OVER: &str = "7d1f3c52-190900";

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// What happens in the morning after the night, and is no event of an organisation's software.
pub(crate) struct Morning {
    /// State Health Insurance tells of a bill.
    pub(crate) billed_ms: u64,
    /// The day that it is for.
    pub(crate) bill_of: String,
    /// The hospital tries to change her allergies.
    pub(crate) overwritten_ms: u64,
}

/// Whoever starts the demo before that morning meets it all in the last minutes.
pub(crate) fn morning(clock: Clock, now_ms: u64) -> Morning {
    let night = clock.last(23, 47, now_ms);
    let after = |hours: u64, minutes: u64, before_now_ms: u64| {
        (night + hours * HOUR_MS + minutes * MINUTE_MS).min(now_ms - before_now_ms)
    };
    Morning {
        billed_ms: after(7, 43, 2 * MINUTE_MS),
        bill_of: clock.day(night),
        overwritten_ms: after(8, 8, MINUTE_MS),
    }
}

/// The day and the night before the demo, oldest first.
pub(crate) fn story(clock: Clock, now_ms: u64) -> Vec<Happening> {
    // The newest night, and the evening and the morning before it.
    let night = clock.last(23, 47, now_ms);
    let evening = clock.last(19, 9, night);
    let afternoon = clock.last(16, 30, evening);
    let morning = clock.last(8, 20, evening);
    let mut story = checks(clock, now_ms);
    story.extend([
        Happening {
            act: Act::Update,
            who: Some(Staff::Named("Dr Liis Kask")),
            purpose: Some("TREAT"),
            change: Some(Change {
                of: "Insulin glargine, every evening",
                before: "18 units",
                after: "20 units",
            }),
            ..happening(&KALDA, "insulin", morning, "MedicationRequest/mari-tamm-insulin")
        },
        Happening {
            who: Some(Staff::Named("Signe Roos")),
            purpose: Some("PATRQT"),
            ..happening(&TIDE, "support", afternoon, "Device/mari-tamm-sensor")
        },
        Happening {
            act: Act::PassOn(&HARBOUR, HAND_OVER),
            purpose: Some("COC"),
            ..happening(&KALDA, "summary", evening, "DocumentReference/mari-tamm-summary")
        },
        Happening {
            act: Act::Receive(&KALDA, HAND_OVER),
            purpose: Some("COC"),
            ..happening(&HARBOUR, "summary", evening + 4_000, "DocumentReference/kalda-mari-tamm")
        },
        Happening {
            who: Some(Staff::Named("Dr Peeter Saar")),
            purpose: Some("BTG"),
            data: vec![
                "AllergyIntolerance/mari-tamm-1".to_owned(),
                "MedicationStatement/mari-tamm-1".to_owned(),
            ],
            ..happening(&HARBOUR, "emergency", evening + 3 * MINUTE_MS, "")
        },
        Happening {
            who: Some(Staff::Nurse("4417")),
            topic: Some("PSY"),
            ..happening(&HARBOUR, "night", night, "DocumentReference/mari-tamm-psychiatry-12")
        },
    ]);
    story.sort_by_key(|happening| happening.time_ms);
    story
}

/// What machines did. All on one day, and none more than a day before the demo: the page counts
/// them by day, and a line reported a day late is worth a look of its own.
fn checks(clock: Clock, now_ms: u64) -> Vec<Happening> {
    let midnight = clock.last(0, 0, now_ms);
    let (from, until) = match now_ms - midnight > 12 * HOUR_MS {
        true => (midnight + 5 * MINUTE_MS, now_ms - 5 * MINUTE_MS),
        false => (now_ms - 23 * HOUR_MS, midnight - 5 * MINUTE_MS),
    };
    let spread = |count: u64, at: &'static Organisation, what: &'static str| {
        let step = (until - from) / count;
        (0..count).map(move |number| {
            let (name, record) = (format!("check-{number:02}"), format!("{what}-{number}"));
            happening(at, &name, from + number * step, &record)
        })
    };
    spread(CHECKS, &LUMI, "Observation/mari-tamm-glucose")
        .chain(spread(READINGS, &TIDE, "Observation/mari-tamm-sensor"))
        .collect()
}

/// "A doctor looks now".
pub(crate) fn look(now_ms: u64) -> Happening {
    Happening {
        who: Some(Staff::Named("Dr Liis Kask")),
        purpose: Some("TREAT"),
        ..happening(&KALDA, &format!("look-{now_ms}"), now_ms, "AllergyIntolerance/mari-tamm-1")
    }
}

/// Her sensor, while she watches.
pub(crate) fn reading(now_ms: u64) -> Happening {
    happening(&TIDE, &format!("reading-{now_ms}"), now_ms, "Observation/mari-tamm-sensor-now")
}

/// A machine reads one record.
fn happening(at: &'static Organisation, name: &str, time_ms: u64, what: &str) -> Happening {
    Happening {
        at,
        id: format!("{}-mari-{name}", at.slug),
        time_ms,
        act: Act::Read,
        who: None,
        purpose: None,
        patient: PATIENT.to_owned(),
        data: vec![what.to_owned()],
        topic: None,
        change: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use medtrail_fhir::event::read;
    use medtrail_fhir::reading::{reading as facts_of, sentence};
    use medtrail_fhir::report::{Reporter, reports};
    use medtrail_ledger::ports::SecretKey;

    /// 2026-11-20T01:46:40Z, and every third hour of the two days after it.
    fn moments() -> impl Iterator<Item = u64> {
        (0..16).map(|number| 1_795_139_200_000 + number * 3 * HOUR_MS)
    }

    fn told(happening: &Happening, clock: Clock) -> (String, Vec<&'static str>) {
        let bytes = happening.audit_event(clock).to_string().into_bytes();
        let event = read(&bytes).unwrap_or_else(|issues| panic!("{issues:?}"));
        let by = Reporter {
            log: B256::ZERO,
            organisation: Address::ZERO,
            actor: Address::ZERO,
            key: &SecretKey([1; 32]),
            relayed_for: None,
        };
        let parts = reports(&event, &bytes, &by);
        assert_eq!(parts.len(), 1);
        let facts = facts_of(&parts[0].report, Some(&parts[0].details), false, &|_| {
            Some(happening.at.name.to_owned())
        });
        (sentence(&facts), event.flags.iter().map(|flag| flag.rule).collect())
    }

    #[test]
    fn the_trail_opens_with_the_words_of_the_story() {
        let clock = Clock::of_this_machine();
        for now_ms in moments() {
            let story = story(clock, now_ms);
            let of_people = story.iter().filter(|one| !one.id.contains("check"));
            let told: Vec<_> = of_people.map(|one| told(one, clock)).collect();
            let words: Vec<&str> = told.iter().map(|(words, _)| words.as_str()).collect();
            assert_eq!(
                words,
                [
                    "Dr Liis Kask, Kalda Family Doctors, changed your medicines. For your \
                     treatment.",
                    "Signe Roos, Tide Sensors, read your devices. At your request.",
                    "Kalda Family Doctors passed your documents on to Harbour Hospital. To \
                     coordinate your care.",
                    "Harbour Hospital received your documents from Kalda Family Doctors. To \
                     coordinate your care.",
                    "Emergency. Dr Peeter Saar, Harbour Hospital, opened your allergies and \
                     medicines; you could not be asked.",
                    "Unusual. A nurse at Harbour Hospital (no. 4417, name not given) read a \
                     psychiatric note. No reason given.",
                ]
            );
            // Two records in one look: BALP wants an event for each, and the line says so.
            let flags: Vec<_> = told.iter().flat_map(|(_, flags)| flags).collect();
            assert_eq!(flags, [&"balp.entity.data"]);
        }
    }

    #[test]
    fn machines_checked_on_one_day_within_the_last_24_hours() {
        let clock = Clock::of_this_machine();
        for now_ms in moments() {
            let story = story(clock, now_ms);
            assert!(story.iter().all(|one| one.time_ms <= now_ms));
            let by_machine = |one: &&Happening| one.who.is_none() && matches!(one.act, Act::Read);
            let checks: Vec<_> = story.iter().filter(by_machine).collect();
            assert_eq!(checks.iter().filter(|one| *one.at == LUMI).count() as u64, CHECKS);
            let days: Vec<_> = checks.iter().map(|one| clock.last(0, 0, one.time_ms)).collect();
            assert!(days.iter().all(|day| *day == days[0]), "{now_ms}");
            assert!(checks.iter().all(|one| now_ms - one.time_ms < 24 * HOUR_MS), "{now_ms}");
            for check in checks {
                let (words, flags) = told(check, clock);
                let start = format!("Automatic check: {}", check.at.name);
                assert!(words.starts_with(&start) && flags.is_empty(), "{words} {flags:?}");
            }
        }
    }

    #[test]
    fn the_doctor_s_look_reads_as_the_story_says() {
        let clock = Clock::of_this_machine();
        let (words, flags) = told(&look(1_795_139_200_000), clock);
        let expected =
            "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment.";
        assert_eq!((words.as_str(), flags.len()), (expected, 0));
        assert_eq!(told(&reading(1), clock).1.len(), 0);
    }
}
