//! Every relative link of the documents leads to a file.

use std::path::{Path, PathBuf};

use crate::step::{Result, read_text, root};

/// One line for each link that leads nowhere.
pub(super) fn broken(documents: &[PathBuf]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for document in documents {
        let folder = root().join(document);
        let folder = folder.parent().unwrap_or(root());
        for (line, target) in relative(&read_text(document)?) {
            if !leads_somewhere(folder, &target) {
                findings.push(format!("{}:{line}: {target} does not exist", document.display()));
            }
        }
    }
    Ok(findings)
}

fn leads_somewhere(folder: &Path, target: &str) -> bool {
    let base = if target.starts_with('/') { root() } else { folder };
    base.join(target.trim_start_matches('/')).exists()
}

/// Line number and target of each link to a file, without its `#section`.
fn relative(markdown: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(markdown) {
        for rest in line.split("](").skip(1) {
            let Some((target, _)) = rest.split_once(')') else { continue };
            // `[text](file "title")`
            let target = target.split_whitespace().next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains(':') {
                links.push((number, file.to_owned()));
            }
        }
    }
    links
}

/// The lines outside of code, with code spans taken out: `[a](b)` in code is no link.
fn prose(markdown: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_code = false;
    markdown.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        let prose = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        (!fence && !in_code).then_some((index + 1, prose))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_and_addresses_are_not() {
        let markdown = "See [the map](ARCHITECTURE.md#ports) and [a](docs/a.md \"title\").\n\
                        [out](https://example.org/a.md) [mail](mailto:a@example.org) [up](#top)\n\
                        ![picture](docs/picture.svg)";
        assert_eq!(
            relative(markdown),
            [
                (1, "ARCHITECTURE.md".to_owned()),
                (1, "docs/a.md".to_owned()),
                (3, "docs/picture.svg".to_owned()),
            ]
        );
    }

    #[test]
    fn a_link_around_code_is_a_link_and_code_around_a_link_is_not() {
        assert_eq!(relative("[`medtrail`](README.md)"), [(1, "README.md".to_owned())]);
        assert!(relative("`[a](b.md)`").is_empty());
        assert!(relative("```\n[a](b.md)\n```\n").is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told_from_one_that_does() {
        assert!(leads_somewhere(root(), "Cargo.toml"));
        assert!(leads_somewhere(&root().join("crates"), "../Cargo.toml"));
        assert!(leads_somewhere(&root().join("crates"), "/Cargo.toml"));
        assert!(!leads_somewhere(root(), "no-such-file.md"));
    }
}
