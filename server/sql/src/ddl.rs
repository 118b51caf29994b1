//! Namespaces, tables and views. Read by hand from the tokens: sqlparser knows hundreds of clauses here that would
//! have to be refused, and not ours.

use std::collections::BTreeSet;

use kalam_model::name::check_new_identifier;
use kalam_model::{AccessLevel, DataType, Namespace, TableKind, WriteLevel};
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use crate::dialect::call_without_arguments;
use crate::error::Error;
use crate::input::Input;
use crate::options;
use crate::parse::{check_query_rereadable, check_rereadable};
use crate::query::{check_constant, check_query, check_stored};
use crate::statement::{
    AlterTable, CreateTable, CreateView, IfExists, NewColumn, NewOptions, Statement, TableRef,
};
use crate::types::column_type;

/// Columns of one table.
pub const COLUMNS_MAX: usize = 1_000;

/// After `CREATE NAMESPACE`.
pub(crate) fn create_namespace(input: &mut Input<'_>) -> Result<Statement, Error> {
    let if_exists = input.if_not_exists();
    let name = input.name("the name of a namespace")?;
    Namespace::new_for_user(&name)?;
    Ok(Statement::CreateNamespace { name, if_exists })
}

/// After `ALTER NAMESPACE`.
pub(crate) fn alter_namespace(input: &mut Input<'_>) -> Result<Statement, Error> {
    let name = input.name("the name of a namespace")?;
    input.expect("SET")?;
    if input.is("OPTIONS") {
        return Err(Error::Replaced {
            what: "ALTER NAMESPACE … SET OPTIONS",
            hint: "write ALTER NAMESPACE ns SET DESCRIPTION 'text'",
        });
    }
    input.expect("DESCRIPTION")?;
    if input.eat("NULL") {
        return Ok(Statement::AlterNamespace {
            name,
            description: None,
        });
    }
    let description = Some(input.string("a description")?);
    Ok(Statement::AlterNamespace { name, description })
}

/// After `DROP NAMESPACE`.
pub(crate) fn drop_namespace(input: &mut Input<'_>) -> Result<Statement, Error> {
    let if_exists = input.if_exists();
    let name = input.name("the name of a namespace")?;
    let cascade = input.eat("CASCADE");
    Ok(Statement::DropNamespace {
        name,
        if_exists,
        cascade,
    })
}

/// After `CREATE [kind] TABLE`.
pub(crate) fn create_table(
    input: &mut Input<'_>,
    kind: Option<TableKind>,
) -> Result<Statement, Error> {
    let if_exists = input.if_not_exists();
    let table = input.new_table("the name of a table")?;
    if input.is("AS") || input.is("LIKE") || input.is("CLONE") {
        let word = input.word(0).unwrap_or_default();
        return Err(Error::unsupported(format!("CREATE TABLE … {word}")));
    }
    input.expect_token(&Token::LParen)?;
    let mut columns = Columns::default();
    input.comma_separated(|input| columns.read_element(input))?;
    input.expect_token(&Token::RParen)?;
    let (written_kind, options) = if input.eat("WITH") {
        options::create_options(input)?
    } else {
        (None, NewOptions::default())
    };
    options::refuse_old_suffix(input)?;
    let kind = match (kind, written_kind) {
        (Some(kind), Some(other)) if kind != other => {
            return Err(Error::invalid(format!(
                "CREATE {kind} TABLE contradicts TYPE='{other}'"
            )));
        }
        (kind, written_kind) => kind.or(written_kind).unwrap_or(TableKind::User),
    };
    check_options(kind, &options)?;
    if kind == TableKind::Stream && options.ttl_seconds.is_none() {
        return Err(Error::Invalid {
            message: "a STREAM table needs TTL_SECONDS".to_owned(),
            hint: Some("add WITH (TTL_SECONDS=30)"),
        });
    }
    let (columns, primary_key) = columns.finish(kind)?;
    let table = CreateTable {
        table,
        if_exists,
        kind,
        columns,
        primary_key,
        options,
    };
    Ok(Statement::CreateTable(Box::new(table)))
}

/// Refuses options that mean nothing for a table of that kind. For ALTER TABLE, whose text does not say the kind.
pub fn check_options(kind: TableKind, options: &NewOptions) -> Result<(), Error> {
    let refuse = |present: bool, option: &str| match present {
        true => Err(Error::OptionValue {
            option: option.to_owned(),
            reason: format!("it has no meaning for a {kind} table"),
        }),
        false => Ok(()),
    };
    let NewOptions {
        storage_id: _,
        flush_policy,
        deleted_retention_hours: _,
        ttl_seconds,
        access_level,
        write_level,
        use_user_storage,
    } = options;
    let is_stream = kind == TableKind::Stream;
    refuse(ttl_seconds.is_some() && !is_stream, "TTL_SECONDS")?;
    refuse(flush_policy.is_some() && is_stream, "FLUSH_POLICY")?;
    refuse(
        *write_level == Some(WriteLevel::Public) && kind != TableKind::Shared,
        "WRITE_LEVEL",
    )?;
    refuse(
        *use_user_storage == Some(true) && kind != TableKind::User,
        "USE_USER_STORAGE",
    )?;
    let is_meant = match (kind, access_level) {
        (TableKind::Shared, _) | (_, None | Some(AccessLevel::Private)) => true,
        (TableKind::Stream, Some(level)) => *level == AccessLevel::Public,
        (TableKind::User, Some(_)) => false,
    };
    refuse(!is_meant, "ACCESS_LEVEL")
}

/// What stands between the parentheses of CREATE TABLE.
#[derive(Default)]
struct Columns {
    columns: Vec<NewColumn>,
    primary_key: Option<Vec<String>>,
}

impl Columns {
    fn read_element(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        if input.is("PRIMARY KEY") {
            input.expect("PRIMARY KEY")?;
            input.expect_token(&Token::LParen)?;
            let names = input.comma_separated(|input| input.name("the name of a column"))?;
            input.expect_token(&Token::RParen)?;
            return self.set_primary_key(names);
        }
        if let Some(constraint) = table_constraint(input) {
            return Err(Error::unsupported(constraint));
        }
        let column = column(input)?;
        if column.is_key {
            self.set_primary_key(vec![column.column.name.clone()])?;
        }
        if self
            .columns
            .iter()
            .any(|other| other.name == column.column.name)
        {
            return Err(Error::invalid(format!(
                "column '{}' is named twice",
                column.column.name
            )));
        }
        if self.columns.len() == COLUMNS_MAX {
            return Err(Error::TooMany {
                what: "columns",
                max: COLUMNS_MAX,
            });
        }
        self.columns.push(column.column);
        Ok(())
    }

    fn set_primary_key(&mut self, names: Vec<String>) -> Result<(), Error> {
        match self.primary_key.replace(names) {
            None => Ok(()),
            Some(_) => Err(Error::Invalid {
                message: "a table has one PRIMARY KEY".to_owned(),
                hint: Some("a key of several columns is written PRIMARY KEY (a, b)"),
            }),
        }
    }

    fn finish(mut self, kind: TableKind) -> Result<(Vec<NewColumn>, Vec<String>), Error> {
        let primary_key = self.primary_key.unwrap_or_default();
        if primary_key.is_empty() && kind != TableKind::Stream {
            return Err(Error::Invalid {
                message: format!("a {kind} table needs a PRIMARY KEY"),
                hint: Some("for example id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()"),
            });
        }
        let mut seen = BTreeSet::new();
        for name in &primary_key {
            if !seen.insert(name) {
                return Err(Error::invalid(format!(
                    "column '{name}' is named twice in PRIMARY KEY"
                )));
            }
            match self.columns.iter_mut().find(|column| column.name == *name) {
                Some(column) => column.nullable = false,
                None => {
                    return Err(Error::UnknownColumn {
                        column: name.clone(),
                    });
                }
            }
        }
        Ok((self.columns, primary_key))
    }
}

/// The name of a constraint that is not there, if one comes next; a column may have such a name as well.
fn table_constraint(input: &Input<'_>) -> Option<String> {
    let constraint = [
        "CONSTRAINT",
        "FOREIGN KEY",
        "UNIQUE",
        "CHECK",
        "INDEX",
        "KEY",
        "EXCLUDE",
        "LIKE",
    ]
    .into_iter()
    .find(|words| input.is(words))?;
    let after = &input
        .parser
        .peek_nth_token_ref(constraint.split(' ').count())
        .token;
    // A column is followed by its type: a word, as the name of a constraint, but never a parenthesis.
    let is_constraint = match constraint {
        "CONSTRAINT" => {
            let is_key = || input.parser.peek_nth_token_ref(4).token == Token::LParen;
            match input.word(2).as_deref() {
                Some("UNIQUE" | "CHECK" | "FOREIGN" | "EXCLUDE") => true,
                Some("PRIMARY") => is_key(),
                _ => false,
            }
        }
        "FOREIGN KEY" => true,
        _ => *after == Token::LParen,
    };
    is_constraint.then(|| constraint.to_owned())
}

struct ReadColumn {
    column: NewColumn,
    is_key: bool,
}

/// `name TYPE clause…`, as in CREATE TABLE and ADD COLUMN.
fn column(input: &mut Input<'_>) -> Result<ReadColumn, Error> {
    let name = input.new_name("the name of a column")?;
    let (data_type, max_chars) = data_type(input)?;
    let mut clauses = Clauses::default();
    while clauses.read(input)? {}
    let Clauses {
        nullable,
        default,
        is_key,
        is_generated,
    } = clauses;
    if is_key && nullable == Some(true) {
        return Err(Error::invalid(format!(
            "column '{name}' cannot be NULL and PRIMARY KEY"
        )));
    }
    if is_generated && data_type != DataType::BigInt {
        return Err(Error::Invalid {
            message: format!("column '{name}' must be BIGINT to be generated"),
            hint: Some("generated numbers come from SNOWFLAKE_ID() and need 64 bits"),
        });
    }
    let nullable = nullable.unwrap_or(true) && !is_key;
    Ok(ReadColumn {
        column: NewColumn {
            name,
            data_type,
            max_chars,
            nullable,
            default,
        },
        is_key,
    })
}

fn data_type(input: &mut Input<'_>) -> Result<(DataType, Option<u32>), Error> {
    if !matches!(input.token(), Token::Word(_)) {
        return Err(input.expected("the type of a column"));
    }
    let written = input.parser.parse_data_type();
    let column = column_type(&input.lift(written)?)?;
    Ok((column.data_type, column.max_chars))
}

/// What may follow the type of a column, each at most once.
#[derive(Default)]
struct Clauses {
    nullable: Option<bool>,
    default: Option<Expr>,
    is_key: bool,
    is_generated: bool,
}

impl Clauses {
    /// Reads one clause; false if none comes next.
    fn read(&mut self, input: &mut Input<'_>) -> Result<bool, Error> {
        if input.eat("PRIMARY KEY") {
            once(!self.is_key, "PRIMARY KEY")?;
            self.is_key = true;
        } else if input.eat("NOT NULL") {
            once(self.nullable.is_none(), "NULL or NOT NULL")?;
            self.nullable = Some(false);
        } else if input.eat("NULL") {
            once(self.nullable.is_none(), "NULL or NOT NULL")?;
            self.nullable = Some(true);
        } else if input.eat("DEFAULT") {
            self.set_default(default(input)?)?;
        } else if input.eat("AUTO_INCREMENT") || input.eat("AUTOINCREMENT") {
            self.generate()?;
        } else if input.eat("GENERATED") {
            if !input.eat("ALWAYS") {
                input.expect("BY DEFAULT")?;
            }
            input.expect("AS")?;
            input.expect("IDENTITY")?;
            if *input.token() == Token::LParen {
                return Err(Error::unsupported("options of IDENTITY"));
            }
            self.generate()?;
        } else if let Some(clause) = unknown_clause(input) {
            return Err(Error::unsupported(clause));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn generate(&mut self) -> Result<(), Error> {
        self.is_generated = true;
        let name = sqlparser::ast::Ident::new("SNOWFLAKE_ID");
        self.set_default(Expr::Function(call_without_arguments(name.into())))
    }

    fn set_default(&mut self, default: Expr) -> Result<(), Error> {
        once(self.default.is_none(), "DEFAULT")?;
        self.default = Some(default);
        Ok(())
    }
}

fn once(is_first: bool, clause: &str) -> Result<(), Error> {
    if is_first {
        Ok(())
    } else {
        Err(Error::invalid(format!("{clause} is written twice")))
    }
}

fn default(input: &mut Input<'_>) -> Result<Expr, Error> {
    let mut expr = input.expr()?;
    check_constant(&mut expr)?;
    check_rereadable(&expr)?;
    Ok(expr)
}

/// A clause of other databases, for a better message than that something unexpected was found.
fn unknown_clause(input: &Input<'_>) -> Option<String> {
    const KNOWN: [&str; 14] = [
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "CONSTRAINT",
        "COLLATE",
        "COMMENT",
        "ON UPDATE",
        "CHARACTER SET",
        "STORED",
        "VIRTUAL",
        "AS",
        "IDENTITY",
        "KEY",
        "INVISIBLE",
    ];
    KNOWN
        .into_iter()
        .find(|words| input.is(words))
        .map(|words| format!("{words} of a column"))
}

/// After `ALTER TABLE`.
pub(crate) fn alter_table(input: &mut Input<'_>) -> Result<Statement, Error> {
    if input.is("IF EXISTS") {
        return Err(Error::unsupported("IF EXISTS in ALTER TABLE"));
    }
    let table = input.table("the name of a table")?;
    let change = alter_change(input)?;
    if *input.token() == Token::Comma {
        return Err(Error::UnsupportedClause {
            clause: "several changes in one ALTER TABLE".to_owned(),
            hint: Some("write one statement for each change"),
        });
    }
    Ok(Statement::AlterTable { table, change })
}

fn alter_change(input: &mut Input<'_>) -> Result<AlterTable, Error> {
    if input.eat("ADD") {
        add_column(input)
    } else if input.eat("DROP") {
        drop_column(input)
    } else if input.eat("MODIFY") {
        modify_column(input)
    } else if input.eat("RENAME") {
        if input.is("TO") {
            return Err(Error::unsupported("RENAME TO"));
        }
        input.expect("COLUMN")?;
        let from = input.name("the name of a column")?;
        input.expect("TO")?;
        Ok(AlterTable::RenameColumn {
            from,
            to: input.new_name("the new name of the column")?,
        })
    } else if input.eat("ALTER") {
        alter_column(input)
    } else if input.eat("SET TBLPROPERTIES") {
        Ok(AlterTable::SetOptions(options::table_properties(input)?))
    } else if input.eat("SET ACCESS LEVEL") {
        Ok(AlterTable::SetOptions(NewOptions {
            access_level: Some(options::access_level(input)?),
            ..Default::default()
        }))
    } else {
        Err(input.expected(
            "ADD COLUMN, DROP COLUMN, MODIFY COLUMN, RENAME COLUMN, ALTER COLUMN, SET TBLPROPERTIES or SET ACCESS LEVEL",
        ))
    }
}

fn add_column(input: &mut Input<'_>) -> Result<AlterTable, Error> {
    if !input.eat("COLUMN") {
        if input.is("PRIMARY KEY") {
            return Err(Error::unsupported("ADD PRIMARY KEY"));
        }
        if let Some(constraint) = table_constraint(input) {
            return Err(Error::unsupported(format!("ADD {constraint}")));
        }
    }
    let if_exists = input.if_not_exists();
    let ReadColumn { column, is_key } = column(input)?;
    if is_key {
        return Err(Error::unsupported("PRIMARY KEY in ADD COLUMN"));
    }
    if let Some(word @ ("FIRST" | "AFTER")) = input.word(0).as_deref() {
        return Err(Error::unsupported(format!("{word} in ADD COLUMN")));
    }
    Ok(AlterTable::AddColumn { column, if_exists })
}

fn drop_column(input: &mut Input<'_>) -> Result<AlterTable, Error> {
    if !input.eat("COLUMN")
        && let Some(what) = ["CONSTRAINT", "PRIMARY KEY", "INDEX"]
            .into_iter()
            .find(|words| input.is(words))
    {
        return Err(Error::unsupported(format!("DROP {what} in ALTER TABLE")));
    }
    let if_exists = input.if_exists();
    let name = input.name("the name of a column")?;
    if let Some(word @ ("CASCADE" | "RESTRICT")) = input.word(0).as_deref() {
        return Err(Error::unsupported(format!("{word} in DROP COLUMN")));
    }
    Ok(AlterTable::DropColumn { name, if_exists })
}

fn modify_column(input: &mut Input<'_>) -> Result<AlterTable, Error> {
    input.eat("COLUMN");
    let name = input.name("the name of a column")?;
    let (data_type, max_chars) = data_type(input)?;
    let nullable = if input.eat("NOT NULL") {
        Some(false)
    } else if input.eat("NULL") {
        Some(true)
    } else {
        None
    };
    if let Some(word @ ("DEFAULT" | "PRIMARY" | "FIRST" | "AFTER")) = input.word(0).as_deref() {
        return Err(Error::unsupported(format!("{word} in MODIFY COLUMN")));
    }
    Ok(AlterTable::ModifyColumn {
        name,
        data_type,
        max_chars,
        nullable,
    })
}

fn alter_column(input: &mut Input<'_>) -> Result<AlterTable, Error> {
    input.eat("COLUMN");
    let name = input.name("the name of a column")?;
    if input.eat("SET NOT NULL") {
        Ok(AlterTable::SetNullable {
            name,
            nullable: false,
        })
    } else if input.eat("DROP NOT NULL") {
        Ok(AlterTable::SetNullable {
            name,
            nullable: true,
        })
    } else if input.eat("SET DEFAULT") {
        Ok(AlterTable::SetDefault {
            name,
            default: Some(default(input)?),
        })
    } else if input.eat("DROP DEFAULT") {
        Ok(AlterTable::SetDefault {
            name,
            default: None,
        })
    } else if input.is("TYPE") || input.is("SET DATA TYPE") {
        Err(Error::UnsupportedClause {
            clause: "ALTER COLUMN … TYPE".to_owned(),
            hint: Some("write MODIFY COLUMN name TYPE"),
        })
    } else {
        Err(input.expected("SET NOT NULL, DROP NOT NULL, SET DEFAULT or DROP DEFAULT"))
    }
}

/// After `DROP [kind] TABLE`.
pub(crate) fn drop_table(
    input: &mut Input<'_>,
    kind: Option<TableKind>,
) -> Result<Statement, Error> {
    let if_exists = input.if_exists();
    let table = dropped(input, "TABLE")?;
    Ok(Statement::DropTable {
        table,
        kind,
        if_exists,
    })
}

fn dropped(input: &mut Input<'_>, what: &str) -> Result<TableRef, Error> {
    let name = input.table("a name")?;
    if *input.token() == Token::Comma {
        return Err(Error::unsupported(format!("several names in DROP {what}")));
    }
    if let Some(word @ ("CASCADE" | "RESTRICT" | "PURGE")) = input.word(0).as_deref() {
        return Err(Error::unsupported(format!("{word} in DROP {what}")));
    }
    Ok(name)
}

/// After `CREATE [OR REPLACE] VIEW`.
pub(crate) fn create_view(input: &mut Input<'_>, replace: bool) -> Result<Statement, Error> {
    if input.is("IF NOT EXISTS") {
        return Err(Error::UnsupportedClause {
            clause: "CREATE VIEW IF NOT EXISTS".to_owned(),
            hint: Some("write CREATE OR REPLACE VIEW"),
        });
    }
    let view = input.new_table("the name of a view")?;
    let mut columns = Vec::new();
    if input.eat_token(&Token::LParen) {
        columns = input.comma_separated(|input| input.new_name("the name of a column"))?;
        input.expect_token(&Token::RParen)?;
    }
    let mut seen = BTreeSet::new();
    if let Some(column) = columns.iter().find(|column| !seen.insert(*column)) {
        return Err(Error::invalid(format!("column '{column}' is named twice")));
    }
    columns
        .iter()
        .try_for_each(|column| check_new_identifier(column))?;
    input.expect("AS")?;
    let mut query = input.query()?;
    check_query(&mut query)?;
    check_stored(&query)?;
    check_query_rereadable(&query)?;
    Ok(Statement::CreateView(Box::new(CreateView {
        view,
        replace,
        columns,
        query,
    })))
}

/// After `DROP VIEW`.
pub(crate) fn drop_view(input: &mut Input<'_>) -> Result<Statement, Error> {
    let if_exists: IfExists = input.if_exists();
    let view = dropped(input, "VIEW")?;
    Ok(Statement::DropView { view, if_exists })
}
