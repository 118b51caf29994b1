//! What `kalam_sql` evaluates itself equals what DataFusion gives for the same rows, or it says NotSimple; live queries
//! likewise, or they are refused.

use std::sync::Arc;

use kalam_link_core::{Role, UserId, Value, append_cell};
use kalam_model::{Caller, Namespace, SeqId, TableDef, TableId, Timestamp};
use kalam_sql::{ColumnScope, EvalContext, IdSource, LiveQuery, RowValues};
use serde_json::Value as Json;

use crate::plan_support::{Db, caller};

/// Expressions that are tried; `KALAM_PROPERTY_CASES` asks for more.
const CASES: u64 = 400;

/// Filters of live queries that are tried.
const FILTERS: u64 = 2_000;

const COLUMNS: &str = "id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, \
                       n DECIMAL(12,3), x TEXT, y TEXT, ts TIMESTAMP, da DATE, u UUID";

/// Forms of which a part may go unevaluated.
const MAY_SKIP: [&str; 7] = ["CASE", "AND", "OR", "NULL", "nullif", "coalesce", " IN "];

struct NoIds;

impl IdSource for NoIds {
    fn snowflake(&self, _: Timestamp) -> i64 {
        0
    }
    fn uuid_v7(&self, _: Timestamp) -> [u8; 16] {
        [0; 16]
    }
    fn ulid(&self, _: Timestamp) -> String {
        String::new()
    }
}

/// A small generator of numbers, so that a case is known by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Number,
    Text,
    Time,
    Day,
    Id,
}

const KINDS: [Kind; 6] = [
    Kind::Bool,
    Kind::Number,
    Kind::Text,
    Kind::Time,
    Kind::Day,
    Kind::Id,
];

fn expression(dice: &mut Dice, kind: Kind, depth: usize) -> String {
    if depth == 0 || dice.roll(5) == 0 {
        return leaf(dice, kind);
    }
    let depth = depth - 1;
    if dice.roll(8) == 0 {
        let (condition, a, b) = (
            expression(dice, Kind::Bool, depth),
            expression(dice, kind, depth),
            expression(dice, kind, depth),
        );
        return match dice.roll(4) {
            0 => format!("CASE WHEN {condition} THEN {a} ELSE {b} END"),
            1 => format!("CASE WHEN {condition} THEN {a} END"),
            2 => format!("coalesce({a}, {b})"),
            _ => format!("nullif({a}, {b})"),
        };
    }
    match kind {
        Kind::Bool => condition(dice, depth),
        Kind::Number => {
            let (a, b) = (
                expression(dice, Kind::Number, depth),
                expression(dice, Kind::Number, depth),
            );
            match dice.roll(8) {
                0 => format!("-({a})"),
                1 => format!("abs({a})"),
                2 => format!("length({})", expression(dice, Kind::Text, depth)),
                3 => format!(
                    "CAST({a} AS {})",
                    dice.pick(&["BIGINT", "DOUBLE", "INT", "SMALLINT", "DECIMAL(20,4)"])
                ),
                _ => format!("({a} {} {b})", dice.pick(&["+", "-", "*", "/", "%"])),
            }
        }
        Kind::Text => {
            let (a, b) = (
                expression(dice, Kind::Text, depth),
                expression(dice, Kind::Text, depth),
            );
            match dice.roll(5) {
                0 => format!("lower({a})"),
                1 => format!("upper({a})"),
                2 => format!("concat({a}, {b})"),
                3 => format!(
                    "CAST({} AS TEXT)",
                    dice.pick(&["i", "l", "b", "s", "da", "n", "5"])
                ),
                _ => format!("({a} || {b})"),
            }
        }
        Kind::Time | Kind::Day | Kind::Id => leaf(dice, kind),
    }
}

fn condition(dice: &mut Dice, depth: usize) -> String {
    let kind = KINDS[dice.roll(KINDS.len())];
    let operand = |dice: &mut Dice| expression(dice, kind, depth);
    let (a, b, c) = (operand(dice), operand(dice), operand(dice));
    match dice.roll(11) {
        0 => format!("({a} IS {}NULL)", dice.pick(&["", "NOT "])),
        1 => format!("({a} {}IN ({b}, {c}))", dice.pick(&["", "NOT "])),
        2 => format!("({a} {}BETWEEN {b} AND {c})", dice.pick(&["", "NOT "])),
        3 => {
            let text = expression(dice, Kind::Text, depth);
            let pattern = dice.pick(&[
                "'%a%'", "'_b'", "''", "'é%'", "'A%'", "'100\\%'", "NULL", "'%%'",
            ]);
            format!(
                "({text} {} {pattern})",
                dice.pick(&["LIKE", "NOT LIKE", "ILIKE"])
            )
        }
        4 => format!("(NOT {})", expression(dice, Kind::Bool, depth)),
        5 | 6 => {
            let (p, q) = (
                expression(dice, Kind::Bool, depth),
                expression(dice, Kind::Bool, depth),
            );
            format!("({p} {} {q})", dice.pick(&["AND", "OR"]))
        }
        7 => format!("({a} IS {}DISTINCT FROM {b})", dice.pick(&["", "NOT "])),
        8 => format!(
            "({} IS {})",
            expression(dice, Kind::Bool, depth),
            dice.pick(&["TRUE", "NOT FALSE", "UNKNOWN"])
        ),
        _ => format!(
            "({a} {} {b})",
            dice.pick(&["=", "<>", "<", "<=", ">", ">="])
        ),
    }
}

fn leaf(dice: &mut Dice, kind: Kind) -> String {
    dice.pick(match kind {
        Kind::Bool => &["b", "true", "false", "NULL", "b"],
        Kind::Number => &[
            "s",
            "i",
            "l",
            "f",
            "d",
            "n",
            "id",
            "0",
            "1",
            "-1",
            "7",
            "2147483647",
            "9223372036854775807",
            "1.5",
            "0.001",
            "-2.25",
            "NULL",
            "100000",
        ],
        Kind::Text => &[
            "x", "y", "''", "'a'", "'é'", "'AB'", "'100%'", "NULL", "'ß'", "'10'",
        ],
        Kind::Time => &[
            "ts",
            "'2025-01-02T03:04:05'",
            "TIMESTAMP '1969-12-31 23:59:59'",
            "ts",
            "NULL",
        ],
        Kind::Day => &["da", "'2025-01-02'", "DATE '1970-01-01'", "da"],
        Kind::Id => &[
            "u",
            "'0190163d-8694-739b-aea5-966c26f8ad90'",
            "'0190163D8694739BAEA5966C26F8AD90'",
            "u",
            "NULL",
        ],
    })
    .to_owned()
}

fn rows() -> Vec<Vec<Value>> {
    let pools: [&[Value]; 12] = [
        &[Value::Boolean(true), Value::Boolean(false)],
        &[
            Value::SmallInt(0),
            Value::SmallInt(-1),
            Value::SmallInt(i16::MAX),
            Value::SmallInt(7),
        ],
        &[
            Value::Int(0),
            Value::Int(1),
            Value::Int(i32::MIN),
            Value::Int(i32::MAX),
        ],
        &[
            Value::BigInt(0),
            Value::BigInt(7),
            Value::BigInt(i64::MIN),
            Value::BigInt(i64::MAX),
        ],
        &[
            Value::Float(0.0),
            Value::Float(1.5),
            Value::Float(f32::NAN),
            Value::Float(-3.25),
        ],
        &[
            Value::Double(0.0),
            Value::Double(0.1),
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::Double(-2.5),
        ],
        &[
            decimal("0.000"),
            decimal("1.500"),
            decimal("-999999999.999"),
            decimal("7.000"),
        ],
        &[
            text(""),
            text("a"),
            text("AB"),
            text("é"),
            text("ÉTÉ"),
            text("100%"),
            text("😀b"),
            text("ab"),
        ],
        &[text(""), text("b"), text("a"), text("ß"), text("10")],
        &[
            Value::Timestamp(0),
            Value::Timestamp(1_735_787_045_000_000),
            Value::Timestamp(-1),
        ],
        &[Value::Date(0), Value::Date(20_090), Value::Date(-719_162)],
        &[
            Value::Uuid([0; 16]),
            Value::Uuid(*b"\x01\x90\x16\x3d\x86\x94\x73\x9b\xae\xa5\x96\x6c\x26\xf8\xad\x90"),
        ],
    ];
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let row = |id: i32| {
        let cells = pools.iter().map(|pool| {
            if dice.roll(6) == 0 {
                Value::Null
            } else {
                pool[dice.roll(pool.len())].clone()
            }
        });
        [Value::Int(id)].into_iter().chain(cells).collect()
    };
    (1..=40).map(row).collect()
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn cell(value: &Value) -> Json {
    let mut json = Vec::new();
    append_cell(value, &mut json);
    serde_json::from_slice(&json).unwrap()
}

/// What the evaluator gives for each row, or nothing if the planner has to.
fn evaluated(
    sql: &str,
    table: &TableDef,
    rows: &[Vec<Value>],
) -> Option<Result<Vec<Json>, String>> {
    let ast = kalam_sql::parse_expr(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let expr = match kalam_sql::compile(&ast, &ColumnScope::Table { table, alias: None }) {
        Ok(expr) => expr,
        Err(kalam_sql::Error::NotSimple(_)) => return None,
        Err(error) => return Some(Err(error.to_string())),
    };
    let user = UserId::new("root").unwrap();
    let context = EvalContext {
        now: Timestamp(0),
        user: &user,
        params: &[],
        ids: &NoIds,
    };
    let values = rows.iter().map(|row| {
        expr.eval(&RowValues::new(row, SeqId(1)), &context)
            .map(|value| cell(&value))
    });
    Some(
        values
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string()),
    )
}

/// A table with the rows, behind DataFusion and as they are.
struct Filled {
    db: Db,
    root: Caller,
    table: Arc<TableDef>,
    rows: Vec<Vec<Value>>,
}

async fn filled() -> Filled {
    let db = Db::open();
    let root = caller("root", Role::System);
    db.run(
        &root,
        &format!("CREATE NAMESPACE p; CREATE SHARED TABLE p.t ({COLUMNS})"),
    )
    .await;
    let rows = rows();
    let places = (1..=13)
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ");
    for row in &rows {
        let params = row.iter().map(cell).collect::<Vec<_>>();
        db.rows_with(
            &root,
            &format!("INSERT INTO p.t VALUES ({places})"),
            &params,
        )
        .await;
    }
    let id = TableId::new(Namespace::new("p").unwrap(), "t").unwrap();
    let table = db.engine.catalog().table(&id).unwrap().def.clone();
    Filled {
        db,
        root,
        table,
        rows,
    }
}

fn cases(usually: u64) -> u64 {
    std::env::var("KALAM_PROPERTY_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usually)
}

fn check_none(mismatches: &[String]) {
    assert!(
        mismatches.is_empty(),
        "{} mismatches:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_equal_those_of_datafusion_or_are_not_simple() {
    let Filled {
        db,
        root,
        table,
        rows,
    } = filled().await;
    let cases = cases(CASES);
    let (mut simple, mut mismatches) = (0, Vec::new());
    for seed in 1..=cases {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let kind = KINDS[dice.roll(KINDS.len()).min(2)];
        let sql = expression(&mut dice, kind, 3);
        let Some(own) = evaluated(&sql, &table, &rows) else {
            continue;
        };
        simple += 1;
        let planned = db
            .ask(
                &root,
                &format!("SELECT id, {sql} AS v FROM p.t WHERE _seq > 0 ORDER BY id"),
                &[],
            )
            .await;
        match (own, planned) {
            (Ok(own), Ok(reply)) => {
                let planned: Vec<(i32, Json)> = serde_json::from_str(&reply.rows).unwrap();
                for ((row, own), (_, planned)) in rows.iter().zip(&own).zip(&planned) {
                    // DataFusion simplifies some IN lists to false where they are NULL: the same to a filter.
                    let as_filter = sql.contains(" IN ") && own.is_null() && *planned == false;
                    if own != planned && !as_filter {
                        mismatches.push(format!(
                            "{sql}\n  own {own}, DataFusion {planned} for {row:?}"
                        ));
                        break;
                    }
                }
            }
            // One side may meet an error where the other need not look: in a branch that is not taken, or beside a NULL
            // that decides the result.
            (Err(_), _) | (_, Err(_)) if MAY_SKIP.iter().any(|word| sql.contains(word)) => {}
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => {
                mismatches.push(format!("{sql}\n  own works, DataFusion: {}", error.message))
            }
            (Err(own), Ok(_)) => mismatches.push(format!("{sql}\n  DataFusion works, own: {own}")),
        }
    }
    println!("{simple} of {cases} expressions were simple");
    assert!(
        simple * 3 > cases,
        "only {simple} of {cases} expressions were simple"
    );
    check_none(&mismatches);
}

/// The ids of the rows that a live query has, in its order.
fn subscribed(query: &LiveQuery, rows: &[Vec<Value>]) -> Result<Vec<Json>, String> {
    let mut found = Vec::new();
    for row in rows {
        let matches = query
            .predicate
            .as_ref()
            .map_or(Ok(true), |predicate| predicate.matches(row, SeqId(1)));
        if matches.map_err(|error| error.to_string())? {
            found.push(row.as_slice());
        }
    }
    found.sort_by(|a, b| query.compare((*a, SeqId(1)), (*b, SeqId(1))));
    Ok(found.into_iter().map(|row| cell(&row[0])).collect())
}

/// A random order; the key makes it total.
fn order(dice: &mut Dice) -> String {
    let mut terms = String::new();
    for _ in 0..dice.roll(3) {
        let column = dice.pick(&["b", "s", "i", "l", "f", "d", "n", "x", "y", "ts", "da", "u"]);
        let direction = dice.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        terms.push_str(&format!("{column}{direction}, "));
    }
    format!("{terms}id")
}

#[tokio::test(flavor = "multi_thread")]
async fn live_queries_have_the_rows_that_datafusion_gives_or_are_refused() {
    let Filled {
        db,
        root,
        table,
        rows,
    } = filled().await;
    let cases = cases(FILTERS);
    let (mut taken, mut mismatches) = (0, Vec::new());
    for seed in 1..=cases {
        let mut dice = Dice(seed.wrapping_mul(0xD1B5_4A32_D192_ED03) | 1);
        let filter = expression(&mut dice, Kind::Bool, 3);
        let order = order(&mut dice);
        let live = format!("SELECT * FROM p.t WHERE {filter} ORDER BY {order}");
        let bound = kalam_sql::parse_subscription(&live)
            .and_then(|parsed| parsed.bind(&table, &[], &root.user));
        let Ok(query) = bound else { continue };
        taken += 1;
        let select = format!("SELECT id FROM p.t WHERE ({filter}) AND _seq > 0 ORDER BY {order}");
        match (subscribed(&query, &rows), db.ask(&root, &select, &[]).await) {
            (Ok(own), Ok(reply)) => {
                let planned: Vec<(Json,)> = serde_json::from_str(&reply.rows).unwrap();
                let planned: Vec<Json> = planned.into_iter().map(|(id,)| id).collect();
                if own != planned {
                    mismatches.push(format!("{live}\n  own {own:?}\n  DataFusion {planned:?}"));
                }
            }
            // As above: what one of them need not look at. An error ends the live query; it shows no wrong rows.
            (Err(_), _) | (_, Err(_)) if MAY_SKIP.iter().any(|word| filter.contains(word)) => {}
            // DataFusion takes a cast of a column off and compares with the constant in the column's type.
            (Err(_), Ok(_)) if filter.contains("CAST") => {}
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => {
                mismatches.push(format!(
                    "{live}\n  own works, DataFusion: {}",
                    error.message
                ));
            }
            (Err(own), Ok(_)) => {
                mismatches.push(format!("{live}\n  DataFusion works, own: {own}"));
            }
        }
    }
    println!("{taken} of {cases} filters were taken");
    assert!(
        taken * 3 > cases,
        "only {taken} of {cases} filters were taken"
    );
    check_none(&mismatches);
}
