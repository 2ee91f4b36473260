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
    outcome: Result,
    took: Duration,
}

impl Report {
    /// Runs one check. A failure is shown at once and again under the table.
    pub(crate) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result) {
        let start = Instant::now();
        let outcome = check();
        if let Err(failure) = &outcome {
            eprintln!("{failure}");
        }
        self.rows.push(Row { name, outcome, took: start.elapsed() });
    }

    /// Prints the table; fails when any check failed.
    pub(crate) fn finish(self, task: &str) -> Result {
        println!("\n{}", self.table());
        let mut failed = 0;
        for row in &self.rows {
            if let Err(failure) = &row.outcome {
                eprintln!("{}:\n{failure}", row.name);
                failed += 1;
            }
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::new(
            format!("`cargo xtask {task}`: {failed} failed"),
            "mend the first; each is named above",
        ))
    }

    /// Ends with the counts, in a form that CI systems recognise.
    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for Row { name, outcome, took } in &self.rows {
            let result = if outcome.is_ok() { "passed" } else { "FAILED" };
            table += &format!("{name:width$}  {result}  {:7.1} s\n", took.as_secs_f64());
        }
        let passed = self.rows.iter().filter(|row| row.outcome.is_ok()).count();
        table + &format!("{passed} passed, {} failed\n", self.rows.len() - passed)
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
        let table = report.table();
        assert!(ran_last);
        assert!(table.contains("first  FAILED"), "{table}");
        assert!(table.ends_with("1 passed, 1 failed\n"), "{table}");
        assert!(report.finish("test").is_err());
    }

    #[test]
    fn a_report_without_failures_is_a_success() {
        let mut report = Report::default();
        report.check("only", || Ok(()));
        assert!(report.finish("test").is_ok());
    }
}
