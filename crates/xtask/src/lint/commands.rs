//! Every command that the documents name exists, with the flags they give it.

use std::env;
use std::path::{Path, PathBuf};

use super::findings;
use crate::step::{Failure, Result, Step, read_text};
use crate::workspace::Workspace;

pub(super) fn check(documents: &[PathBuf], workspace: &Workspace) -> Result {
    let mut named = Vec::new();
    for document in documents {
        for (line, command) in commands(&read_text(document)?) {
            named.push((format!("{}:{line}", document.display()), command));
        }
    }
    if named.is_empty() {
        return Ok(());
    }
    Step::cargo("build medtrail, to ask it for its commands")
        .args(["build", "--workspace", "--bin", "medtrail"])
        .run()?;
    let xtask = env::current_exe().map_err(|error| {
        Failure::new(format!("this program does not know its own path: {error}"), "try again")
    })?;
    let medtrail = workspace.binary("medtrail");
    let wrong: Vec<String> = (named.iter())
        .filter_map(|(place, command)| {
            let program = match command.program {
                Program::Medtrail => &medtrail,
                Program::Xtask => &xtask,
            };
            Some(format!("{place}: {}", complaint(program, command)?))
        })
        .collect();
    findings(&wrong, "mend the document, or give the command what it promises")
}

/// A command as a document names it.
#[derive(Debug, PartialEq)]
struct Named {
    program: Program,
    /// Subcommands, and whatever else stands before the first flag, path or placeholder.
    words: Vec<String>,
    flags: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Program {
    Medtrail,
    Xtask,
}

/// Asks the program itself, by `--help`, whether it knows the command.
fn complaint(program: &Path, command: &Named) -> Option<String> {
    let words = command.words.join(" ");
    let help = Step::new(format!("ask for `{words} --help`"), program)
        .args(&command.words)
        .args(["--help"])
        .read();
    match help {
        Err(_) => Some(format!("there is no command `{words}`")),
        Ok(help) => {
            let known = |flag: &&String| help.split_whitespace().any(|word| word == *flag);
            let unknown = command.flags.iter().find(|flag| !known(flag))?;
            Some(format!("`{words}` has no flag {unknown}"))
        }
    }
}

/// Line number and command of each that a code span, or a line of a code block, begins with.
fn commands(markdown: &str) -> Vec<(usize, Named)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            let line = line.trim_start().trim_start_matches("$ ");
            found.extend(command(line).map(|command| (index + 1, command)));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter_map(command).map(|command| (index + 1, command)));
        }
    }
    found
}

fn command(text: &str) -> Option<Named> {
    let (program, rest) = match text.strip_prefix("cargo xtask ") {
        // The demo's flags are those of `medtrail demo`.
        Some(rest) if !rest.starts_with("demo") => (Program::Xtask, rest),
        Some(rest) => (Program::Medtrail, rest),
        None => (Program::Medtrail, text.strip_prefix("medtrail ")?),
    };
    // What follows ` -- ` is handed on to another program; `#` begins a comment.
    let tokens: Vec<&str> =
        rest.split_whitespace().take_while(|token| !["--", "#"].contains(token)).collect();
    // `medtrail rows v1` is the label of a derived key.
    if tokens.last().is_some_and(|token| is_version(token)) {
        return None;
    }
    let is_word = |token: &&&str| {
        token.starts_with(|c: char| c.is_ascii_lowercase())
            && token.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    let words: Vec<String> = tokens.iter().take_while(is_word).map(ToString::to_string).collect();
    let flags = (tokens.iter())
        .filter(|token| token.starts_with("--"))
        .filter_map(|token| token.split('=').next().map(Into::into))
        .collect();
    (!words.is_empty()).then_some(Named { program, words, flags })
}

fn is_version(token: &str) -> bool {
    let number = token.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(program: Program, words: &[&str], flags: &[&str]) -> Named {
        let owned = |words: &[&str]| words.iter().map(|&word| word.into()).collect();
        Named { program, words: owned(words), flags: owned(flags) }
    }

    #[test]
    fn the_label_of_a_derived_key_is_no_command() {
        assert!(commands("info `medtrail rows v1`").is_empty());
        assert_eq!(commands("`medtrail verify v1.json`").len(), 1);
    }

    #[test]
    fn commands_are_found_in_code_spans_and_code_blocks_only() {
        let markdown = "medtrail verify is prose; `medtrail verify proof.json` is not.\n\
                        ```sh\n\
                        cargo xtask test --rust -- --nocapture   # quick\n\
                        $ medtrail organisations add NAME --address=0x00\n\
                        cargo xtask demo --no-browser\n\
                        ```\n\
                        `medtrail` alone, and `cargo test`.";
        assert_eq!(
            commands(markdown),
            [
                (1, named(Program::Medtrail, &["verify"], &[])),
                (3, named(Program::Xtask, &["test"], &["--rust"])),
                (4, named(Program::Medtrail, &["organisations", "add"], &["--address"])),
                (5, named(Program::Medtrail, &["demo"], &["--no-browser"])),
            ]
        );
    }
}
