//! The meta group's commands, each handed to where it is applied.

use kalam_model::{Applied, MetaCommand};
use kalam_store::{Batch, meta};

use super::{Applier, Refusal, user};

impl Applier {
    pub(super) fn apply_meta(
        &mut self,
        batch: &mut Batch,
        command: MetaCommand,
    ) -> Result<Applied, Refusal> {
        use MetaCommand as M;
        let applied = match command {
            M::CreateNamespace { name, at } => self.create_namespace(batch, name, at),
            M::SetNamespaceDescription { name, description } => {
                self.describe_namespace(batch, &name, description)
            }
            M::DropNamespace { name } => self.drop_namespace(batch, &name),
            M::CreateTable { table } => self.create_table(batch, table),
            M::AlterTable { table } => self.alter_table(batch, table),
            M::DropTable { id, number } => self.drop_table(batch, &id, number),
            M::PutView { view, replace } => self.put_view(batch, view, replace),
            M::DropView { id } => self.drop_view(batch, &id),
            M::CreateUser { user } => self.create_user(batch, &user),
            M::PutUser { user } => self.put_user(batch, &user),
            M::PutRefreshFamily { family } => {
                meta::REFRESH_FAMILIES.put(batch, &family.id, &family);
                Ok(Applied::Done)
            }
            M::RotateRefresh {
                id,
                from,
                expires_at,
            } => self.rotate(batch, &id, from, expires_at),
            M::RevokeRefresh { id } => self.revoke(batch, &id),
            M::PurgeSessions {
                families_before,
                audit_before,
            } => user::purge(batch, families_before, audit_before),
            M::Audit { record } => {
                meta::append_audit(batch, &record)?;
                Ok(Applied::Done)
            }
            M::PutSetting { name, value } => {
                meta::SETTINGS.put(batch, &name, &(name.clone(), value));
                Ok(Applied::Done)
            }
        }?;
        self.durable = true;
        Ok(applied)
    }
}
