//! Makes of arguments, environment, saved logins and servers of this machine what the program needs: an address and
//! credentials. Arguments and environment come first, then the saved login, then a server that runs here.

mod files;
mod local;
mod logins;

use std::io::IsTerminal as _;

use kalam_link::{Auth, Client};

use crate::args::Connection;
use crate::error::Error;

pub use files::{Folders, touch_private};
pub use local::LocalServer;
pub use logins::{Login, Logins, Tokens};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8080;
const DEFAULT_USER: &str = "root";
const DEFAULT_INSTANCE: &str = "default";

/// Where to connect, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub url: String,
    pub identity: Identity,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    Token(String),
    Password {
        user: String,
        password: String,
    },
    /// The password is not known.
    Ask {
        user: String,
    },
}

impl std::fmt::Debug for Identity {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Password { user, .. } => write!(f, "Password({user})"),
            Self::Ask { user } => write!(f, "Ask({user})"),
        }
    }
}

impl Identity {
    /// The user's name, where it is known.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::Password { user, .. } | Self::Ask { user } => Some(user),
        }
    }
}

/// What is known besides the arguments.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub logins: Logins,
    pub servers: Vec<LocalServer>,
}

impl Known {
    /// # Errors
    ///
    /// A file of logins that cannot be read, or is no such file.
    pub fn load(folders: &Folders) -> Result<Self, Error> {
        Ok(Self {
            logins: Logins::load(folders)?,
            servers: local::running(folders),
        })
    }
}

/// Decides. Reads nothing but what it is given.
///
/// # Errors
///
/// [`Error::UnknownInstance`], [`Error::SeveralServers`].
pub fn resolve(connection: &Connection, known: &Known) -> Result<Target, Error> {
    let login = chosen_login(connection, known)?;
    let url = match (
        &connection.url,
        connection.host.is_some() || connection.port.is_some(),
    ) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, true) => address(connection),
        (None, false) => match &login {
            Some(login) => login.url.clone(),
            None => local::only(&known.servers)?
                .map_or_else(|| address(connection), |server| server.url.clone()),
        },
    };
    let identity = identity(connection, known, &url);
    Ok(Target { url, identity })
}

/// The login that says where to connect, when nothing else does.
fn chosen_login(connection: &Connection, known: &Known) -> Result<Option<Login>, Error> {
    if let Some(name) = &connection.instance {
        let login = known.logins.get(name).cloned();
        return login
            .map(Some)
            .ok_or_else(|| Error::UnknownInstance { name: name.clone() });
    }
    let elsewhere =
        connection.url.is_some() || connection.host.is_some() || connection.port.is_some();
    Ok(known
        .logins
        .get(DEFAULT_INSTANCE)
        .filter(|_| !elsewhere)
        .cloned())
}

fn address(connection: &Connection) -> String {
    let host = connection.host.as_deref().unwrap_or(DEFAULT_HOST);
    let port = connection.port.unwrap_or(DEFAULT_PORT);
    if host.contains(':') && !host.starts_with('[') {
        return format!("http://[{host}]:{port}");
    }
    format!("http://{host}:{port}")
}

fn identity(connection: &Connection, known: &Known, url: &str) -> Identity {
    if let Some(token) = &connection.token {
        return Identity::Token(token.clone());
    }
    let fits = |user: &str| {
        connection
            .user
            .as_deref()
            .is_none_or(|wanted| wanted == user)
    };
    let named = connection
        .instance
        .as_deref()
        .and_then(|name| known.logins.get(name));
    let saved = named
        .filter(|login| login.url == url && fits(&login.user))
        .or_else(|| known.logins.find(url, fits));
    let here = known.servers.iter().find(|server| server.is_at(url));
    let user = connection.user.clone();
    let user = user.or_else(|| saved.map(|login| login.user.clone()));
    let user = user.unwrap_or_else(|| DEFAULT_USER.to_owned());
    if let Some(password) = &connection.password {
        return Identity::Password {
            user,
            password: password.clone(),
        };
    }
    let password = saved
        .map(|login| login.password.clone())
        .or_else(|| here.filter(|_| user == DEFAULT_USER)?.root_password());
    match password {
        Some(password) => Identity::Password { user, password },
        None => Identity::Ask { user },
    }
}

/// A client of what the arguments and everything else that is known say, signed in.
///
/// # Errors
///
/// Whatever keeps it from that.
pub async fn connect(connection: &Connection) -> Result<Client, Error> {
    let folders = Folders::of_user();
    let target = resolve(connection, &Known::load(&folders)?)?;
    Ok(open(target, &folders).await?.0)
}

/// The same, but nothing was sent yet: neither the server nor the credentials are known to be good.
///
/// # Errors
///
/// Settings that say nothing, or cannot be read.
pub fn prepare(connection: &Connection) -> Result<Client, Error> {
    let folders = Folders::of_user();
    let target = resolve(connection, &Known::load(&folders)?)?;
    Ok(build(target, &folders)?.0)
}

/// A client that is signed in, and the target with the password that was asked for.
///
/// # Errors
///
/// Whatever keeps it from that.
pub async fn open(target: Target, folders: &Folders) -> Result<(Client, Target), Error> {
    let (client, target) = build(target, folders)?;
    remember(&client, &target, folders).await?;
    Ok((client, target))
}

fn build(target: Target, folders: &Folders) -> Result<(Client, Target), Error> {
    let identity = match target.identity {
        Identity::Ask { user } => {
            let password = ask_password(&user, &target.url)?;
            Identity::Password { user, password }
        }
        known => known,
    };
    let auth = match &identity {
        Identity::Token(token) => Auth::jwt(token),
        Identity::Password { user, password } => {
            let auth = Auth::basic(user, password);
            // The token stands for this password and no other: a wrong one must not go unnoticed.
            match Tokens::load(folders).get(&target.url, user, password) {
                Some(token) => auth.with_token(token),
                None => auth,
            }
        }
        Identity::Ask { .. } => Auth::none(),
    };
    let client = Client::builder(&target.url).auth(auth).build()?;
    Ok((client, Target { identity, ..target }))
}

/// Keeps the token, so that the next start need not prove the password again.
async fn remember(client: &Client, target: &Target, folders: &Folders) -> Result<(), Error> {
    let token = client.sign_in().await?;
    if let (Some(token), Identity::Password { user, password }) = (token, &target.identity) {
        Tokens::load(folders).put(&target.url, user, password, &token, folders);
    }
    Ok(())
}

/// # Errors
///
/// [`Error::NoPassword`] where nobody can answer.
pub fn ask_password(user: &str, url: &str) -> Result<String, Error> {
    let nobody = || Error::NoPassword {
        user: user.to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(nobody());
    }
    rpassword::prompt_password(format!("Password of {user} at {url}: ")).map_err(|_| nobody())
}

#[cfg(test)]
mod tests;
