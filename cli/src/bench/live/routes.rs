//! S4 and S5: many subscriptions, and each row is for one of them.

use std::sync::Arc;

use super::writers::{Rows, Run, floor, ours};
use super::{PENDING_MAX, Stage, TURNS, Table, floor_answers};
use crate::bench::Failure;
use crate::bench::floor::sockets::FloorSockets;
use crate::bench::plan::Plan;
use crate::bench::swarm::{Script, Start, Swarm, subscribe};
use crate::output::counted;

/// Distinct conditions of S5.
const CONVERSATIONS: usize = 10_000;

/// S4: users with a socket each, who read rows of their own.
pub async fn users(plan: &Plan) -> Result<(), Failure> {
    let count = plan.sockets(10_000);
    let mut stage = Stage::start(plan).await?;
    let message = |user, _| {
        let id = format!("k{user}");
        subscribe(&id, "SELECT * FROM bench.inbox", Start::Nothing)
    };
    let script = stage.script(count, 1, Arc::new(message)).await?;
    let rows = Rows {
        table: Table::Inbox,
        targets: count as u64,
        targets_per_socket: 1,
        authorizations: Arc::clone(&script.authorizations),
    };
    let swarm = Swarm::start()?;
    let (mut all, mut all_floor) = (Run::new()?, Run::new()?);
    for _ in 0..TURNS {
        let duration = plan.duration / TURNS;
        let opened = swarm.open(&script, count, PENDING_MAX).await?;
        let (run, sample) = ours(&stage, &swarm, &rows, plan.writers, duration).await?;
        all.add(&run)?;
        swarm.close().await?;
        stage.server.settle().await?;

        let process = FloorSockets::start(&floor_answers(&opened)).await?;
        let script = Script {
            port: process.port,
            ..script.clone()
        };
        swarm.open(&script, count, PENDING_MAX).await?;
        let run = floor(&process, &sample, &swarm, &rows, plan.writers, duration).await?;
        all_floor.add(&run)?;
        swarm.close().await?;
    }
    let measurement = all
        .measurement("S4", &format!("{count} users"))
        .figure("rows/s ratio", all.per_second() / all_floor.per_second())
        .ratios("", &all.latency, &all_floor.latency);
    plan.record(measurement);
    plan.record(all_floor.measurement("S4", "floor"));
    Ok(())
}

/// Subscriptions of a part of S5.
struct Part {
    name: String,
    sockets: usize,
    per_socket: usize,
    run: Run,
}

/// S5: subscriptions with a condition each, beside one of them and beside as many sockets with one each.
pub async fn conversations(plan: &Plan) -> Result<(), Failure> {
    let per_socket = plan.subscriptions;
    let sockets = plan.sockets(CONVERSATIONS.div_ceil(per_socket));
    let mut stage = Stage::start(plan).await?;
    let mut parts = Vec::new();
    for (sockets, per_socket) in [(1, 1), (sockets, 1), (sockets, per_socket)] {
        parts.push(Part {
            name: counted((sockets * per_socket) as u64, "condition"),
            sockets,
            per_socket,
            run: Run::new()?,
        });
    }
    let authorizations = stage.accounts.create(&mut stage.root, 1).await?;
    for _ in 0..TURNS {
        for part in &mut parts {
            conversations_part(plan, &stage, &authorizations, part).await?;
        }
    }
    let [one, few, many] = parts.as_slice() else {
        return Ok(());
    };
    plan.record(one.run.measurement("S5", &one.name));
    for (base, part) in [(one, few), (one, many)] {
        let measurement = part
            .run
            .measurement("S5", &part.name)
            .figure("CPU ratio", part.run.cpu_each() / base.run.cpu_each())
            .ratios("", &part.run.latency, &base.run.latency);
        plan.record(measurement);
    }
    Ok(())
}

async fn conversations_part(
    plan: &Plan,
    stage: &Stage,
    authorizations: &[String],
    part: &mut Part,
) -> Result<(), Failure> {
    let per_socket = part.per_socket;
    let message = move |socket, number| {
        let conversation = socket * per_socket + number;
        let sql = format!("SELECT * FROM bench.feed WHERE conversation_id = {conversation}");
        subscribe(&format!("k{conversation}"), &sql, Start::Nothing)
    };
    let script = Script {
        port: stage.server.port,
        authorizations: authorizations.into(),
        subscriptions: per_socket,
        message: Arc::new(message),
    };
    let rows = Rows {
        table: Table::Feed,
        targets: (part.sockets * per_socket) as u64,
        targets_per_socket: per_socket as u64,
        authorizations: Arc::default(),
    };
    let swarm = Swarm::start()?;
    swarm.open(&script, part.sockets, PENDING_MAX).await?;
    let duration = plan.duration / TURNS;
    let (run, _) = ours(stage, &swarm, &rows, plan.writers, duration).await?;
    part.run.add(&run)?;
    swarm.close().await?;
    stage.server.settle().await
}
