//! `kalam login` and `kalam logout`: saved logins.

use std::io::Write as _;
use std::process::ExitCode;

use crate::args::Connection;
use crate::error::Error;
use crate::settings::{self, Folders, Identity, Known, Login};

/// Signs in and, if that works, saves how.
///
/// # Errors
///
/// A server that cannot be reached or refuses, and a file that cannot be written.
pub async fn save(connection: &Connection, name: &str) -> Result<ExitCode, Error> {
    let folders = Folders::of_user();
    let mut known = Known::load(&folders)?;
    let target = settings::resolve(connection, &known)?;
    let (_, target) = settings::open(target, &folders).await?;
    let Identity::Password { user, password } = target.identity else {
        return Err(Error::Command {
            message: "a token cannot be saved: it ends. Give a user and a password".to_owned(),
        });
    };
    let login = Login {
        url: target.url,
        user,
        password,
    };
    let said = format!("{} at {} is saved as `{name}`", login.user, login.url);
    known.logins.insert(name, login);
    let path = known.logins.save(&folders)?;
    let _ = writeln!(std::io::stderr(), "{said} in {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// # Errors
///
/// [`Error::UnknownInstance`], and a file that cannot be written.
pub fn forget(name: &str) -> Result<ExitCode, Error> {
    let folders = Folders::of_user();
    let mut known = Known::load(&folders)?;
    if known.logins.remove(name).is_none() {
        return Err(Error::UnknownInstance {
            name: name.to_owned(),
        });
    }
    known.logins.save(&folders)?;
    let _ = writeln!(std::io::stderr(), "`{name}` is forgotten");
    Ok(ExitCode::SUCCESS)
}
