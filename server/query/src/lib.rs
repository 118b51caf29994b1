//! kalam-query
