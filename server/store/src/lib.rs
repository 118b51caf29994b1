//! kalam-store
