//! The reference page and the output of `--print-config`.

use std::fmt::Write as _;

use super::{Config, Entry};

const INTRODUCTION: &str = "\
# Configuration

Every setting has a default. Give others in a TOML file (`kalamdb-server --config server.toml`), in the environment, or on
the command line (`--host`, `--port`, `--data-dir`); the later wins. A key that the server does not know is an error.

- `kalamdb-server --print-config` prints every setting with its value and where it comes from; secrets are hidden.
- `kalamdb-server --check-config` reads the configuration, says what is wrong with it, and ends.

This page is generated from the source: `KALAMDB_UPDATE_REFERENCE=1 cargo test -p kalam-server config` writes it.
";

/// The text of `docs/reference/config.md`.
#[must_use]
pub fn reference() -> String {
    let entries = Config::default().entries();
    let mut page = INTRODUCTION.to_owned();
    append_section("", "", &entries, &mut page);
    for (section, description) in Config::SECTIONS {
        append_section(section, description, &entries, &mut page);
    }
    page
}

fn append_section(section: &str, description: &str, entries: &[Entry], page: &mut String) {
    page.push('\n');
    let heading = if section.is_empty() {
        "Top level".to_owned()
    } else {
        format!("`[{section}]`")
    };
    let _ = write!(page, "## {heading}\n\n");
    if !description.is_empty() {
        let _ = write!(
            page,
            "{}\n\n",
            description.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
    page.push_str("| Setting | Environment | Default | Meaning |\n|---|---|---|---|\n");
    for entry in entries.iter().filter(|entry| entry.section == section) {
        let default = entry
            .default
            .as_deref()
            .map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {default} | {} |",
            entry.path,
            entry.variable(),
            entry.description.replace('|', "\\|"),
        );
    }
}

impl Config {
    /// The configuration as TOML, with the origin of each value; secrets are hidden.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for entry in self.entries() {
            if entry.section != section {
                section = entry.section;
                let _ = write!(text, "\n[{section}]\n");
            }
            let _ = match entry.value {
                Some(ref value) => writeln!(text, "{} = {value}  # {}", entry.key(), entry.origin),
                None => writeln!(text, "# {} is not set", entry.key()),
            };
        }
        text
    }
}
