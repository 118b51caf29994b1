//! Typed SQL: what a statement asks for, with nothing left to guess.
//!
//! Expressions stay in sqlparser's syntax tree: the executor compiles the simple ones itself and plans the others.

use kalam_link_core::{DataType, Role};
use kalam_model::{AccessLevel, FlushPolicy, TableKind, WriteLevel};
use sqlparser::ast;

use crate::subscribe::Subscription;

/// A table, view or index as written: the namespace may be left to the request. Unquoted names are folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableRef {
    pub namespace: Option<String>,
    pub name: String,
}

/// Whether a statement minds that what it makes exists, or that what it removes does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// `IF [NOT] EXISTS`: then nothing happens.
    Ignore,
    Fail,
}

/// One statement.
#[expect(clippy::large_enum_variant, reason = "one statement is made at a time")]
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    // Rows.
    /// SELECT, VALUES, WITH, set operations. Passed the allow-list: no INTO, no locks, no table functions on files.
    Select(Box<ast::Query>),
    Explain {
        analyze: bool,
        verbose: bool,
        query: Box<ast::Query>,
    },
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Begin,
    Commit,
    Rollback,
    ExecuteAs {
        user: String,
        statement: Box<Statement>,
    },

    // Namespaces.
    CreateNamespace {
        name: String,
        if_exists: IfExists,
    },
    AlterNamespace {
        name: String,
        description: Option<String>,
    },
    DropNamespace {
        name: String,
        if_exists: IfExists,
        cascade: bool,
    },
    ShowNamespaces,
    UseNamespace {
        name: String,
    },

    // Tables and views.
    CreateTable(Box<CreateTable>),
    AlterTable {
        table: TableRef,
        change: AlterTable,
    },
    /// `kind` if the statement names one: another kind of table is then an error.
    DropTable {
        table: TableRef,
        kind: Option<TableKind>,
        if_exists: IfExists,
    },
    CreateView(Box<CreateView>),
    DropView {
        view: TableRef,
        if_exists: IfExists,
    },
    ShowTables {
        namespace: Option<String>,
    },
    Describe {
        table: TableRef,
        history: bool,
    },
    ShowStats {
        table: TableRef,
    },

    // Users.
    CreateUser(CreateUser),
    AlterUser {
        user: String,
        change: AlterUser,
    },
    DropUser {
        user: String,
        if_exists: IfExists,
    },
    RestoreUser {
        user: String,
    },

    // Live queries.
    Subscribe(Box<Subscription>),
    KillLiveQuery {
        id: String,
    },

    /// Part of the language, not of this server: answered with UNSUPPORTED and this name.
    Unsupported {
        what: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    pub table: TableRef,
    /// Empty if the statement names none: then all, in the order of the table.
    pub columns: Vec<String>,
    pub source: InsertSource,
    pub conflict: Option<OnConflict>,
    /// Empty without RETURNING.
    pub returning: Vec<ast::SelectItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum InsertSource {
    /// Rows of expressions; `DEFAULT` is [`Cell::Default`].
    Values(Vec<Vec<Cell>>),
    Query(Box<ast::Query>),
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly every cell is an expression"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Default,
    Expr(ast::Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub struct OnConflict {
    /// Columns between the parentheses; empty if left out (DO NOTHING only).
    pub target: Vec<String>,
    pub action: ConflictAction,
}

#[expect(clippy::large_enum_variant, reason = "one for each statement")]
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictAction {
    Nothing,
    /// In the expressions `excluded.c` is the row that was to be inserted, `c` and `t.c` the one that is there.
    Update {
        assignments: Vec<Assignment>,
        filter: Option<ast::Expr>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub column: String,
    pub value: Cell,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub table: TableRef,
    pub alias: Option<String>,
    pub assignments: Vec<Assignment>,
    pub filter: Option<ast::Expr>,
    pub returning: Vec<ast::SelectItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    pub table: TableRef,
    pub alias: Option<String>,
    pub filter: Option<ast::Expr>,
    pub returning: Vec<ast::SelectItem>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    pub table: TableRef,
    pub if_exists: IfExists,
    pub kind: TableKind,
    pub columns: Vec<NewColumn>,
    /// Names in key order, from either way of writing PRIMARY KEY.
    pub primary_key: Vec<String>,
    pub options: NewOptions,
}

/// A column as CREATE TABLE and ADD COLUMN write it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewColumn {
    pub name: String,
    pub data_type: DataType,
    pub max_chars: Option<u32>,
    pub nullable: bool,
    /// Checked to be constant. AUTO_INCREMENT and IDENTITY become `SNOWFLAKE_ID()`.
    pub default: Option<ast::Expr>,
}

/// Options that the statement names; the others keep their value or default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewOptions {
    pub storage_id: Option<String>,
    pub flush_policy: Option<FlushPolicy>,
    pub deleted_retention_hours: Option<u32>,
    pub ttl_seconds: Option<u32>,
    pub access_level: Option<AccessLevel>,
    pub write_level: Option<WriteLevel>,
    pub use_user_storage: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AlterTable {
    AddColumn {
        column: NewColumn,
        if_exists: IfExists,
    },
    DropColumn {
        name: String,
        if_exists: IfExists,
    },
    /// MODIFY COLUMN: `nullable` only if NULL or NOT NULL is written.
    ModifyColumn {
        name: String,
        data_type: DataType,
        max_chars: Option<u32>,
        nullable: Option<bool>,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    SetNullable {
        name: String,
        nullable: bool,
    },
    SetDefault {
        name: String,
        default: Option<ast::Expr>,
    },
    SetOptions(NewOptions),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    pub view: TableRef,
    pub replace: bool,
    pub columns: Vec<String>,
    pub query: Box<ast::Query>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreateUser {
    pub user: String,
    pub authentication: NewAuthentication,
    pub role: Role,
    pub email: Option<String>,
}

/// How a new account signs in. Its `Debug` form shows no password.
#[derive(Clone, PartialEq)]
pub enum NewAuthentication {
    Password(String),
    OAuth(Option<String>),
    Internal,
}

impl std::fmt::Debug for NewAuthentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::OAuth(_) => "OAuth(…)",
            Self::Internal => "Internal",
        })
    }
}

/// Its `Debug` form shows no password.
#[derive(Clone, PartialEq)]
pub enum AlterUser {
    Password(String),
    Role(Role),
    Email(String),
}

impl std::fmt::Debug for AlterUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password(…)"),
            Self::Role(role) => write!(f, "Role({role})"),
            Self::Email(_) => f.write_str("Email(…)"),
        }
    }
}
