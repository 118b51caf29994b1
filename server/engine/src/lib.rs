//! kalam-engine
