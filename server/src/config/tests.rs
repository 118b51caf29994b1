use std::io::Write as _;
use std::path::PathBuf;

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut path = tempfile::NamedTempFile::new().unwrap();
    path.write_all(file.as_bytes()).unwrap();
    let find = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Config::load(Some(path.path()), find, &Overrides::default())
}

fn failure(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment).unwrap_err().to_string()
}

#[test]
fn the_later_source_wins() {
    let config = load(
        "durability = 'relaxed'\n[server]\nport = 1\nhost = '::1'\n",
        &[
            ("KALAMDB_SERVER_PORT", "2"),
            ("KALAMDB_DURABILITY", "relaxed:50ms"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.port, 2);
    assert_eq!(config.listen_address(), "[::1]:2");
    assert_eq!(
        config.durability,
        DurabilitySetting::Relaxed { window_ms: 50 }
    );
    let origin = |path| {
        config
            .entries()
            .into_iter()
            .find(|entry| entry.path == path)
            .unwrap()
            .origin
    };
    assert_eq!(origin("server.port"), Origin::Environment);
    assert_eq!(origin("server.host"), Origin::File);
    assert_eq!(origin("data.dir"), Origin::Default);

    let overrides = Overrides {
        port: Some(3),
        ..Overrides::default()
    };
    let config =
        Config::load(None, |_| Some("4".to_owned()).filter(|_| false), &overrides).unwrap();
    assert_eq!(config.server.port, 3);
}

#[test]
fn the_variables_of_the_contract_exist() {
    let variables: Vec<String> = Config::default()
        .entries()
        .iter()
        .map(Entry::variable)
        .collect();
    for name in [
        "KALAMDB_SERVER_HOST",
        "KALAMDB_SERVER_PORT",
        "KALAMDB_DATA_DIR",
        "KALAMDB_ROOT_PASSWORD",
        "KALAMDB_JWT_SECRET",
        "KALAMDB_DURABILITY",
        "KALAMDB_LOG_LEVEL",
        "KALAMDB_LOG_FORMAT",
    ] {
        assert!(variables.contains(&name.to_owned()), "{name}");
    }
    let names = ["KALAMDB_LOG_LEVLE", "KALAMDB_LOG_LEVEL", "PATH"].map(str::to_owned);
    assert_eq!(
        Config::unknown_variables(names.into_iter()),
        ["KALAMDB_LOG_LEVLE"]
    );
}

#[test]
fn wrong_settings_are_named() {
    assert!(failure("[server]\nprot = 1\n", &[]).contains("prot"));
    assert!(failure("[sever]\n", &[]).contains("sever"));
    assert!(failure("[server]\nport = 'x'\n", &[]).contains("port"));
    assert!(failure("durability = 'fast'\n", &[]).contains("durability"));
    assert!(failure("", &[("KALAMDB_SERVER_PORT", "70000")]).contains("KALAMDB_SERVER_PORT"));
    assert!(failure("[jwt]\nsecret = 'short'\n", &[]).contains("jwt.secret"));
    assert!(failure("[node]\nnumber = 1024\n", &[]).contains("node.number"));
    assert!(failure("[log]\nlevel = 'loud'\n", &[]).contains("loud"));
    assert!(failure("[security]\nallowed_origins = ['*']\n", &[]).contains("origin"));
    for (line, name) in [
        ("ping_after_ms = 0", "websocket.ping_after_ms"),
        ("message_bytes_max = 4095", "websocket.message_bytes_max"),
        (
            "message_bytes_max = 16383",
            "websocket.unauthenticated_bytes_max",
        ),
    ] {
        assert!(failure(&format!("[websocket]\n{line}\n"), &[]).contains(name));
    }
    let missing = Config::load(
        Some(&PathBuf::from("/nowhere/x.toml")),
        |_| None,
        &Overrides::default(),
    );
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x.toml"));
}

#[test]
fn printed_configuration_reads_back_and_hides_secrets() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = load(
        "[security]\nallowed_origins = ['https://a.example']\n",
        &[("KALAMDB_JWT_SECRET", secret)],
    );
    let config = config.unwrap();
    let printed = config.to_toml();
    assert!(!printed.contains(secret) && !format!("{config:?}").contains(secret));
    assert!(printed.contains("secret = \"***\"  # environment"));
    let again = load(&printed.replace("\"***\"", &format!("\"{secret}\"")), &[]).unwrap();
    assert_eq!(
        again.to_toml().replace("# file", ""),
        printed
            .replace("# file", "")
            .replace("# environment", "")
            .replace("# default", "")
    );
}

#[test]
fn durabilities_have_a_window() {
    assert_eq!(
        "relaxed".parse(),
        Ok(DurabilitySetting::Relaxed { window_ms: 100 })
    );
    for wrong in [
        "",
        "async",
        "relaxed:",
        "relaxed:5",
        "relaxed:0ms",
        "relaxed:-1ms",
        "relaxed:60001ms",
    ] {
        assert!(wrong.parse::<DurabilitySetting>().is_err(), "{wrong}");
    }
}

#[test]
fn config_reference_is_up_to_date() {
    let path = PathBuf::from(
        std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"),
    )
    .join("../docs/reference/config.md");
    if std::env::var_os("KALAMDB_UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, reference(), "run with KALAMDB_UPDATE_REFERENCE=1");
}
