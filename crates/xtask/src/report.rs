//! Runs every check even when one failed, and prints what came of each.

use std::time::{Duration, Instant};

use crate::step::{Failure, Result};

/// What was run so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    Passed,
    Failed(Failure),
    Skipped(&'static str),
}

impl Report {
    /// Runs one check. A failure is shown at once and again under the table.
    pub(crate) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result) {
        let start = Instant::now();
        let outcome = match check() {
            Ok(()) => Outcome::Passed,
            Err(failure) => {
                eprintln!("{failure}");
                Outcome::Failed(failure)
            }
        };
        self.rows.push(Row { name, outcome, took: start.elapsed() });
    }

    /// Notes what was left out, so that nobody takes it for passed.
    pub(crate) fn skip(&mut self, name: &'static str, why: &'static str) {
        self.rows.push(Row { name, outcome: Outcome::Skipped(why), took: Duration::ZERO });
    }

    /// Prints the table; fails when any check failed.
    pub(crate) fn finish(self, task: &str) -> Result {
        println!("\n{}", self.table());
        let failed: Vec<String> = (self.rows.into_iter())
            .filter_map(|row| match row.outcome {
                Outcome::Failed(failure) => Some(format!("{}:\n{failure}", row.name)),
                Outcome::Passed | Outcome::Skipped(_) => None,
            })
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        eprintln!("{}\n", failed.join("\n"));
        Err(Failure::new(
            format!("{} of `cargo xtask {task}` failed", failed.len()),
            "mend the first; each is named above",
        ))
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for Row { name, outcome, took } in &self.rows {
            let seconds = format!("{:6.1} s", took.as_secs_f64());
            let line = match outcome {
                Outcome::Passed => {
                    passed += 1;
                    format!("passed   {seconds}")
                }
                Outcome::Failed(_) => {
                    failed += 1;
                    format!("FAILED   {seconds}")
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    format!("skipped  {why}")
                }
            };
            table.push_str(&format!("{name:width$}  {line}\n"));
        }
        table.push_str(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole_and_stops_nothing() {
        let mut report = Report::default();
        let mut ran_last = false;
        report.check("first", || Err(Failure::new("broken", "mend it")));
        report.check("last", || {
            ran_last = true;
            Ok(())
        });
        report.skip("never", "not here");
        let table = report.table();
        assert!(ran_last);
        assert!(table.contains("first  FAILED"), "{table}");
        assert!(table.contains("never  skipped  not here"), "{table}");
        assert!(table.ends_with("1 passed, 1 failed, 1 skipped\n"), "{table}");
        assert!(report.finish("test").is_err());
    }

    #[test]
    fn a_skipped_check_is_no_failure() {
        let mut report = Report::default();
        report.skip("never", "not here");
        assert!(report.finish("test").is_ok());
    }
}
