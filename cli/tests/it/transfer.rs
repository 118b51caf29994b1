//! Import and export: equal rows back, refused rows named, and nothing lost or doubled when it ends in the middle.

use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use kalam_link::{Json, json};

use crate::node::{Node, Ran};

const FORMATS: [&str; 3] = ["csv", "ndjson", "parquet"];

const COLUMNS: &str = "id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, \
    n DECIMAL(38, 3), t TEXT, v VARCHAR(10), ts TIMESTAMP, dt DATETIME, day DATE, clock TIME, j JSON, raw BYTES, u UUID, \
    e EMBEDDING(2)";

fn rows_of_all_types() -> Vec<Vec<Json>> {
    let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let nulls = vec![Json::Null; 17];
    let mut rows = vec![
        json!([
            true,
            -3,
            70_000,
            "9007199254740993",
            0.1,
            0.1,
            "12345.678",
            "text",
            "ten chars!",
            1_769_862_600_250_000_i64,
            1_769_862_600_000_000_i64,
            20_484,
            45_000_250_000_i64,
            "{\"a\": [1, 2.50]}",
            [0, 255, 10],
            uuid,
            [0.5, -1]
        ]),
        json!([
            false,
            i16::MIN,
            i32::MIN,
            i64::MIN.to_string(),
            "-Infinity",
            "-Infinity",
            "-99999999999999999999999999999999999.999",
            "",
            "",
            i64::MIN,
            i64::MIN,
            i32::MIN,
            0,
            "null",
            [],
            uuid,
            ["-Infinity", "NaN"]
        ]),
        json!([
            true,
            i16::MAX,
            i32::MAX,
            i64::MAX.to_string(),
            "NaN",
            "NaN",
            "99999999999999999999999999999999999.999",
            "🦀 \"q\", ;\r\n\t\\ \u{fffd}\u{202e}x",
            "🦀🦀",
            i64::MAX,
            i64::MAX,
            i32::MAX,
            86_399_999_999_i64,
            "\"NULL\"",
            [34, 44, 13, 10],
            uuid,
            [3.402_823_5e38, 1e-45]
        ]),
        json!([
            null,
            0,
            0,
            "0",
            f32::MIN_POSITIVE,
            f64::MIN_POSITIVE,
            "0.000",
            "NULL",
            " ",
            0,
            0,
            0,
            1,
            "[]",
            [0],
            "00000000-0000-0000-0000-000000000000",
            [0, "Infinity"]
        ]),
        json!([
            true,
            1,
            1,
            "1",
            16_777_216,
            f64::MAX,
            "0.001",
            "\u{feff}a\nb",
            ",",
            -1,
            -1,
            -1,
            1,
            "1e2",
            [1],
            uuid,
            [0.1, 0.2]
        ]),
    ];
    rows.push(Json::from(nulls));
    rows.into_iter()
        .map(|row| row.as_array().unwrap().clone())
        .collect()
}

async fn with_all_types() -> Node {
    let node = Node::start();
    node.rows("CREATE NAMESPACE io").await;
    for table in ["source", "csv", "ndjson", "parquet"] {
        node.rows(&format!("CREATE SHARED TABLE io.{table} ({COLUMNS})"))
            .await;
    }
    for (id, mut row) in rows_of_all_types().into_iter().enumerate() {
        row.insert(0, json!(id));
        let numbers: Vec<String> = (1..=row.len()).map(|number| format!("${number}")).collect();
        let sql = format!("INSERT INTO io.source VALUES ({})", numbers.join(", "));
        node.client.query(sql, &row).await.unwrap();
    }
    node
}

#[tokio::test]
async fn rows_of_every_type_come_back_equal_in_every_format() {
    let node = with_all_types().await;
    let expected = node.rows("SELECT * FROM io.source ORDER BY id").await;
    assert_eq!(expected.len(), 6);
    for format in FORMATS {
        let file = format!("rows.{format}");
        let exported = node.run(&["export", "io.source", "--to", &file]).ok();
        assert!(
            exported.stderr.starts_with("exported 6 rows"),
            "{exported:?}"
        );
        assert_eq!(exported.stdout, "");
        let table = format!("io.{format}");
        let imported = node.run(&["import", &file, "--into", &table]).ok();
        assert!(
            imported.stderr.starts_with("imported 6 rows"),
            "{imported:?}"
        );
        let found = node
            .rows(&format!("SELECT * FROM {table} ORDER BY id"))
            .await;
        assert_eq!(found, expected, "{format}");
    }
}

#[tokio::test]
async fn ndjson_has_the_cells_of_the_protocol() {
    let node = with_all_types().await;
    let sql = "SELECT * FROM io.source ORDER BY id";
    let exported = node
        .run(&["export", "--query", sql, "--format", "ndjson"])
        .ok();
    let expected = node.rows(sql).await;
    let lines: Vec<Vec<Json>> = exported
        .stdout
        .lines()
        .map(|line| {
            let object: serde_json::Map<String, Json> = serde_json::from_str(line).unwrap();
            let names = COLUMNS.split(", ").filter(|part| part.contains(' '));
            let names = names.map(|part| part.split_whitespace().next().unwrap());
            names.map(|name| object[name].clone()).collect()
        })
        .collect();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn refused_rows_are_named_and_the_others_are_in() {
    let node = Node::start();
    node.rows("CREATE NAMESPACE io; CREATE SHARED TABLE io.t (id INT PRIMARY KEY, v VARCHAR(5))")
        .await;
    let text = "id,v\n1,one\n2\n3,\"three\nlines\"\nx,four\n5,much too long\n1,again\n6,\"\"\n7,\n8,a\"b\n";
    std::fs::write(node.path("in.csv"), text).unwrap();
    let ran = node.run(&[
        "import",
        "in.csv",
        "--into",
        "io.t",
        "--rejects",
        "refused.ndjson",
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("imported 3 rows into io.t, 6 refused"),
        "{ran:?}"
    );
    let refused = std::fs::read_to_string(node.path("refused.ndjson")).unwrap();
    let refused: Vec<Json> = refused
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<(u64, &str)> = refused
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["reason"].as_str().unwrap(),
            )
        })
        .collect();
    for ((line, reason), (expected, part)) in said.iter().zip([
        (3, "1 fields instead of 2"),
        (4, "VARCHAR"),
        (6, "field 1"),
        (7, "VARCHAR"),
        (8, "CONSTRAINT_VIOLATION"),
        (11, "quote"),
    ]) {
        assert_eq!(*line, expected, "{said:?}");
        assert!(part == "VARCHAR" || reason.contains(part), "{reason}");
        assert!(ran.stderr.contains(&format!("line {line}: ")), "{ran:?}");
    }
    assert_eq!(said.len(), 6, "{said:?}");
    let found = node.rows("SELECT id, v FROM io.t ORDER BY id").await;
    assert_eq!(json!(found), json!([[1, "one"], [6, ""], [7, null]]));

    let ran = node.run(&["import", "in.csv", "--into", "io.t", "--max-rejects", "0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("--max-rejects 0"), "{ran:?}");
}

#[tokio::test]
async fn a_conflict_is_what_the_user_says() {
    let node = Node::start();
    node.rows("CREATE NAMESPACE io; CREATE SHARED TABLE io.t (id INT PRIMARY KEY, v TEXT); INSERT INTO io.t VALUES (1, 'old')").await;
    std::fs::write(
        node.path("in.ndjson"),
        "{\"id\":1,\"v\":\"new\"}\n[2,\"two\"]\n",
    )
    .unwrap();
    let import = ["import", "in.ndjson", "--into", "io.t", "--on-conflict"];
    let ran = node.run(&[&import[..], &["nothing"]].concat()).ok();
    assert!(
        ran.stderr
            .contains("imported 1 row into io.t, 1 were there already"),
        "{ran:?}"
    );
    let rows = node.rows("SELECT * FROM io.t ORDER BY id").await;
    assert_eq!(json!(rows), json!([[1, "old"], [2, "two"]]));
    node.run(&[&import[..], &["update"]].concat()).ok();
    let rows = node.rows("SELECT * FROM io.t ORDER BY id").await;
    assert_eq!(json!(rows), json!([[1, "new"], [2, "two"]]));
}

#[tokio::test]
async fn a_failed_export_leaves_no_file() {
    let node = Node::start();
    let ran = node.run(&["export", "no.table", "--to", "out.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let query = "SELECT 1 / (n - 1) FROM (VALUES (1)) AS t(n)";
    let ran = node.run(&["export", "--query", query, "--to", "out.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!node.path("out.csv").exists());
    let empty = node
        .run(&["export", "--query", "SELECT 1 AS a WHERE false"])
        .ok();
    assert_eq!(empty.stdout, "a\n");
}

/// 20,000, or what KALAM_TRANSFER_ROWS says.
fn row_count() -> usize {
    let wanted = std::env::var("KALAM_TRANSFER_ROWS");
    wanted.map_or(20_000, |text| text.parse().expect("a number of rows"))
}

fn line(id: usize) -> String {
    format!("{id},{},\"row, {id}\"\n", id * 7 % 1000)
}

async fn with_file() -> Node {
    let node = Node::start();
    node.rows(
        "CREATE NAMESPACE io; CREATE SHARED TABLE io.t (id BIGINT PRIMARY KEY, n INT, body TEXT)",
    )
    .await;
    let mut text = "id,n,body\n".to_owned();
    for id in 0..row_count() {
        text.write_str(&line(id)).unwrap();
    }
    std::fs::write(node.path("in.csv"), text).unwrap();
    node
}

const CHECKSUM: &str = "SELECT count(*), sum(id), sum(id * n), sum(length(body)) FROM io.t";

async fn assert_all_there(node: &Node) {
    let ids = 0..row_count() as u128;
    let sums = ids.fold([0_u128; 4], |[count, sum, products, lengths], id| {
        let body = format!("row, {id}").len() as u128;
        [
            count + 1,
            sum + id,
            products + id * (id * 7 % 1000),
            lengths + body,
        ]
    });
    let found = node.rows(CHECKSUM).await.remove(0);
    let found: Vec<u128> = found
        .iter()
        .map(|cell| cell.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(found, sums);
    node.run(&[
        "export",
        "--query",
        "SELECT * FROM io.t ORDER BY id",
        "--to",
        "out.csv",
    ])
    .ok();
    let written = std::fs::read_to_string(node.path("out.csv")).unwrap();
    let read = std::fs::read_to_string(node.path("in.csv")).unwrap();
    assert!(written == read, "the export differs from what was imported");
}

fn state(node: &Node) -> Option<Json> {
    let bytes = std::fs::read(node.path("in.csv.import-state")).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// An import that has written some batches and has many to go.
fn in_the_middle(node: &Node) -> Child {
    let batch = (row_count() / 1000).max(1).to_string();
    let arguments = [
        "import",
        "in.csv",
        "--into",
        "io.t",
        "--batch-rows",
        &batch,
        "--in-flight",
        "3",
    ];
    let mut child = node
        .kalam(&arguments)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while state(node).is_none_or(|state| state["batches"].as_u64().unwrap() == 0) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be stopped"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn resume(node: &Node) -> Ran {
    let batch = (row_count() / 1000).max(1).to_string();
    node.run(&[
        "import",
        "in.csv",
        "--into",
        "io.t",
        "--batch-rows",
        &batch,
        "--resume",
    ])
}

#[tokio::test]
async fn a_killed_import_is_resumed_without_loss_or_doubles() {
    let node = with_file().await;
    let mut child = in_the_middle(&node);
    child.kill().unwrap();
    child.wait().unwrap();
    let saved = state(&node).expect("the state outlives the program");
    assert!(saved["rows"].as_u64().unwrap() < row_count() as u64);

    let again = node.run(&["import", "in.csv", "--into", "io.t"]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("was broken off") && again.stderr.contains("--resume"),
        "{again:?}"
    );
    let other = node.run(&[
        "import",
        "in.csv",
        "--into",
        "io.t",
        "--batch-rows",
        "7",
        "--resume",
    ]);
    assert!(other.stderr.contains("another --batch-rows"), "{other:?}");

    let resumed = resume(&node).ok();
    let all = format!("imported {} rows into io.t in ", row_count());
    assert!(resumed.stderr.starts_with(&all), "{resumed:?}");
    assert_eq!(state(&node), None);
    assert_all_there(&node).await;
}

#[tokio::test]
async fn an_interrupted_import_says_what_is_in() {
    let node = with_file().await;
    let child = in_the_middle(&node);
    let id = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let rows = state(&node).unwrap()["rows"].as_u64().unwrap();
    let said = format!("interrupted: imported {rows} rows into io.t in ");
    assert!(ran.stderr.starts_with(&said), "{ran:?}");
    assert!(
        ran.stderr
            .contains(&format!("up to line {} is dealt with", rows + 1)),
        "{ran:?}"
    );
    let found = node.rows("SELECT count(*) FROM io.t").await;
    assert_eq!(
        found[0][0],
        json!(rows.to_string()),
        "what it says is what is in"
    );
    resume(&node).ok();
    assert_all_there(&node).await;
}
