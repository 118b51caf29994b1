//! SUBSCRIBE TO over HTTP, KILL LIVE QUERY, and the tables that show subscriptions and connections.

use std::sync::Arc;

use kalam_engine::live::{Conn, ConnOptions, Identity, Output, Peer};
use kalam_link_core::http::SqlRequest;
use kalam_link_core::message::{ClientMessage, SubscriptionRequest};
use kalam_link_core::{ErrorCode, Role};
use kalam_model::{Caller, Timestamp};
use kalam_query::RequestMeta;
use serde_json::{Value as Json, json};

use crate::exec_support::{alice, code, root, verdict};
use crate::plan_support::{Db, caller};

/// An open connection. It has no socket: what would be sent is dropped.
struct Viewer {
    conn: Conn,
}

impl Viewer {
    fn connect(db: &Db, caller: &Caller) -> Self {
        let now = Timestamp::now();
        let peer = Peer {
            client_addr: Some("10.0.0.7".into()),
            transport: "websocket",
        };
        let options = Arc::new(ConnOptions::default());
        let mut conn = db.engine.live().connect(peer, &options, now);
        let identity = Identity {
            caller: caller.clone(),
            user_version: 1,
            expires_at: None,
        };
        conn.upgraded(identity, None, now);
        let mut viewer = Self { conn };
        viewer.settle();
        viewer
    }

    fn subscribe(&mut self, request: SubscriptionRequest) {
        let message = ClientMessage::Subscribe {
            subscription: request,
        };
        self.conn.handle_message(message, Timestamp::now());
        self.settle();
    }

    fn see(&mut self, id: &str, sql: &str) {
        let request = json!({"id": id, "sql": sql, "options": {"last_rows": 5}});
        self.subscribe(serde_json::from_value(request).unwrap());
    }

    /// Runs what it waits for.
    fn settle(&mut self) {
        self.conn.take_events(Timestamp::now());
        while let Some(output) = self.conn.poll_output() {
            if let Output::Load(job) = output {
                self.conn.loaded(job.run(), Timestamp::now());
            }
        }
    }
}

async fn chat() -> Db {
    let db = Db::open();
    let root = root();
    for sql in [
        "CREATE NAMESPACE chat",
        "CREATE USER TABLE chat.notes (id INT PRIMARY KEY, body TEXT)",
        "CREATE SHARED TABLE chat.hidden (id INT PRIMARY KEY)",
        "CREATE STREAM TABLE chat.typing (who TEXT) WITH (TTL_SECONDS=60)",
        "CREATE VIEW chat.bodies AS SELECT body FROM chat.notes",
    ] {
        db.run(&root, sql).await;
    }
    db
}

/// The cells of the one row that SUBSCRIBE TO answers.
async fn offered(db: &Db, caller: &Caller, request: &SqlRequest, meta: &RequestMeta) -> Json {
    let mut outcome = db.executor.execute(caller, request, meta).await;
    assert_eq!(outcome.error, None, "{}", request.sql);
    let answer = outcome.results.pop().unwrap();
    let names: Vec<_> = answer.schema.iter().map(|field| &field.name).collect();
    assert_eq!(names, ["status", "ws_url", "subscription", "message"]);
    let rows: Json = serde_json::from_str(answer.rows.unwrap().get()).unwrap();
    assert_eq!((answer.row_count, rows.as_array().unwrap().len()), (1, 1));
    rows[0].clone()
}

#[tokio::test]
async fn subscribe_answers_what_the_socket_takes() {
    let db = chat().await;
    let request = SqlRequest {
        sql: "SUBSCRIBE TO notes WHERE body = $1 OPTIONS (last_rows=10, from_seq_id=7)".to_owned(),
        params: Some(vec![json!("hi")]),
        namespace_id: Some("chat".to_owned()),
        ..SqlRequest::default()
    };
    let meta = RequestMeta {
        ws_origin: Some("wss://example.com".to_owned()),
        ..RequestMeta::default()
    };
    let cells = offered(&db, &alice(), &request, &meta).await;
    assert_eq!(cells[0], "ready");
    assert_eq!(cells[1], "wss://example.com/v1/ws");
    let mut subscription: Json = serde_json::from_str(cells[2].as_str().unwrap()).unwrap();
    let id = subscription["id"].take();
    assert_eq!(id.as_str().unwrap().len(), 26);
    assert_eq!(
        subscription,
        json!({
            "id": null,
            "sql": "SELECT * FROM chat.notes WHERE body = $1",
            "params": ["hi"],
            "options": {"last_rows": 10, "from": 7},
        })
    );
    let again = offered(&db, &alice(), &request, &RequestMeta::default()).await;
    assert_eq!(again[1], "/v1/ws");
    let offer: SubscriptionRequest = serde_json::from_str(again[2].as_str().unwrap()).unwrap();
    assert_ne!(offer.id.as_str(), id.as_str().unwrap());
    let mut viewer = Viewer::connect(&db, &alice());
    viewer.subscribe(SubscriptionRequest {
        options: None,
        ..offer
    });
    assert_eq!(
        db.rows(&alice(), "SELECT query, status FROM system.live")
            .await,
        r#"[["SELECT * FROM chat.notes WHERE body = $1","live"]]"#
    );
}

#[tokio::test]
async fn every_kind_of_table_can_be_subscribed_to() {
    let db = chat().await;
    for (caller, sql) in [
        (alice(), "SUBSCRIBE TO chat.notes"),
        (alice(), "SUBSCRIBE TO chat.typing WHERE who <> 'me'"),
        (
            alice(),
            "SUBSCRIBE TO SELECT id FROM chat.notes ORDER BY id DESC LIMIT 10000",
        ),
        (root(), "SUBSCRIBE TO chat.hidden OPTIONS (batch_size=1)"),
        (alice(), "USE chat; SUBSCRIBE TO notes"),
    ] {
        assert_eq!(verdict(&db, &caller, sql).await, Ok(()), "{sql}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_live_is_refused_when_it_is_asked_for() {
    use ErrorCode as E;
    let db = chat().await;
    for (sql, expected) in [
        ("SUBSCRIBE TO chat.nothing", E::TableNotFound),
        ("SUBSCRIBE TO chat.hidden", E::TableNotFound),
        ("SUBSCRIBE TO system.users", E::TableNotFound),
        ("SUBSCRIBE TO system.live", E::Unsupported),
        ("SUBSCRIBE TO chat.bodies", E::InvalidSql),
        ("SUBSCRIBE TO chat.notes WHERE nothing = 1", E::InvalidSql),
        ("SUBSCRIBE TO SELECT nothing FROM chat.notes", E::InvalidSql),
        (
            "SUBSCRIBE TO chat.notes WHERE NOW() IS NOT NULL",
            E::InvalidSql,
        ),
        (
            "SUBSCRIBE TO chat.notes WHERE random() > 0.5",
            E::InvalidSql,
        ),
        (
            "SUBSCRIBE TO SELECT * FROM chat.notes LIMIT 10001",
            E::InvalidSql,
        ),
        (
            "SUBSCRIBE TO SELECT count(*) FROM chat.notes",
            E::InvalidSql,
        ),
        ("SUBSCRIBE TO chat.notes WHERE id = $1", E::InvalidParameter),
        ("BEGIN; SUBSCRIBE TO chat.notes; COMMIT", E::Unsupported),
    ] {
        assert_eq!(code(&db, &alice(), sql).await, expected, "{sql}");
    }
    let hidden = db.error(&alice(), "SUBSCRIBE TO chat.hidden").await;
    let missing = db.error(&alice(), "SUBSCRIBE TO chat.hiddem").await;
    assert_eq!(
        hidden.to_string().replace("hidden", "hiddem"),
        missing.to_string()
    );
    assert_eq!(hidden.hint, None);
    let error = db
        .ask(&alice(), "SUBSCRIBE TO chat.notes", &[json!(1)])
        .await;
    assert_eq!(error.unwrap_err().code, E::InvalidParameter);
}

#[tokio::test]
async fn i8_live_and_sessions_show_users_their_own_rows() {
    let db = chat().await;
    let bob = caller("bob", Role::User);
    let mut of_alice = Viewer::connect(&db, &alice());
    of_alice.see("one", "SELECT * FROM chat.notes");
    of_alice.see("two", "SELECT * FROM chat.notes WHERE id > 1");
    let mut of_bob = Viewer::connect(&db, &bob);
    of_bob.see("three", "SELECT * FROM chat.typing");
    let all = r#"[["one"],["three"],["two"]]"#;
    for (caller, live, sessions) in [
        (alice(), r#"[["one"],["two"]]"#, r#"[["alice"]]"#),
        (bob, r#"[["three"]]"#, r#"[["bob"]]"#),
        (caller("eve", Role::User), "[]", "[]"),
        (caller("svc", Role::Service), all, "[]"),
        (caller("dora", Role::Dba), all, r#"[["alice"],["bob"]]"#),
        (root(), all, r#"[["alice"],["bob"]]"#),
    ] {
        for table in ["live", "live_queries"] {
            let sql = format!("SELECT subscription_id FROM system.{table} ORDER BY 1");
            assert_eq!(db.rows(&caller, &sql).await, live, "{caller:?}");
        }
        let sql = "SELECT user_id FROM system.sessions ORDER BY 1";
        assert_eq!(db.rows(&caller, sql).await, sessions, "{caller:?}");
    }
    assert_eq!(
        db.rows(
            &root(),
            "SELECT namespace_id, table_name, user_id, query, options, status, changes, node_id, queue_depth \
             FROM system.live WHERE subscription_id = 'two'",
        )
        .await,
        r#"[["chat","notes","alice","SELECT * FROM chat.notes WHERE id > 1","{\"last_rows\":5}","live","0","0","0"]]"#
    );
    assert_eq!(
        db.rows(
            &alice(),
            "SELECT state, client_addr, transport, opened_at <= last_seen_at, session_id = connection_id \
             FROM system.sessions JOIN system.live USING (user_id) WHERE subscription_id = 'one'",
        )
        .await,
        r#"[["active","10.0.0.7","websocket",true,true]]"#
    );
    drop(of_alice);
    assert_eq!(
        db.rows(&root(), "SELECT subscription_id FROM system.live")
            .await,
        r#"[["three"]]"#
    );
}

async fn live_id(db: &Db, id: &str) -> String {
    let sql = format!("SELECT live_id FROM system.live WHERE subscription_id = '{id}'");
    let rows: Json = serde_json::from_str(&db.rows(&root(), &sql).await).unwrap();
    rows[0][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn i8_a_live_query_is_killed_by_its_owner_and_by_administrators() {
    let db = chat().await;
    let mut viewer = Viewer::connect(&db, &alice());
    let bob = caller("bob", Role::User);
    viewer.see("s", "SELECT * FROM chat.notes");
    let id = live_id(&db, "s").await;
    let kill = format!("KILL LIVE QUERY '{id}'");
    let hidden = db.error(&bob, &kill).await;
    let missing = db.error(&bob, "KILL LIVE QUERY 'none'").await;
    assert_eq!(hidden.code, ErrorCode::NotFound);
    assert_eq!(hidden.to_string().replace(&id, "none"), missing.to_string());
    // Services see it, and may not end it.
    let service = caller("svc", Role::Service);
    assert_eq!(
        code(&db, &service, &kill).await,
        ErrorCode::PermissionDenied
    );
    viewer.settle();
    let count = "SELECT count(*) FROM system.live";
    assert_eq!(db.rows(&root(), count).await, r#"[["1"]]"#);

    for by in [alice(), caller("dora", Role::Dba), root()] {
        viewer.see("s", "SELECT * FROM chat.notes");
        let id = live_id(&db, "s").await;
        let request = SqlRequest {
            sql: format!("KILL LIVE QUERY '{id}'"),
            ..SqlRequest::default()
        };
        let outcome = db
            .executor
            .execute(&by, &request, &RequestMeta::default())
            .await;
        assert_eq!(outcome.error, None);
        assert_eq!(
            outcome.results[0].message.as_deref(),
            Some(format!("Live query killed: {id}").as_str())
        );
        viewer.settle();
        assert_eq!(db.rows(&root(), count).await, r#"[["0"]]"#);
        assert_eq!(code(&db, &by, &request.sql).await, ErrorCode::NotFound);
    }
    assert_eq!(
        db.rows(
            &root(),
            "SELECT actor_user_id, target FROM system.audit_log WHERE action = 'KILL_LIVE_QUERY' ORDER BY 1",
        )
        .await,
        r#"[["dora","alice"],["root","alice"]]"#
    );
    assert_eq!(
        verdict(&db, &alice(), "BEGIN; KILL LIVE QUERY 'x'; COMMIT").await,
        Err(ErrorCode::Unsupported)
    );
}
