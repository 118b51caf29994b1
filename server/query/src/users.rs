//! CREATE, ALTER, DROP and RESTORE USER.
//!
//! Only dba and system manage accounts, and nobody one of a higher role than their own: neither by making it nor by
//! taking it over.

use kalam_engine::{Credential, NewUser, UserChange};
use kalam_model::{Action, Role, UserId};
use kalam_sql::statement::{AlterUser, CreateUser, IfExists, NewAuthentication};

use crate::error::Error;
use crate::executor::Call;
use crate::result::Answer;

pub(crate) async fn create(call: &Call<'_>, statement: &CreateUser) -> Result<Answer, Error> {
    require_admin(call, "create users")?;
    require_rank(call, statement.role)?;
    let id = new_user_id(&statement.user)?;
    let credential = match &statement.authentication {
        NewAuthentication::Password(password) => Credential::Password(password.clone()),
        NewAuthentication::OAuth(identity) => Credential::OAuth(identity.clone()),
        NewAuthentication::Internal => Credential::Internal,
    };
    let user = NewUser {
        id: id.clone(),
        role: statement.role,
        email: statement.email.clone(),
        credential,
    };
    call.inner.engine.users().create(user, call.now).await?;
    call.audit("CREATE_USER", id.as_str(), "success").await?;
    Ok(call.message(format!("User '{id}' created")))
}

pub(crate) async fn alter(
    call: &Call<'_>,
    user: &str,
    change: &AlterUser,
) -> Result<Answer, Error> {
    require_admin(call, "alter users")?;
    let id = existing(call, user)?;
    let change = match change {
        AlterUser::Password(password) => UserChange::Password(password.clone()),
        AlterUser::Role(role) => {
            require_rank(call, *role)?;
            UserChange::Role(*role)
        }
        AlterUser::Email(email) => UserChange::Email(Some(email.clone())),
    };
    call.inner
        .engine
        .users()
        .alter(&id, change, call.now)
        .await?;
    call.audit("ALTER_USER", id.as_str(), "success").await?;
    Ok(call.message(format!("User '{id}' updated")))
}

pub(crate) async fn remove(
    call: &Call<'_>,
    user: &str,
    if_exists: IfExists,
) -> Result<Answer, Error> {
    require_admin(call, "drop users")?;
    let id = match existing(call, user) {
        Err(Error::UserNotFound { name }) if if_exists == IfExists::Ignore => {
            return Ok(call.message(format!("User '{name}' not found")));
        }
        other => other?,
    };
    call.inner.engine.users().drop(&id, call.now).await?;
    call.audit("DROP_USER", id.as_str(), "success").await?;
    Ok(call.message(format!("User '{id}' dropped (soft delete)")))
}

pub(crate) async fn restore(call: &Call<'_>, user: &str) -> Result<Answer, Error> {
    require_admin(call, "restore users")?;
    let id = user_id(user)?;
    if let Some(record) = call.inner.engine.users().get(&id)? {
        require_rank(call, record.role)?;
    }
    call.inner.engine.users().restore(&id, call.now).await?;
    call.audit("RESTORE_USER", id.as_str(), "success").await?;
    Ok(call.message(format!("User '{id}' restored")))
}

fn require_admin(call: &Call<'_>, action: &str) -> Result<(), Error> {
    if call.caller.may(Action::Administer) {
        Ok(())
    } else {
        Err(Error::PermissionDenied {
            action: action.to_owned(),
        })
    }
}

fn require_rank(call: &Call<'_>, role: Role) -> Result<(), Error> {
    if role <= call.caller.role {
        Ok(())
    } else {
        Err(Error::PermissionDenied {
            action: format!("manage accounts of role {role}"),
        })
    }
}

/// An account that is not deleted and that the caller may manage.
fn existing(call: &Call<'_>, name: &str) -> Result<UserId, Error> {
    let id = user_id(name)?;
    let record = call
        .inner
        .engine
        .users()
        .active(&id)?
        .ok_or_else(|| Error::UserNotFound {
            name: name.to_owned(),
        })?;
    require_rank(call, record.role)?;
    Ok(id)
}

/// A name that no account can have is that of a missing one.
pub(crate) fn user_id(name: &str) -> Result<UserId, Error> {
    UserId::new(name).ok_or_else(|| Error::UserNotFound {
        name: name.to_owned(),
    })
}

fn new_user_id(name: &str) -> Result<UserId, Error> {
    UserId::new(name).ok_or_else(|| {
        Error::definition(name, "a user name has 1 to 128 bytes, no control characters or slashes and no white space at an end")
    })
}
