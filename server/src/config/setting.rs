//! The types that a setting may have: how each is read from text and written as TOML.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// A value that a variable of the environment can hold.
pub(super) trait Setting: Sized {
    /// Reads the text of a variable or of an argument. The error is a reason for people.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value in TOML, hidden if it is a secret; none if the setting is not set.
    fn to_toml(&self) -> Option<String>;
}

macro_rules! number_settings {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| {
                    format!("`{text}` is not a whole number from {} to {}", <$type>::MIN, <$type>::MAX)
                })
            }

            fn to_toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

number_settings!(u16, u32, u64, usize);

impl Setting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Text that is neither logged nor printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for Option<Secret> {
    /// An empty variable is one that is not set: compose files pass those on.
    fn from_text(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| Secret::new(text)))
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().map(|_| quoted("***"))
    }
}

/// A type that stands as one word of text in TOML and in the environment.
macro_rules! text_setting {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl Setting for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                text.trim().parse()
            }

            fn to_toml(&self) -> Option<String> {
                Some(quoted(&self.to_string()))
            }
        }
    };
}

/// `sync`, `relaxed` or `relaxed:50ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DurabilitySetting {
    #[default]
    Sync,
    Relaxed {
        window_ms: u32,
    },
}

/// Window of `relaxed` without a number.
const RELAXED_WINDOW_MS: u32 = 100;

/// Longest window: what a crash of the machine may lose stays below a minute of writes.
const RELAXED_WINDOW_MS_MAX: u32 = 60_000;

impl FromStr for DurabilitySetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let window_ms = match text {
            "sync" => return Ok(Self::Sync),
            "relaxed" => Some(RELAXED_WINDOW_MS),
            _ => text
                .strip_prefix("relaxed:")
                .and_then(|window| window.strip_suffix("ms"))
                .and_then(|digits| digits.parse().ok())
                .filter(|window_ms| (1..=RELAXED_WINDOW_MS_MAX).contains(window_ms)),
        };
        window_ms.map(|window_ms| Self::Relaxed { window_ms }).ok_or_else(|| {
            format!("`{text}` is not a durability: `sync`, `relaxed` or `relaxed:50ms` (1 to {RELAXED_WINDOW_MS_MAX} ms)")
        })
    }
}

impl fmt::Display for DurabilitySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync => f.write_str("sync"),
            Self::Relaxed { window_ms } => write!(f, "relaxed:{window_ms}ms"),
        }
    }
}

text_setting!(DurabilitySetting);

/// A setting that is one of a few words.
macro_rules! word_setting {
    ($(#[doc = $doc:literal])+ $type:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub enum $type {
            $($variant),+
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is none of {}", [$($text),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }

        text_setting!($type);
    };
}

word_setting! {
    /// The least severe kind of line that is logged.
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
}

word_setting! {
    /// How a log line looks.
    LogFormat { Text = "text", Json = "json" }
}

/// Origins as browsers send them: scheme, host and port, nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Origins(Vec<String>);

impl Origins {
    pub fn new(origins: Vec<String>) -> Result<Self, String> {
        for origin in &origins {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let sound = host.is_some_and(|host| {
                !host.is_empty()
                    && host
                        .chars()
                        .all(|c| c.is_ascii_graphic() && !"/*?#@".contains(c))
            });
            if !sound {
                return Err(format!(
                    "`{origin}` is not an origin such as `https://app.example.com`"
                ));
            }
        }
        Ok(Self(
            origins
                .into_iter()
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        ))
    }

    #[must_use]
    pub fn contains(&self, origin: &str) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

impl TryFrom<Vec<String>> for Origins {
    type Error = String;

    fn try_from(origins: Vec<String>) -> Result<Self, String> {
        Self::new(origins)
    }
}

impl Setting for Origins {
    /// Separated by commas.
    fn from_text(text: &str) -> Result<Self, String> {
        let origins = text
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty());
        Self::new(origins.map(str::to_owned).collect())
    }

    fn to_toml(&self) -> Option<String> {
        Some(format!(
            "[{}]",
            self.0
                .iter()
                .map(|origin| quoted(origin))
                .collect::<Vec<_>>()
                .join(", ")
        ))
    }
}
