//! Statements that change or show what exists: namespaces, tables, views.
//!
//! Rights come first, before anything is looked up, so that a refusal says nothing about what exists.

pub(crate) mod alter;
mod column;
pub(crate) mod namespaces;
pub(crate) mod show;
pub(crate) mod tables;
pub(crate) mod views;

use kalam_model::{Action, TableKind};

use crate::error::Error;
use crate::executor::Call;

fn require(call: &Call<'_>, action: Action) -> Result<(), Error> {
    if call.caller.may(action) {
        return Ok(());
    }
    let action = match action {
        Action::CreateTable(TableKind::User) => "create USER tables",
        Action::CreateTable(TableKind::Shared) => "create SHARED tables",
        Action::CreateTable(TableKind::Stream) => "create STREAM tables",
        Action::ChangeTable => "change tables and views",
        Action::Administer => "manage namespaces",
        Action::Read | Action::Write => "do this",
    };
    Err(Error::PermissionDenied {
        action: action.to_owned(),
    })
}
