//! Random schedules: what happens, in which order, and what is compared when it is quiet.

use std::collections::BTreeMap;

use kalam_link_core::SubscriptionId;
use kalam_link_core::live_rows::{LiveRows, LiveStatus};
use kalam_link_core::message::{ResyncReason, Row, SubscribeOptions};
use kalam_link_core::session::{
    BackoffOptions, Delivery, Input, Session, SessionEvent, SessionOptions, Subscribe,
};
use kalam_link_core::testing::{Faults, Wire};
use kalam_link_core::time::Millis;

use super::observer::Observer;
use super::queries::{Item, Name, Query, queries};
use super::world::{Bug, World};
use crate::support::Random;

/// Schedules that happen to one set of tables, one after the other.
pub const PER_WORLD: u64 = 50;

/// Quiet points of a schedule.
const ROUNDS: u64 = 3;

/// What happens before each.
const ACTIONS_MAX: u64 = 14;

/// Virtual time that everything has to arrive in.
const SETTLE_MS: u64 = 120_000;

/// A client's idea of the server's clock is late by what the acknowledgement took: stalls and delays included.
const CLOCK_LATE_MS_MAX: u64 = 20_000;

/// What has happened in all schedules.
#[derive(Debug, Default)]
pub struct Statistics {
    pub quiet_points: u64,
    pub writes: u64,
    pub cuts: u64,
    pub restarts: u64,
    pub overflows: u64,
    pub resyncs: BTreeMap<String, u64>,
    pub rows_compared: u64,
}

impl Statistics {
    /// A simulation in which something never happens proves nothing about it.
    pub fn check_everything_happened(&self) {
        for count in [
            self.writes,
            self.cuts,
            self.restarts,
            self.overflows,
            self.rows_compared,
        ] {
            assert!(count > 0, "{self:?}");
        }
        for reason in [
            ResyncReason::SchemaChanged,
            ResyncReason::BelowResumeFloor,
            ResyncReason::LoadInterrupted,
        ] {
            assert!(
                self.resyncs.contains_key(&format!("{reason:?}")),
                "{self:?}"
            );
        }
    }
}

/// Worlds one after the other, each with its schedules.
pub struct Worlds {
    first_seed: u64,
    bug: Option<Bug>,
    pub statistics: Statistics,
}

impl Worlds {
    pub fn new(first_seed: u64, bug: Option<Bug>) -> Self {
        Self {
            first_seed,
            bug,
            statistics: Statistics::default(),
        }
    }

    /// The first failure, with the seed of its world.
    pub fn run(&mut self, schedules: u64) -> Result<(), String> {
        for number in 0..schedules.div_ceil(PER_WORLD) {
            let seed = self.first_seed + number;
            let mut world = World::new(seed, self.bug);
            for schedule in 0..PER_WORLD {
                let at = format!("world {seed}, schedule {schedule}");
                let seed = (seed << 8) + schedule;
                let mut run = Run::new(world, seed, &mut self.statistics);
                run.all().map_err(|failure| format!("{at}: {failure}"))?;
                world = run.end();
            }
        }
        Ok(())
    }
}

/// Whether the session or the test keeps the rows.
enum Shown {
    BySession { id: SubscriptionId, query: usize },
    ByTest(Box<Observer>),
}

struct Run<'a> {
    wire: Wire<World>,
    random: Random,
    queries: Vec<Query>,
    shown: Vec<Shown>,
    paused: Vec<SubscriptionId>,
    subscribed: u64,
    statistics: &'a mut Statistics,
}

impl<'a> Run<'a> {
    fn new(world: World, seed: u64, statistics: &'a mut Statistics) -> Self {
        let mut random = Random(seed);
        let options = SessionOptions {
            backoff: BackoffOptions {
                delay_first_ms: 20,
                delay_max_ms: 500,
                attempts_max: None,
            },
            ..SessionOptions::new("ws://server/v1/ws")
        };
        let session = Session::new(options, random.next());
        let mut wire = Wire::new(session, world, random.next());
        wire.faults = Self::faults(&mut random);
        let mut run = Self {
            wire,
            random,
            queries: queries(),
            shown: Vec::new(),
            paused: Vec::new(),
            subscribed: 0,
            statistics,
        };
        run.wire.input(Input::Connect);
        for _ in 0..=run.random.below(4) {
            run.subscribe();
        }
        run
    }

    fn faults(random: &mut Random) -> Faults {
        match random.below(4) {
            0 => Faults::none(),
            1 => Faults::many(),
            _ => Faults {
                delay_ms_max: random.below(100),
                cut_per_mille: random.below(10),
                notice_ms_max: random.below(5_000),
                refuse_per_mille: random.below(300),
            },
        }
    }

    fn end(self) -> World {
        let now = self.wire.now();
        let mut world = self.wire.peer;
        self.statistics.overflows += std::mem::take(&mut world.overflows);
        world.begin(now);
        world
    }

    fn all(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            for _ in 0..=self.random.below(ACTIONS_MAX) {
                self.act();
                self.see()?;
            }
            self.settle()?;
            self.compare()?;
            self.wire.faults = Self::faults(&mut self.random);
        }
        Ok(())
    }

    fn subscribe(&mut self) {
        self.subscribed += 1;
        let query = usize::try_from(self.random.below(self.queries.len() as u64)).unwrap();
        let mut subscribe =
            Subscribe::new(format!("s{}", self.subscribed), self.queries[query].sql);
        let batch_size = 1 + u32::try_from(self.random.below(5)).unwrap();
        subscribe.options = SubscribeOptions {
            batch_size: Some(batch_size),
            ..SubscribeOptions::default()
        };
        let id = subscribe.id.clone();
        self.shown.push(if self.random.below(2) == 0 {
            subscribe.delivery = Delivery::Rows;
            Shown::BySession { id, query }
        } else {
            Shown::ByTest(Box::new(Observer::new(id, query)))
        });
        self.wire.input(Input::Subscribe(subscribe));
    }

    fn unsubscribe(&mut self) {
        if self.shown.len() > 1 {
            let at = usize::try_from(self.random.below(self.shown.len() as u64)).unwrap();
            let id = match self.shown.remove(at) {
                Shown::BySession { id, .. } => id,
                Shown::ByTest(observer) => observer.id,
            };
            self.paused.retain(|paused| *paused != id);
            self.wire.input(Input::Unsubscribe { id });
        }
    }

    fn pause(&mut self) {
        let at = usize::try_from(self.random.below(self.shown.len() as u64)).unwrap();
        let id = match &self.shown[at] {
            Shown::BySession { id, .. } => id.clone(),
            Shown::ByTest(observer) => observer.id.clone(),
        };
        self.paused.push(id.clone());
        self.wire.input(Input::Pause { id });
    }

    fn act(&mut self) {
        let now = self.wire.now();
        let name = Name::ALL[usize::try_from(self.random.below(3)).unwrap()];
        match self.random.below(100) {
            0..60 => {
                // Now and then more than a queue holds.
                let times = if self.random.below(8) == 0 { 12 } else { 1 };
                for _ in 0..times {
                    let changes = 1 + self.random.below(3);
                    self.wire.peer.write(name, changes, now);
                    self.statistics.writes += 1;
                }
            }
            60..76 => {
                let ms = self.random.below(200);
                self.wire.advance_ms(ms);
            }
            76..79 => {
                let ms = self.random.below(20_000);
                self.wire.advance_ms(ms);
            }
            79..85 => {
                self.wire.cut();
                self.statistics.cuts += 1;
            }
            85..90 => {
                let until = now.plus_ms(self.random.below(3_000));
                self.wire.peer.stall(until);
            }
            90..92 => {
                self.wire.peer.alter(name);
            }
            92..94 => {
                self.wire.peer.purge(name, now);
            }
            94..96 => {
                self.wire.peer.restart();
                self.statistics.restarts += 1;
            }
            96..98 => self.pause(),
            98 => self.subscribe(),
            _ => self.unsubscribe(),
        }
    }

    /// Takes in what the application was told.
    fn see(&mut self) -> Result<(), String> {
        let now = self.wire.now();
        for event in self.wire.take_events() {
            let SessionEvent::Subscription { id, event } = event else {
                if let SessionEvent::Failed(error) = event {
                    return Err(format!("the session failed: {error}"));
                }
                continue;
            };
            for shown in &mut self.shown {
                if let Shown::ByTest(observer) = shown
                    && observer.id == id
                {
                    let query = &self.queries[observer.query];
                    observer.see(event, query, now)?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.wire.peer.stall(Millis(0));
        for id in std::mem::take(&mut self.paused) {
            self.wire.input(Input::Resume { id });
        }
        let until = self.wire.now().plus_ms(SETTLE_MS);
        loop {
            if self.wire.now() >= until {
                return Err("does not come to rest".to_owned());
            }
            if !self.wire.settle(SETTLE_MS) {
                return Err("does not connect".to_owned());
            }
            self.see()?;
            let loaded = self.shown.iter().all(|shown| {
                self.rows(shown)
                    .is_some_and(|rows| rows.status() == LiveStatus::Live)
            });
            if loaded && !self.wire.peer.is_busy() {
                return Ok(());
            }
        }
    }

    fn rows<'s>(&'s self, shown: &'s Shown) -> Option<&'s LiveRows> {
        match shown {
            Shown::BySession { id, .. } => self.wire.session.rows(id),
            Shown::ByTest(observer) => Some(&observer.rows),
        }
    }

    fn compare(&mut self) -> Result<(), String> {
        let now = self.wire.now();
        for shown in &mut self.shown {
            if let Shown::ByTest(observer) = shown {
                observer.rows.expire(now);
            }
        }
        let mut rows_compared = 0;
        for shown in &self.shown {
            let (id, query) = match shown {
                Shown::BySession { id, query } => (id, *query),
                Shown::ByTest(observer) => (&observer.id, observer.query),
            };
            let query = &self.queries[query];
            let rows = self.rows(shown).ok_or("not subscribed")?;
            let got: Vec<Item> = rows.rows().map(|(_, row)| item(row)).collect();
            let visible = self.wire.peer.rows(query.table, now, 0);
            let expected = query.result(&visible);
            if without_expired(&self.wire.peer, query, now, &expected, got.clone()) != expected {
                return Err(format!(
                    "{id} {}\nshows    {got:?}\ninstead of {expected:?}",
                    query.sql
                ));
            }
            rows_compared += got.len() as u64;
        }
        self.statistics.rows_compared += rows_compared;
        self.statistics.quiet_points += 1;
        self.check_resyncs()
    }

    /// Each resync has a reason that has happened.
    fn check_resyncs(&mut self) -> Result<(), String> {
        for shown in &mut self.shown {
            let Shown::ByTest(observer) = shown else {
                continue;
            };
            let query = &self.queries[observer.query];
            let count = |reason| {
                observer
                    .resyncs
                    .iter()
                    .filter(|seen| **seen == reason)
                    .count()
            };
            // Also one that happened before: a load that was cut goes on after its last row, however old that is.
            let (alters, purges) = self.wire.peer.history(query.table);
            let has_reason = (count(ResyncReason::SchemaChanged) == 0 || alters > 0)
                && (count(ResyncReason::BelowResumeFloor) == 0 || purges > 0)
                && (count(ResyncReason::LoadInterrupted) == 0 || query.is_ordered())
                && (count(ResyncReason::WindowReloaded) == 0 || query.is_window())
                && count(ResyncReason::AheadOfServer) == 0
                && count(ResyncReason::Unknown) == 0;
            if !has_reason {
                return Err(format!(
                    "{} {}: {:?} after {alters} ALTER and {} purges",
                    observer.id, query.sql, observer.resyncs, purges
                ));
            }
        }
        self.count_resyncs();
        Ok(())
    }

    fn count_resyncs(&mut self) {
        for shown in &self.shown {
            if let Shown::ByTest(observer) = shown {
                for reason in &observer.resyncs {
                    let counted = self.statistics.resyncs.entry(format!("{reason:?}"));
                    *counted.or_default() += 1;
                }
            }
        }
    }
}

/// Leaves out what a clock that is late still shows: events that expired, of keys that have no younger one. Deletes it
/// must have seen.
fn without_expired(
    world: &World,
    query: &Query,
    now: Millis,
    expected: &[Item],
    mut shown: Vec<Item>,
) -> Vec<Item> {
    if query.table == Name::Events {
        let stored = world.rows(query.table, now, CLOCK_LATE_MS_MAX);
        shown.retain(|item| {
            expected.iter().any(|expected| expected.id == item.id)
                || !stored.iter().any(|(_, stored)| stored == item)
        });
    }
    shown
}

fn item(row: &Row) -> Item {
    let row = row.cells();
    let number = |name: &str| row[name].as_str().map(|text| text.parse().unwrap());
    Item {
        id: number("id").unwrap(),
        room: row["room"].as_str().map(str::to_owned),
        n: number("n"),
    }
}
