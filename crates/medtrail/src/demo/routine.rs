//! A quarter of a year in five organisations and 400 invented lives, the same every time.

use super::audit_event::{Act, Happening, Staff};
use super::chance::Chance;
use super::organisations::{HARBOUR, INSURANCE, KALDA, LUMI, Organisation, TIDE};

/// People, beside Mari.
pub(crate) const PEOPLE: u64 = 400;
/// Lines about them.
pub(crate) const LINES: u64 = 5_000;
/// How far they reach back, in milliseconds: 90 days.
pub(crate) const SPAN_MS: u64 = 90 * 24 * 3600 * 1000;

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
}

impl Routine {
    pub(crate) fn new() -> Self {
        Self { chance: Chance::new(7), number: 0 }
    }

    /// All of the past, oldest first.
    pub(crate) fn past(&mut self, now_ms: u64) -> Vec<Happening> {
        let step_ms = SPAN_MS / LINES;
        let moment = |number| now_ms - SPAN_MS + number * step_ms;
        (0..LINES)
            .map(|number| {
                let time_ms = moment(number) + self.chance.below(step_ms);
                self.next(time_ms)
            })
            .collect()
    }

    /// What happens at this moment, to one of the 400.
    pub(crate) fn next(&mut self, time_ms: u64) -> Happening {
        self.number += 1;
        let habit = self.habit();
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

    fn habit(&mut self) -> &'static Habit {
        let mut drawn = self.chance.below(HABITS.iter().map(|habit| habit.weight).sum());
        for habit in &HABITS {
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

    #[test]
    fn every_event_keeps_the_rules_of_r4_and_balp() {
        let clock = Clock::of_this_machine();
        for happening in Routine::new().past(NOW_MS) {
            let bytes = happening.audit_event(clock).to_string().into_bytes();
            let event = read(&bytes).unwrap_or_else(|issues| panic!("{issues:?}"));
            assert_eq!(event.flags, [], "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(event.recorded_ms, happening.time_ms);
            assert_eq!(event.patients.len(), 1);
        }
    }

    #[test]
    fn the_past_is_the_same_every_time_and_is_past() {
        let (one, two) = (Routine::new().past(NOW_MS), Routine::new().past(NOW_MS));
        assert_eq!(one.len() as u64, LINES);
        let clock = Clock::of_this_machine();
        let told = |all: &[Happening]| -> Vec<String> {
            all.iter().map(|one| one.audit_event(clock).to_string()).collect()
        };
        assert_eq!(told(&one), told(&two));
        assert!(one.is_sorted_by_key(|happening| happening.time_ms));
        assert!(one.iter().all(|happening| happening.time_ms < NOW_MS));
    }

    #[test]
    fn each_of_the_400_and_each_organisation_is_met_and_ids_are_met_once() {
        let mut routine = Routine::new();
        let mut past = routine.past(NOW_MS);
        past.push(routine.next(NOW_MS));
        let of = |part: fn(&Happening) -> String| past.iter().map(part).collect::<HashSet<_>>();
        assert_eq!(of(|one| one.patient.clone()).len() as u64, PEOPLE);
        assert_eq!(of(|one| one.at.name.to_owned()).len(), 5);
        assert_eq!(of(|one| one.id.clone()).len(), past.len());
    }
}
