//! How many files the system lets the process have open, connections among them.

/// Files that are no connections: those of the database, most of all.
const RESERVED: u64 = 1_024;

/// Raises the limit of the system as far as it goes. Says how many connections fit into it, `wanted` at most.
pub(crate) fn connections_max(wanted: usize) -> usize {
    let needed = RESERVED.saturating_add(wanted as u64);
    let Some(limit) = raise(needed) else {
        return wanted;
    };
    let max = fitting(wanted, limit);
    if max < wanted {
        tracing::warn!(
            wanted,
            max,
            limit,
            "the system's limit of open files bounds the connections"
        );
    }
    max
}

/// Under a limit that is smaller than what is reserved, connections get half of it.
fn fitting(wanted: usize, limit: u64) -> usize {
    let room = limit.saturating_sub(RESERVED).max(limit / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// The limit after it was raised to what is needed, if it could be. None where nobody knows.
#[cfg(unix)]
fn raise(needed: u64) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a value of the type that the call fills in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let before = limit.rlim_cur;
    if before >= needed {
        return Some(before);
    }
    limit.rlim_cur = limit.rlim_max.min(needed);
    // SAFETY: the call reads the value, and changes nothing but a limit of this process.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    Some(if raised { limit.rlim_cur } else { before })
}

#[cfg(not(unix))]
fn raise(_: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_database() {
        assert_eq!(fitting(20_000, 1 << 20), 20_000);
        assert_eq!(fitting(20_000, 10_000), 8_976);
        assert_eq!(fitting(20_000, 1_024), 512);
        assert_eq!(fitting(100, 1_024), 100);
    }
}
