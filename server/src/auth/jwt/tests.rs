use kalam_model::Authentication;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn user() -> UserRecord {
    UserRecord {
        id: UserId::new("alice").unwrap(),
        role: Role::User,
        email: None,
        authentication: Authentication::Internal,
        storage_id: None,
        version: 3,
        revision: 3,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        deleted_at: None,
    }
}

fn family(now: Timestamp) -> RefreshFamily {
    RefreshFamily {
        id: "0af1".to_owned(),
        user: user().id,
        user_version: 3,
        generation: 7,
        expires_at: after(now, 100),
        revoked: false,
    }
}

fn issue(kind: TokenKind, now: Timestamp) -> String {
    Tokens::new(SECRET, 10, 100)
        .issue(kind, &user(), &family(now), now)
        .unwrap()
        .token
}

fn code_of(token: &str) -> ErrorCode {
    Tokens::new(SECRET, 10, 100)
        .verify(token)
        .unwrap_err()
        .error
        .code
}

#[test]
fn a_token_says_what_it_was_issued_for() {
    let now = Timestamp::from_unix_ms(1_800_000_000_900);
    let claims = Tokens::new(SECRET, 10, 100)
        .verify(&issue(TokenKind::Refresh, now))
        .unwrap();
    assert_eq!((claims.family(), claims.generation()), ("0af1", Some(7)));
    assert_eq!(
        (claims.kind, claims.user_version, claims.exp),
        (TokenKind::Refresh, 3, 1_800_000_100)
    );
    let access = Tokens::new(SECRET, 10, 100)
        .verify(&issue(TokenKind::Access, now))
        .unwrap();
    assert!(
        access
            .check_time(Timestamp::from_unix_ms(1_800_000_009_999))
            .is_ok()
    );
    let late = access
        .check_time(Timestamp::from_unix_ms(1_800_000_010_000))
        .unwrap_err();
    assert_eq!(late.error.code, ErrorCode::TokenExpired);
}

#[test]
fn other_keys_algorithms_and_texts_are_refused() {
    let token = issue(TokenKind::Access, Timestamp::now());
    let other = Tokens::new(b"another secret of thirty-two byte", 10, 100);
    assert_eq!(
        other.verify(&token).unwrap_err().error.code,
        ErrorCode::InvalidSignature
    );
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[2] = "AAAA";
    assert_eq!(code_of(&parts.join(".")), ErrorCode::InvalidSignature);

    let claims = Tokens::new(SECRET, 10, 100).verify(&token).unwrap();
    let key = EncodingKey::from_secret(SECRET);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let signed = encode(&Header::new(algorithm), &claims, &key).unwrap();
        assert_eq!(
            code_of(&signed),
            ErrorCode::InvalidCredentials,
            "{algorithm:?}"
        );
    }
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    for malformed in [
        unsigned.as_str(),
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d",
        &"x".repeat(100_000),
    ] {
        assert_eq!(code_of(malformed), ErrorCode::InvalidCredentials);
    }
}
