//! Tests of the workspace as a whole, in the crate that compiles fastest.

mod tidy;
