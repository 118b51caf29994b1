//! Users, SHOW, transactions, and the statements of the language that this server answers with UNSUPPORTED.

use kalam_link_core::Role;
use sqlparser::tokenizer::Token;

use crate::error::Error;
use crate::input::Input;
use crate::statement::{AlterUser, CreateUser, NewAuthentication, Statement};

/// After `CREATE USER`.
pub(crate) fn create_user(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.hide();
    if input.is("IF NOT EXISTS") {
        return Err(Error::unsupported("IF NOT EXISTS in CREATE USER"));
    }
    let user = input.user()?;
    // WITH is optional before these two.
    if !input.is("OAUTH") && !input.is("INTERNAL") {
        input.expect("WITH")?;
    }
    let authentication = authentication(input)?;
    let (mut role, mut email) = (None, None);
    loop {
        if role.is_none() && input.eat("ROLE") {
            role = Some(read_role(input)?);
        } else if email.is_none() && input.eat("EMAIL") {
            email = Some(read_email(input)?);
        } else {
            break;
        }
    }
    let role = role.ok_or_else(|| input.expected("ROLE"))?;
    Ok(Statement::CreateUser(CreateUser {
        user,
        authentication,
        role,
        email,
    }))
}

fn authentication(input: &mut Input<'_>) -> Result<NewAuthentication, Error> {
    if input.eat("PASSWORD") {
        Ok(NewAuthentication::Password(input.string("a password")?))
    } else if input.eat("OAUTH") {
        if !matches!(input.token(), Token::SingleQuotedString(_)) {
            return Ok(NewAuthentication::OAuth(None));
        }
        let identity = input.string("an identity")?;
        match serde_json::from_str::<serde_json::Value>(&identity) {
            Ok(serde_json::Value::Object(_)) => Ok(NewAuthentication::OAuth(Some(identity))),
            _ => Err(Error::invalid(
                "the identity after OAUTH is not a JSON object",
            )),
        }
    } else if input.eat("INTERNAL") {
        Ok(NewAuthentication::Internal)
    } else {
        Err(input.expected("PASSWORD, OAUTH or INTERNAL"))
    }
}

fn read_role(input: &mut Input<'_>) -> Result<Role, Error> {
    let expected = "a role: user, service, dba or system";
    let name = match input.token() {
        Token::SingleQuotedString(name) => name,
        Token::Word(word) if word.quote_style.is_none() => &word.value,
        _ => return Err(input.expected(expected)),
    };
    // The text is not shown: it may be a password in the wrong place.
    let role = name.parse().map_err(|_| input.expected(expected))?;
    input.parser.advance_token();
    Ok(role)
}

fn read_email(input: &mut Input<'_>) -> Result<String, Error> {
    // RFC 5321.
    const EMAIL_BYTES_MAX: usize = 254;
    let email = input.string("an e-mail address")?;
    let has_parts = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    let is_sound = has_parts && !email.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_sound && email.len() <= EMAIL_BYTES_MAX {
        Ok(email)
    } else {
        Err(Error::invalid("invalid e-mail address"))
    }
}

/// After `ALTER USER`.
pub(crate) fn alter_user(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.hide();
    let user = input.user()?;
    input.expect("SET")?;
    let change = if input.eat("PASSWORD") {
        AlterUser::Password(input.string("a password")?)
    } else if input.eat("ROLE") {
        AlterUser::Role(read_role(input)?)
    } else if input.eat("EMAIL") {
        AlterUser::Email(read_email(input)?)
    } else if input.eat("STORAGE") {
        return unsupported(input, "ALTER USER … SET STORAGE");
    } else {
        return Err(input.expected("PASSWORD, ROLE, EMAIL or STORAGE"));
    };
    Ok(Statement::AlterUser { user, change })
}

/// After `DROP USER`.
pub(crate) fn drop_user(input: &mut Input<'_>) -> Result<Statement, Error> {
    let if_exists = input.if_exists();
    Ok(Statement::DropUser {
        user: input.user()?,
        if_exists,
    })
}

/// After SHOW.
pub(crate) fn show(input: &mut Input<'_>) -> Result<Statement, Error> {
    if input.eat("NAMESPACES") {
        Ok(Statement::ShowNamespaces)
    } else if input.eat("TABLES") {
        let mut namespace = None;
        if input.eat("IN") {
            namespace = Some(namespace_name(input)?);
        }
        Ok(Statement::ShowTables { namespace })
    } else if input.eat("STATS") {
        input.expect("FOR TABLE")?;
        Ok(Statement::ShowStats {
            table: input.table("the name of a table")?,
        })
    } else {
        let known = ["MANIFEST", "INDEXES", "API KEYS", "STORAGES", "BACKUPS"];
        match known.into_iter().find(|words| input.eat(words)) {
            Some(what) => unsupported(input, &format!("SHOW {what}")),
            None => Err(input.expected("NAMESPACES, TABLES or STATS FOR TABLE")),
        }
    }
}

/// `[NAMESPACE] ns`
pub(crate) fn namespace_name(input: &mut Input<'_>) -> Result<String, Error> {
    if matches!(input.parser.peek_nth_token_ref(1).token, Token::Word(_)) {
        input.eat("NAMESPACE");
    }
    input.name("the name of a namespace")
}

/// After DESCRIBE or DESC.
pub(crate) fn describe(input: &mut Input<'_>) -> Result<Statement, Error> {
    if matches!(input.parser.peek_nth_token_ref(1).token, Token::Word(_))
        && !input.is("TABLE HISTORY")
    {
        input.eat("TABLE");
    }
    let table = input.table("the name of a table")?;
    Ok(Statement::Describe {
        table,
        history: input.eat("HISTORY"),
    })
}

/// After KILL LIVE QUERY.
pub(crate) fn kill_live_query(input: &mut Input<'_>) -> Result<Statement, Error> {
    Ok(Statement::KillLiveQuery {
        id: input.string("the id of a live query")?,
    })
}

/// A form of the language that this server does not have; the rest of the statement is not looked at.
pub(crate) fn unsupported(input: &mut Input<'_>, what: &str) -> Result<Statement, Error> {
    while !input.is_at_end() {
        input.parser.advance_token();
    }
    Ok(Statement::Unsupported {
        what: what.to_owned(),
    })
}

/// Statements that begin with a word of their own and are not built: `what` names the form.
pub(crate) fn unbuilt(input: &mut Input<'_>) -> Option<Result<Statement, Error>> {
    const FORMS: [&str; 31] = [
        "STORAGE FLUSH TABLE",
        "STORAGE FLUSH ALL",
        "STORAGE COMPACT TABLE",
        "STORAGE COMPACT ALL",
        "STORAGE CHECK",
        "CREATE STORAGE",
        "ALTER STORAGE",
        "DROP STORAGE",
        "CREATE INDEX",
        "CREATE UNIQUE INDEX",
        "DROP INDEX",
        "CREATE API KEY",
        "DROP API KEY",
        "KILL JOB",
        "KILL QUERY",
        "BACKUP DATABASE",
        "RESTORE DATABASE",
        "EXPORT USER DATA",
        "CLUSTER STATUS",
        "CLUSTER LIST",
        "CLUSTER JOIN",
        "CLUSTER LEAVE",
        "CLUSTER SNAPSHOT",
        "CLUSTER TRANSFER LEADER",
        "CLUSTER STEPDOWN",
        "CLUSTER TRIGGER ELECTION",
        "CLUSTER REBALANCE",
        "SHOW MANIFEST",
        "SHOW INDEXES",
        "SHOW STORAGES",
        "SHOW BACKUPS",
    ];
    let form = FORMS.into_iter().find(|form| input.is(form))?;
    Some(unsupported(input, form))
}

/// Statements of earlier versions.
pub(crate) fn refuse_replaced(input: &Input<'_>) -> Result<(), Error> {
    let replaced = |what, hint| Err(Error::Replaced { what, hint });
    if input.is("CLUSTER PURGE") {
        return replaced(
            "CLUSTER PURGE",
            "logs are purged after each snapshot: write CLUSTER SNAPSHOT to make one",
        );
    }
    if input.is("CLUSTER CLEAR") {
        return replaced(
            "CLUSTER CLEAR",
            "old snapshots go by themselves: write CLUSTER SNAPSHOT to make a new one",
        );
    }
    if input.is("FLUSH TABLE") {
        return replaced("FLUSH TABLE", "write STORAGE FLUSH TABLE ns.t");
    }
    if input.is("FLUSH ALL") {
        return replaced("FLUSH ALL TABLES", "write STORAGE FLUSH ALL [IN ns]");
    }
    Ok(())
}

/// Statements of other databases, so that the answer is UNSUPPORTED and names them.
pub(crate) const FOREIGN: [&str; 48] = [
    "ANALYZE",
    "ATTACH",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "COMMENT",
    "COPY",
    "DEALLOCATE",
    "DECLARE",
    "DENY",
    "DETACH",
    "DISCARD",
    "DO",
    "END",
    "EXEC",
    "EXECUTE",
    "EXPORT",
    "FETCH",
    "FLUSH",
    "GRANT",
    "IMPORT",
    "INSTALL",
    "KILL",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "MSCK",
    "NOTIFY",
    "OPTIMIZE",
    "PRAGMA",
    "PREPARE",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPLACE",
    "RESET",
    "REVOKE",
    "SAVEPOINT",
    "SET",
    "TABLE",
    "TRUNCATE",
    "UNCACHE",
    "UNLISTEN",
    "UNLOAD",
    "VACUUM",
];
