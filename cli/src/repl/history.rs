//! What was typed, kept for the next time. A statement with a password is not.

use kalam_link::core::statements::{Piece, pieces};
use reedline::{
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result, SearchQuery,
};

use crate::error::Error;
use crate::settings::{Folders, touch_private};

const FILE: &str = "history";
const ENTRIES_MAX: usize = 10_000;

/// None without a folder for it.
///
/// # Errors
///
/// A file that cannot be written.
pub fn open(folders: &Folders) -> std::result::Result<Option<Box<dyn History>>, Error> {
    let Some(path) = folders.state.as_ref().map(|folder| folder.join(FILE)) else {
        return Ok(None);
    };
    touch_private(&path).map_err(|source| Error::Write {
        path: path.clone(),
        source,
    })?;
    match FileBackedHistory::with_file(ENTRIES_MAX, path) {
        Ok(history) => Ok(Some(Box::new(Discreet(history)))),
        Err(error) => Err(Error::Terminal(std::io::Error::other(error))),
    }
}

struct Discreet(FileBackedHistory);

/// Whether a line says a password or a credential.
fn has_secret(line: &str) -> bool {
    let secret = ["PASSWORD", "CREDENTIALS", "OAUTH"];
    let mut words = pieces(line).filter(|(piece, _)| *piece == Piece::Word);
    words.any(|(_, word)| {
        secret
            .iter()
            .any(|secret| word.eq_ignore_ascii_case(secret))
    })
}

impl History for Discreet {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        if has_secret(&item.command_line) {
            return Ok(item);
        }
        self.0.save(item)
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_kept() {
        assert!(has_secret("CREATE USER 'a' with password 'b'"));
        assert!(has_secret("ALTER USER 'a' SET PASSWORD 'b'"));
        assert!(!has_secret("SELECT 'password'"));
    }
}
