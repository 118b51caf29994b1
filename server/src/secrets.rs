//! Files with secrets in the data folder: readable by their owner only, complete or absent.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Signs the tokens.
const JWT_SECRET: &str = "jwt-secret";

/// Holds the first password of root.
const ROOT_CREDENTIAL: &str = "root-credential";

/// Bytes of a made secret: as many as the hash that signs with it has.
const SECRET_BYTES: usize = 32;

/// Bytes of a made password: 128 bits.
const PASSWORD_BYTES: usize = 16;

/// The secret in `folder`, made if there is none.
pub(crate) fn jwt_secret(folder: &Path) -> Result<Vec<u8>, Error> {
    let path = folder.join(JWT_SECRET);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= SECRET_BYTES => Ok(text.trim().as_bytes().to_vec()),
        Ok(_) => Err(Error::SecretTooShort { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = random_hexadecimal::<SECRET_BYTES>()?;
            write_private(&path, &secret)?;
            Ok(secret.into_bytes())
        }
        Err(source) => Err(Error::SecretFile { path, source }),
    }
}

/// Draws a first password for root and keeps it in `folder`.
pub(crate) fn draw_root_password(folder: &Path) -> Result<(String, PathBuf), Error> {
    let password = random_hexadecimal::<PASSWORD_BYTES>()?;
    let path = folder.join(ROOT_CREDENTIAL);
    write_private(&path, &password)?;
    Ok((password, path))
}

fn random_hexadecimal<const BYTES: usize>() -> Result<String, Error> {
    let mut random = [0_u8; BYTES];
    getrandom::fill(&mut random).map_err(|_| Error::Random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Written beside, synced and renamed: a crash leaves the old file, the new one, or none.
fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = std::fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| Error::SecretFile {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = jwt_secret(folder.path()).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(jwt_secret(folder.path()).unwrap(), first);
        assert_eq!(mode(&folder.path().join(JWT_SECRET)), 0o600);
        std::fs::write(folder.path().join(JWT_SECRET), "short\n").unwrap();
        assert!(matches!(
            jwt_secret(folder.path()),
            Err(Error::SecretTooShort { .. })
        ));

        let (password, path) = draw_root_password(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), password);
        assert_eq!(mode(&path), 0o600);
    }
}
