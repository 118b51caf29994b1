//! Rules that hold for every file of the repository: who imports whom, how long a file may be, which tests and which
//! pages must exist. `docs/architecture.md` and `docs/style.md` give the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kalam_link_core::message::LiveErrorCode;
use kalam_model::ErrorCode;

mod docs;
mod imports;
mod sources;

const SOURCE_LINES_MAX: usize = 800;

/// Folders without files of ours.
const SKIPPED_FOLDERS: [&str; 7] = [
    ".git",
    "target",
    "node_modules",
    "dist",
    "pkg",
    "data",
    "snapshots",
];

/// Asked at run time: a test that was compiled in another clone must not read that clone's files.
fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is two folders up")
}

/// A text file of the repository.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Every file with one of these extensions (or exact names), in order of path.
fn files(wanted: &[&str]) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository is readable") {
            let path = entry
                .expect("a folder of the repository is readable")
                .path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    folders.push(path);
                }
                continue;
            }
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            if !wanted.iter().any(|w| *w == extension || *w == name) {
                continue;
            }
            if let Ok(text) = fs::read_to_string(&path) {
                let relative = path
                    .strip_prefix(&root)
                    .expect("the walk begins at the root");
                found.push(File {
                    path: relative.to_string_lossy().replace('\\', "/"),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with every violation, not only the first.
fn check(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_invariant_has_a_test_of_its_name() {
    let stated: BTreeSet<u32> = read("docs/architecture.md")
        .lines()
        .filter_map(|line| line.strip_prefix("- **I")?.split_once("**")?.0.parse().ok())
        .collect();
    assert_eq!(
        stated,
        (1..=13).collect(),
        "docs/architecture.md states each invariant as `- **In** …`"
    );

    let mut tested = BTreeSet::new();
    for file in files(&["rs"]) {
        for line in file.text.lines() {
            let name = line
                .trim_start()
                .trim_start_matches("async ")
                .strip_prefix("fn i");
            if let Some((number, _)) = name.and_then(|name| name.split_once('_')) {
                tested.extend(number.parse::<u32>());
            }
        }
    }
    let violations: Vec<String> = stated
        .difference(&tested)
        .map(|number| format!("I{number} has no test named `i{number}_…`"))
        .collect();
    check(&violations);
}

#[test]
fn cargo_lock_has_one_copy_of_what_datafusion_pins() {
    let lock = read("Cargo.lock");
    let mut violations = Vec::new();
    for name in [
        "sqlparser",
        "arrow",
        "parquet",
        "object_store",
        "datafusion",
    ] {
        let line = format!("name = \"{name}\"");
        let copies = lock.lines().filter(|found| **found == line).count();
        if copies != 1 {
            violations.push(format!("Cargo.lock has {copies} copies of {name}"));
        }
    }
    check(&violations);
}

/// The page of error codes: what HTTP answers, and what the socket says.
fn pages_of_errors(page: &str) -> (String, &str) {
    let start = page
        .find("\n## The WebSocket\n")
        .expect("docs/reference/errors.md has the codes of the WebSocket");
    let (before, section) = page.split_at(start);
    let end = section[1..]
        .find("\n## ")
        .map_or(section.len(), |end| end + 1);
    let (section, after) = section.split_at(end);
    (format!("{before}{after}"), section)
}

/// Codes in tables, each with the cell after it.
fn documented(page: &str) -> BTreeMap<&str, &str> {
    page.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.strip_suffix('`')?, cells.next()?))
        })
        .collect()
}

#[test]
fn every_error_code_is_documented_with_its_status() {
    let page = read("docs/reference/errors.md");
    let (page, _) = pages_of_errors(&page);
    let documented = documented(&page);
    let mut violations = Vec::new();
    for code in ErrorCode::ALL {
        let status = code.http_status().to_string();
        if documented.get(code.as_str()) != Some(&status.as_str()) {
            violations.push(format!(
                "docs/reference/errors.md lacks a row `| `{code}` | {status} | …`"
            ));
        }
    }
    for code in documented.keys() {
        if !ErrorCode::ALL.iter().any(|known| known.as_str() == *code) {
            violations.push(format!(
                "docs/reference/errors.md has {code}, which does not exist"
            ));
        }
    }
    check(&violations);
}

#[test]
fn every_error_code_of_the_socket_is_documented() {
    let page = read("docs/reference/errors.md");
    let (_, section) = pages_of_errors(&page);
    let documented: BTreeSet<&str> = documented(section).into_keys().collect();
    let known: BTreeSet<&str> = LiveErrorCode::ALL
        .iter()
        .map(|code| code.as_str())
        .collect();
    let violations: Vec<String> = known
        .symmetric_difference(&documented)
        .map(|code| {
            format!("docs/reference/errors.md, the WebSocket: {code} is missing or unknown")
        })
        .collect();
    check(&violations);
}
