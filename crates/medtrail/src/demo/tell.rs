//! What the demo says in the terminal: in a few lines, or as a story.

use super::accounts::Accounts;
use super::act_five::Readings;
use super::act_one::Watch;
use super::clock::Clock;
use super::jaan;
use super::organisations::{KALDA, Organisation, TIDE};
use super::reporters::Reporters;
use super::routine;
use super::trail::{Line, Names, Row};
use super::words::{ACTS, DOORS, LOOK, STRIP, WARNING};
use crate::render;
use alloy_primitives::U256;
use medtrail_fhir::reading::sentence;
use medtrail_ledger::verify::Findings;
use medtrail_permit::sale::words::ether;
use std::path::Path;
use std::time::Duration;

/// Rows of the trail that open the story.
const ROWS: usize = 8;

/// Who tells.
#[derive(Clone, Copy)]
pub(crate) struct Teller {
    /// As a story.
    pub(crate) is_long: bool,
}

impl Teller {
    pub(crate) fn begin(self) {
        println!("Medtrail demo. {STRIP}\n");
    }

    pub(crate) fn organisations(self, reporters: &Reporters) {
        for (name, url) in reporters.listed() {
            println!("Gateway   {url} of {name} signs its reports");
        }
        println!("API key   of {}: what comes by it is relayed, not signed", TIDE.name);
    }

    pub(crate) fn connected(self, to: &[&Organisation]) {
        println!("Mari Tamm is connected to {}: both signed, each time", names(to));
    }

    pub(crate) fn guarded(self) {
        println!(
            "{}, 9, her son, has no key: Mari acts for him; she and {} signed that",
            jaan::NAME,
            KALDA.name
        );
    }

    pub(crate) fn seeded(self, lines: usize, took: Duration) {
        println!(
            "Clinic    seven days of {} people, {lines} lines, and Mari's, reported in {}",
            routine::PEOPLE,
            span(took)
        );
    }

    pub(crate) fn doors(self, url: &str, accounts: &Accounts) {
        if !self.is_long {
            println!("Page      {url} is open; the checks below go on");
            return;
        }
        println!("\nOpen {url}");
        for (label, path) in DOORS {
            println!("  {label:<20} {url}{path}");
        }
        println!("\nAccounts: {WARNING}");
        for account in accounts.iter() {
            println!("  {:<24} {}  key {}", account.name, account.address, account.private_key);
        }
    }

    /// The trails that Mari sees: hers, and that of her son.
    pub(crate) fn act_one(self, of_mari: &[Row], of_jaan: &[Row], clock: Clock) {
        println!("\nAct 1: {}", ACTS[0].title);
        let trails = [("Mari's trail", of_mari), ("The trail of Jaan, her son", of_jaan)];
        for (whose, rows) in trails.into_iter().filter(|(_, rows)| !rows.is_empty()) {
            println!("{whose}, newest first");
            let mut day = String::new();
            for row in rows.iter().take(ROWS) {
                let of_row = clock.day(row.at_ms);
                if of_row != day {
                    println!("  {of_row}");
                    day = of_row;
                }
                println!("    {}  {}", clock.hour_and_minute(row.at_ms), row.words);
            }
        }
        println!("\nYou press “{}”.", LOOK.0);
    }

    pub(crate) fn act_four(self) {
        println!("\nAct 4: {}", ACTS[3].title);
    }

    pub(crate) fn act_five(self) {
        println!("\nAct 5: {}", ACTS[4].title);
    }

    pub(crate) fn offered(self) {
        println!(
            "Mari signs an offer and lists it. Boreal Therapeutics finds it in the catalogue.\n"
        );
    }

    /// What Mari reads before she signs.
    pub(crate) fn asked(self, words: &str) {
        println!("Mari reads what she is asked.\n\n{words}");
    }

    pub(crate) fn approved(self) {
        println!("\nMari approves: a signature, no transaction and no coin.");
    }

    /// What Boreal opened: the mean of each day.
    pub(crate) fn opened(self, readings: &Readings) {
        println!("Boreal opened {} readings of Mari's:", readings.count);
        println!("  {}", readings.curve());
    }

    /// Her money, before and after.
    pub(crate) fn paid(self, before: U256, after: U256) {
        println!("Mari had {} ETH and has {} ETH.", ether(before), ether(after));
    }

    /// The newest lines of her trail, oldest first.
    pub(crate) fn newest(self, rows: &[Row], count: usize) {
        for row in rows.iter().take(count).rev() {
            println!("  {}", row.words);
        }
    }

    pub(crate) fn appeared(self, watch: &Watch, names: &Names) {
        let Watch { line, after, .. } = watch;
        let words = sentence(&line.facts(names));
        let badge = line.badge(names);
        if self.is_long {
            println!("  {:>8}  {words}", span(*after));
            println!("  {:>8}  {badge}, {}", "", state(&line.state));
        } else {
            println!("Line      {words} On Mari's screen {} after the look, {badge}", span(*after));
        }
    }

    pub(crate) fn reached(self, line: &Line, after: Duration) {
        if self.is_long {
            println!("  {:>8}  {}", span(after), state(&line.state));
        } else {
            println!("          {} after {}", state(&line.state), span(after));
        }
    }

    pub(crate) fn checked(self, proof: &Path, trust: &Path, rpc: &str, findings: &Findings) {
        println!("\nHow was this checked? Anybody can, without asking the log:");
        let (shown, trust) = (proof.display(), trust.display());
        println!("medtrail verify {shown} --rpc {rpc} --trust {trust}");
        render::findings(&shown.to_string(), findings);
    }
}

/// A line's state in the page's words.
fn state(state: &str) -> &'static str {
    match state {
        "mined" => "being locked",
        "final" => "locked",
        _ => "recorded",
    }
}

fn names(organisations: &[&Organisation]) -> String {
    organisations.iter().map(|one| one.name).collect::<Vec<_>>().join(", ")
}

fn span(took: Duration) -> String {
    match took.as_millis() {
        ms @ ..2_000 => format!("{ms} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}
