//! Refresh tokens. A login begins a family; each refresh takes the family to its next generation, and whoever comes with
//! an older generation holds a stolen or replayed token, so the whole family ends.
//!
//! The token itself (family, generation, signature) is the server's.

use std::sync::Arc;

use kalam_model::{Applied, MetaCommand, RefreshFamily, Rejection, Timestamp, UserRecord};
use kalam_store::meta;

use crate::ddl::{done, unexpected};
use crate::error::Error;
use crate::users::Users;

/// 128 bits: a family cannot be guessed.
const FAMILY_BYTES: usize = 16;

impl Users {
    /// Begins a family, at login.
    pub async fn start_refresh(
        &self,
        user: &UserRecord,
        expires_at: Timestamp,
    ) -> Result<RefreshFamily, Error> {
        let mut random = [0_u8; FAMILY_BYTES];
        getrandom::fill(&mut random).map_err(|_| Error::Random)?;
        let family = RefreshFamily {
            id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            user: user.id.clone(),
            user_version: user.version,
            generation: 0,
            expires_at,
            revoked: false,
        };
        done(
            self.meta(MetaCommand::PutRefreshFamily {
                family: family.clone(),
            })
            .await?,
        )?;
        Ok(family)
    }

    /// Trades generation `from` of a family for the next one. A generation that was traded before ends the family.
    pub async fn rotate_refresh(
        &self,
        id: &str,
        from: u32,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(Arc<UserRecord>, RefreshFamily), Error> {
        let family = meta::REFRESH_FAMILIES
            .get(&self.store.snapshot(), id)?
            .filter(|family| !family.revoked && family.expires_at > now)
            .ok_or(Error::InvalidRefreshToken)?;
        match self
            .meta(MetaCommand::RotateRefresh {
                id: id.to_owned(),
                from,
                expires_at,
            })
            .await?
        {
            Applied::Done => {}
            Applied::Rejected(Rejection::RefreshReused | Rejection::Missing { .. }) => {
                return Err(Error::InvalidRefreshToken);
            }
            other => return Err(unexpected(other)),
        }
        let user = self
            .active(&family.user)?
            .ok_or(Error::InvalidRefreshToken)?;
        Ok((
            user,
            RefreshFamily {
                generation: from + 1,
                expires_at,
                ..family
            },
        ))
    }

    /// Ends a family, at logout. Of an unknown one: nothing.
    pub async fn revoke_refresh(&self, id: &str) -> Result<(), Error> {
        done(
            self.meta(MetaCommand::RevokeRefresh { id: id.to_owned() })
                .await?,
        )
    }
}
