//! A server of a test's own, with its data in a temporary folder and a free port: in this process ([`TestNode`]), or as
//! the real program that can be killed ([`ServerProcess`]).

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use kalam_server::Node;
use kalam_server::config::{Config, Overrides};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use process::{ServerProcess, Session};

pub const ROOT_PASSWORD: &str = "root-password-of-tests";

/// Password of every user that [`TestNode::create_user`] makes.
pub const USER_PASSWORD: &str = "user-password-of-tests";

/// A server in this process.
pub struct TestNode {
    node: Node,
    folder: TempDir,
    settings: BTreeMap<String, String>,
    client: reqwest::Client,
    /// Access tokens by user.
    tokens: Mutex<BTreeMap<String, String>>,
    users: Mutex<BTreeSet<String>>,
}

impl TestNode {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings by the names that they have in the environment.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    async fn start_in(folder: TempDir, settings: BTreeMap<String, String>) -> Self {
        let node = Node::start(config(&folder, &settings)).await.unwrap();
        Self {
            node,
            folder,
            settings,
            client: client(),
            tokens: Mutex::default(),
            users: Mutex::default(),
        }
    }

    pub async fn stop(self) {
        self.node.stop().await;
    }

    /// Stops and starts again in the same folder.
    pub async fn restart(self) -> Self {
        let Self {
            node,
            folder,
            settings,
            users,
            ..
        } = self;
        node.stop().await;
        let again = Self::start_in(folder, settings).await;
        *again.users.lock().unwrap() = users.into_inner().unwrap();
        again
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.node.address())
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Makes an account unless it is there.
    pub async fn create_user(&self, name: &str, role: &str) {
        if self.users.lock().unwrap().insert(name.to_owned()) {
            let sql = format!("CREATE USER '{name}' WITH PASSWORD '{USER_PASSWORD}' ROLE '{role}'");
            self.sql_ok("root", &sql).await;
        }
    }

    /// The answer of a statement, whatever it is.
    pub async fn sql(&self, user: &str, sql: &str) -> Value {
        self.post_sql(user, &json!({"sql": sql})).await
    }

    /// The answer of a statement in a namespace.
    pub async fn sql_in(&self, user: &str, namespace: &str, sql: &str) -> Value {
        self.post_sql(user, &json!({"sql": sql, "namespace_id": namespace}))
            .await
    }

    pub async fn sql_params(&self, user: &str, sql: &str, params: Value) -> Value {
        self.post_sql(user, &json!({"sql": sql, "params": params}))
            .await
    }

    /// The answer of a statement that must succeed.
    pub async fn sql_ok(&self, user: &str, sql: &str) -> Value {
        let answer = self.sql(user, sql).await;
        assert_eq!(answer["status"], "success", "{sql}: {answer}");
        answer
    }

    /// The answer of a request body.
    pub async fn post_sql(&self, user: &str, body: &Value) -> Value {
        let token = self.token(user).await;
        let request = self
            .client
            .post(format!("{}/v1/api/sql", self.url()))
            .bearer_auth(token)
            .json(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The answer of a statement by a user whose password the test knows.
    pub async fn sql_with_password(&self, user: &str, password: &str, sql: &str) -> Value {
        let known = self.tokens.lock().unwrap().contains_key(user);
        if !known {
            let token = login(&self.client, &self.url(), user, password).await;
            self.tokens.lock().unwrap().insert(user.to_owned(), token);
        }
        self.sql(user, sql).await
    }

    /// An access token of root or of a user that the harness made.
    pub async fn token(&self, user: &str) -> String {
        let known = self.tokens.lock().unwrap().get(user).cloned();
        if let Some(token) = known {
            return token;
        }
        let password = if user == "root" {
            ROOT_PASSWORD
        } else {
            USER_PASSWORD
        };
        let token = login(&self.client, &self.url(), user, password).await;
        self.tokens
            .lock()
            .unwrap()
            .insert(user.to_owned(), token.clone());
        token
    }
}

fn config(folder: &TempDir, settings: &BTreeMap<String, String>) -> Config {
    let environment = |name: &str| match name {
        "KALAMDB_ROOT_PASSWORD" => Some(ROOT_PASSWORD.to_owned()),
        name => settings.get(name).cloned(),
    };
    let overrides = Overrides {
        host: None,
        port: Some(0),
        data_dir: Some(folder.path().join("data")),
    };
    Config::load(None, environment, &overrides).unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .unwrap()
}

async fn login(client: &reqwest::Client, url: &str, user: &str, password: &str) -> String {
    let body = json!({"user": user, "password": password});
    let answer: Value = client
        .post(format!("{url}/v1/api/auth/login"))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    answer["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("login of {user}: {answer}"))
        .to_owned()
}
