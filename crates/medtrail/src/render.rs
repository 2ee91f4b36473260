//! How things look in a terminal.

use medtrail_ledger::verify::{Findings, Verdict};
use std::io::IsTerminal;

/// A word in colour, if this is a terminal that wants it.
pub(crate) fn coloured(verdict: Verdict, text: &str) -> String {
    let wants = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let code = match verdict {
        Verdict::Green => 32,
        Verdict::Amber => 33,
        Verdict::Red => 31,
    };
    match wants {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Words of a file stand in what is printed, and whoever made it may be the enemy: it must not be
/// able to move the cursor over a verdict, to colour it, or to turn the line around.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmless = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}')
    };
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

pub(crate) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Green => "✓",
        Verdict::Amber => "!",
        Verdict::Red => "✗",
    }
}

/// A check, step by step, and what it comes to.
pub(crate) fn findings(name: &str, findings: &Findings) {
    println!("{name}");
    for step in &findings.steps {
        let mark = coloured(step.verdict, sign(step.verdict));
        println!("  {mark} {:<11} {}", step.name, step.words);
    }
    let verdict = findings.verdict();
    let words = match verdict {
        Verdict::Green => "Verified.",
        Verdict::Amber => "Nothing is wrong, but read the lines marked !.",
        Verdict::Red => "NOT verified: see the lines marked ✗.",
    };
    println!("  {}", coloured(verdict, words));
}

/// A bar for long work; nothing where nobody looks.
pub(crate) struct Progress(indicatif::ProgressBar);

impl Progress {
    pub(crate) fn new(unit: &str) -> Self {
        let style = format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{eta}}");
        let style = indicatif::ProgressStyle::with_template(&style)
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
        Self(indicatif::ProgressBar::new(0).with_style(style))
    }

    pub(crate) fn at(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }

    pub(crate) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A table of two columns or more.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}

/// The same, with long words broken so that it fits a usual window.
pub(crate) fn wrapped_table(head: &[&str], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(100);
    table.set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}
