//! What is known of an import after the program has ended, however it ended: a small file, replaced as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::{CsvOptions, Format, Place};
use super::table::OnConflict;

const VERSION: u32 = 1;
const ID_BYTES: usize = 12;

/// What makes an import the same one. Batches are cut by it, and their request ids stand for what they hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub table: String,
    pub columns: Vec<String>,
    pub format: Format,
    pub csv: CsvOptions,
    pub batch_rows: usize,
    pub on_conflict: OnConflict,
    pub input: Input,
}

/// The file as it was when the import began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub bytes: u64,
    pub modified_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    pub import_id: String,
    pub plan: Plan,
    /// Batches 0 to this one, exclusive, are dealt with.
    pub batches: u64,
    pub rows: u64,
    pub refused: u64,
    pub skipped: u64,
    pub last_line: u64,
    /// Length of the file of refused rows at this point.
    pub rejects_bytes: u64,
    /// Later batches, and parts of such, that were refused as a whole and are sent in halves.
    pub halved: BTreeSet<String>,
    pub saved_ms: u64,
}

impl State {
    pub fn new(plan: Plan) -> Result<Self, Error> {
        let mut bytes = [0_u8; ID_BYTES];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            version: VERSION,
            import_id: format!("import-{id}"),
            plan,
            batches: 0,
            rows: 0,
            refused: 0,
            skipped: 0,
            last_line: 0,
            rejects_bytes: 0,
            halved: BTreeSet::new(),
            saved_ms: now_ms(),
        })
    }

    /// None: there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let name = path.display().to_string();
                return Err(Error::Read { name, source });
            }
        };
        let state = serde_json::from_slice(&bytes).ok();
        let state = state.filter(|state: &Self| state.version == VERSION);
        state.map(Some).ok_or_else(|| Error::MalformedState {
            state: path.to_owned(),
        })
    }

    pub fn save(&mut self, path: &Path) -> Result<(), Error> {
        self.saved_ms = now_ms();
        let write = || -> std::io::Result<()> {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_data()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|source| Error::Write {
            name: path.display().to_string(),
            source,
        })
    }

    /// Whether it belongs to `plan`, and in what it differs if not.
    pub fn check(&self, plan: &Plan, path: &Path) -> Result<(), Error> {
        let mine = &self.plan;
        let differs = |what, before: String| {
            Err(Error::OtherImport {
                state: path.to_owned(),
                what,
                before,
            })
        };
        if mine.table != plan.table {
            return differs("--into", mine.table.clone());
        }
        if mine.columns != plan.columns {
            return differs("list of columns", mine.columns.join(","));
        }
        if mine.batch_rows != plan.batch_rows {
            return differs("--batch-rows", mine.batch_rows.to_string());
        }
        if mine.input != plan.input {
            return differs(
                "input",
                format!("{} bytes, and not changed since", mine.input.bytes),
            );
        }
        if mine != plan {
            let before = serde_json::to_string(mine).unwrap_or_default();
            return differs("plan", before);
        }
        Ok(())
    }
}

impl Input {
    /// None: not a file that stays.
    pub fn of(place: &Place) -> Result<Option<Self>, Error> {
        let Place::File(path) = place else {
            return Ok(None);
        };
        let metadata = fs::metadata(path).map_err(|source| Error::Read {
            name: path.display().to_string(),
            source,
        })?;
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let bytes = metadata.len();
        let modified_ms = millis_of(modified);
        Ok(metadata.is_file().then_some(Self { bytes, modified_ms }))
    }
}

/// Where the state of an import of `input` is kept when nobody says where.
pub fn path_beside(input: &Path) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(".import-state");
    PathBuf::from(name)
}

pub fn now_ms() -> u64 {
    millis_of(SystemTime::now())
}

fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
