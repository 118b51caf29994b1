//! What runs beside a socket: logins, loads and statements. All of it ends with the socket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kalam_engine::live::{LoadJob, Loaded};
use kalam_link_core::codec::Frame;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use crate::auth::Proof;
use crate::http::Failure;

/// Statements of one socket that run at the same time. While there are as many, no more messages are read.
const QUERIES_MAX: usize = 128;

/// Loads of one socket that run at the same time, or have read rows that the socket has not taken; more wait. Each holds
/// up to a batch in memory.
const LOADS_MAX: usize = 4;

/// What a job gave.
pub(super) enum Done {
    Authenticated(Result<Proof, Failure>),
    Loaded(Loaded),
    Answered(Frame),
    /// A defect of the server, after which the connection has no right state.
    Panicked,
}

/// The jobs of a socket.
#[derive(Default)]
pub(super) struct Jobs(Option<Box<Running>>);

/// There is none while nothing runs.
#[derive(Default)]
struct Running {
    jobs: JoinSet<Done>,
    logins: usize,
    queries: usize,
    loads: usize,
    /// Loads that wait for others of the socket, and the permits of all sockets.
    waiting: VecDeque<(LoadJob, Arc<Semaphore>)>,
}

impl Jobs {
    pub(super) fn login(
        &mut self,
        login: impl Future<Output = Result<Proof, Failure>> + Send + 'static,
    ) {
        let running = self.running();
        running.logins += 1;
        running
            .jobs
            .spawn(async { Done::Authenticated(login.await) });
    }

    pub(super) fn query(&mut self, answer: impl Future<Output = Frame> + Send + 'static) {
        let running = self.running();
        running.queries += 1;
        running.jobs.spawn(async { Done::Answered(answer.await) });
    }

    /// `permits` are those of all sockets.
    pub(super) fn load(&mut self, job: LoadJob, permits: Arc<Semaphore>) {
        let running = self.running();
        running.waiting.push_back((job, permits));
        running.begin_loads();
    }

    fn running(&mut self) -> &mut Running {
        self.0.get_or_insert_default()
    }

    /// Whether answers to statements are still to come.
    pub(super) fn has_queries(&self) -> bool {
        self.0.as_ref().is_some_and(|running| running.queries > 0)
    }

    /// Whether another message can be taken. After a login, messages may be written in another form.
    pub(super) fn takes_more(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|running| running.logins == 0 && running.queries < QUERIES_MAX)
    }

    /// Waits for the next job that is done.
    pub(super) fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending;
        };
        let done = ready!(running.poll_done(cx));
        if running.jobs.is_empty() {
            self.0 = None;
        }
        Poll::Ready(done)
    }
}

impl Running {
    fn begin_loads(&mut self) {
        while self.loads < LOADS_MAX
            && let Some((job, permits)) = self.waiting.pop_front()
        {
            self.loads += 1;
            self.jobs.spawn(load(job, permits));
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let joined = ready!(self.jobs.poll_join_next(cx)).expect("something runs");
        let done = joined.unwrap_or_else(|error: JoinError| {
            debug_assert!(error.is_panic(), "jobs are aborted with their set only");
            Done::Panicked
        });
        match done {
            Done::Authenticated(_) => self.logins -= 1,
            Done::Answered(_) => self.queries -= 1,
            Done::Loaded(_) => {
                self.loads -= 1;
                self.begin_loads();
            }
            Done::Panicked => {}
        }
        Poll::Ready(done)
    }
}

async fn load(job: LoadJob, permits: Arc<Semaphore>) -> Done {
    let permit = permits
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    let load = tokio::task::spawn_blocking(move || {
        // A load goes on when its socket is gone; so its permit is its own.
        let _permit = permit;
        job.run()
    });
    load.await.map_or(Done::Panicked, Done::Loaded)
}

#[cfg(test)]
mod tests;
