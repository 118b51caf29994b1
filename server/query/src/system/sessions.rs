//! `system.sessions`: open connections. Administrators see all, others their own.

use kalam_engine::live::SessionInfo;
use kalam_link_core::{DataType, Value};
use kalam_model::Timestamp;

use super::{SYSTEM, ServerTable, optional_text, text, time};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "sessions",
    columns: &[
        ("session_id", DataType::Text),
        ("user_id", DataType::Text),
        ("state", DataType::Text),
        ("client_addr", DataType::Text),
        ("transport", DataType::Text),
        ("opened_at", DataType::DateTime),
        ("last_seen_at", DataType::DateTime),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let caller = world.caller;
    let sees = |session: &SessionInfo| {
        caller.role.is_admin() || session.user_id.as_ref() == Some(&caller.user)
    };
    let row = |session: SessionInfo| {
        vec![
            text(session.session_id),
            optional_text(session.user_id.as_ref().map(|user| user.as_str())),
            text(session.state),
            optional_text(session.client_addr),
            text(session.transport),
            time(Timestamp::from_unix_ms(session.opened_at_ms)),
            time(Timestamp::from_unix_ms(session.last_seen_at_ms)),
        ]
    };
    let sessions = world.engine.live().sessions();
    Ok(sessions.into_iter().filter(sees).map(row).collect())
}
