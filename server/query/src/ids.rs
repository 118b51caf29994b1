//! New ids: the only randomness in statements, fixed before a write is ordered (I2).

use std::sync::Arc;

use kalam_engine::Engine;
use kalam_model::Timestamp;
use kalam_sql::IdSource;

/// Ids of this server.
pub(crate) struct Ids {
    engine: Arc<Engine>,
}

impl Ids {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl IdSource for Ids {
    fn snowflake(&self, now: Timestamp) -> i64 {
        self.engine.snowflakes().next(now)
    }

    fn uuid_v7(&self, now: Timestamp) -> [u8; 16] {
        let mut random = random();
        // The first 48 bits are the time; the counter that rises within a millisecond comes from the snowflakes.
        let counter = self.engine.snowflakes().next(now) & 0xfff;
        random[0..2].copy_from_slice(&u16::try_from(counter).unwrap_or_default().to_be_bytes());
        let tail: [u8; 10] = random[..10].try_into().expect("10 of 16 bytes");
        *uuid::Builder::from_unix_timestamp_millis(now.unix_ms(), &tail)
            .into_uuid()
            .as_bytes()
    }

    fn ulid(&self, now: Timestamp) -> String {
        ulid::Ulid::from_parts(now.unix_ms(), u128::from_be_bytes(random())).to_string()
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .expect("the system has random numbers, as it had when the server started");
    bytes
}
