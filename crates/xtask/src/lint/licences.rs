//! Under what licences the graph that is built may be used. The lockfile lists more than is ever
//! built, so it is not what is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::findings;
use crate::step::{Result, Step};
use crate::workspace::Licences;

pub(super) fn check(rules: &Licences) -> Result {
    let tree = Step::cargo("list the licences")
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}\t{l}"])
        .or("is Cargo.lock committed? `cargo check` mends it")
        .read()?;
    findings(
        &refused(rules, &tree),
        "take another library, or give it a reason in [workspace.metadata.licences.exceptions]",
    )
}

/// One line for each package whose licence is not allowed, and each exception nobody needs.
fn refused(rules: &Licences, tree: &str) -> Vec<String> {
    let allowed: BTreeSet<&str> = rules.allowed.iter().map(String::as_str).collect();
    // The name, without version and path -> the expression.
    let packages: BTreeMap<&str, &str> = (tree.lines())
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(package, licence)| {
            Some((package.split(' ').next()?, licence.trim_end_matches(" (*)")))
        })
        .collect();
    let mut findings = Vec::new();
    for (name, licence) in &packages {
        if !is_satisfied(licence, &allowed) && !rules.exceptions.contains_key(*name) {
            findings.push(format!("{name} is under `{licence}`"));
        }
    }
    for name in rules.exceptions.keys() {
        let needed = packages.get(name.as_str()).is_some_and(|l| !is_satisfied(l, &allowed));
        if !needed {
            findings.push(format!("the exception for {name} is not needed"));
        }
    }
    findings
}

/// Whether the allowed licences are enough for an SPDX expression. What cannot be read is not
/// allowed. Old packages write `/` for OR.
fn is_satisfied(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens = spaced.split_whitespace().peekable();
    let satisfied = any(&mut tokens, allowed);
    satisfied == Some(true) && tokens.next().is_none()
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(tokens: &mut Tokens<'_>, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut satisfied = all(tokens, allowed)?;
    while tokens.next_if_eq(&"OR").is_some() {
        satisfied |= all(tokens, allowed)?;
    }
    Some(satisfied)
}

fn all(tokens: &mut Tokens<'_>, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut satisfied = one(tokens, allowed)?;
    while tokens.next_if_eq(&"AND").is_some() {
        satisfied &= one(tokens, allowed)?;
    }
    Some(satisfied)
}

fn one(tokens: &mut Tokens<'_>, allowed: &BTreeSet<&str>) -> Option<bool> {
    match tokens.next()? {
        "(" => {
            let satisfied = any(tokens, allowed)?;
            tokens.next_if_eq(&")")?;
            Some(satisfied)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        licence if tokens.next_if_eq(&"WITH").is_some() => {
            let with = format!("{licence} WITH {}", tokens.next()?);
            Some(allowed.contains(with.as_str()))
        }
        licence => Some(allowed.contains(licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn satisfied(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"];
        is_satisfied(expression, &allowed.into())
    }

    #[test]
    fn or_needs_one_side_and_and_needs_both() {
        assert!(satisfied("MIT"));
        assert!(satisfied("GPL-3.0-only OR MIT"));
        assert!(satisfied("MIT AND ISC"));
        assert!(!satisfied("MIT AND GPL-3.0-only"));
        assert!(!satisfied("GPL-3.0-only"));
    }

    #[test]
    fn and_binds_closer_than_or_and_brackets_closest() {
        assert!(satisfied("MIT OR ISC AND GPL-3.0-only"));
        assert!(!satisfied("(MIT OR ISC) AND GPL-3.0-only"));
        assert!(satisfied("ISC AND (GPL-3.0-only OR (MIT AND Apache-2.0))"));
    }

    #[test]
    fn the_slash_of_old_packages_means_or() {
        assert!(satisfied("GPL-3.0/MIT"));
        assert!(satisfied("Apache-2.0 / MIT"));
        assert!(!satisfied("GPL-3.0 / LGPL-3.0"));
    }

    #[test]
    fn an_exception_is_part_of_its_licence() {
        assert!(satisfied("Apache-2.0 WITH LLVM-exception"));
        assert!(!satisfied("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for nonsense in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT", "MIT WITH"] {
            assert!(!satisfied(nonsense), "{nonsense:?}");
        }
    }

    #[test]
    fn a_package_needs_an_allowed_licence_or_a_named_exception() {
        let tree = "medtrail v0.1.0 (/somewhere)\tMIT OR Apache-2.0\n\
                    viral v1.0.0\tGPL-3.0-only\n\
                    viral v1.0.0\tGPL-3.0-only (*)\n\
                    \n\
                    silent v1.0.0 (proc-macro)\t\n";
        let mut rules = Licences { allowed: vec!["MIT".into()], exceptions: BTreeMap::default() };
        assert_eq!(refused(&rules, tree), ["silent is under ``", "viral is under `GPL-3.0-only`"]);

        rules.exceptions.insert("viral".into(), "asked and allowed".into());
        rules.exceptions.insert("silent".into(), "its file says MIT".into());
        assert!(refused(&rules, tree).is_empty());

        rules.exceptions.insert("medtrail".into(), "no reason".into());
        assert_eq!(refused(&rules, tree), ["the exception for medtrail is not needed"]);
    }
}
