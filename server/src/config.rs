//! Settings of the server: one struct, filled from defaults, a TOML file, the environment and the command line, in this
//! order. Every setting is declared once, in `settings!` below; the reference page, `--print-config`, the variables of
//! the environment and `system.settings` follow from it.

mod entry;
mod load;
mod reference;
mod setting;

pub use entry::{Entry, Origin};
pub use load::{ConfigError, Overrides};
pub use reference::reference;
pub use setting::{DurabilitySetting, LogFormat, LogLevel, Origins, Secret};

use setting::Setting;

/// Declares `Config` and its sections together with what describes them.
macro_rules! settings {
    (
        top { $($(#[doc = $top_doc:literal])+ $top:ident: $top_type:ty = $top_default:expr,)* }
        $($(#[doc = $section_doc:literal])+ $section:ident: $section_type:ident {
            $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr,)*
        })*
    ) => {
        /// All settings.
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $top_doc])+ pub $top: $top_type,)*
            $($(#[doc = $section_doc])+ pub $section: $section_type,)*
            /// Where each setting that is not a default comes from.
            #[serde(skip)]
            origins: std::collections::BTreeMap<&'static str, Origin>,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($top: $top_default,)*
                    $($section: $section_type::default(),)*
                    origins: std::collections::BTreeMap::new(),
                }
            }
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, serde::Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $section_type {
                $($(#[doc = $doc])+ pub $name: $type,)*
            }

            impl Default for $section_type {
                fn default() -> Self {
                    Self { $($name: $default,)* }
                }
            }
        )*

        impl Config {
            /// Sections in the order of the reference: key and description.
            const SECTIONS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($section), concat!($($section_doc),+)),)*];

            /// Every setting as it stands, in the order of the reference.
            #[must_use]
            pub fn entries(&self) -> Vec<Entry> {
                let defaults = Self::default();
                vec![
                    $(self.entry(
                        stringify!($top), "", concat!($($top_doc, "\n"),+), &self.$top, &defaults.$top,
                    ),)*
                    $($(self.entry(
                        concat!(stringify!($section), ".", stringify!($name)),
                        stringify!($section),
                        concat!($($doc, "\n"),+),
                        &self.$section.$name,
                        &defaults.$section.$name,
                    ),)*)*
                ]
            }

            /// Sets what `read` knows, by the path of each setting.
            fn set_each(
                &mut self,
                origin: Origin,
                mut read: impl FnMut(&'static str) -> Option<String>,
            ) -> Result<(), (&'static str, String)> {
                $(if let Some(text) = read(stringify!($top)) {
                    self.$top = <$top_type as Setting>::from_text(&text)
                        .map_err(|reason| (stringify!($top), reason))?;
                    self.origins.insert(stringify!($top), origin);
                })*
                $($({
                    const PATH: &str = concat!(stringify!($section), ".", stringify!($name));
                    if let Some(text) = read(PATH) {
                        self.$section.$name =
                            <$type as Setting>::from_text(&text).map_err(|reason| (PATH, reason))?;
                        self.origins.insert(PATH, origin);
                    }
                })*)*
                Ok(())
            }
        }
    };
}

settings! {
    top {
        /// When a write is acknowledged: `sync` after an fsync that all waiting writers share, `relaxed` at once with
        /// an fsync every 100 ms, `relaxed:50ms` with another window. With `relaxed` a crash of the machine may lose
        /// what was written within the window; a crash of the process loses nothing.
        durability: DurabilitySetting = DurabilitySetting::default(),
    }
    /// The listener.
    server: ServerConfig {
        /// Address to listen on. On another address than a loopback one, rate limits are on, cookies are `Secure` and
        /// `/metrics` asks for a token.
        host: String = "127.0.0.1".to_owned(),
        /// Port to listen on; 0 takes a free one.
        port: u16 = 8080,
        /// Threads that serve requests; 0 means one per processor.
        worker_threads: usize = 0,
        /// Connections at the same time, WebSockets among them; more wait until one ends. Never more than the system
        /// lets the process have files open.
        connections_max: usize = 20_000,
        /// How long a connection may take to send the headers of a request. An idle connection is closed after this
        /// time too.
        header_timeout_ms: u64 = 30_000,
        /// Bytes of the headers of a request.
        header_bytes_max: usize = 32_768,
        /// How long a client may take to send the body of a request.
        body_timeout_ms: u64 = 30_000,
        /// How long a stopping server waits for the requests that it is working on.
        drain_timeout_ms: u64 = 10_000,
    }
    /// Where everything is kept.
    data: DataConfig {
        /// The data folder. Created if missing; one server at a time uses it.
        dir: std::path::PathBuf = std::path::PathBuf::from("./data"),
    }
    /// What this server is among others.
    node: NodeConfig {
        /// Number from 0 to 1023 that makes the ids of `SNOWFLAKE_ID()` unique among servers.
        number: u16 = 0,
    }
    /// Memory of the storage engine.
    storage: StorageConfig {
        /// Cache of blocks read from disk.
        block_cache_bytes: usize = kalam_store::StoreOptions::default().block_cache_bytes,
        /// Rows kept in memory before they are written to a file.
        write_buffer_bytes: usize = kalam_store::StoreOptions::default().write_buffer_bytes,
    }
    /// How long things are kept that nobody deletes.
    retention: RetentionConfig {
        /// Answers of writes with a `request_id`, for clients that ask again.
        request_hours: u32 = kalam_engine::EngineOptions::default().request_retention_hours,
        /// `system.audit_log`.
        audit_days: u32 = kalam_engine::EngineOptions::default().audit_retention_days,
    }
    /// The log, which goes to standard error and never holds literals of statements, tokens or passwords.
    log: LogConfig {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: LogLevel = LogLevel::Info,
        /// `text` for people or `json` for machines.
        format: LogFormat = LogFormat::Text,
    }
    /// The account that exists from the first start on.
    root: RootConfig {
        /// First password of `root`. Read at the first start only; without it a random one is made, shown once and
        /// kept in `root-credential` in the data folder.
        password: Option<Secret> = None,
    }
    /// Tokens.
    jwt: JwtConfig {
        /// Signs the tokens, at least 32 bytes. Without it a random one is made and kept in `jwt-secret` in the data
        /// folder.
        secret: Option<Secret> = None,
        /// How long an access token is valid.
        access_seconds: u64 = 3_600,
        /// How long a session lasts that is not refreshed.
        refresh_seconds: u64 = 604_800,
    }
    /// Browsers.
    security: SecurityConfig {
        /// Origins of pages that may send requests, such as `https://app.example.com`. While the server listens on a
        /// loopback address, pages of every loopback host may too.
        allowed_origins: Origins = Origins::default(),
    }
    /// Live queries and statements over `/v1/ws`.
    websocket: WebsocketConfig {
        /// How long a client may take to authenticate.
        auth_timeout_ms: u64 = kalam_engine::live::ConnOptions::default().auth_timeout_ms,
        /// Bytes of a message of a client.
        message_bytes_max: usize = 1_048_576,
        /// Bytes of a message of a client that has not authenticated.
        unauthenticated_bytes_max: usize = 16_384,
        /// Subscriptions of one socket.
        subscriptions_max: usize = kalam_engine::live::ConnOptions::default().subscriptions_max,
        /// Messages a second from one socket; 0 means no limit. Off while the server listens on a loopback address.
        messages_per_second: u32 = 1_000,
        /// A client that was not heard for so long is pinged.
        ping_after_ms: u64 = kalam_engine::live::ConnOptions::default().ping_after_ms,
        /// A client that is not heard for so long after a ping is gone.
        ping_timeout_ms: u64 = kalam_engine::live::ConnOptions::default().ping_timeout_ms,
        /// How long a load waits for the client to ask for its next batch. After that it gives back what it holds and
        /// reads it anew when the client asks.
        load_timeout_ms: u64 = kalam_engine::live::ConnOptions::default().load_timeout_ms,
    }
    /// Limits of a request. One that is exceeded is an error; nothing is cut.
    limits: LimitsConfig {
        /// Bytes of a request body.
        body_bytes_max: usize = 10 * 1024 * 1024,
        /// Bytes of the SQL text of a request.
        sql_bytes_max: usize = kalam_query::Limits::default().sql_bytes_max,
        /// Bytes that one statement may write.
        command_bytes_max: usize = kalam_query::Limits::default().command_bytes_max,
        /// How long a statement may take.
        statement_timeout_ms: u64 = kalam_query::Limits::default().statement_timeout_ms,
        /// Rows of a result.
        result_rows_max: u64 = kalam_query::Limits::default().result_rows_max,
        /// Bytes of a result.
        result_bytes_max: u64 = kalam_query::Limits::default().result_bytes_max,
        /// Memory of the queries that run at the same time, together.
        query_memory_bytes: u64 = kalam_query::Limits::default().query_memory_bytes,
        /// Memory of parsed statements that are kept for their next use.
        statement_cache_bytes: u64 = kalam_query::Limits::default().statement_cache_bytes,
        /// Statements a second of one user; 0 means no limit. Off while the server listens on a loopback address.
        statements_per_second: u32 = 10_000,
    }
    /// `/metrics`.
    metrics: MetricsConfig {
        /// Bearer token that reads `/metrics`. Without it, on another address than a loopback one, an access token of
        /// a dba or of the system role does.
        token: Option<Secret> = None,
    }
}

impl Config {
    /// The address as the listener takes it: an IPv6 address gets its brackets.
    #[must_use]
    pub fn listen_address(&self) -> String {
        let ServerConfig { host, port, .. } = &self.server;
        if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    /// Refuses values that are well formed but make no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        const JWT_SECRET_BYTES_MIN: usize = 32;
        let short = |secret: &Secret| secret.expose().len() < JWT_SECRET_BYTES_MIN;
        refuse(
            self.server.host.is_empty(),
            "server.host",
            "must not be empty",
        )?;
        refuse(
            self.server.connections_max == 0,
            "server.connections_max",
            "must be at least 1",
        )?;
        refuse(
            self.server.header_timeout_ms == 0,
            "server.header_timeout_ms",
            "must be at least 1",
        )?;
        refuse(
            self.server.body_timeout_ms == 0,
            "server.body_timeout_ms",
            "must be at least 1",
        )?;
        refuse(
            self.server.header_bytes_max < 8_192,
            "server.header_bytes_max",
            "must be at least 8192",
        )?;
        self.check_websocket()?;
        refuse(
            self.data.dir.as_os_str().is_empty(),
            "data.dir",
            "must not be empty",
        )?;
        refuse(
            self.node.number >= 1_024,
            "node.number",
            "must be below 1024",
        )?;
        refuse(
            self.jwt.secret.as_ref().is_some_and(short),
            "jwt.secret",
            "must have at least 32 bytes",
        )?;
        refuse(
            self.jwt.access_seconds == 0,
            "jwt.access_seconds",
            "must be at least 1",
        )?;
        refuse(
            self.jwt.refresh_seconds < self.jwt.access_seconds,
            "jwt.refresh_seconds",
            "must not be less than jwt.access_seconds",
        )?;
        refuse(
            self.limits.body_bytes_max == 0,
            "limits.body_bytes_max",
            "must be at least 1",
        )?;
        refuse(
            self.limits.statement_timeout_ms == 0,
            "limits.statement_timeout_ms",
            "must be at least 1",
        )
    }
}

impl Config {
    fn check_websocket(&self) -> Result<(), ConfigError> {
        /// An `authenticate` message with a token has about 700.
        const BYTES_MIN: usize = 4_096;
        let settings = &self.websocket;
        for (milliseconds, path) in [
            (settings.auth_timeout_ms, "websocket.auth_timeout_ms"),
            (settings.ping_after_ms, "websocket.ping_after_ms"),
            (settings.ping_timeout_ms, "websocket.ping_timeout_ms"),
            (settings.load_timeout_ms, "websocket.load_timeout_ms"),
        ] {
            refuse(milliseconds == 0, path, "must be at least 1")?;
        }
        for (bytes, path) in [
            (settings.message_bytes_max, "websocket.message_bytes_max"),
            (
                settings.unauthenticated_bytes_max,
                "websocket.unauthenticated_bytes_max",
            ),
        ] {
            refuse(bytes < BYTES_MIN, path, "must be at least 4096")?;
        }
        refuse(
            settings.unauthenticated_bytes_max > settings.message_bytes_max,
            "websocket.unauthenticated_bytes_max",
            "must not be more than websocket.message_bytes_max",
        )
    }
}

fn refuse(wrong: bool, path: &'static str, reason: &str) -> Result<(), ConfigError> {
    if wrong {
        Err(ConfigError::Value {
            name: path.to_owned(),
            reason: reason.to_owned(),
        })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
