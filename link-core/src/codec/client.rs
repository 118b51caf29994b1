//! Writes what a client sends.

use super::{Frame, msgpack};
use crate::json::{Object, append_string};
use crate::message::{
    Authenticate, ClientMessage, Credentials, Params, Protocol, Query, Serialization,
    SubscribeOptions, SubscriptionRequest,
};

/// A client's message in the negotiated form.
#[must_use]
pub fn encode_client(message: &ClientMessage<Params>, serialization: Serialization) -> Frame {
    match serialization {
        Serialization::Json => Frame::Text(text_of(message)),
        Serialization::Msgpack => msgpack::encode_client(message),
    }
}

/// A client's message as JSON.
#[must_use]
pub fn text_of(message: &ClientMessage<Params>) -> String {
    let mut object = Object::new();
    match message {
        ClientMessage::Authenticate(authenticate) => {
            object.text("type", "authenticate");
            write_authenticate(authenticate, &mut object);
        }
        ClientMessage::Subscribe { subscription } => {
            object.text("type", "subscribe");
            object.raw("subscription", &subscription_object(subscription));
        }
        ClientMessage::NextBatch {
            subscription_id,
            last_seq_id,
        } => {
            object.text("type", "next_batch");
            object.text("subscription_id", subscription_id.as_str());
            object.number("last_seq_id", last_seq_id.map(|seq| seq.0));
        }
        ClientMessage::Unsubscribe { subscription_id } => {
            object.text("type", "unsubscribe");
            object.text("subscription_id", subscription_id.as_str());
        }
        ClientMessage::Ping => object.text("type", "ping"),
        ClientMessage::Query(query) => {
            object.text("type", "query");
            write_query(query, &mut object);
        }
    }
    object.end()
}

fn write_authenticate(authenticate: &Authenticate, object: &mut Object) {
    match &authenticate.credentials {
        Credentials::Jwt { token } => {
            object.text("method", "jwt");
            object.text("token", token);
        }
        Credentials::Basic { username, password } => {
            object.text("method", "basic");
            object.text("username", username);
            object.text("password", password);
        }
    }
    if let Some(protocol) = &authenticate.protocol {
        object.raw("protocol", &protocol_object(protocol));
    }
}

fn protocol_object(protocol: &Protocol) -> String {
    let mut object = Object::new();
    object.text("serialization", protocol.serialization.as_str());
    object.text("compression", protocol.compression.as_str());
    if !protocol.features.is_empty() {
        let mut features = String::from("[");
        for feature in &protocol.features {
            if features.len() > 1 {
                features.push(',');
            }
            append_string(feature.as_str(), &mut features);
        }
        features.push(']');
        object.raw("features", &features);
    }
    object.end()
}

fn subscription_object(subscription: &SubscriptionRequest<Params>) -> String {
    let mut object = Object::new();
    object.text("id", subscription.id.as_str());
    object.text("sql", &subscription.sql);
    if let Some(params) = &subscription.params {
        object.raw("params", params.as_json());
    }
    if let Some(options) = &subscription.options {
        object.raw("options", &options_object(options));
    }
    object.end()
}

fn options_object(options: &SubscribeOptions) -> String {
    let mut object = Object::new();
    object.number("batch_size", options.batch_size.map(u64::from));
    object.number("last_rows", options.last_rows);
    object.number("from", options.from.map(|seq| seq.0));
    object.end()
}

fn write_query(query: &Query<Params>, object: &mut Object) {
    object.text("id", &query.id);
    object.text("sql", &query.sql);
    if let Some(params) = &query.params {
        object.raw("params", params.as_json());
    }
    if let Some(namespace) = &query.namespace_id {
        object.text("namespace_id", namespace);
    }
    if let Some(request_id) = &query.request_id {
        object.text("request_id", request_id);
    }
}
