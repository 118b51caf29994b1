//! Links of the documents.

use super::{check, files, root};

/// Targets of `[text](target)` outside code blocks, with their line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push((number + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The anchor that a heading has on the usual hosts.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn links_of_documents_resolve() {
    let mut violations = Vec::new();
    for file in files(&["md"]) {
        for (number, target) in links(&file.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let here = root().join(&file.path);
            let there = if path.is_empty() {
                here
            } else {
                here.parent().expect("a file lies in a folder").join(path)
            };
            if !there.exists() {
                violations.push(format!(
                    "{}:{number} links to {target}, which does not exist",
                    file.path
                ));
                continue;
            }
            if fragment.is_empty() || there.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&there).unwrap_or_default();
            if !text
                .lines()
                .any(|line| line.starts_with('#') && anchor(line) == fragment)
            {
                violations.push(format!(
                    "{}:{number} links to {target}, which has no such heading",
                    file.path
                ));
            }
        }
    }
    check(&violations);
}
