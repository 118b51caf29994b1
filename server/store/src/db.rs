//! The only place where RocksDB is set up: column families and their options.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor,
    DBCompressionType, DBWithThreadMode, Env, FlushOptions, InfoLogger, LogLevel, Options,
    SingleThreaded, properties,
};

use crate::batch::{Batch, Sync};
use crate::error::Error;
use crate::meta;
use crate::snapshot::Snapshot;

/// Column families are made once, at the start: no lock is needed to find one.
pub(crate) type Database = DBWithThreadMode<SingleThreaded>;

/// The version of the storage format. Rises when an older server could misread the data.
const FORMAT_VERSION: u32 = 1;

/// A column family: one kind of record of all tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Live rows in commit order.
    Rows,
    /// Where the row of a primary key is.
    Keys,
    /// What was deleted.
    Tombstones,
    /// Rows of STREAM tables in time buckets.
    Stream,
    /// Answers of repeatable requests.
    Requests,
    /// Catalog, users, settings and counters.
    Meta,
}

impl Family {
    pub const ALL: [Self; 6] = [
        Self::Rows,
        Self::Keys,
        Self::Tombstones,
        Self::Stream,
        Self::Requests,
        Self::Meta,
    ];

    /// The name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Keys => "keys",
            Self::Tombstones => "tombstones",
            Self::Stream => "stream",
            Self::Requests => "requests",
            Self::Meta => "meta",
        }
    }
}

/// Memory and file limits. The default suits a small server: caches fill only with use.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Blocks, filters and indexes of files.
    pub block_cache_bytes: usize,
    /// Rows that are not in files yet, of all families together.
    pub write_buffer_bytes: usize,
    /// Log that a start may have to replay.
    pub wal_bytes_max: u64,
    pub open_files_max: i32,
    /// Threads that flush and compact.
    pub background_jobs: i32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            wal_bytes_max: 64 << 20,
            open_files_max: 512,
            background_jobs: 2,
        }
    }
}

/// What storage occupies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    pub memtable_bytes: u64,
    pub block_cache_bytes: u64,
    pub table_reader_bytes: u64,
    pub file_bytes: u64,
    pub live_file_bytes: u64,
    pub pending_compaction_bytes: u64,
    /// Estimates.
    pub rows: u64,
    pub keys: u64,
    pub tombstones: u64,
    pub stream_rows: u64,
    /// Snapshots that are held.
    pub snapshots: u64,
}

/// Called with each key and value of a scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Error> + 'a;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Something that keys can be read from: a [`Batch`] or a [`Snapshot`].
pub trait Reader {
    /// The value of one key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Visits the keys of a range in rising order until the visitor breaks.
    fn scan(&self, family: Family, range: Range<&[u8]>, visit: &mut Visit<'_>)
    -> Result<(), Error>;

    /// The first key of a range with its value.
    fn first(&self, family: Family, range: Range<&[u8]>) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.scan(family, range, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    cache: Cache,
}

impl Inner {
    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        self.database
            .cf_handle(family.name())
            .expect("every family was opened with the database")
    }
}

impl Store {
    /// Opens the database in `dir`, which is made if missing.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(|source| Error::Folder {
            path: dir.to_owned(),
            source,
        })?;
        Self::open_in(dir, options, None)
    }

    /// A database that is gone when it is closed. For tests.
    pub fn open_in_memory() -> Result<Self, Error> {
        let dir = Path::new("/kalam");
        let env = Env::mem_env().map_err(|source| Error::Open {
            path: dir.to_owned(),
            source,
        })?;
        Self::open_in(dir, &StoreOptions::default(), Some(&env))
    }

    fn open_in(dir: &Path, options: &StoreOptions, env: Option<&Env>) -> Result<Self, Error> {
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let mut settings = database_options(options);
        if let Some(env) = env {
            settings.set_env(env);
        }
        let families = Family::ALL.map(|family| {
            ColumnFamilyDescriptor::new(family.name(), family_options(family, options, &cache))
        });
        let database = Database::open_cf_descriptors(&settings, dir, families)
            .map_err(|source| open_error(dir, source))?;
        let store = Self {
            inner: Arc::new(Inner { database, cache }),
        };
        store.check_format(dir)?;
        Ok(store)
    }

    fn check_format(&self, dir: &Path) -> Result<(), Error> {
        match meta::format_version(&self.snapshot())? {
            Some(version) if version > FORMAT_VERSION => Err(Error::NewerVersion {
                path: dir.to_owned(),
            }),
            Some(_) => Ok(()),
            None => {
                let mut batch = self.batch();
                meta::put_format_version(&mut batch, FORMAT_VERSION);
                batch.commit(Sync::Yes)
            }
        }
    }

    /// An empty batch. It reads the newest state of the database, so only the one writer of the store uses it.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.inner))
    }

    /// Pins the state of the database as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.inner))
    }

    /// Makes every commit so far durable.
    pub fn sync_wal(&self) -> Result<(), Error> {
        self.inner
            .database
            .flush_wal(true)
            .map_err(Error::from_write)
    }

    /// Writes what is in memory to files, so that the next start has no log to replay.
    pub fn flush(&self) -> Result<(), Error> {
        let families = Family::ALL.map(|family| self.inner.family(family));
        let mut options = FlushOptions::new();
        options.set_wait(true);
        self.inner
            .database
            .flush_cfs_opt(&families, &options)
            .map_err(Error::from_write)
    }

    #[must_use]
    pub fn statistics(&self) -> StoreStatistics {
        let of = |family: Family, property: &rocksdb::properties::PropName| {
            let value = self
                .inner
                .database
                .property_int_value_cf(self.inner.family(family), property);
            value.ok().flatten().unwrap_or(0)
        };
        let sum = |property| Family::ALL.iter().map(|family| of(*family, property)).sum();
        StoreStatistics {
            memtable_bytes: sum(properties::CUR_SIZE_ALL_MEM_TABLES),
            block_cache_bytes: self.inner.cache.get_usage() as u64,
            table_reader_bytes: sum(properties::ESTIMATE_TABLE_READERS_MEM),
            file_bytes: sum(properties::TOTAL_SST_FILES_SIZE),
            live_file_bytes: sum(properties::LIVE_SST_FILES_SIZE),
            pending_compaction_bytes: sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            rows: of(Family::Rows, properties::ESTIMATE_NUM_KEYS),
            keys: of(Family::Keys, properties::ESTIMATE_NUM_KEYS),
            tombstones: of(Family::Tombstones, properties::ESTIMATE_NUM_KEYS),
            stream_rows: of(Family::Stream, properties::ESTIMATE_NUM_KEYS),
            snapshots: of(Family::Meta, properties::NUM_SNAPSHOTS),
        }
    }
}

fn database_options(options: &StoreOptions) -> Options {
    let mut settings = Options::default();
    settings.create_if_missing(true);
    settings.create_missing_column_families(true);
    settings.set_db_write_buffer_size(options.write_buffer_bytes);
    settings.set_max_total_wal_size(options.wal_bytes_max);
    settings.set_max_open_files(options.open_files_max);
    settings.set_max_background_jobs(options.background_jobs);
    settings.set_max_subcompactions(1);
    settings.set_bytes_per_sync(1 << 20);
    settings.set_max_manifest_file_size(4 << 20);
    // An idle server does nothing: no periodic statistics.
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    settings.set_skip_stats_update_on_db_open(true);
    // One writer: nothing to yield to, and no cost of concurrent memtables.
    settings.set_allow_concurrent_memtable_write(false);
    settings.set_enable_write_thread_adaptive_yield(false);
    settings.set_info_logger(InfoLogger::new_callback_logger(
        LogLevel::Warn,
        |level, message| match level {
            LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "rocksdb", "{message}"),
            LogLevel::Warn => tracing::warn!(target: "rocksdb", "{message}"),
            // Above every level comes a list of all options, thousands of lines.
            _ => tracing::trace!(target: "rocksdb", "{message}"),
        },
    ));
    settings
}

// As RocksDB's guide to partitioned indexes and filters advises.
const METADATA_BLOCK_BYTES: usize = 4 << 10;

fn family_options(family: Family, options: &StoreOptions, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In pieces, of which the cache keeps those in use: the filter of a large file is larger than a shard of the
    // cache, and would be read again for every key.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(METADATA_BLOCK_BYTES);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(6);
    let mut settings = Options::default();
    settings.set_compression_type(DBCompressionType::Lz4);
    settings.set_write_buffer_size(options.write_buffer_bytes / 2);
    settings.set_max_write_buffer_number(3);
    settings.set_target_file_size_base(32 << 20);
    match family {
        Family::Keys => {
            // Every INSERT asks for a key that is not there.
            blocks.set_bloom_filter(10.0, false);
            blocks.set_whole_key_filtering(true);
            settings.set_memtable_whole_key_filtering(true);
            settings.set_memtable_prefix_bloom_ratio(0.02);
        }
        // A new user name or request id is looked for before it is made.
        Family::Requests | Family::Meta => {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_whole_key_filtering(true);
        }
        Family::Rows | Family::Stream => blocks.set_block_size(8 << 10),
        Family::Tombstones => {}
    }
    settings.set_block_based_table_factory(&blocks);
    settings
}

/// RocksDB tells a held lock and unknown families by text only.
fn open_error(dir: &Path, source: rocksdb::Error) -> Error {
    let path = dir.to_owned();
    let text = source.as_ref();
    if text.contains("/LOCK") {
        Error::InUse { path }
    } else if text.contains("Column families not opened") {
        Error::NewerVersion { path }
    } else {
        Error::Open { path, source }
    }
}

#[cfg(test)]
mod tests;
