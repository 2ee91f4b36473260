//! A week in five organisations and 400 invented lives, the same every time.

use super::audit_event::{Act, Happening, Staff};
use super::chance::Chance;
use super::organisations::{HARBOUR, INSURANCE, KALDA, LUMI, Organisation, TIDE};

/// People, beside Mari.
pub(crate) const PEOPLE: u64 = 400;
/// Between two lines about them, in milliseconds: about 5,000 in the week, however long the last
/// day is by now.
const STEP_MS: u64 = 125_000;

/// Something that goes on every day.
struct Habit {
    at: &'static Organisation,
    who: Option<&'static str>,
    act: Act,
    data: &'static [&'static str],
    purpose: Option<&'static str>,
    /// How often, against the others.
    weight: u64,
}

const fn habit(at: &'static Organisation, who: &'static str, weight: u64) -> Habit {
    Habit { at, who: Some(who), act: Act::Read, data: &[], purpose: Some("TREAT"), weight }
}

const fn machine(at: &'static Organisation, weight: u64) -> Habit {
    Habit { at, who: None, act: Act::Read, data: &[], purpose: None, weight }
}

static HABITS: [Habit; 13] = [
    Habit {
        data: &["Condition", "MedicationRequest", "Observation"],
        ..habit(&KALDA, "Dr Liis Kask", 18)
    },
    Habit {
        act: Act::Update,
        data: &["MedicationRequest", "CarePlan"],
        ..habit(&KALDA, "Dr Liis Kask", 6)
    },
    Habit { data: &["Condition", "DocumentReference"], ..habit(&KALDA, "Dr Rein Oja", 10) },
    Habit {
        act: Act::Create,
        data: &["Immunization", "Observation"],
        ..habit(&KALDA, "Nurse Anu Sild", 8)
    },
    Habit { data: &["Appointment"], purpose: Some("PATADMIN"), ..habit(&KALDA, "Piret Kuusk", 6) },
    Habit { data: &["Encounter", "DiagnosticReport"], ..habit(&HARBOUR, "Dr Peeter Saar", 10) },
    Habit { data: &["ImagingStudy", "DiagnosticReport"], ..habit(&HARBOUR, "Dr Eha Tamme", 8) },
    Habit {
        act: Act::Create,
        data: &["Encounter", "Procedure"],
        ..habit(&HARBOUR, "Nurse Jüri Põld", 6)
    },
    Habit { data: &["Observation", "DiagnosticReport"], ..machine(&LUMI, 12) },
    Habit { data: &["Observation"], ..habit(&LUMI, "Dr Kalle Mänd", 3) },
    Habit { data: &["Observation"], purpose: Some("TREAT"), ..machine(&TIDE, 6) },
    Habit {
        data: &["Claim", "Coverage"],
        purpose: Some("HPAYMT"),
        ..habit(&INSURANCE, "Tiina Rebane", 4)
    },
    Habit { data: &["Claim"], purpose: Some("HPAYMT"), ..machine(&INSURANCE, 3) },
];

/// The days of a clinic.
#[derive(Clone)]
pub(crate) struct Routine {
    chance: Chance,
    number: u64,
    /// From when on the maker of sensors is silent, in milliseconds since 1970.
    silent_ms: u64,
}

impl Routine {
    /// The maker of sensors reports nothing from `silent_ms` on.
    pub(crate) fn new(silent_ms: u64) -> Self {
        Self { chance: Chance::new(7), number: 0, silent_ms }
    }

    /// All of the past, oldest first. Whoever starts later meets the same, and what came after it.
    pub(crate) fn past(&mut self, from_ms: u64, now_ms: u64) -> Vec<Happening> {
        (0..(now_ms - from_ms) / STEP_MS)
            .map(|number| {
                let time_ms = from_ms + number * STEP_MS + self.chance.below(STEP_MS);
                self.next(time_ms)
            })
            .collect()
    }

    /// What happens at this moment, to one of the 400.
    pub(crate) fn next(&mut self, time_ms: u64) -> Happening {
        self.number += 1;
        let habit = self.habit(time_ms);
        let person = self.chance.below(PEOPLE);
        let what = self.chance.of(habit.data);
        let copy = self.chance.below(9);
        Happening {
            at: habit.at,
            id: format!("{}-{:06}", habit.at.slug, self.number),
            time_ms,
            act: habit.act,
            who: habit.who.map(Staff::Named),
            purpose: habit.purpose,
            patient: format!("Patient/person-{person:03}"),
            data: vec![format!("{what}/person-{person:03}-{copy}")],
            topic: None,
            change: None,
        }
    }

    fn habit(&mut self, time_ms: u64) -> &'static Habit {
        let is_kept = |habit: &&Habit| time_ms < self.silent_ms || *habit.at != TIDE;
        let all: Vec<&Habit> = HABITS.iter().filter(is_kept).collect();
        let mut drawn = self.chance.below(all.iter().map(|habit| habit.weight).sum());
        for habit in all {
            match drawn.checked_sub(habit.weight) {
                Some(rest) => drawn = rest,
                None => return habit,
            }
        }
        &HABITS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Clock;
    use super::*;
    use medtrail_fhir::event::read;
    use std::collections::HashSet;

    const NOW_MS: u64 = 1_795_000_000_000;
    const DAY_MS: u64 = 24 * 3600 * 1000;
    const FROM_MS: u64 = NOW_MS - 8 * DAY_MS;
    const SILENT_MS: u64 = NOW_MS - DAY_MS;

    fn past() -> Vec<Happening> {
        Routine::new(SILENT_MS).past(FROM_MS, NOW_MS)
    }

    #[test]
    fn every_event_keeps_the_rules_of_r4_and_balp() {
        let clock = Clock::of_this_machine();
        for happening in past() {
            let bytes = happening.audit_event(clock).to_string().into_bytes();
            let event = read(&bytes).unwrap_or_else(|issues| panic!("{issues:?}"));
            assert_eq!(event.flags, [], "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(event.recorded_ms, happening.time_ms);
            assert_eq!(event.patients.len(), 1);
        }
    }

    #[test]
    fn the_past_is_the_same_every_time_and_is_past() {
        let (one, mut two) = (past(), past());
        let clock = Clock::of_this_machine();
        let told = |all: &[Happening]| -> Vec<String> {
            all.iter().map(|one| one.audit_event(clock).to_string()).collect()
        };
        assert_eq!(told(&one), told(&two));
        // The shortest week and the longest.
        let earlier = Routine::new(SILENT_MS).past(FROM_MS, NOW_MS - DAY_MS);
        two.truncate(earlier.len());
        assert_eq!(told(&earlier), told(&two));
        assert!((4_800..5_600).contains(&earlier.len()), "{}", earlier.len());
        assert!((4_800..5_600).contains(&one.len()), "{}", one.len());
        assert!(one.is_sorted_by_key(|happening| happening.time_ms));
        assert!(one.iter().all(|happening| (FROM_MS..NOW_MS).contains(&happening.time_ms)));
    }

    #[test]
    fn each_of_the_400_and_each_organisation_is_met_and_ids_are_met_once() {
        let mut routine = Routine::new(SILENT_MS);
        let mut past = routine.past(FROM_MS, NOW_MS);
        past.push(routine.next(NOW_MS));
        let of = |part: fn(&Happening) -> String| past.iter().map(part).collect::<HashSet<_>>();
        assert_eq!(of(|one| one.patient.clone()).len() as u64, PEOPLE);
        assert_eq!(of(|one| one.at.name.to_owned()).len(), 5);
        assert_eq!(of(|one| one.id.clone()).len(), past.len());
    }

    #[test]
    fn who_is_silent_reports_nothing() {
        let past = past();
        let newest = past.iter().rfind(|one| *one.at == TIDE).unwrap();
        assert!(newest.time_ms < SILENT_MS);
        assert!(past.last().unwrap().time_ms > SILENT_MS);
    }
}
