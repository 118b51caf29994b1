//! The scenarios that there are, what each does, and the figures to reach.

/// What `list` shows.
pub struct Entry {
    pub name: &'static str,
    pub work: &'static str,
    /// In words; what compares with another system needs that system beside it.
    pub figure: &'static str,
    goals: &'static [Goal],
}

/// A figure that a run can judge by itself.
pub struct Goal {
    figure: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    const fn at_most(figure: &'static str, bound: f64) -> Self {
        Self {
            figure,
            bound: Bound::AtMost(bound),
        }
    }

    const fn at_least(figure: &'static str, bound: f64) -> Self {
        Self {
            figure,
            bound: Bound::AtLeast(bound),
        }
    }

    pub fn is_reached(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }
}

const fn entry(name: &'static str, work: &'static str, figure: &'static str) -> Entry {
    Entry {
        name,
        work,
        figure,
        goals: &[],
    }
}

const fn with_goals(entry: Entry, goals: &'static [Goal]) -> Entry {
    Entry { goals, ..entry }
}

pub const ALL: &[Entry] = &[
    entry(
        "floor",
        "a bare HTTP endpoint that answers the same bytes, 1 and 32 clients",
        "what the machine gives",
    ),
    with_goals(
        entry(
            "W1",
            "INSERT of a chat row with parameters, relaxed, 32 clients",
            "≥ 5 × a Node and PostgreSQL stack, ≤ 0.2 × its CPU",
        ),
        &[
            Goal::at_least("rate / stack", 5.0),
            Goal::at_most("CPU / stack", 0.2),
        ],
    ),
    entry(
        "W2",
        "the same by query over one socket, 64 in flight",
        "≥ 2.5 × pgbench async",
    ),
    with_goals(
        entry("W3", "INSERT, sync, one client", "p50 ≤ 0.6 × stack"),
        &[Goal::at_most("p50 / stack", 0.6)],
    ),
    with_goals(
        entry(
            "W4",
            "INSERT, sync, 64 and 128 clients",
            "≥ 3.5 × stack, ≥ 1.6 × pgbench",
        ),
        &[
            Goal::at_least("rate / stack", 3.5),
            Goal::at_least("rate / postgres", 1.6),
        ],
    ),
    with_goals(
        entry(
            "W5",
            "bulk load in requests of 1,000 rows",
            "≥ 3 × COPY of PostgreSQL",
        ),
        &[Goal::at_least("rate / postgres", 3.0)],
    ),
    with_goals(
        entry(
            "W6",
            "UPDATE by key, INSERT and DELETE by key, 32 clients; UPDATE of a range of 100",
            "≤ 0.25 × the stack's CPU; range ≤ 20 µs a row",
        ),
        &[
            Goal::at_most("CPU / stack", 0.25),
            Goal::at_most("CPU a row [µs]", 20.0),
        ],
    ),
    entry(
        "W7",
        "STREAM inserts, single and in batches of 100",
        "≥ 1.3 × W1",
    ),
    with_goals(
        entry(
            "R1",
            "SELECT by key, 1 and 32 clients",
            "≥ 4.5 × stack, ≤ 0.2 × its CPU",
        ),
        &[
            Goal::at_least("rate / stack", 4.5),
            Goal::at_most("CPU / stack", 0.2),
        ],
    ),
    with_goals(
        entry(
            "R4",
            "SELECT of 200 and of 10,000 rows as JSON",
            "≥ 1 million rows/s",
        ),
        &[Goal::at_least("rows/s", 1e6)],
    ),
    entry("G1", "GROUP BY over 10,000 hot rows", "≤ 5 ms"),
    with_goals(
        entry(
            "S1",
            "INSERT → one subscriber has it, over HTTP and over a socket",
            "p50 ≤ 0.15 × stack",
        ),
        &[Goal::at_most("p50 / stack", 0.15)],
    ),
    with_goals(
        entry("S2", "to 100 and 1,000 subscribers", "≤ 0.5 × stack"),
        &[Goal::at_most("p50 / stack", 0.5)],
    ),
    entry(
        "S3",
        "to 10,000 subscribers",
        "p50 and p99 ≤ 0.85 × Bun; ≤ 1.5 × the floor",
    ),
    entry(
        "S4",
        "10,000 users, each change reaches one",
        "≥ 5 × the stack's deliveries/s, p99 ≤ 10 ms",
    ),
    with_goals(
        entry(
            "S5",
            "10,000 distinct conditions on one table, beside one",
            "≤ 1.2 × the CPU of one",
        ),
        &[Goal::at_most("CPU ratio", 1.2)],
    ),
    entry(
        "S6",
        "connect, authenticate, subscribe, 1,000 initial rows; resume",
        "≤ 0.5 × stack",
    ),
    with_goals(
        entry(
            "S7",
            "10,000 clients come back at once",
            "all live within 2 s, RSS back within 10 %",
        ),
        &[
            Goal::at_most("all live [ms]", 2_000.0),
            Goal::at_most("RSS ratio", 1.1),
        ],
    ),
    with_goals(
        entry(
            "M1",
            "memory of an idle socket with one subscription, 18,000 sockets",
            "≤ 4 KB",
        ),
        &[
            Goal::at_most("bytes/socket", 4_096.0),
            Goal::at_most("idle CPU [%]", 1.0),
        ],
    ),
    with_goals(
        entry(
            "M2",
            "memory of a further subscription, same text and distinct ones",
            "≤ 350 bytes",
        ),
        &[Goal::at_most("bytes/subscription", 350.0)],
    ),
    with_goals(
        entry("I1", "start to first answer, empty", "≤ 25 ms"),
        &[Goal::at_most("start [ms]", 25.0)],
    ),
    with_goals(
        entry("I2", "an idle server: memory and CPU", "≤ 24 MB, ≤ 0.1 %"),
        &[
            Goal::at_most("RSS [MiB]", 24.0),
            Goal::at_most("CPU [%]", 0.1),
        ],
    ),
    entry(
        "I3",
        "sizes of the binaries",
        "dist: server ≤ 45 MB, shell ≤ 12 MB",
    ),
    entry(
        "L1",
        "kalam --version; kalam -c 'SELECT 1'",
        "≤ 0.15 × and ≤ 0.3 × psql",
    ),
];

/// The goal of a figure, where it has one.
pub fn goal(scenario: &str, figure: &str) -> Option<&'static Goal> {
    let entry = ALL.iter().find(|entry| entry.name == scenario)?;
    entry.goals.iter().find(|goal| goal.figure == figure)
}

pub fn exists(name: &str) -> bool {
    ALL.iter()
        .any(|entry| entry.name.eq_ignore_ascii_case(name))
}
