//! Readiness of thousands of sockets by the kernel's own interface, so that the receiving side costs the machine little
//! more than the reads.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Tells which descriptors became readable or writable, once each time.
pub struct Epoll(OwnedFd);

/// What happened to a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// As given to [`Epoll::add`].
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
    /// The other side has closed; what it sent before can still be read.
    pub ended: bool,
}

/// Room for events of one wait.
pub struct Events(Vec<libc::epoll_event>);

impl Events {
    pub fn new(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn iter(&self) -> impl Iterator<Item = Event> {
        const ENDED: i32 = libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLERR;
        self.0.iter().map(|event| Event {
            token: event.u64,
            readable: event.events & (libc::EPOLLIN | ENDED) as u32 != 0,
            writable: event.events & (libc::EPOLLOUT | ENDED) as u32 != 0,
            ended: event.events & ENDED as u32 != 0,
        })
    }
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
            u64: token,
        };
        // SAFETY: both descriptors are open and the pointer is to a live event.
        check(unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                descriptor.as_raw_fd(),
                &raw mut event,
            )
        })?;
        Ok(())
    }

    /// Waits for at least one event.
    pub fn wait(&self, events: &mut Events) -> io::Result<()> {
        let room = i32::try_from(events.0.capacity()).unwrap_or(i32::MAX);
        events.0.clear();
        // SAFETY: the buffer has room for that many events.
        let result =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.0.as_mut_ptr(), room, -1) };
        match check(result) {
            Ok(count) => {
                // SAFETY: the kernel has written that many, and no more than there is room for.
                unsafe { events.0.set_len(count as usize) };
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Begins to connect from this address to a port of 127.0.0.1. The socket becomes writable when it is connected.
pub fn connect(from: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers are passed.
    let descriptor = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let stream = unsafe { TcpStream::from_raw_fd(descriptor) };
    stream.set_nodelay(true)?;
    // The kernel chooses the port when it knows the other end: each pair of addresses has all ports.
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to an integer of the given size.
    check(unsafe {
        libc::setsockopt(
            descriptor,
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    let address_bytes = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let source = address(SocketAddrV4::new(from, 0));
    // SAFETY: the pointer is to an address of the given size.
    check(unsafe {
        libc::bind(
            descriptor,
            std::ptr::from_ref(&source).cast(),
            address_bytes,
        )
    })?;
    let target = address(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    // SAFETY: the pointer is to an address of the given size.
    let result = check(unsafe {
        libc::connect(
            descriptor,
            std::ptr::from_ref(&target).cast(),
            address_bytes,
        )
    });
    match result {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(stream),
    }
}

/// Lets clients that come at once wait in the kernel instead of being turned away.
pub fn widen_backlog(listener: &impl AsRawFd) -> io::Result<()> {
    const CONNECTIONS: i32 = 4_096;
    // SAFETY: the descriptor belongs to the listener, which is open.
    check(unsafe { libc::listen(listener.as_raw_fd(), CONNECTIONS) })?;
    Ok(())
}

/// Allows as many descriptors as the hard limit does, to this process and its children.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live limit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live limit.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(())
}

fn address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
