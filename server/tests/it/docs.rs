//! Runs every SQL block of the documents, from top to bottom, each page against a server of its own. A block marked
//! `sql error=CODE` must fail with that code.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Answer, TestNode};
use crate::package_folder;

/// A fenced block.
struct Block {
    line: usize,
    /// The code that it must fail with.
    error: Option<String>,
    sql: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let content: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let mut words = info.split_whitespace();
        if words.next() == Some("sql") {
            let error = words
                .find_map(|word| word.strip_prefix("error="))
                .map(str::to_owned);
            blocks.push(Block {
                line: number + 1,
                error,
                sql: content.join("\n"),
            });
        }
    }
    blocks
}

/// Every document with SQL.
fn documents() -> Vec<(PathBuf, Vec<Block>)> {
    let root = package_folder().parent().unwrap().to_owned();
    let mut paths = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let blocks = blocks(&fs::read_to_string(&path).unwrap());
        (path, blocks)
    };
    paths
        .into_iter()
        .map(read)
        .filter(|(_, blocks)| !blocks.is_empty())
        .collect()
}

/// Names and kinds of the metrics, in the server and in the document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_those_of_the_document() {
    let node = TestNode::start().await;
    node.sql_ok("root", "SELECT 1").await;
    let text = Answer::of(node.get("/metrics")).await.text().to_owned();
    node.stop().await;
    let served: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let path = package_folder().join("../docs/operations.md");
    let page = fs::read_to_string(path).unwrap();
    let documented: BTreeSet<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((name, rest.split_once(" | ")?.0))
        })
        .collect();
    assert_eq!(served, documented);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_of_the_documents_runs() {
    let documents = documents();
    assert!(documents.len() >= 3, "the documents moved");
    let mut failures = Vec::new();
    for (path, blocks) in documents {
        let node = TestNode::start().await;
        for block in blocks {
            let answer = node.post_sql("root", &json!({"sql": block.sql})).await;
            let code = answer["error"]["code"].as_str().map(str::to_owned);
            if code != block.error {
                let wanted = block.error.as_deref().unwrap_or("success");
                failures.push(format!(
                    "{}:{}: wanted {wanted}, got {}",
                    path.display(),
                    block.line,
                    answer["error"]
                ));
            }
        }
        node.stop().await;
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
