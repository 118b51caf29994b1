//! W2: inserts by `query` over one socket, many in flight.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Ids, Stage, TURNS, Table};
use crate::bench::Failure;
use crate::bench::floor::sockets::{FloorSockets, Order};
use crate::bench::frame::{self, Side};
use crate::bench::marker::{TEXT, now_ns};
use crate::bench::plan::Plan;
use crate::bench::report::Measurement;
use crate::bench::socket::{ANSWER, ID_DIGITS, Socket};

/// Statements that are in flight.
const IN_FLIGHT: usize = 64;

/// What a run gave.
struct Run {
    latency: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
}

impl Run {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            latency: Histogram::new(3)?,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        })
    }

    fn per_second(&self) -> f64 {
        self.latency.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn measurement(&self, name: &str) -> Measurement {
        Measurement::new("W2", name)
            .rate(self.latency.len(), self.elapsed)
            .cpu(self.cpu)
            .latency(&self.latency)
    }
}

pub async fn run(plan: &Plan) -> Result<(), Failure> {
    let stage = Stage::start(plan).await?;
    let answers = floor_answers();
    let (mut ours, mut floor) = (Run::new()?, Run::new()?);
    for _ in 0..TURNS {
        let duration = plan.duration / TURNS;
        let mut socket = Socket::connect(stage.server.port, stage.root.authorization()).await?;
        let cpu = || stage.server.cpu();
        pipeline(&mut socket, &stage.ids, duration, &cpu, &mut ours).await?;
        drop(socket);
        let process = FloorSockets::start(&[
            (Order::AnswerUpgrade, &answers[0]),
            (Order::AnswerQuery, &answers[1]),
        ])
        .await?;
        let mut socket = Socket::connect(process.port, "").await?;
        let cpu = || process.cpu();
        pipeline(&mut socket, &Ids::default(), duration, &cpu, &mut floor).await?;
    }
    let measurement = ours.measurement("INSERT over a socket, 64 in flight");
    plan.record(measurement.figure("rate ratio", ours.per_second() / floor.per_second()));
    plan.record(floor.measurement("floor"));
    Ok(())
}

/// Asks the next statement for each answer; answers that come together are followed by questions that go together.
async fn pipeline(
    socket: &mut Socket,
    ids: &Ids,
    duration: Duration,
    cpu: &(dyn Fn() -> Result<Duration, Failure> + Sync),
    run: &mut Run,
) -> Result<(), Failure> {
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    let mut sent_ns = [0; IN_FLIGHT];
    let mut free: Vec<usize> = (0..IN_FLIGHT).collect();
    let mut in_flight = 0;
    let mut answered = Vec::new();
    loop {
        if begun.elapsed() < duration {
            for id in free.drain(..) {
                sent_ns[id] = now_ns();
                socket.ask(id, &insert(ids.next()));
                in_flight += 1;
            }
        }
        socket.flush().await?;
        if in_flight == 0 {
            break;
        }
        socket.answers(&mut answered).await?;
        let now_ns = now_ns();
        for id in answered.drain(..) {
            let sent_ns = sent_ns.get(id).ok_or("an answer to no question")?;
            run.latency.record((now_ns - sent_ns) / 1_000)?;
            free.push(id);
            in_flight -= 1;
        }
    }
    run.elapsed += begun.elapsed();
    run.cpu += cpu()?.saturating_sub(cpu_before);
    Ok(())
}

/// A statement without its id. As text: values would be more work than the sending.
fn insert(id: u64) -> String {
    let sql = Table::Feed.insert();
    let (conversation, author) = (id % 100, id % 50);
    format!(r#""sql":"{sql}","params":["{id}","{conversation}","author-{author}","{TEXT}"]"#)
}

/// An upgrade with its `auth_success`, and the answer to an INSERT.
fn floor_answers() -> [Vec<u8>; 2] {
    let mut upgrade = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
    let success = br#"{"type":"auth_success","user":"root"}"#;
    frame::append(&mut upgrade, Side::Server, frame::TEXT, success);
    let result = format!(
        r#"{ANSWER}{:0ID_DIGITS$}","status":"success","results":[{{"row_count":1,"message":"Inserted 1 row(s)","as_user":"root","truncated":false}}],"took":0.100}}"#,
        0
    );
    let mut answer = Vec::new();
    frame::append(&mut answer, Side::Server, frame::TEXT, result.as_bytes());
    [upgrade, answer]
}
