//! Makes the data group's schemas equal to the meta group's, at open: the two are ordered separately, so a crash can fall
//! between.

use std::collections::BTreeSet;

use kalam_model::{Applied, Command, MetaCommand, Namespace, TableNumber, Timestamp};
use kalam_store::{Store, Sync};

use super::Applier;
use crate::error::Error;

/// Also makes the default namespace at the first start.
pub(crate) fn reconcile(applier: &mut Applier, store: &Store) -> Result<(), Error> {
    let mut batch = store.batch();
    for command in differences(applier) {
        if let Applied::Rejected(rejection) = applier.apply(&mut batch, command)? {
            return Err(Error::UnexpectedAnswer(Box::new(Applied::Rejected(
                rejection,
            ))));
        }
    }
    applier.finish(&mut batch);
    if !batch.is_empty() {
        batch.commit(Sync::Yes)?;
    }
    Ok(())
}

fn differences(applier: &Applier) -> Vec<Command> {
    let mut commands = Vec::new();
    let default = Namespace::default_namespace();
    if applier.catalog.namespace(&default).is_none() {
        commands.push(Command::Meta(MetaCommand::CreateNamespace {
            name: default,
            at: Timestamp::now(),
        }));
    }
    for table in applier.catalog.tables() {
        let known = applier
            .schemas
            .get(&table.def.number)
            .map_or(0, |layouts| layouts.current().schema_version);
        let newer = table
            .history
            .iter()
            .filter(|version| version.schema_version > known);
        commands.extend(newer.map(|version| Command::PutSchema {
            table: (**version).clone(),
        }));
    }
    let wanted = applier
        .catalog
        .tables()
        .map(|table| table.def.number)
        .collect::<BTreeSet<TableNumber>>();
    let gone = applier
        .schemas
        .keys()
        .filter(|number| !wanted.contains(number));
    commands.extend(gone.map(|number| Command::DropTable { table: *number }));
    commands
}
