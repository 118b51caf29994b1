//! Accounts, refresh families and the audit log: the meta group's part.

use kalam_model::{Applied, RefreshFamily, Rejection, Timestamp, UserRecord};
use kalam_store::{Batch, meta};

use super::ddl::missing;
use super::{Applier, Refusal};

impl Applier {
    /// Deleted accounts keep their names.
    pub(super) fn create_user(
        &mut self,
        batch: &mut Batch,
        user: &UserRecord,
    ) -> Result<Applied, Refusal> {
        if meta::USERS.get(batch, &user.id)?.is_some() {
            return Err(Rejection::Exists {
                name: user.id.to_string(),
            }
            .into());
        }
        self.store_user(batch, user)
    }

    pub(super) fn put_user(
        &mut self,
        batch: &mut Batch,
        user: &UserRecord,
    ) -> Result<Applied, Refusal> {
        let stored = meta::USERS
            .get(batch, &user.id)?
            .ok_or_else(|| missing(&user.id))?;
        if user.revision != stored.revision + 1 {
            return Err(Rejection::Stale.into());
        }
        self.store_user(batch, user)
    }

    fn store_user(&mut self, batch: &mut Batch, user: &UserRecord) -> Result<Applied, Refusal> {
        meta::USERS.put(batch, &user.id, user);
        self.effects.users.insert(user.id.clone());
        Ok(Applied::Done)
    }

    /// A rejection that leaves a trace, because ending the family is what it is for.
    pub(super) fn rotate(
        &mut self,
        batch: &mut Batch,
        id: &str,
        from: u32,
        expires_at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let family = meta::REFRESH_FAMILIES
            .get(batch, id)?
            .filter(|family| !family.revoked)
            .ok_or_else(|| missing(&id))?;
        let unchanged = meta::USERS
            .get(batch, &family.user)?
            .is_some_and(|user| user.deleted_at.is_none() && user.version == family.user_version);
        if family.generation != from || !unchanged {
            self.effects.users.insert(family.user.clone());
            meta::REFRESH_FAMILIES.put(
                batch,
                id,
                &RefreshFamily {
                    revoked: true,
                    ..family
                },
            );
            return Ok(Applied::Rejected(Rejection::RefreshReused));
        }
        meta::REFRESH_FAMILIES.put(
            batch,
            id,
            &RefreshFamily {
                generation: from + 1,
                expires_at,
                ..family
            },
        );
        Ok(Applied::Done)
    }

    pub(super) fn revoke(&mut self, batch: &mut Batch, id: &str) -> Result<Applied, Refusal> {
        if let Some(family) = meta::REFRESH_FAMILIES.get(batch, id)? {
            // Sockets that the session opened end with it.
            self.effects.users.insert(family.user.clone());
            let revoked = RefreshFamily {
                revoked: true,
                ..family
            };
            meta::REFRESH_FAMILIES.put(batch, id, &revoked);
        }
        Ok(Applied::Done)
    }
}

pub(super) fn purge(
    batch: &mut Batch,
    families_before: Timestamp,
    audit_before: Timestamp,
) -> Result<Applied, Refusal> {
    meta::purge_refresh_families(batch, families_before)?;
    meta::purge_audit(batch, audit_before)?;
    Ok(Applied::Done)
}
