//! A running server: the only place that knows every part and wires them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kalam_engine::{Durability, Engine, EngineOptions};
use kalam_model::Timestamp;
use kalam_query::{Executor, Limits, ServerFacts, SettingRow};
use kalam_store::{Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::Auth;
use crate::auth::jwt::Tokens;
use crate::auth::rate::RateLimit;
use crate::config::{Config, DurabilitySetting, Secret};
use crate::error::Error;
use crate::http::serve::Server;
use crate::http::{self, Reach};
use crate::metrics::Metrics;
use crate::secrets;
use crate::shutdown::Lifecycle;

/// Where the database is inside the data folder.
const DATABASE_FOLDER: &str = "db";

/// How often caches and counters are tidied.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);

/// A running server. [`stop`](Self::stop) it: dropping it leaves its tasks running.
pub struct Node {
    address: SocketAddr,
    first_password: Option<FirstPassword>,
    engine: Arc<Engine>,
    server: Server,
    tidying: JoinHandle<()>,
}

/// The password of root that the first start made.
pub struct FirstPassword {
    pub password: String,
    /// Where it is kept.
    pub path: PathBuf,
}

impl Node {
    /// Opens the data folder and serves requests when it returns.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::start_with(config, Router::new()).await
    }

    /// [`start`](Self::start) with routes of the caller beside the server's own, behind the same limits and the same
    /// net under panics: for tests of that net.
    pub async fn start_with(config: Config, extra: Router) -> Result<Self, Error> {
        config.check()?;
        let started_at = Timestamp::now();
        // First, so that a second server on the same port ends before it touches any data.
        let address = config.listen_address();
        let listen = |source| Error::Listen {
            address: address.clone(),
            source,
        };
        let listener = TcpListener::bind(&address).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let reach = if local.ip().is_loopback() {
            Reach::Loopback
        } else {
            Reach::Network
        };

        let engine = open_engine(&config).await?;
        match Self::serve(
            &config,
            extra,
            Arc::clone(&engine),
            listener,
            (local, reach),
            started_at,
        )
        .await
        {
            Ok(node) => Ok(node),
            Err(error) => {
                close(engine).await;
                Err(error)
            }
        }
    }

    async fn serve(
        config: &Config,
        extra: Router,
        engine: Arc<Engine>,
        listener: TcpListener,
        (address, reach): (SocketAddr, Reach),
        started_at: Timestamp,
    ) -> Result<Self, Error> {
        let first_password = first_start(&engine, config).await?;
        let auth = Arc::new(Auth::new(Arc::clone(&engine), tokens(config)?));
        let rate = match reach {
            Reach::Loopback => None,
            Reach::Network => NonZeroU32::new(config.limits.statements_per_second)
                .map(RateLimit::new)
                .map(Arc::new),
        };
        let metrics = Arc::new(Metrics::new());
        let lifecycle = Lifecycle::default();
        let tidying = tokio::spawn(tidy(Arc::clone(&auth), rate.clone(), Arc::clone(&metrics)));
        let parts = http::Parts {
            executor: Executor::new(
                Arc::clone(&engine),
                limits(config),
                facts(config, started_at),
            ),
            engine: Arc::clone(&engine),
            auth,
            rate,
            metrics: Arc::clone(&metrics),
            lifecycle: lifecycle.clone(),
            reach,
        };
        let router = http::router(parts, config, extra);
        let server = Server::start(listener, router, &config.server, lifecycle, metrics);
        Ok(Self {
            address,
            first_password,
            engine,
            server,
            tidying,
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The password of root, if this start made it. Only the first call gives it.
    pub fn take_first_password(&mut self) -> Option<FirstPassword> {
        self.first_password.take()
    }

    /// Lets the requests under way end, then syncs and closes the database.
    pub async fn stop(self) {
        self.server.stop().await;
        self.tidying.abort();
        let _ = self.tidying.await;
        close(self.engine).await;
    }
}

async fn open_engine(config: &Config) -> Result<Arc<Engine>, Error> {
    let folder = config.data.dir.clone();
    let store_options = StoreOptions {
        block_cache_bytes: config.storage.block_cache_bytes,
        write_buffer_bytes: config.storage.write_buffer_bytes,
        ..StoreOptions::default()
    };
    let engine_options = EngineOptions {
        durability: match config.durability {
            DurabilitySetting::Sync => Durability::Sync,
            DurabilitySetting::Relaxed { window_ms } => Durability::Relaxed { window_ms },
        },
        node: config.node.number,
        request_retention_hours: config.retention.request_hours,
        audit_retention_days: config.retention.audit_days,
    };
    let open = move || {
        make_folder(&folder)?;
        let store = Store::open(&folder.join(DATABASE_FOLDER), &store_options)?;
        Engine::open(store, engine_options).map_err(Error::Engine)
    };
    blocking(open).await
}

/// For its owner only: it holds everybody's rows.
fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| Error::DataFolder {
        path: path.to_owned(),
        source,
    })
}

/// Makes root if there is nobody yet. A password that is made here is in its file before the account exists, so that a
/// crash between the two leaves no account that nobody can use.
async fn first_start(engine: &Engine, config: &Config) -> Result<Option<FirstPassword>, Error> {
    if !engine
        .users()
        .page(None, 1)
        .map_err(Error::Engine)?
        .is_empty()
    {
        return Ok(None);
    }
    let (password, first) = match &config.root.password {
        Some(password) => (password.expose().to_owned(), None),
        None => {
            let (password, path) = secrets::draw_root_password(&config.data.dir)?;
            (password.clone(), Some(FirstPassword { password, path }))
        }
    };
    match engine
        .users()
        .first_start(Some(password), Timestamp::now())
        .await
    {
        Ok(_) => Ok(first),
        Err(error @ kalam_engine::Error::WeakPassword { .. }) => Err(Error::RootPassword(error)),
        Err(error) => Err(Error::Engine(error)),
    }
}

fn tokens(config: &Config) -> Result<Tokens, Error> {
    let secret = match &config.jwt.secret {
        Some(secret) => Secret::expose(secret).as_bytes().to_vec(),
        None => secrets::jwt_secret(&config.data.dir)?,
    };
    Ok(Tokens::new(
        &secret,
        config.jwt.access_seconds,
        config.jwt.refresh_seconds,
    ))
}

fn limits(config: &Config) -> Limits {
    Limits {
        statement_timeout_ms: config.limits.statement_timeout_ms,
        result_rows_max: config.limits.result_rows_max,
        result_bytes_max: config.limits.result_bytes_max,
        query_memory_bytes: config.limits.query_memory_bytes,
        command_bytes_max: config.limits.command_bytes_max,
        sql_bytes_max: config.limits.sql_bytes_max,
        statement_cache_bytes: config.limits.statement_cache_bytes,
    }
}

/// What `system.settings` shows. Secrets are hidden in the entries already.
fn facts(config: &Config, started_at: Timestamp) -> ServerFacts {
    let row = |entry: crate::config::Entry| SettingRow {
        name: entry.path.to_owned(),
        value: entry.value.unwrap_or_default(),
        description: entry.description,
        category: if entry.section.is_empty() {
            "general"
        } else {
            entry.section
        }
        .to_owned(),
        origin: entry.origin.to_string(),
    };
    ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at,
        settings: config.entries().into_iter().map(row).collect(),
    }
}

async fn tidy(auth: Arc<Auth>, rate: Option<Arc<RateLimit>>, metrics: Arc<Metrics>) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    loop {
        interval.tick().await;
        auth.tidy();
        metrics.tidy();
        if let Some(rate) = &rate {
            rate.tidy();
        }
    }
}

async fn close(engine: Arc<Engine>) {
    let closing = tokio::task::spawn_blocking(move || engine.close());
    if closing.await.is_err() {
        tracing::error!("closing the database failed");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
