//! The domain core of the server: what exists, in which order it changes and who may sign in.
//!
//! An [`Engine`] owns the catalog, the accounts, the thread that orders and applies commands, and the jobs that remove
//! what has outlived its time. It knows neither SQL text nor HTTP.

mod apply;
mod catalog;
mod ddl;
mod error;
mod job;
pub mod live;
mod lock;
mod propose;
mod published;
mod relaxed;
pub mod users;

use std::sync::Arc;

use kalam_model::{Applied, Command, GroupId, RowKey, Snowflakes, Timestamp, WriteCommand};
use kalam_store::{Slice, Snapshot, Store, meta};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

pub use apply::Applier;
pub use catalog::{Catalog, Table};
pub use error::Error;
pub use lock::KeyGuard;
pub use propose::{Durability, LocalProposer, Proposer};
pub use published::Effects;
pub use users::{Credential, NewUser, UserChange, Users};

use job::Retention;
use live::Live;
use lock::KeyLocks;
use propose::LocalOptions;
use published::Published;

/// Largest command in bytes. Keeps one statement from filling the log of a group.
pub const COMMAND_BYTES_MAX: usize = 16 << 20;

/// How an engine runs.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub durability: Durability,
    /// Number of this server inside ids, below 1,024.
    pub node: u16,
    /// How long the answers of requests with an id are kept.
    pub request_retention_hours: u32,
    pub audit_retention_days: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            node: 0,
            request_retention_hours: 24,
            audit_retention_days: 90,
        }
    }
}

/// The running domain core. [`close`](Self::close) it before the process ends.
pub struct Engine {
    store: Store,
    published: Arc<Published>,
    proposer: Arc<LocalProposer>,
    live: Arc<Live>,
    retention: Retention,
    users: Users,
    snowflakes: Snowflakes,
    locks: KeyLocks,
}

impl Engine {
    /// Loads what is stored, makes the data group's schemas equal to the catalog and starts the threads. Blocks.
    pub fn open(store: Store, options: EngineOptions) -> Result<Arc<Self>, Error> {
        relaxed::begin(&store, options.durability, Timestamp::now())?;
        let mut applier = Applier::load(&store)?;
        apply::reconcile(&mut applier, &store)?;
        let published = Arc::new(Published::new(applier.catalog(), applier.last_seq()));
        let live = Live::start(store.clone(), Arc::clone(&published))?;
        let local = LocalOptions {
            durability: options.durability,
        };
        let proposer = Arc::new(LocalProposer::start(
            store.clone(),
            applier,
            Arc::clone(&live),
            local,
        )?);
        let retention = Retention::start(Arc::clone(&proposer), Arc::clone(&published), &options)?;
        let users = Users::new(store.clone(), Arc::clone(&proposer), Arc::clone(&published))?;
        Ok(Arc::new(Self {
            store,
            published,
            proposer,
            live,
            retention,
            users,
            snowflakes: Snowflakes::new(options.node),
            locks: KeyLocks::new(),
        }))
    }

    /// What exists at this moment.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.published.catalog()
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A view of all rows that later commits do not change (I4).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// Live queries: connections, subscriptions and what they are told.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    #[must_use]
    pub fn snowflakes(&self) -> &Snowflakes {
        &self.snowflakes
    }

    /// Has `group` order the command; answers when it is applied and as durable as the options say (I12). Dropping the
    /// future does not take the command back.
    pub async fn propose(&self, group: GroupId, command: Command) -> Result<Applied, Error> {
        self.proposer.propose(group, command).await
    }

    /// [`propose`](Self::propose) for rows, with the limit on commands.
    pub async fn write(&self, command: WriteCommand) -> Result<Applied, Error> {
        let bytes = command.encoded_bytes();
        if bytes > COMMAND_BYTES_MAX {
            return Err(Error::StatementTooLarge {
                bytes,
                bytes_max: COMMAND_BYTES_MAX,
            });
        }
        self.proposer
            .propose(GroupId::LOCAL, Command::Write(command))
            .await
    }

    /// Waits for exclusive use of these keys among conditional writes (I10), so that honest users of a hot key do not
    /// meet conflicts. Take all keys of a statement in one call: a second call while a guard is held can deadlock.
    pub async fn lock_keys<'a>(
        &self,
        keys: impl IntoIterator<Item = (&'a Slice, &'a RowKey)>,
    ) -> KeyGuard {
        self.locks.lock(keys).await
    }

    /// Keeps ALTER from looking at the rows of `table` while a write is under way. Take it before the write reads.
    pub async fn table_gate_read(&self, table: &Table) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&table.gate).read_owned().await
    }

    /// Waits for the writes that hold the gate and keeps others out, while ALTER checks rows and changes the schema.
    pub async fn table_gate_write(&self, table: &Table) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&table.gate).write_owned().await
    }

    /// False once a commit or sync has failed or the engine is closing.
    #[must_use]
    pub fn is_accepting_writes(&self) -> bool {
        self.proposer.is_accepting()
    }

    /// A setting kept in the database.
    pub fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(meta::SETTINGS
            .get(&self.store.snapshot(), name)?
            .map(|(_, value)| value))
    }

    /// Ends the jobs, answers every command that waits, syncs and joins the threads. Blocks; later writes get
    /// `ShuttingDown`. Idempotent.
    pub fn close(&self) {
        self.retention.close();
        self.proposer.close();
        self.live.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
