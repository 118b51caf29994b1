//! A server of a test's own, with its data in a temporary folder and a free port: in this process ([`TestNode`]), or as
//! the real program that can be killed ([`ServerProcess`]).

mod answer;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use axum::Router;
use kalam_server::Node;
use kalam_server::config::{Config, Overrides};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use answer::Answer;
pub use process::{ServerProcess, Session, program};

pub const ROOT_PASSWORD: &str = "root-password-of-tests";

/// Password of every user that [`TestNode::create_user`] makes.
pub const USER_PASSWORD: &str = "user-password-of-tests";

/// The data folder inside a test's own folder.
const DATA: &str = "data";

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
        Self::start_with_routes(settings, Router::new()).await
    }

    /// With routes of the test beside the server's own.
    pub async fn start_with_routes(settings: &[(&str, &str)], routes: Router) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::start_in(tempfile::tempdir().unwrap(), settings, routes).await
    }

    async fn start_in(folder: TempDir, settings: BTreeMap<String, String>, routes: Router) -> Self {
        let node = Node::start_with(config(&folder, &settings), routes)
            .await
            .unwrap();
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
        self.restart_after(|_| ()).await
    }

    /// Stops, has something done to the data folder, and starts again.
    pub async fn restart_after(self, work: impl FnOnce(&Path)) -> Self {
        let Self {
            node,
            folder,
            settings,
            users,
            ..
        } = self;
        node.stop().await;
        work(&folder.path().join(DATA));
        let again = Self::start_in(folder, settings, Router::new()).await;
        *again.users.lock().unwrap() = users.into_inner().unwrap();
        again
    }

    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.node.address()))
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url() + path)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url() + path)
    }

    /// A statement request of a user, to be completed and sent.
    pub async fn sql_request(&self, user: &str, body: &Value) -> RequestBuilder {
        self.post("/v1/api/sql")
            .bearer_auth(self.token(user).await)
            .json(body)
    }

    /// The whole answer of a request body.
    pub async fn answer(&self, user: &str, body: &Value) -> Answer {
        Answer::of(self.sql_request(user, body).await).await
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
        data_dir: Some(folder.path().join(DATA)),
    };
    Config::load(None, environment, &overrides).unwrap()
}

/// A server that listens on every address is reached on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

pub fn client() -> reqwest::Client {
    // The client library needs to know who does its cryptography, also for plain HTTP. The first call wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
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
