//! The report as Markdown.

use serde::Deserialize;

use super::machine::Machine;

/// Above this share of all cores used by other processes, a run says nothing.
const OTHERS_MAX: f64 = 0.10;

/// What a part of the benchmark prints to its standard output, and nothing else.
#[derive(Deserialize)]
pub(super) struct Results {
    /// Measured in the same run, by one of the parts: every durable rate is bounded by it.
    fsync_per_s: Option<f64>,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    title: String,
    /// What was measured, and how.
    text: String,
    columns: Vec<String>,
    /// As many cells a row as there are columns, units in the column's title.
    rows: Vec<Vec<String>>,
}

/// `others` is the share of all cores that other processes used meanwhile.
pub(super) fn report(machine: &Machine, parts: &[Results], others: f64, quick: bool) -> String {
    let soundness = if others < OTHERS_MAX { "sound" } else { "**not sound, do not quote it**" };
    let (flag, length) = match quick {
        true => (" --quick", " Its large log has one million entries."),
        false => ("", " Its large log has ten million entries."),
    };
    let mut text = format!(
        "# Benchmark\n\n\
         Written by `cargo xtask bench{flag}`. All numbers are of one run on one machine.{length}\n\n\
         | | |\n|---|---|\n\
         | commit | {} |\n\
         | processor | {}, {} cores |\n\
         | memory | {:.0} GiB |\n\
         | kernel | {} |\n\
         | compiler | {} |\n\
         | fsync/s | {:.0} |\n\
         | run | {soundness}: other processes used {:.1} % of the cores |\n",
        machine.commit,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.rustc,
        parts.iter().find_map(|part| part.fsync_per_s).unwrap_or(f64::NAN),
        others * 100.0,
    );
    for section in parts.iter().flat_map(|part| &part.sections) {
        text += &format!("\n## {}\n\n{}\n\n", section.title, section.text);
        text += &row(&section.columns);
        text += &format!("|{}\n", "---|".repeat(section.columns.len()));
        text.extend(section.rows.iter().map(Vec::as_slice).map(row));
    }
    text
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(others: f64) -> String {
        let machine = Machine {
            processor: "A processor".into(),
            cores: 2,
            memory_gib: 23.6,
            kernel: "6.1.0".into(),
            rustc: "rustc 1.95.0".into(),
            commit: "abc1234".into(),
        };
        let engine = serde_json::from_str(
            r#"{ "fsync_per_s": 512.4, "sections": [{
                "title": "Appends", "text": "Durable, in process.",
                "columns": ["clients", "entries/s"], "rows": [["1", "2500"], ["64", "120000"]]
            }] }"#,
        );
        let http = serde_json::from_str(
            r#"{ "sections": [{ "title": "Over HTTP", "text": "", "columns": [], "rows": [] }] }"#,
        );
        let parts = [engine, http].map(|part| part.expect("as the benchmark prints it"));
        report(&machine, &parts, others, false)
    }

    #[test]
    fn the_report_names_the_machine_and_has_a_table_for_each_section() {
        let text = rendered(0.021);
        for line in [
            "| processor | A processor, 2 cores |",
            "| memory | 24 GiB |",
            "| fsync/s | 512 |",
            "| run | sound: other processes used 2.1 % of the cores |",
            "## Appends\n\nDurable, in process.\n\n| clients | entries/s |\n|---|---|\n| 1 | 2500 |",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        assert!(text.contains("| 64 | 120000 |\n\n## Over HTTP\n"), "{text}");
    }

    #[test]
    fn a_disturbed_run_says_so() {
        assert!(rendered(0.10).contains("**not sound, do not quote it**"));
    }
}
