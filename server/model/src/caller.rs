//! Who asks, and what they may do.

use kalam_link_core::{Role, UserId};

use crate::scope::Scope;
use crate::table::{AccessLevel, TableDef, TableKind, WriteLevel};

/// An authenticated user, as whom a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows are touched and what CURRENT_USER() gives.
    pub user: UserId,
    /// The role of `user`.
    pub role: Role,
    /// Who really asks, inside EXECUTE AS USER.
    pub actor: Option<UserId>,
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Read,
    Write,
    CreateTable(TableKind),
    /// ALTER and DROP of any table, CREATE and DROP of views.
    ChangeTable,
    /// Namespaces, storages, users, jobs and the cluster.
    Administer,
}

/// The caller may not do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Must look as if the table did not exist.
    Hidden,
    /// The caller may know the table but not do this with it.
    Forbidden,
}

impl Caller {
    #[must_use]
    pub fn new(user: UserId, role: Role) -> Self {
        Self {
            user,
            role,
            actor: None,
        }
    }

    /// Whether the role allows an action that is not about the rows of one table.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        match action {
            Action::Read | Action::Write => true,
            Action::CreateTable(_) => self.role >= Role::Service,
            Action::ChangeTable | Action::Administer => self.role.is_admin(),
        }
    }

    /// Whether the caller may know that the table exists.
    #[must_use]
    pub fn sees(&self, table: &TableDef) -> bool {
        match table.kind {
            TableKind::User | TableKind::Stream => true,
            TableKind::Shared => {
                self.role >= Role::Service || table.options.access_level == AccessLevel::Public
            }
        }
    }

    /// The slice of `table` that the caller reads.
    pub fn may_read(&self, table: &TableDef) -> Result<Scope, Denied> {
        if self.sees(table) {
            Ok(self.scope(table))
        } else {
            Err(Denied::Hidden)
        }
    }

    /// The slice of `table` that the caller writes.
    pub fn may_write(&self, table: &TableDef) -> Result<Scope, Denied> {
        let scope = self.may_read(table)?;
        let allowed = match table.kind {
            TableKind::User | TableKind::Stream => true,
            TableKind::Shared => {
                self.role >= Role::Service || table.options.write_level == WriteLevel::Public
            }
        };
        if allowed {
            Ok(scope)
        } else {
            Err(Denied::Forbidden)
        }
    }

    /// Whether the caller may run statements as an account of role `target`. Services act as users and services, a dba
    /// as these and other dbas, the system role as anybody.
    #[must_use]
    pub fn may_act_as(&self, target: Role) -> bool {
        match self.role {
            Role::User => false,
            Role::Service => target <= Role::Service,
            Role::Dba => target <= Role::Dba,
            Role::System => true,
        }
    }

    /// The same request as another user.
    #[must_use]
    pub fn acting_as(&self, user: UserId, role: Role) -> Self {
        Self {
            user,
            role,
            actor: Some(self.actor.clone().unwrap_or_else(|| self.user.clone())),
        }
    }

    /// The one place where a scope is made from a caller (I8).
    fn scope(&self, table: &TableDef) -> Scope {
        if table.has_one_scope() {
            Scope::Shared
        } else {
            Scope::User(self.user.clone())
        }
    }
}

#[cfg(test)]
mod tests;
