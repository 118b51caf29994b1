//! SUBSCRIBE TO and KILL LIVE QUERY.
//!
//! Rows of a subscription go over the WebSocket only: SUBSCRIBE TO checks that the caller may have it and answers what a
//! client sends there.

use std::sync::Arc;

use kalam_engine::Table;
use kalam_engine::live::check_limit;
use kalam_link_core::message::SubscriptionRequest;
use kalam_link_core::{DataType, SubscriptionId, Value};
use kalam_model::Action;
use kalam_sql::{IdSource as _, Subscription};

use crate::error::Error;
use crate::executor::Call;
use crate::result::{self, Answer};
use crate::{resolve, system, visible};

/// Where the server takes WebSockets.
const PATH: &str = "/v1/ws";

/// Gives the message that begins the subscription.
pub(crate) fn subscribe(call: &Call<'_>, subscription: &Subscription) -> Result<Answer, Error> {
    let table = subscribed_table(call, subscription)?;
    let query = subscription.bind(&table.def, call.params, &call.caller.user)?;
    check_limit(&query)?;
    let request = SubscriptionRequest {
        id: SubscriptionId::new(call.inner.ids.ulid(call.now)),
        sql: subscription.to_select(call.namespace.as_str()),
        params: (!call.params.is_empty()).then(|| call.params.to_vec()),
        options: Some(subscription.options),
    };
    let request = serde_json::to_string(&request).map_err(Error::internal)?;
    let origin = call.meta.ws_origin.as_deref().unwrap_or_default();
    let fields = result::fields(&[
        ("status", DataType::Text),
        ("ws_url", DataType::Text),
        ("subscription", DataType::Json),
        ("message", DataType::Text),
    ]);
    let row = vec![
        Value::Text("ready".to_owned()),
        Value::Text(format!("{origin}{PATH}")),
        Value::Json(request),
        Value::Text("send `subscription` in a subscribe message over the WebSocket".to_owned()),
    ];
    Ok(result::rows(&call.caller.user, fields, &[row]))
}

fn subscribed_table(call: &Call<'_>, subscription: &Subscription) -> Result<Arc<Table>, Error> {
    let catalog = call.inner.engine.catalog();
    let reference = &subscription.table;
    let id = resolve::table_id(&call.namespace, reference);
    if let Some(id) = &id {
        if let Some(view) = catalog.view(id)
            && visible::sees_view(&catalog, call.caller, view)
        {
            return Err(Error::IsView {
                name: id.to_string(),
            });
        }
        if system::sees(call.caller, id.namespace.as_str(), &id.name) {
            return Err(Error::unsupported(format!("a subscription to `{id}`")));
        }
    }
    resolve::visible_table(&catalog, call.caller, &call.namespace, reference)
}

/// Everybody ends their own subscriptions, administrators those of all. One that the caller does not see in
/// `system.live` is as good as none.
pub(crate) async fn kill(call: &Call<'_>, id: &str) -> Result<Answer, Error> {
    let not_found = || Error::LiveQueryNotFound { id: id.to_owned() };
    let owner = system::live::visible(&call.inner.engine, call.caller)
        .into_iter()
        .find(|info| info.live_id == id)
        .map(|info| info.user_id)
        .ok_or_else(not_found)?;
    let is_own = owner == call.caller.user;
    if !is_own && !call.caller.may(Action::Administer) {
        return Err(Error::PermissionDenied {
            action: "kill live queries of other users".to_owned(),
        });
    }
    if !call.inner.engine.live().kill(id) {
        return Err(not_found());
    }
    if !is_own {
        call.audit("KILL_LIVE_QUERY", owner.as_str(), "success")
            .await?;
    }
    Ok(call.message(format!("Live query killed: {id}")))
}
