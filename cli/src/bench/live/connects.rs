//! S6 and S7: from nothing to live, one after another and all at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{PENDING_MAX, Stage, TURNS, floor_answers};
use crate::bench::Failure;
use crate::bench::floor::sockets::{Control, FloorSockets, Order};
use crate::bench::marker::now_ns;
use crate::bench::plan::Plan;
use crate::bench::report::Measurement;
use crate::bench::swarm::{Opened, Script, Start, Swarm, subscribe};

const INITIAL_ROWS: u64 = 1_000;
const MISSED_ROWS: u64 = 10;

/// Sockets that are opened before the time is looked at.
const GROUP: usize = 32;

fn feed(start: Start) -> String {
    subscribe("feed", "SELECT * FROM bench.feed", start)
}

impl Script {
    fn starting(&self, start: Start) -> Self {
        Self {
            message: Arc::new(move |_, _| feed(start)),
            ..self.clone()
        }
    }
}

/// What opening sockets gave.
struct Opens {
    each: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
}

impl Opens {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            each: Histogram::new(3)?,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        })
    }

    fn measurement(&self, name: String) -> Measurement {
        Measurement::new("S6", name)
            .rate(self.each.len(), self.elapsed)
            .cpu(self.cpu)
            .latency(&self.each)
    }
}

/// S6: connect, authenticate, subscribe and get all rows, or those that were missed.
pub async fn first(plan: &Plan) -> Result<(), Failure> {
    let mut stage = Stage::start(plan).await?;
    let script = stage.script(1, 1, Arc::new(|_, _| String::new())).await?;
    stage.insert(INITIAL_ROWS, 0).await?;
    let swarm = Swarm::start()?;
    let all = script.starting(Start::All);
    let seq = opened_with(&swarm, &all, 1, 1, INITIAL_ROWS)
        .await?
        .last_seq;
    swarm.close().await?;
    for at_once in [1, GROUP] {
        compare(plan, &stage, &swarm, &all, at_once, INITIAL_ROWS).await?;
    }
    stage.insert(MISSED_ROWS, 0).await?;
    let missed = script.starting(Start::After(seq));
    for at_once in [1, GROUP] {
        compare(plan, &stage, &swarm, &missed, at_once, MISSED_ROWS).await?;
    }
    Ok(())
}

/// Opens groups of sockets, ours and the floor's in turns.
async fn compare(
    plan: &Plan,
    stage: &Stage,
    swarm: &Swarm,
    script: &Script,
    at_once: usize,
    rows: u64,
) -> Result<(), Failure> {
    let (mut ours, mut floor) = (Opens::new()?, Opens::new()?);
    let duration = plan.duration / TURNS;
    for _ in 0..TURNS {
        let cpu = || stage.server.cpu();
        let load = (at_once, rows);
        let opened = groups(swarm, script, load, duration, (&cpu, None), &mut ours).await?;
        let process = FloorSockets::start(&floor_answers(&opened)).await?;
        let mut control = process.control().await?;
        let script = Script {
            port: process.port,
            ..script.clone()
        };
        let cpu = || process.cpu();
        let side = (&cpu as &Cpu<'_>, Some(&mut control));
        groups(swarm, &script, load, duration, side, &mut floor).await?;
    }
    let name = format!("{rows} rows, {at_once} at once");
    let measurement = ours.measurement(name.clone());
    plan.record(measurement.ratios("", &ours.each, &floor.each));
    plan.record(floor.measurement(format!("{name}, floor")));
    Ok(())
}

/// Processor time of a process so far.
type Cpu<'a> = dyn Fn() -> Result<Duration, Failure> + Sync + 'a;

/// `floor` is told when the sockets of a group have gone.
async fn groups(
    swarm: &Swarm,
    script: &Script,
    (at_once, rows): (usize, u64),
    duration: Duration,
    (cpu, mut floor): (&Cpu<'_>, Option<&mut Control>),
    opens: &mut Opens,
) -> Result<Opened, Failure> {
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    loop {
        let opened = opened_with(swarm, script, GROUP, at_once, rows).await?;
        opens.each.add(&opened.each)?;
        opens.elapsed += opened.elapsed;
        swarm.close().await?;
        if let Some(floor) = &mut floor {
            floor.give(Order::Forget, &[]).await?;
        }
        if begun.elapsed() >= duration {
            opens.cpu += cpu()?.saturating_sub(cpu_before);
            return Ok(opened);
        }
    }
}

/// Opens sockets that must get this many rows each.
async fn opened_with(
    swarm: &Swarm,
    script: &Script,
    sockets: usize,
    pending_max: usize,
    rows: u64,
) -> Result<Opened, Failure> {
    let opened = swarm.open(script, sockets, pending_max).await?;
    let expected = rows * sockets as u64;
    if opened.rows == expected {
        Ok(opened)
    } else {
        Err(format!("{} rows instead of {expected}", opened.rows).into())
    }
}

/// S7: clients lose their connection, miss some rows and come back at the same time.
pub async fn again(plan: &Plan) -> Result<(), Failure> {
    let count = plan.sockets(10_000);
    for count in [count.div_ceil(2), count] {
        again_by(plan, count).await?;
    }
    Ok(())
}

async fn again_by(plan: &Plan, count: usize) -> Result<(), Failure> {
    let mut stage = Stage::start(plan).await?;
    let script = stage
        .script(count, 1, Arc::new(|_, _| feed(Start::Nothing)))
        .await?;
    let swarm = Swarm::start()?;
    let mut seq = swarm.open(&script, count, PENDING_MAX).await?.last_seq;
    stage.server.settle().await?;
    let before = stage.server.memory()?;
    let mut last = None;
    for turn in 1..=TURNS {
        swarm.close().await?;
        stage.server.settle().await?;
        let between = stage.server.memory()?;
        stage.insert(MISSED_ROWS, 0).await?;
        let cpu = stage.server.cpu()?;
        let script = script.starting(Start::After(seq));
        let opened = opened_with(&swarm, &script, count, count, MISSED_ROWS).await?;
        let cpu = stage.server.cpu()? - cpu;
        seq = opened.last_seq;
        stage.server.settle().await?;
        let after = stage.server.memory()?;
        let back = Measurement::new("S7", format!("{count} clients, time {turn}"))
            .rate(count as u64, opened.elapsed)
            .cpu(cpu)
            .latency(&opened.each)
            .figure("all live [ms]", opened.elapsed.as_secs_f64() * 1e3)
            .figure("RSS before [MiB]", before.resident_kib / 1_024.0)
            .figure("RSS without clients [MiB]", between.resident_kib / 1_024.0)
            .figure("RSS after [MiB]", after.resident_kib / 1_024.0)
            .figure("RSS ratio", after.resident_kib / before.resident_kib);
        plan.record(back);
        last = Some((script, opened));
    }
    everybody_is_live(plan, &stage, &swarm, count).await?;
    // Both at once would be more descriptors than a process may have.
    swarm.close().await?;
    if let Some((script, opened)) = last {
        for _ in 0..TURNS {
            again_on_floor(plan, &swarm, &script, &opened, count).await?;
        }
    }
    Ok(())
}

/// One more row must reach each socket once.
async fn everybody_is_live(
    plan: &Plan,
    stage: &Stage,
    swarm: &Swarm,
    count: usize,
) -> Result<(), Failure> {
    swarm.take().await?;
    swarm.expect(count as u64);
    let begun_ns = now_ns();
    let ((), last_ns) = tokio::try_join!(stage.insert(1, 0), swarm.reached())?;
    swarm.take().await?.check(|_| 1)?;
    let next = Measurement::new("S7", format!("the next row to {count} clients"));
    plan.record(next.figure("everywhere after [ms]", (last_ns - begun_ns) as f64 / 1e6));
    Ok(())
}

/// The same clients come to a process that knows all answers.
async fn again_on_floor(
    plan: &Plan,
    swarm: &Swarm,
    script: &Script,
    opened: &Opened,
    count: usize,
) -> Result<(), Failure> {
    let process = FloorSockets::start(&floor_answers(opened)).await?;
    let script = Script {
        port: process.port,
        ..script.clone()
    };
    let cpu = process.cpu()?;
    let opened_floor = opened_with(swarm, &script, count, count, MISSED_ROWS).await?;
    let ratio = opened.elapsed.as_secs_f64() / opened_floor.elapsed.as_secs_f64();
    let floor = Measurement::new("S7", format!("{count} clients, floor"))
        .rate(count as u64, opened_floor.elapsed)
        .cpu(process.cpu()? - cpu)
        .latency(&opened_floor.each)
        .figure("ours in terms of it", ratio);
    plan.record(floor);
    swarm.close().await
}
