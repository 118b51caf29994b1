//! The executor and the planner over a database in memory.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod exec_concurrent;
mod exec_ddl;
mod exec_limits;
mod exec_live;
mod exec_requests;
mod exec_rights;
mod exec_streams;
mod exec_support;
mod exec_transactions;
mod exec_values;
mod plan_limits;
mod plan_property;
mod plan_select;
mod plan_support;
mod plan_system;
mod plan_types;
