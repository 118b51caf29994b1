//! Who may import whom: section 4 of `docs/architecture.md`, compared with the manifests.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use super::{check, files, root};

/// What a crate of ours may import.
struct Allowed {
    package: &'static str,
    ours: &'static [&'static str],
    heavy: &'static [&'static str],
}

const TABLE: [Allowed; 10] = [
    Allowed {
        package: "kalam-link-core",
        ours: &[],
        heavy: &[],
    },
    Allowed {
        package: "kalam-link",
        ours: &["kalam-link-core"],
        heavy: &["tokio", "tokio-tungstenite", "futures", "reqwest"],
    },
    Allowed {
        package: "kalam-link-wasm",
        ours: &["kalam-link-core"],
        heavy: &["wasm-bindgen"],
    },
    Allowed {
        package: "kalam-model",
        ours: &["kalam-link-core"],
        heavy: &[],
    },
    Allowed {
        package: "kalam-sql",
        ours: &["kalam-link-core", "kalam-model"],
        heavy: &["sqlparser"],
    },
    Allowed {
        package: "kalam-store",
        ours: &["kalam-link-core", "kalam-model"],
        heavy: &["rocksdb", "arrow", "parquet", "object_store"],
    },
    Allowed {
        package: "kalam-engine",
        ours: &["kalam-link-core", "kalam-model", "kalam-sql", "kalam-store"],
        heavy: &["tokio"],
    },
    Allowed {
        package: "kalam-query",
        ours: &[
            "kalam-link-core",
            "kalam-model",
            "kalam-sql",
            "kalam-store",
            "kalam-engine",
        ],
        heavy: &["datafusion", "arrow", "tokio", "futures"],
    },
    Allowed {
        package: "kalam-server",
        ours: &[
            "kalam-link-core",
            "kalam-model",
            "kalam-sql",
            "kalam-store",
            "kalam-engine",
            "kalam-query",
        ],
        heavy: &[
            "axum",
            "hyper",
            "tower",
            "tower-http",
            "rust-embed",
            "clap",
            "arrow",
            "tokio",
            "futures",
        ],
    },
    Allowed {
        package: "kalam-cli",
        ours: &["kalam-link"],
        heavy: &[
            "clap", "tokio", "futures", "arrow", "parquet", "axum", "hyper",
        ],
    },
];

/// Dependencies that cost compile time or bring I/O: each crate names those that it may have.
const HEAVY: [&str; 24] = [
    "arrow",
    "async-std",
    "axum",
    "clap",
    "datafusion",
    "futures",
    "gloo",
    "hyper",
    "js-sys",
    "object_store",
    "openraft",
    "parquet",
    "reqwest",
    "rocksdb",
    "rust-embed",
    "smol",
    "sqlparser",
    "tokio",
    "tokio-tungstenite",
    "tonic",
    "tower",
    "tower-http",
    "wasm-bindgen",
    "web-sys",
];

/// All that the client core may depend on.
const LINK_CORE_DEPENDENCIES: [&str; 5] =
    ["base64", "rmp-serde", "serde", "serde_json", "thiserror"];

fn packages() -> Vec<Package> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo metadata reads the workspace")
        .packages
}

/// Names of what `package` is compiled with outside tests.
fn imports(package: &Package) -> Vec<&str> {
    let shipped = |kind| matches!(kind, DependencyKind::Normal | DependencyKind::Build);
    package
        .dependencies
        .iter()
        .filter(|d| shipped(d.kind))
        .map(|d| d.name.as_str())
        .collect()
}

#[test]
fn imports_point_downwards_only() {
    let mut violations = Vec::new();
    for package in packages() {
        let name = package.name.as_str();
        let Some(allowed) = TABLE.iter().find(|row| row.package == name) else {
            violations.push(format!("{name} has no row in the import table"));
            continue;
        };
        for import in imports(&package) {
            if import.starts_with("kalam-") && !allowed.ours.contains(&import) {
                violations.push(format!("{name} must not import {import}"));
            }
            if HEAVY.contains(&import) && !allowed.heavy.contains(&import) {
                violations.push(format!("{name} must not depend on {import}"));
            }
        }
    }
    check(&violations);
}

#[test]
fn every_crate_is_named_after_its_folder_and_shares_the_lints() {
    let mut violations = Vec::new();
    for package in packages() {
        let folder = package
            .manifest_path
            .parent()
            .and_then(|path| path.file_name())
            .unwrap_or_default();
        let expected = match folder {
            "native" => "kalam-link".to_owned(),
            folder => format!("kalam-{folder}"),
        };
        if package.name.as_str() != expected {
            violations.push(format!("{} lies in folder {folder}", package.name));
        }
        let manifest =
            std::fs::read_to_string(&package.manifest_path).expect("a manifest is readable");
        if !manifest.contains("[lints]\nworkspace = true") {
            violations.push(format!(
                "{} does not take the lints of the workspace",
                package.name
            ));
        }
    }
    check(&violations);
}

#[test]
fn i9_link_core_names_no_clock_no_socket_and_no_random_source() {
    let package = packages()
        .into_iter()
        .find(|p| p.name.as_str() == "kalam-link-core")
        .expect("it is a member");
    let mut violations = Vec::new();
    for import in imports(&package) {
        if !LINK_CORE_DEPENDENCIES.contains(&import) {
            violations.push(format!("link-core must not depend on {import}"));
        }
    }
    let forbidden = [
        "std::net",
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "RandomState",
        "HashMap",
        "HashSet",
        "println!",
        "async fn",
    ];
    for file in files(&["rs"])
        .iter()
        .filter(|file| file.path.starts_with("link-core/src/"))
    {
        for (number, line) in file.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in forbidden.iter().filter(|word| code.contains(**word)) {
                violations.push(format!("{}:{} uses {word}", file.path, number + 1));
            }
        }
    }
    check(&violations);
}
