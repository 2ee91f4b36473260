//! Mari Tamm, 41, type 1 diabetes: the week that her trail opens with, and what comes while she
//! watches.

use super::audit_event::{Act, Change, Happening, Staff};
use super::clock::Clock;
use super::organisations::{HARBOUR, KALDA, LUMI, Organisation, TIDE};

/// What all organisations of the demo call her.
pub(crate) const PATIENT: &str = "Patient/mari-tamm";
/// Automatic checks of the laboratory.
pub(crate) const CHECKS: u64 = 42;
/// Readings fetched from her sensor.
const READINGS: u64 = 8;
/// What the laboratory's machine looks at.
const GLUCOSE: &str = "Observation/mari-tamm-glucose";
/// Both sides of the hand-over name it.
const HAND_OVER: &str = "7d1f3c52-190900";

const SECOND_MS: u64 = 1000;
pub(super) const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The week that the demo opens with: when what happens in it, in milliseconds since 1970. It ends
/// on the newest morning that is over, so that its times of day are the same whenever it is told.
#[derive(Clone, Debug)]
pub(crate) struct Week {
    pub(crate) clock: Clock,
    /// The log opens, and Mari connects her organisations.
    pub(crate) begins_ms: u64,
    /// 08:20, the day before the last.
    pub(crate) morning_ms: u64,
    /// 19:09, that day.
    pub(crate) evening_ms: u64,
    /// 23:47, that day.
    pub(crate) night_ms: u64,
    /// 06:10, the last day: the log tells that Tide Sensors answers no more.
    pub(crate) lost_ms: u64,
    /// 07:30: State Health Insurance tells of a bill.
    pub(crate) billed_ms: u64,
    /// 07:55: the hospital tries to change her allergies.
    pub(crate) refused_ms: u64,
}

impl Week {
    pub(crate) fn before(clock: Clock, now_ms: u64) -> Self {
        let refused_ms = clock.last(7, 55, now_ms);
        let billed_ms = clock.last(7, 30, refused_ms);
        let lost_ms = clock.last(6, 10, billed_ms);
        let night_ms = clock.last(23, 47, lost_ms);
        let evening_ms = clock.last(19, 9, night_ms);
        let morning_ms = clock.last(8, 20, evening_ms);
        let begins_ms = clock.last(7, 0, refused_ms) - 7 * DAY_MS;
        Self { clock, begins_ms, morning_ms, evening_ms, night_ms, lost_ms, billed_ms, refused_ms }
    }

    /// The day that the bill is for.
    pub(crate) fn bill_of(&self) -> String {
        self.clock.day(self.night_ms)
    }

    /// This time of day, so many days before the day of 08:20.
    pub(super) fn earlier(&self, days: u64, hour: u8, minute: u8) -> u64 {
        self.clock.last(hour, minute, self.evening_ms) - days * DAY_MS
    }

    /// What her organisations' software reports of it, oldest first.
    pub(crate) fn happenings(&self) -> Vec<Happening> {
        let mut all = Vec::from(ordinary(self));
        all.extend(checks(self));
        all.extend(last_day(self));
        all.sort_by_key(|happening| happening.time_ms);
        all
    }
}

/// The day and the night before the last morning.
fn last_day(week: &Week) -> [Happening; 5] {
    let Week { morning_ms, evening_ms, night_ms, .. } = *week;
    [
        Happening {
            act: Act::Update,
            who: Some(Staff::Named("Dr Liis Kask")),
            purpose: Some("TREAT"),
            change: Some(Change {
                of: "Insulin glargine, every evening",
                before: "18 units",
                after: "20 units",
            }),
            ..happening(&KALDA, "insulin", morning_ms, "MedicationRequest/mari-tamm-insulin")
        },
        Happening {
            act: Act::PassOn(&HARBOUR, HAND_OVER),
            purpose: Some("COC"),
            ..happening(&KALDA, "summary", evening_ms, "DocumentReference/mari-tamm-summary")
        },
        Happening {
            act: Act::Receive(&KALDA, HAND_OVER),
            purpose: Some("COC"),
            ..happening(
                &HARBOUR,
                "summary",
                evening_ms + 4 * SECOND_MS,
                "DocumentReference/kalda-mari-tamm",
            )
        },
        Happening {
            who: Some(Staff::Named("Dr Peeter Saar")),
            purpose: Some("BTG"),
            data: vec![
                "AllergyIntolerance/mari-tamm-1".to_owned(),
                "MedicationStatement/mari-tamm-1".to_owned(),
            ],
            ..happening(&HARBOUR, "emergency", evening_ms + 3 * MINUTE_MS, "")
        },
        Happening {
            who: Some(Staff::Nurse("4417")),
            topic: Some("PSY"),
            ..happening(&HARBOUR, "night", night_ms, "DocumentReference/mari-tamm-psychiatry-12")
        },
    ]
}

/// What people did in the days before: nothing that is worth a second look.
fn ordinary(week: &Week) -> [Happening; 4] {
    let by = |who, purpose, one: Happening| Happening {
        who: Some(Staff::Named(who)),
        purpose: Some(purpose),
        ..one
    };
    [
        by(
            "Dr Liis Kask",
            "TREAT",
            happening(&KALDA, "visit", week.earlier(5, 10, 5), "Condition/mari-tamm-diabetes"),
        ),
        by(
            "Dr Kalle Mänd",
            "TREAT",
            happening(&LUMI, "result", week.earlier(4, 11, 20), "Observation/mari-tamm-hba1c"),
        ),
        by(
            "Signe Roos",
            "PATRQT",
            happening(&TIDE, "support", week.earlier(3, 16, 30), "Device/mari-tamm-sensor"),
        ),
        by(
            "Piret Kuusk",
            "PATADMIN",
            happening(&KALDA, "reminder", week.earlier(2, 9, 15), "Appointment/mari-tamm-7"),
        ),
    ]
}

/// What machines did: the laboratory in one night, for the page counts them by day; the sensor's
/// maker at noon and in the evening, as long as it answers.
fn checks(week: &Week) -> Vec<Happening> {
    let from = week.earlier(0, 2, 0);
    let step = 6 * HOUR_MS / CHECKS;
    let laboratory = (0..CHECKS).map(|number| {
        let (name, record) = (format!("check-{number:02}"), format!("{GLUCOSE}-{number}"));
        happening(&LUMI, &name, from + number * step, &record)
    });
    let sensor = (0..READINGS).map(|number| {
        let at = week.earlier(READINGS / 2 - number / 2, if number % 2 == 0 { 12 } else { 20 }, 0);
        let record = format!("Observation/mari-tamm-sensor-{number}");
        happening(&TIDE, &format!("check-{number:02}"), at, &record)
    });
    laboratory.chain(sensor).collect()
}

/// "A doctor looks now".
pub(crate) fn look(now_ms: u64) -> Happening {
    Happening {
        who: Some(Staff::Named("Dr Liis Kask")),
        purpose: Some("TREAT"),
        ..happening(&KALDA, &format!("look-{now_ms}"), now_ms, "AllergyIntolerance/mari-tamm-1")
    }
}

/// The laboratory's machine, while she watches.
pub(crate) fn check(now_ms: u64) -> Happening {
    happening(&LUMI, &format!("live-{now_ms}"), now_ms, &format!("{GLUCOSE}-now"))
}

/// A machine reads one record of hers.
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
    fn the_week_reads_as_the_story_says() {
        let clock = Clock::of_this_machine();
        for now_ms in moments() {
            let all = Week::before(clock, now_ms).happenings();
            let of_people = all.iter().filter(|one| !one.id.contains("check"));
            let told: Vec<_> = of_people
                .map(|one| {
                    let (words, flags) = told(one, clock);
                    (clock.hour_and_minute(one.time_ms), words, flags)
                })
                .collect();
            let words: Vec<(&str, &str)> =
                told.iter().map(|(at, words, _)| (at.as_str(), words.as_str())).collect();
            assert_eq!(
                words,
                [
                    (
                        "10:05",
                        "Dr Liis Kask, Kalda Family Doctors, read your diagnoses. For your \
                         treatment."
                    ),
                    (
                        "11:20",
                        "Dr Kalle Mänd, Lumi Laboratory, read your measurements. For your \
                         treatment."
                    ),
                    ("16:30", "Signe Roos, Tide Sensors, read your devices. At your request."),
                    (
                        "09:15",
                        "Piret Kuusk, Kalda Family Doctors, read your appointments. For patient \
                         administration."
                    ),
                    (
                        "08:20",
                        "Dr Liis Kask, Kalda Family Doctors, changed your medicines: “Insulin \
                         glargine, every evening” from “18 units” to “20 units”. For your \
                         treatment."
                    ),
                    (
                        "19:09",
                        "Kalda Family Doctors passed your documents on to Harbour Hospital. To \
                         coordinate your care."
                    ),
                    (
                        "19:09",
                        "Harbour Hospital received your documents from Kalda Family Doctors. To \
                         coordinate your care."
                    ),
                    (
                        "19:12",
                        "Emergency. Dr Peeter Saar, Harbour Hospital, opened your allergies and \
                         medicines; you could not be asked."
                    ),
                    (
                        "23:47",
                        "Unusual. A nurse at Harbour Hospital (no. 4417, name not given) read a \
                         psychiatric note. No reason given."
                    ),
                ]
            );
            // Two records in one look: BALP wants an event for each, and the line says so.
            let flags: Vec<_> = told.iter().flat_map(|(.., flags)| flags).collect();
            assert_eq!(flags, [&"balp.entity.data"]);
        }
    }

    #[test]
    fn the_laboratory_checks_in_one_night_and_tide_reports_only_while_it_answers() {
        let clock = Clock::of_this_machine();
        for now_ms in moments() {
            let week = Week::before(clock, now_ms);
            let all = week.happenings();
            let by_machine = |one: &&Happening| one.who.is_none() && matches!(one.act, Act::Read);
            let checks: Vec<_> = all.iter().filter(by_machine).collect();
            let laboratory: Vec<_> = checks.iter().filter(|one| *one.at == LUMI).collect();
            assert_eq!(laboratory.len() as u64, CHECKS);
            let day = clock.day(week.morning_ms);
            assert!(laboratory.iter().all(|one| clock.day(one.time_ms) == day), "{now_ms}");
            assert!(laboratory.iter().all(|one| one.time_ms < week.morning_ms), "{now_ms}");
            let of_tide: Vec<_> = all.iter().filter(|one| *one.at == TIDE).collect();
            assert_eq!(of_tide.len() as u64, READINGS + 1);
            assert!(of_tide.iter().all(|one| one.time_ms < week.morning_ms), "{now_ms}");
            for check in checks {
                let (words, flags) = told(check, clock);
                let start = format!("Automatic check: {}", check.at.name);
                assert!(words.starts_with(&start) && flags.is_empty(), "{words} {flags:?}");
            }
        }
    }

    #[test]
    fn the_week_is_seven_days_and_over_and_its_last_morning_is_less_than_a_day_old() {
        let clock = Clock::of_this_machine();
        for now_ms in moments() {
            let week = Week::before(clock, now_ms);
            let told = [
                (week.begins_ms, "07:00"),
                (week.morning_ms, "08:20"),
                (week.evening_ms, "19:09"),
                (week.night_ms, "23:47"),
                (week.lost_ms, "06:10"),
                (week.billed_ms, "07:30"),
                (week.refused_ms, "07:55"),
            ];
            assert!(told.is_sorted_by_key(|(at, _)| *at), "{week:?}");
            for (at, words) in told {
                assert_eq!(clock.hour_and_minute(at), words, "{now_ms}");
            }
            assert!(week.refused_ms <= now_ms && now_ms - week.refused_ms < DAY_MS, "{week:?}");
            assert_eq!(week.refused_ms - week.begins_ms, 7 * DAY_MS + 55 * MINUTE_MS);
            assert_eq!(week.bill_of(), clock.day(week.refused_ms - DAY_MS));
            let all = week.happenings();
            let inside = |one: &Happening| (week.begins_ms..now_ms).contains(&one.time_ms);
            assert!(all.iter().all(inside), "{week:?}");
        }
    }

    #[test]
    fn the_doctor_s_look_reads_as_the_story_says() {
        let clock = Clock::of_this_machine();
        let (words, flags) = told(&look(1_795_139_200_000), clock);
        let expected =
            "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment.";
        assert_eq!((words.as_str(), flags.len()), (expected, 0));
        assert_eq!(told(&check(1), clock).1.len(), 0);
    }
}
