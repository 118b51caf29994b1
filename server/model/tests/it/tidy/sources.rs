//! What source files look like: length, comments, names.

use super::{SOURCE_LINES_MAX, check, files};

/// Lines before the tests that a file may end with.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/test/") || path.ends_with("/tests.rs")
}

#[test]
fn no_source_file_is_longer_than_800_lines() {
    let mut violations = Vec::new();
    for file in files(&["rs", "ts", "tsx"])
        .iter()
        .filter(|file| !is_test(&file.path))
    {
        let lines = lines_without_tests(&file.text);
        if lines > SOURCE_LINES_MAX {
            violations.push(format!("{} has {lines} lines", file.path));
        }
    }
    check(&violations);
}

#[test]
fn every_source_file_says_what_it_does() {
    let mut violations = Vec::new();
    for file in files(&["rs"])
        .iter()
        .filter(|file| !file.path.ends_with("/tests.rs"))
    {
        if !file.text.starts_with("//! ") {
            violations.push(format!("{} does not begin with `//!`", file.path));
        }
    }
    check(&violations);
}

#[test]
fn modules_with_children_are_files_beside_a_folder() {
    let stray = files(&["mod.rs"]);
    check(
        &stray
            .iter()
            .map(|file| format!("{} should be a file beside its folder", file.path))
            .collect::<Vec<_>>(),
    );
}

/// The part of `line` that is a comment.
fn comment(line: &str) -> Option<&str> {
    let at = line.find("//")?;
    // `https://` and the like.
    if line[..at].ends_with(':') {
        None
    } else {
        Some(&line[at + 2..])
    }
}

/// Words that mean something today and nothing in a year: numbers of tasks, phases, milestones and tickets, and notes
/// about work that is not done.
fn plan_code(comment: &str) -> Option<String> {
    let words: Vec<&str> = comment
        .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '#'))
        .collect();
    let numbered = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    for (index, word) in words.iter().enumerate() {
        let note = ["TODO", "FIXME", "XXX", "HACK"].contains(word);
        let ticket = ["T", "US", "FR-", "#"].iter().any(|prefix| {
            word.strip_prefix(prefix)
                .is_some_and(|rest| numbered(rest) && (*prefix != "T" || rest.len() >= 3))
        });
        let lower = word.to_lowercase();
        let phase = ["phase", "milestone", "issue", "sprint", "task", "ticket"]
            .contains(&lower.as_str())
            && words
                .get(index + 1)
                .is_some_and(|next| numbered(next.trim_start_matches('#')));
        if note || ticket || phase {
            return Some((*word).to_owned());
        }
    }
    None
}

#[test]
fn comments_hold_no_plan_codes() {
    assert!(plan_code(" Phase 5 (T119): makes the hub").is_some());
    assert!(plan_code(" the T1 of I3, step by step").is_none());
    let mut violations = Vec::new();
    for file in files(&["rs", "ts", "tsx"]) {
        for (number, line) in file.text.lines().enumerate() {
            if file.path.ends_with("tidy/sources.rs") {
                continue;
            }
            if let Some(code) = comment(line).and_then(plan_code) {
                violations.push(format!(
                    "{}:{} has `{code}` in a comment",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    check(&violations);
}

#[test]
fn no_test_is_ignored() {
    let attribute = concat!("#[", "ignore");
    let mut violations = Vec::new();
    for file in files(&["rs"]) {
        if file.text.contains(attribute) {
            violations.push(format!(
                "{} ignores a test: mend it or remove it",
                file.path
            ));
        }
    }
    check(&violations);
}

#[test]
fn no_file_names_a_place_outside_the_repository() {
    let extensions = [
        "rs", "md", "toml", "sh", "yml", "json", "ts", "tsx", "slt", "sql", "Makefile", "run",
        "lock", ".npmrc",
    ];
    let outside = [concat!("../", "shared"), concat!("/", "work/")];
    let mut violations = Vec::new();
    for file in files(&extensions) {
        for (number, line) in file.text.lines().enumerate() {
            for place in outside.iter().filter(|place| line.contains(**place)) {
                violations.push(format!("{}:{} names {place}", file.path, number + 1));
            }
        }
    }
    check(&violations);
}

#[test]
fn the_npm_lock_file_names_no_registry() {
    let lock = super::read("package-lock.json");
    assert!(
        !lock.contains("\"resolved\": \"http"),
        "run npm with the .npmrc of the repository"
    );
}
