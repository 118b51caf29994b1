//! Where a SQL statement ends.
