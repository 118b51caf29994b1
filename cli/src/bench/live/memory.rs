//! M1 and M2: what an idle socket and an idle subscription cost the server.

use std::sync::Arc;

use super::{PENDING_MAX, Stage};
use crate::bench::Failure;
use crate::bench::plan::Plan;
use crate::bench::process::{Memory, ServerProcess};
use crate::bench::report::Measurement;
use crate::bench::swarm::{MakeMessage, Script, Start, Swarm, subscribe};

/// Sockets whose idle CPU is measured on the way.
const IDLE_SOCKETS: usize = 5_000;

/// M1: sockets with one subscription each.
pub async fn sockets(plan: &Plan) -> Result<(), Failure> {
    let count = plan.sockets(18_000);
    let few = IDLE_SOCKETS.min(count.div_ceil(2));
    let mut stage = Stage::start(plan).await?;
    let message = subscribe("feed", "SELECT * FROM bench.feed", Start::Nothing);
    let script = stage
        .script(1, 1, Arc::new(move |_, _| message.clone()))
        .await?;
    let swarm = Swarm::start()?;
    // What the first socket makes the server set up is not the price of a socket.
    swarm.open(&script, 1, 1).await?;
    stage.server.settle().await?;
    let none = stage.server.memory()?;
    let opened = swarm.open(&script, few - 1, PENDING_MAX).await?;
    let connected = Measurement::new("M1", format!("connecting {few} sockets"));
    plan.record(connected.rate(few as u64, opened.elapsed));
    stage.server.settle().await?;
    let some = stage.server.memory()?;
    let growth = |name: String, before, after, count| {
        plan.record(growth("M1", name, "socket", before, after, count));
    };
    growth(format!("the first {few} sockets"), none, some, few - 1);
    idle(plan, &stage.server, &swarm, few).await?;
    swarm.open(&script, count - few, PENDING_MAX).await?;
    stage.server.settle().await?;
    let all = stage.server.memory()?;
    growth(
        format!("{} further sockets", count - few),
        some,
        all,
        count - few,
    );
    growth(format!("all {count} sockets"), none, all, count - 1);
    reaches(&stage, &swarm, 0, |_| 1).await
}

async fn idle(
    plan: &Plan,
    server: &ServerProcess,
    swarm: &Swarm,
    sockets: usize,
) -> Result<(), Failure> {
    swarm.take().await?;
    let before = server.cpu()?;
    tokio::time::sleep(plan.duration).await;
    let busy = (server.cpu()? - before).as_secs_f64() / plan.duration.as_secs_f64();
    let idle = Measurement::new("M1", format!("{sockets} idle sockets"))
        .figure("idle CPU [%]", busy * 100.0)
        .figure("pings", swarm.take().await?.pings as f64);
    plan.record(idle);
    Ok(())
}

/// M2: further subscriptions on sockets that have one.
pub async fn subscriptions(plan: &Plan) -> Result<(), Failure> {
    let sockets = plan.sockets(1_000);
    let per_socket = plan.subscriptions;
    let same: MakeMessage = Arc::new(|_, number| {
        subscribe(
            &format!("q{number}"),
            "SELECT * FROM bench.feed",
            Start::Nothing,
        )
    });
    multiplexed(plan, "same text", sockets, same, |_| per_socket as u64).await?;
    let distinct: MakeMessage = Arc::new(move |socket, number| {
        let conversation = socket * per_socket + number;
        let sql = format!("SELECT * FROM bench.feed WHERE conversation_id = {conversation}");
        subscribe(&format!("k{conversation}"), &sql, Start::Nothing)
    });
    let owner_only = |socket| u64::from(socket == 0);
    multiplexed(plan, "distinct texts", sockets, distinct, owner_only).await
}

/// `reached` says how many changes each socket gets of a row for target 0.
async fn multiplexed(
    plan: &Plan,
    name: &str,
    sockets: usize,
    message: MakeMessage,
    reached: impl Fn(usize) -> u64,
) -> Result<(), Failure> {
    let further = plan.subscriptions.saturating_sub(1);
    let mut stage = Stage::start(plan).await?;
    let script = stage.script(1, 1, Arc::clone(&message)).await?;
    let swarm = Swarm::start()?;
    swarm.open(&script, sockets, PENDING_MAX).await?;
    stage.server.settle().await?;
    let before = stage.server.memory()?;
    let script = Script {
        subscriptions: further,
        message: Arc::new(move |socket, number| message(socket, number + 1)),
        ..script
    };
    // Each socket sends all of its messages at once.
    const SUBSCRIBING_MAX: usize = 8;
    let opened = swarm.subscribe(&script, SUBSCRIBING_MAX).await?;
    let count = sockets * further;
    stage.server.settle().await?;
    let after = stage.server.memory()?;
    let name = format!("{name}, {count} further on {sockets} sockets");
    let growth = growth("M2", name, "subscription", before, after, count);
    plan.record(growth.rate(count as u64, opened.elapsed));
    reaches(&stage, &swarm, 0, reached).await
}

/// One row must bring each socket as many changes as `expected` says.
async fn reaches(
    stage: &Stage,
    swarm: &Swarm,
    target: u64,
    expected: impl Fn(usize) -> u64,
) -> Result<(), Failure> {
    let sockets = swarm.take().await?.changes.len();
    swarm.expect((0..sockets).map(&expected).sum());
    tokio::try_join!(stage.insert(1, target), swarm.reached())?;
    swarm.take().await?.check(expected)
}

fn growth(
    scenario: &str,
    name: String,
    unit: &str,
    before: Memory,
    after: Memory,
    count: usize,
) -> Measurement {
    let each = |before: f64, after: f64| (after - before) * 1_024.0 / count.max(1) as f64;
    let resident = each(before.resident_kib, after.resident_kib);
    let anonymous = each(before.anonymous_kib, after.anonymous_kib);
    Measurement::new(scenario, name)
        .figure("RSS [MiB]", after.resident_kib / 1_024.0)
        .figure(&format!("bytes/{unit}"), resident)
        .figure("of them anonymous", anonymous)
}
