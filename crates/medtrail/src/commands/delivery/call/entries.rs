//! The entry of each seller's delivery, checked as `medtrail verify` checks any; told of all at once.

use super::Given;
use crate::commands::delivery::own_entry;
use crate::commands::verify::Checker;
use crate::exit::Failure;
use medtrail_ledger::verify::{Findings, Step, Verdict};

/// Adds the steps.
pub(super) async fn steps(given: &Given, steps: &mut Vec<Step>) -> Result<(), Failure> {
    let mut checker = Checker::new(given.trust.as_ref(), &given.rpc);
    let mut all = Vec::with_capacity(given.proofs.len());
    for proof in &given.proofs {
        let mut findings = checker.check(proof).await?;
        own_entry(proof, &mut findings.steps);
        all.push((proof.index, findings));
    }
    steps.extend(together(&all));
    Ok(())
}

/// One step of each name: the worst that was found, and of how many entries.
fn together(all: &[(u64, Findings)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut counts: Vec<usize> = Vec::new();
    for (index, findings) in all {
        for step in &findings.steps {
            let told = || Step { words: format!("entry {index}: {}", step.words), ..step.clone() };
            match steps.iter().position(|known| known.name == step.name) {
                None => {
                    steps.push(told());
                    counts.push(1);
                }
                Some(at) if step.verdict > steps[at].verdict => {
                    steps[at] = told();
                    counts[at] = 1;
                }
                Some(at) if step.verdict == steps[at].verdict => counts[at] += 1,
                Some(_) => {}
            }
        }
    }
    for (step, count) in steps.iter_mut().zip(counts) {
        let whose = match step.verdict {
            Verdict::Green if count == all.len() => format!("All {count} entries, as"),
            _ => format!("{count} of {} entries, as", all.len()),
        };
        step.words = format!("{whose} {}", step.words);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(anchored: Verdict, included: Verdict) -> Findings {
        let step = |name, verdict| Step { name, verdict, words: format!("{name} words") };
        Findings { steps: vec![step("anchor", anchored), step("included", included)] }
    }

    #[test]
    fn one_wrong_entry_among_many_is_what_is_told() {
        use Verdict::{Amber, Green, Red};
        let mut all: Vec<(u64, Findings)> =
            (0..99).map(|index| (index, findings(Green, Amber))).collect();
        all.insert(50, (1_000, findings(Green, Red)));
        let told = together(&all);
        assert_eq!(told[0].verdict, Green);
        assert_eq!(told[0].words, "All 100 entries, as entry 0: anchor words");
        assert_eq!(told[1].verdict, Red);
        assert_eq!(told[1].words, "1 of 100 entries, as entry 1000: included words");
        all.remove(50);
        let told = together(&all);
        assert_eq!((told[1].verdict, told.len()), (Amber, 2));
        assert_eq!(told[1].words, "99 of 99 entries, as entry 0: included words");
    }

    #[test]
    fn a_step_that_only_one_entry_takes_is_not_said_of_all() {
        let mut all = vec![(1, findings(Verdict::Green, Verdict::Green))];
        all.push((2, Findings { steps: all[0].1.steps[..1].to_vec() }));
        let told = together(&all);
        assert!(told[1].words.starts_with("1 of 2 entries"), "{}", told[1].words);
    }
}
