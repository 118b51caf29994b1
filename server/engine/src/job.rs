//! Background work. What it finds out goes through propose like everything else.

mod retention;

pub(crate) use retention::Retention;
