use super::*;

fn login(url: &str, user: &str) -> Login {
    Login {
        url: url.into(),
        user: user.into(),
        password: "saved".into(),
    }
}

fn server(port: u16) -> LocalServer {
    LocalServer {
        url: format!("http://127.0.0.1:{port}"),
        port,
        data_dir: "/nowhere".into(),
        pid: 1,
    }
}

fn check(connection: Connection, known: &Known, url: &str, identity: &str) {
    let target = resolve(&connection, known).unwrap();
    assert_eq!(target.url, url);
    assert_eq!(format!("{:?}", target.identity), identity);
}

#[test]
fn arguments_come_before_logins_and_those_before_servers() {
    let mut known = Known {
        servers: vec![server(9001)],
        ..Known::default()
    };
    check(
        Connection::default(),
        &Known::default(),
        "http://127.0.0.1:8080",
        "Ask(root)",
    );
    check(
        Connection::default(),
        &known,
        "http://127.0.0.1:9001",
        "Ask(root)",
    );
    known
        .logins
        .insert("default", login("https://db.example", "ann"));
    check(
        Connection::default(),
        &known,
        "https://db.example",
        "Password(ann)",
    );
    let connection = Connection {
        user: Some("bob".into()),
        ..Connection::default()
    };
    check(connection, &known, "https://db.example", "Ask(bob)");
    let connection = Connection {
        port: Some(9002),
        ..Connection::default()
    };
    check(connection, &known, "http://127.0.0.1:9002", "Ask(root)");
    let connection = Connection {
        host: Some("::1".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://[::1]:8080", "Ask(root)");
    let connection = Connection {
        url: Some("http://a:1/".into()),
        token: Some("t".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://a:1", "Token");
}

#[test]
fn a_login_is_found_by_its_name_or_its_address() {
    let mut known = Known::default();
    known.logins.insert("work", login("http://w", "ann"));
    let connection = Connection {
        instance: Some("work".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://w", "Password(ann)");
    let connection = Connection {
        url: Some("http://w".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://w", "Password(ann)");
    let connection = Connection {
        instance: Some("home".into()),
        ..Connection::default()
    };
    assert!(matches!(
        resolve(&connection, &known),
        Err(Error::UnknownInstance { .. })
    ));
}

#[test]
fn the_server_at_the_usual_port_is_taken_among_several() {
    let known = |ports: &[u16]| Known {
        servers: ports.iter().map(|port| server(*port)).collect(),
        ..Known::default()
    };
    check(
        Connection::default(),
        &known(&[8080, 9001]),
        "http://127.0.0.1:8080",
        "Ask(root)",
    );
    let several = resolve(&Connection::default(), &known(&[9001, 9002]));
    assert!(matches!(several, Err(Error::SeveralServers { .. })));
}

#[test]
fn root_of_a_server_here_needs_no_password() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("root-credential"), "first\n").unwrap();
    let here = LocalServer {
        data_dir: folder.path().into(),
        ..server(8080)
    };
    let known = Known {
        servers: vec![here],
        ..Known::default()
    };
    check(
        Connection::default(),
        &known,
        "http://127.0.0.1:8080",
        "Password(root)",
    );
    let connection = Connection {
        host: Some("localhost".into()),
        ..Connection::default()
    };
    check(
        connection,
        &known,
        "http://localhost:8080",
        "Password(root)",
    );
    let connection = Connection {
        user: Some("ann".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://127.0.0.1:8080", "Ask(ann)");
    let connection = Connection {
        host: Some("elsewhere".into()),
        ..Connection::default()
    };
    check(connection, &known, "http://elsewhere:8080", "Ask(root)");
}

#[test]
fn secrets_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders {
        config: Some(folder.path().join("config")),
        cache: Some(folder.path().join("cache")),
        state: None,
    };
    let mut logins = Logins::default();
    logins.insert("a", login("http://a", "ann"));
    let path = logins.save(&folders).unwrap();
    assert_eq!(Logins::load(&folders).unwrap(), logins);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    Tokens::load(&folders).put("http://a", "ann", "one", "t1", &folders);
    assert_eq!(
        Tokens::load(&folders).get("http://a", "ann", "one"),
        Some("t1")
    );
    assert_eq!(Tokens::load(&folders).get("http://a", "ann", "two"), None);
    Tokens::load(&folders).put("http://a", "ann", "two", "t2", &folders);
    assert_eq!(Tokens::load(&folders).get("http://a", "ann", "one"), None);
    let mode = folder
        .path()
        .join("cache/tokens.json")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
