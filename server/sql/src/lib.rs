//! kalam-sql
