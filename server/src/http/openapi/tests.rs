use std::collections::BTreeSet;

use kalam_link_core::http as wire;
use kalam_link_core::{ErrorCode, Role, UserId};
use serde::Serialize;
use utoipa::PartialSchema;

use super::*;

/// The schema names exactly the fields that the type writes when all of them are set.
fn check<S: PartialSchema>(sample: &impl Serialize) {
    let schema = serde_json::to_value(S::schema()).unwrap();
    let described: BTreeSet<String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let written: BTreeSet<String> = serde_json::to_value(sample)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(described, written);
}

fn user() -> wire::UserInfo {
    wire::UserInfo {
        id: UserId::new("a").unwrap(),
        username: "a".to_owned(),
        role: Role::User,
        email: None,
        created_at: String::new(),
        updated_at: String::new(),
    }
}

#[test]
fn schemas_have_the_fields_of_the_wire_types() {
    check::<SqlRequest>(&wire::SqlRequest {
        sql: String::new(),
        params: Some(Vec::<Json>::new()),
        namespace_id: Some(String::new()),
        request_id: Some(String::new()),
    });
    let error = kalam_link_core::ServerError::new(ErrorCode::EmptySql, "").with_hint("");
    check::<ServerError>(&error);
    let field = kalam_link_core::Field {
        name: "n".to_owned(),
        data_type: kalam_link_core::DataType::Int,
        index: 0,
        flags: vec![kalam_link_core::value::FieldFlag::PrimaryKey],
    };
    check::<Field>(&field);
    let result = wire::QueryResult {
        schema: vec![field],
        rows: Some(Vec::<Vec<Json>>::new()),
        row_count: 0,
        message: Some(String::new()),
        as_user: user().id,
        truncated: false,
    };
    check::<QueryResult>(&result);
    check::<SqlResponse>(&wire::SqlResponse {
        status: wire::Status::Error,
        results: vec![result],
        took: 0.0,
        error: Some(error),
    });
    check::<LoginRequest>(&wire::LoginRequest {
        user: String::new(),
        password: String::new(),
    });
    check::<UserInfo>(&user());
    check::<LoginResponse>(&wire::LoginResponse {
        user: user(),
        admin_ui_access: false,
        expires_at: String::new(),
        access_token: String::new(),
        refresh_token: String::new(),
        refresh_expires_at: String::new(),
    });
    check::<MeResponse>(&wire::MeResponse {
        user: user(),
        admin_ui_access: false,
    });
    check::<AuthError>(&wire::AuthError {
        error: String::new(),
        message: String::new(),
    });
    check::<HealthResponse>(&wire::HealthResponse {
        status: String::new(),
        version: String::new(),
        api_version: String::new(),
        build_date: String::new(),
    });
}
