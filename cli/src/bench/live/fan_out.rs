//! S1, S2 and S3: one INSERT at a time, and everybody gets it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Ids, PENDING_MAX, Stage, TURNS, Table, floor_answers, row, row_body};
use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::floor::sockets::{Control, FloorSockets, Order};
use crate::bench::marker::{Marker, now_ns, stamp};
use crate::bench::peer::{Peer, Stack, feed_row};
use crate::bench::plan::Plan;
use crate::bench::report::Measurement;
use crate::bench::socket::Socket;
use crate::bench::swarm::{Opened, Script, Start, Swarm, subscribe};
use crate::output::counted;

/// Rounds of a turn even if they take longer than it should.
const ROUNDS_MIN: u64 = 3;

/// Rounds that are not counted.
const WARM_UP_ROUNDS: u64 = 2;

/// Pause after a round, so that rounds meet an idle server.
const PAUSE: Duration = Duration::from_millis(10);

/// S1: one subscriber, written to over HTTP and over a socket.
pub async fn one(plan: &Plan) -> Result<(), Failure> {
    let ways = [Way::Http, Way::Socket, Way::Floor { threads: 1 }];
    measure(plan, "S1", 1, &ways, &plan.peers).await
}

/// S2, where those peers take part that have sockets.
pub async fn many(plan: &Plan, subscribers: usize) -> Result<(), Failure> {
    measure(plan, "S2", subscribers, &FEW, &plan.peers).await
}

/// S3.
pub async fn crowd(plan: &Plan, subscribers: usize) -> Result<(), Failure> {
    measure(plan, "S3", subscribers, &FEW, &[]).await
}

/// Of S2 and S3.
const FEW: [Way; 3] = [
    Way::Http,
    Way::Floor { threads: 1 },
    Way::Floor { threads: 2 },
];

/// How a round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http,
    Socket,
    Floor { threads: u32 },
}

impl Way {
    const fn is_floor(self) -> bool {
        matches!(self, Self::Floor { .. })
    }

    fn name(self) -> String {
        match self {
            Self::Http => "over HTTP".to_owned(),
            Self::Socket => "over a socket".to_owned(),
            Self::Floor { threads } => format!("floor by {}", counted(threads.into(), "thread")),
        }
    }
}

/// What rounds gave.
struct Rounds {
    /// Until the last subscriber had it, in µs.
    last: Histogram<u64>,
    /// Until each subscriber had it, in µs.
    each: Histogram<u64>,
    cpu: Duration,
}

impl Rounds {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            last: Histogram::new(3)?,
            each: Histogram::new(3)?,
            cpu: Duration::ZERO,
        })
    }
}

async fn measure(
    plan: &Plan,
    name: &str,
    subscribers: usize,
    ways: &[Way],
    peers: &[Peer],
) -> Result<(), Failure> {
    let mut stage = Stage::start(plan).await?;
    let message = subscribe("feed", "SELECT * FROM bench.feed", Start::Nothing);
    let script = stage
        .script(1, 1, Arc::new(move |_, _| message.clone()))
        .await?;
    let swarm = Swarm::start()?;
    let mut measured = Vec::new();
    for way in ways {
        measured.push((*way, Rounds::new()?));
    }
    let mut theirs = Vec::new();
    for peer in peers.iter().filter(|peer| peer.reaches(subscribers)) {
        theirs.push((peer, Rounds::new()?));
    }
    for _ in 0..TURNS {
        let turn = Turn {
            swarm: &swarm,
            duration: plan.duration / TURNS,
            subscribers: subscribers as u64,
        };
        let (opened, sample) = ours(&stage, &script, &turn, &mut measured).await?;
        stage.server.settle().await?;
        floor(&script, &turn, &opened, &sample, &mut measured).await?;
        for (peer, rounds) in &mut theirs {
            of_peer(peer, &turn, rounds).await?;
        }
    }
    report(plan, name, subscribers, &measured, &theirs);
    Ok(())
}

/// The subscribers of one turn.
struct Turn<'a> {
    swarm: &'a Swarm,
    duration: Duration,
    subscribers: u64,
}

/// Also returns what the server said, for the floor to say.
async fn ours(
    stage: &Stage,
    script: &Script,
    turn: &Turn<'_>,
    measured: &mut [(Way, Rounds)],
) -> Result<(Opened, Vec<u8>), Failure> {
    let count = usize::try_from(turn.subscribers)?;
    let opened = turn.swarm.open(script, count, PENDING_MAX).await?;
    let mut sample = Vec::new();
    for (way, rounds) in measured.iter_mut().filter(|(way, _)| !way.is_floor()) {
        let ids = stage.ids.clone();
        let mut trigger = match way {
            Way::Socket => {
                let authorization = stage.root.authorization();
                Trigger::Socket(
                    Socket::connect(stage.server.port, authorization).await?,
                    ids,
                )
            }
            _ => Trigger::Http(stage.client().await?, ids),
        };
        sample = turn
            .run(&mut trigger, &|| stage.server.cpu(), rounds)
            .await?;
    }
    turn.swarm.close().await?;
    Ok((opened, sample))
}

async fn floor(
    script: &Script,
    turn: &Turn<'_>,
    opened: &Opened,
    sample: &[u8],
    measured: &mut [(Way, Rounds)],
) -> Result<(), Failure> {
    let process = FloorSockets::start(&floor_answers(opened)).await?;
    let script = Script {
        port: process.port,
        ..script.clone()
    };
    let count = usize::try_from(turn.subscribers)?;
    turn.swarm.open(&script, count, PENDING_MAX).await?;
    for (way, rounds) in measured {
        if let Way::Floor { threads } = way {
            let order = Order::WriteAll { threads: *threads };
            let control = process.control().await?;
            let mut trigger = Trigger::Floor(control, order, sample.to_vec());
            turn.run(&mut trigger, &|| process.cpu(), rounds).await?;
        }
    }
    turn.swarm.close().await
}

async fn of_peer(peer: &Peer, turn: &Turn<'_>, rounds: &mut Rounds) -> Result<(), Failure> {
    match peer {
        Peer::Postgres(_) => Ok(()),
        Peer::Stack(stack) => {
            // The script has one feed, to which any message subscribes.
            let script = Script {
                port: stack.port,
                authorizations: Arc::new(["Bearer anybody".to_owned()]),
                subscriptions: 1,
                message: Arc::new(|_, _| r#"{"type":"subscribe"}"#.to_owned()),
            };
            let count = usize::try_from(turn.subscribers)?;
            turn.swarm.open(&script, count, PENDING_MAX).await?;
            let client = Client::connect(stack.port).await?;
            let mut trigger = Trigger::Stack(client);
            turn.run(&mut trigger, &|| peer.cpu(), rounds).await?;
            turn.swarm.close().await
        }
        Peer::Redis(redis) => {
            let cpu = peer.cpu()?;
            redis.rounds(turn.duration, &mut rounds.last).await?;
            rounds.cpu += peer.cpu()? - cpu;
            rounds.each = rounds.last.clone();
            Ok(())
        }
    }
}

impl Turn<'_> {
    /// Adds rounds; returns the first change as a frame.
    async fn run(
        &self,
        trigger: &mut Trigger,
        cpu: &(dyn Fn() -> Result<Duration, Failure> + Sync),
        rounds: &mut Rounds,
    ) -> Result<Vec<u8>, Failure> {
        for _ in 0..WARM_UP_ROUNDS {
            self.round(trigger).await?;
        }
        self.swarm.take().await?;
        let (begun, cpu_before, mut count) = (Instant::now(), cpu()?, 0);
        while begun.elapsed() < self.duration || count < ROUNDS_MIN {
            rounds.last.record(self.round(trigger).await?)?;
            count += 1;
            tokio::time::sleep(PAUSE).await;
        }
        rounds.cpu += cpu()?.saturating_sub(cpu_before);
        let received = self.swarm.take().await?;
        received.check(|_| count)?;
        rounds.each.add(received.latency)?;
        Ok(received.sample)
    }

    /// Time until the last subscriber had the row, in µs.
    async fn round(&self, trigger: &mut Trigger) -> Result<u64, Failure> {
        self.swarm.expect(self.subscribers);
        let (sent_ns, last_ns) = tokio::try_join!(trigger.fire(), self.swarm.reached())?;
        Ok((last_ns - sent_ns) / 1_000)
    }
}

enum Trigger {
    Http(Client, Ids),
    Socket(Socket, Ids),
    Floor(Control, Order, Vec<u8>),
    Stack(Client),
}

impl Trigger {
    /// Sends one row and waits for the answer; returns when it was sent.
    async fn fire(&mut self) -> Result<u64, Failure> {
        let sent_ns = now_ns();
        let marker = Marker { sent_ns, target: 0 };
        match self {
            Self::Http(client, ids) => {
                let body = row_body(Table::Feed, ids.next(), marker);
                client.sql_body(body).await?;
            }
            Self::Socket(socket, ids) => {
                let params = row(ids.next(), marker);
                let sql = Table::Feed.insert();
                socket
                    .run(&format!(r#""sql":"{sql}","params":{params}"#))
                    .await?;
            }
            Self::Floor(control, order, frame) => {
                stamp(frame, sent_ns);
                control.give(*order, frame).await?;
            }
            Self::Stack(client) => {
                // No two rows are sent at the same nanosecond.
                let row = feed_row(sent_ns, 0, 0, &marker.text());
                Stack::feed(client, row).await?;
            }
        }
        Ok(sent_ns)
    }
}

fn report(
    plan: &Plan,
    name: &str,
    subscribers: usize,
    measured: &[(Way, Rounds)],
    theirs: &[(&Peer, Rounds)],
) {
    let median = |rounds: &Rounds| rounds.last.value_at_quantile(0.5).max(1) as f64;
    let each = counted(subscribers as u64, "subscriber");
    let measurement = |way: &str, rounds: &Rounds| {
        let cpu = rounds.cpu.as_secs_f64() * 1e6 / rounds.each.len().max(1) as f64;
        Measurement::new(name, format!("{each}, {way}"))
            .latency(&rounds.last)
            .figure("CPU a delivery [µs]", cpu)
            .figure("each p50 [µs]", rounds.each.value_at_quantile(0.5) as f64)
    };
    let floors = measured.iter().filter(|(way, _)| way.is_floor());
    let fastest = floors.min_by_key(|(_, rounds)| rounds.last.value_at_quantile(0.5));
    for (way, rounds) in measured {
        let mut measurement = measurement(&way.name(), rounds);
        if let Some((_, floor)) = fastest.filter(|_| !way.is_floor()) {
            measurement = measurement.ratios("", &rounds.last, &floor.last).ratios(
                "each ",
                &rounds.each,
                &floor.each,
            );
        }
        for (peer, theirs) in theirs.iter().filter(|_| !way.is_floor()) {
            let ratio = median(rounds) / median(theirs);
            measurement = measurement.figure(&format!("p50 / {}", peer.name()), ratio);
        }
        plan.record(measurement);
    }
    for (peer, rounds) in theirs {
        plan.record(measurement(peer.name(), rounds));
    }
}
