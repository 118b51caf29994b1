//! `WITH (name = value, …)` of tables and OPTIONS of subscriptions.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use kalam_link_core::SeqId;
use kalam_link_core::message::SubscribeOptions;
use kalam_model::{AccessLevel, TableKind};
use sqlparser::tokenizer::Token;

use crate::error::Error;
use crate::input::Input;
use crate::statement::NewOptions;

/// The longest life of a stream row and the longest memory of deletes: ten years.
const HOURS_MAX: u32 = 10 * 366 * 24;
const SECONDS_MAX: u32 = HOURS_MAX * 3_600;

/// After WITH. The kind stands here as TYPE.
pub(crate) fn create_options(
    input: &mut Input<'_>,
) -> Result<(Option<TableKind>, NewOptions), Error> {
    let mut kind = None;
    let mut options = NewOptions::default();
    each(
        input,
        |name, value| {
            match name {
                "TYPE" => kind = Some(value.parsed(name)?),
                "STORAGE_ID" => options.storage_id = Some(value.text(name)?),
                "DELETED_RETENTION_HOURS" => {
                    options.deleted_retention_hours = Some(value.number(name, HOURS_MAX)?)
                }
                "USE_USER_STORAGE" => options.use_user_storage = Some(value.flag(name)?),
                _ => return set_property(&mut options, name, value),
            }
            Ok(true)
        },
        "CREATE TABLE",
    )?;
    Ok((kind, options))
}

/// After SET TBLPROPERTIES: what can be changed later.
pub(crate) fn table_properties(input: &mut Input<'_>) -> Result<NewOptions, Error> {
    let mut options = NewOptions::default();
    each(
        input,
        |name, value| set_property(&mut options, name, value),
        "TBLPROPERTIES",
    )?;
    Ok(options)
}

/// After SET ACCESS LEVEL.
pub(crate) fn access_level(input: &mut Input<'_>) -> Result<AccessLevel, Error> {
    Value::read(input)?.parsed("ACCESS LEVEL")
}

/// After OPTIONS of SUBSCRIBE TO.
pub(crate) fn subscribe_options(input: &mut Input<'_>) -> Result<SubscribeOptions, Error> {
    let mut options = SubscribeOptions::default();
    each(
        input,
        |name, value| {
            match name {
                "LAST_ROWS" => options.last_rows = Some(value.whole(name, 0..=u64::MAX)?),
                "BATCH_SIZE" => options.batch_size = Some(value.number(name, u32::MAX)?),
                "FROM_SEQ_ID" => options.from = Some(SeqId(value.whole(name, 0..=u64::MAX)?)),
                _ => return Ok(false),
            }
            Ok(true)
        },
        "SUBSCRIBE TO",
    )?;
    Ok(options)
}

/// False if the option is none of those that can be changed.
fn set_property(options: &mut NewOptions, name: &str, value: &Value) -> Result<bool, Error> {
    match name {
        "ACCESS_LEVEL" => options.access_level = Some(value.parsed(name)?),
        "WRITE_LEVEL" => options.write_level = Some(value.parsed(name)?),
        "FLUSH_POLICY" => options.flush_policy = Some(value.parsed(name)?),
        "TTL_SECONDS" => options.ttl_seconds = Some(value.number(name, SECONDS_MAX)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads `(name = value, …)`, each name once. `set` says whether it knows the name.
fn each(
    input: &mut Input<'_>,
    mut set: impl FnMut(&str, &Value) -> Result<bool, Error>,
    of: &'static str,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    input.expect_token(&Token::LParen)?;
    input.comma_separated(|input| {
        let name = input
            .word(0)
            .ok_or_else(|| input.expected("the name of an option"))?;
        input.parser.advance_token();
        input.expect_token(&Token::Eq)?;
        let value = Value::read(input)?;
        if !set(&name, &value)? {
            return Err(Error::UnknownOption { option: name, of });
        }
        if !seen.insert(name.clone()) {
            return Err(Error::invalid(format!("option {name} is written twice")));
        }
        Ok(())
    })?;
    input.expect_token(&Token::RParen)
}

enum Value {
    Text(String),
    /// An unquoted word.
    Word(String),
    Number(String),
}

impl Value {
    fn read(input: &mut Input<'_>) -> Result<Self, Error> {
        let value = match input.token() {
            Token::SingleQuotedString(text) => Self::Text(text.clone()),
            Token::Word(word) if word.quote_style.is_none() => Self::Word(word.value.clone()),
            Token::Number(digits, false) => Self::Number(digits.clone()),
            _ => return Err(input.expected("a string, a word or a number")),
        };
        input.parser.advance_token();
        Ok(value)
    }

    fn as_str(&self) -> &str {
        let (Self::Text(text) | Self::Word(text) | Self::Number(text)) = self;
        text
    }

    fn parsed<T: FromStr<Err: ToString>>(&self, option: &str) -> Result<T, Error> {
        self.as_str()
            .trim()
            .parse()
            .map_err(|error: T::Err| wrong(option, error.to_string()))
    }

    fn text(&self, option: &str) -> Result<String, Error> {
        match self {
            Self::Text(text) | Self::Word(text) if !text.trim().is_empty() => Ok(text.clone()),
            _ => Err(wrong(option, "expected a name in single quotes")),
        }
    }

    fn number(&self, option: &str, max: u32) -> Result<u32, Error> {
        let number = self.whole(option, 1..=u64::from(max))?;
        Ok(u32::try_from(number).unwrap_or(max))
    }

    fn whole(&self, option: &str, range: RangeInclusive<u64>) -> Result<u64, Error> {
        let number = self
            .as_str()
            .trim()
            .parse()
            .ok()
            .filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (min, max) = range.into_inner();
            wrong(option, format!("expected a number from {min} to {max}"))
        })
    }

    fn flag(&self, option: &str) -> Result<bool, Error> {
        match self.as_str().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong(option, "expected true or false")),
        }
    }
}

fn wrong(option: &str, reason: impl Into<String>) -> Error {
    Error::OptionValue {
        option: option.to_owned(),
        reason: reason.into(),
    }
}

/// Names the new form of what earlier versions wrote after the columns.
pub(crate) fn refuse_old_suffix(input: &Input<'_>) -> Result<(), Error> {
    let Some(word) = input.word(0) else {
        return Ok(());
    };
    let (what, hint) = match word.as_str() {
        "FLUSH" => (
            "FLUSH after CREATE TABLE",
            "write WITH (FLUSH_POLICY='rows:N'), 'interval:SECONDS' or 'rows:N,interval:SECONDS'",
        ),
        "FLUSH_POLICY" => (
            "FLUSH_POLICY outside of WITH",
            "write WITH (FLUSH_POLICY='rows:N')",
        ),
        "STORAGE" | "STORAGE_ID" => (
            "STORAGE after CREATE TABLE",
            "write WITH (STORAGE_ID='local')",
        ),
        "TABLE_TYPE" | "TYPE" => (
            "TABLE_TYPE after CREATE TABLE",
            "write WITH (TYPE='USER'), 'SHARED' or 'STREAM'",
        ),
        "TTL" | "TTL_SECONDS" | "RETENTION" => {
            ("TTL after CREATE TABLE", "write WITH (TTL_SECONDS=n)")
        }
        "BUFFER_SIZE" => (
            "BUFFER_SIZE",
            "leave it out: a stream keeps all rows until TTL_SECONDS is over",
        ),
        "DELETED_RETENTION" | "DELETED_RETENTION_HOURS" => (
            "DELETED_RETENTION after CREATE TABLE",
            "write WITH (DELETED_RETENTION_HOURS=n)",
        ),
        "ACCESS" | "ACCESS_LEVEL" => (
            "ACCESS_LEVEL after CREATE TABLE",
            "write WITH (ACCESS_LEVEL='PUBLIC')",
        ),
        "USE_USER_STORAGE" => (
            "USE_USER_STORAGE after CREATE TABLE",
            "write WITH (USE_USER_STORAGE=true)",
        ),
        "OWNER_ID" | "OWNER" => (
            "OWNER_ID after CREATE TABLE",
            "leave it out: each user has own rows in every USER table",
        ),
        _ => return Ok(()),
    };
    Err(Error::Replaced { what, hint })
}
