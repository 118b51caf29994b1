//! S4 and S5: many subscriptions, and each row is for one of them.

use std::sync::Arc;

use super::writers::{Rows, Run, floor, ours};
use super::{PENDING_MAX, Stage, TURNS, Table, floor_answers, ratios};
use crate::Failure;
use crate::floor::sockets::FloorSockets;
use crate::plan::Plan;
use crate::swarm::{Script, Start, Swarm, subscribe};

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
    all.print(&format!("S4 {count}"));
    all_floor.print("S4 floor");
    println!(
        "S4 ratio     rows/s {:.2}  delivered {}",
        all.per_second() / all_floor.per_second(),
        ratios(&all.latency, &all_floor.latency)
    );
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
            name: format!("S5 {}", sockets * per_socket),
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
    for part in &parts {
        part.run.print(&part.name);
    }
    let [one, few, many] = parts.as_slice() else {
        return Ok(());
    };
    for base in [one, few] {
        println!(
            "S5 ratio     {} / {}: rows/s {:.2}  CPU {:.2}  delivered {}",
            many.name,
            base.name,
            many.run.per_second() / base.run.per_second(),
            many.run.cpu_each() / base.run.cpu_each(),
            ratios(&many.run.latency, &base.run.latency)
        );
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
