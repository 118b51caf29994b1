//! ALTER TABLE: each change makes a new version of the definition; rows stay as they were written.

use std::ops::ControlFlow;
use std::sync::Arc;

use kalam_engine::Table;
use kalam_link_core::{DataType, Value};
use kalam_model::name::check_new_identifier;
use kalam_model::{Action, ColumnId, TableDef, TableKind, WriteCommand};
use kalam_sql::statement::{AlterTable, IfExists, NewColumn, NewOptions, TableRef};
use kalam_sql::{COLUMNS_MAX, coerce};
use kalam_store::{Family, hot, row_codec};

use crate::ddl::{column, require, show, tables};
use crate::dml::plan;
use crate::error::Error;
use crate::executor::Call;
use crate::result::Answer;

/// Tries when others alter the same table at the same time.
const TRIES_MAX: u32 = 8;

pub(crate) async fn run(
    call: &Call<'_>,
    reference: &TableRef,
    change: &AlterTable,
) -> Result<Answer, Error> {
    require(call, Action::ChangeTable)?;
    for _ in 0..TRIES_MAX {
        let mut table = tables::changeable(call, reference)?;
        // Writes stay out from the check of the rows until the new version holds.
        let gate = if may_judge_rows(change) {
            let gate = call
                .within(call.inner.engine.table_gate_write(&table))
                .await?;
            table = tables::changeable(call, reference)?;
            Some(gate)
        } else {
            None
        };
        let altered = match altered(call, &table, change)? {
            Altered::Nothing(message) => return Ok(call.message(message)),
            Altered::Changed { def, check } => {
                check_rows(call, &table, check).await?;
                call.inner.engine.alter_table(*def).await
            }
        };
        drop(gate);
        match altered {
            Ok(table) => {
                return Ok(call.message(format!("Table '{}' altered successfully", table.def.id)));
            }
            Err(kalam_engine::Error::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Conflict)
}

/// What a change asks for.
enum Altered {
    /// IF [NOT] EXISTS, and nothing is to be done.
    Nothing(String),
    Changed {
        def: Box<TableDef>,
        check: RowCheck,
    },
}

/// What must be true of the rows that are there.
enum RowCheck {
    None,
    /// A column without a value for old rows becomes NOT NULL.
    NoRows {
        column: String,
    },
    NoNulls {
        column: ColumnId,
        name: String,
    },
}

fn may_judge_rows(change: &AlterTable) -> bool {
    match change {
        AlterTable::AddColumn { column, .. } => !column.nullable,
        AlterTable::ModifyColumn { nullable, .. } => *nullable == Some(false),
        AlterTable::SetNullable { nullable, .. } => !nullable,
        AlterTable::DropColumn { .. }
        | AlterTable::RenameColumn { .. }
        | AlterTable::SetDefault { .. }
        | AlterTable::SetOptions(_) => false,
    }
}

fn altered(call: &Call<'_>, table: &Table, change: &AlterTable) -> Result<Altered, Error> {
    let mut def = TableDef::clone(&table.def);
    def.schema_version += 1;
    def.updated_at = call.now;
    let check = match change {
        AlterTable::AddColumn { column, if_exists } => {
            if def.column_index(&column.name).is_some() {
                return match if_exists {
                    IfExists::Ignore => Ok(Altered::Nothing(format!(
                        "Column '{}' already exists",
                        column.name
                    ))),
                    IfExists::Fail => Err(Error::AlreadyExists {
                        kind: "column",
                        name: column.name.clone(),
                    }),
                };
            }
            add_column(call, &mut def, column)?
        }
        AlterTable::DropColumn { name, if_exists } => {
            if def.column_index(name).is_none() && *if_exists == IfExists::Ignore {
                return Ok(Altered::Nothing(format!("Column '{name}' not found")));
            }
            drop_column(table, &mut def, name)?;
            RowCheck::None
        }
        AlterTable::ModifyColumn {
            name,
            data_type,
            max_chars,
            nullable,
        } => {
            modify_column(call, table, &mut def, name, *data_type, *max_chars)?;
            match nullable {
                Some(nullable) => set_nullable(table, &mut def, name, *nullable)?,
                None => RowCheck::None,
            }
        }
        AlterTable::RenameColumn { from, to } => {
            check_new_identifier(to)?;
            let index = plan::column(from, table)?;
            if def.column_index(to).is_some() {
                return Err(Error::AlreadyExists {
                    kind: "column",
                    name: to.clone(),
                });
            }
            def.columns[index].name.clone_from(to);
            RowCheck::None
        }
        AlterTable::SetNullable { name, nullable } => {
            set_nullable(table, &mut def, name, *nullable)?
        }
        AlterTable::SetDefault { name, default } => {
            let index = plan::column(name, table)?;
            match default {
                Some(default) => column::set_default(call, &mut def.columns[index], default)?,
                None => def.columns[index].default = None,
            }
            RowCheck::None
        }
        AlterTable::SetOptions(options) => {
            set_options(&mut def, options)?;
            RowCheck::None
        }
    };
    Ok(Altered::Changed {
        def: Box::new(def),
        check,
    })
}

/// Old rows get what the default gives now, once and for all.
fn add_column(call: &Call<'_>, def: &mut TableDef, new: &NewColumn) -> Result<RowCheck, Error> {
    check_new_identifier(&new.name)?;
    if def.columns.len() >= COLUMNS_MAX {
        return Err(Error::definition(
            &def.id,
            format!("a table has at most {COLUMNS_MAX} columns"),
        ));
    }
    let mut column = column::define(call, def.next_column, new)?;
    column.initial = column::default_value(call, &column)?;
    let check = if !column.nullable && column.initial.is_null() {
        RowCheck::NoRows {
            column: column.name.clone(),
        }
    } else {
        RowCheck::None
    };
    def.next_column = ColumnId(def.next_column.0 + 1);
    def.columns.push(column);
    Ok(check)
}

fn drop_column(table: &Table, def: &mut TableDef, name: &str) -> Result<(), Error> {
    let index = plan::column(name, table)?;
    if def.is_key(def.columns[index].id) {
        return Err(Error::KeyColumn {
            column: name.to_owned(),
        });
    }
    if def.columns.len() == 1 {
        return Err(Error::definition(
            &def.id,
            "a table needs at least one column",
        ));
    }
    def.columns.remove(index);
    Ok(())
}

fn modify_column(
    call: &Call<'_>,
    table: &Table,
    def: &mut TableDef,
    name: &str,
    data_type: DataType,
    max_chars: Option<u32>,
) -> Result<(), Error> {
    let index = plan::column(name, table)?;
    let is_key = def.is_key(def.columns[index].id);
    let column = &mut def.columns[index];
    let same = column.data_type == data_type && column.max_chars == max_chars;
    if is_key && !same {
        return Err(Error::KeyColumn {
            column: name.to_owned(),
        });
    }
    let longer = match (column.max_chars, max_chars) {
        (_, None) => true,
        (Some(old), Some(new)) => old <= new,
        (None, Some(_)) => false,
    };
    if !kalam_store::widens(column.data_type, data_type) || !longer {
        let shown = max_chars.map_or_else(
            || data_type.to_string(),
            |chars| format!("VARCHAR({chars})"),
        );
        let reason = format!(
            "{} cannot become {shown}: a column only gets wider",
            show::shown_type(column)
        );
        return Err(Error::definition(name, reason));
    }
    column.data_type = data_type;
    column.max_chars = max_chars;
    column.initial = coerce(std::mem::replace(&mut column.initial, Value::Null), column)?;
    column::default_value(call, column).map(drop)
}

fn set_nullable(
    table: &Table,
    def: &mut TableDef,
    name: &str,
    nullable: bool,
) -> Result<RowCheck, Error> {
    let index = plan::column(name, table)?;
    let id = def.columns[index].id;
    if nullable && def.is_key(id) {
        return Err(Error::KeyColumn {
            column: name.to_owned(),
        });
    }
    let was = std::mem::replace(&mut def.columns[index].nullable, nullable);
    if was && !nullable {
        return Ok(RowCheck::NoNulls {
            column: id,
            name: name.to_owned(),
        });
    }
    Ok(RowCheck::None)
}

fn set_options(def: &mut TableDef, new: &NewOptions) -> Result<(), Error> {
    let options = tables::options(&def.id, def.kind, &def.options, new)?;
    if def.kind == TableKind::Stream && options.access_level != def.options.access_level {
        let reason =
            "the access level of a STREAM table decides where its rows are and cannot change";
        return Err(Error::definition(&def.id, reason));
    }
    def.options = options;
    Ok(())
}

/// Looks at every row of every scope, on a thread that may block.
async fn check_rows(call: &Call<'_>, table: &Arc<Table>, check: RowCheck) -> Result<(), Error> {
    let (column, name) = match check {
        RowCheck::None => return Ok(()),
        RowCheck::NoRows { column } => (None, column),
        RowCheck::NoNulls { column, name } => (Some(column), name),
    };
    // A write whose client went away has let go of the gate but may still wait in the queue: this one waits behind it.
    let last = WriteCommand {
        time: call.now,
        ..WriteCommand::default()
    };
    call.inner.engine.write(last).await?;
    let snapshot = call.inner.engine.snapshot();
    let rows_of = Arc::clone(table);
    let search = tokio::task::spawn_blocking(move || {
        let family = if rows_of.def.kind == TableKind::Stream {
            Family::Stream
        } else {
            Family::Rows
        };
        let index = column.and_then(|id| {
            rows_of
                .def
                .columns
                .iter()
                .position(|column| column.id == id)
        });
        let mut found = false;
        hot::visit_table(&snapshot, family, rows_of.def.number, &mut |bytes| {
            found = match index {
                Some(index) => row_codec::decode(&rows_of.layouts, bytes)?.0[index].is_null(),
                None => true,
            };
            Ok(if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .map(|()| found)
    });
    match call.within(search).await?.map_err(Error::internal)?? {
        false => Ok(()),
        true if column.is_some() => Err(Error::NullsPresent { column: name }),
        true => Err(Error::NoValueForRows { column: name }),
    }
}
