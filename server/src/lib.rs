//! kalam-server
