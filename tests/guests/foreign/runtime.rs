//! Another WATER runtime, as small as one can be: WebAssembly 2.0, the calls of preview1 that a dialer needs, a
//! configuration, and nothing of ours.
//!
//! In: a module, its configuration, the application's connection and the network's. Out: what the module's exports
//! answered, and what it printed. It is as awkward as runtimes in the field are: waits are interrupted by signals or end
//! with nothing to say, write readiness is told again and again, writes are cut short or refused, and [`Manners`].
//! What can go wrong: a module that needs more, which panics with the name of it.

use super::calls::linker;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use wasmtime::{Config, Engine, Instance, Module, Store, WasmFeatures};

pub(super) const SUCCESS: i32 = 0;
const AGAIN: i32 = 6;
pub(super) const BADF: i32 = 8;
const INTR: i32 = 27;
const IO: i32 = 29;
pub(super) const NOENT: i32 = 44;
pub(super) const NOTSUP: i32 = 58;
const PIPE: i32 = 64;

/// How much one write takes at most: no multiple of anything.
const MAX_WRITE: usize = 10_007;

/// In what the runtimes differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// Whether it can end one direction of a connection.
    pub(super) half_closes: bool,
}

/// What a number stands for.
pub(super) enum Fd {
    Closed,
    Printed,
    Folder,
    File { read: usize },
    Socket { stream: TcpStream, waits: bool },
}

/// What a guest can reach.
pub(super) struct World {
    pub(super) fds: Vec<Fd>,
    conf: Vec<u8>,
    pub(super) manners: Manners,
    runtime: Handle,
    pub(super) network: Option<TcpStream>,
    printed: Vec<u8>,
    pub(super) start: Instant,
    waits: u32,
    writes: u32,
}

/// What an export answered: an fd, 0, or a negated error.
type Answer = i32;

/// A module, made and initialised.
pub(super) struct Runtime {
    store: Store<World>,
    instance: Instance,
}

impl Runtime {
    /// Makes it; `network` is what it dials, or is dialled by.
    pub(super) fn new(module: &[u8], conf: &str, network: TcpStream, manners: Manners) -> Runtime {
        let mut config = Config::new();
        config
            .wasm_features(WasmFeatures::all(), false)
            // The types of garbage collection stand for a build option of wasmtime's here, not for a proposal.
            .wasm_features(WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES), true);
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, module).expect("a module of WebAssembly 2.0");
        let world = World {
            fds: vec![Fd::Closed, Fd::Printed, Fd::Printed, Fd::Folder],
            conf: conf.into(),
            manners,
            runtime: Handle::current(),
            network: Some(network),
            printed: Vec::new(),
            start: Instant::now(),
            waits: 0,
            writes: 0,
        };
        let mut store = Store::new(&engine, world);
        let instance = linker(&engine)
            .instantiate(&mut store, &module)
            .expect("nothing else is imported");
        let mut runtime = Runtime { store, instance };
        let initialize = runtime
            .instance
            .get_typed_func(&mut runtime.store, "_initialize");
        if let Ok(initialize) = initialize {
            let () = initialize.call(&mut runtime.store, ()).expect("no trap");
        }
        runtime
    }

    /// Hands it a connection, and says by which number.
    pub(super) fn push(&mut self, stream: TcpStream) -> i32 {
        self.store.data_mut().push(stream)
    }

    /// Calls an export without parameters.
    pub(super) fn call(&mut self, name: &str) -> Answer {
        let export = self.instance.get_typed_func(&mut self.store, name);
        let export = export.unwrap_or_else(|error| panic!("{name}: {error}"));
        export.call(&mut self.store, ()).expect("no trap")
    }

    /// Calls an export that takes an fd.
    pub(super) fn call_with(&mut self, name: &str, fd: i32) -> Answer {
        let export = self.instance.get_typed_func(&mut self.store, name);
        let export = export.unwrap_or_else(|error| panic!("{name}: {error}"));
        export.call(&mut self.store, fd).expect("no trap")
    }

    /// What it printed.
    pub(super) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.store.data().printed).into_owned()
    }
}

impl World {
    pub(super) fn push(&mut self, stream: TcpStream) -> i32 {
        self.fds.push(Fd::Socket {
            stream,
            waits: true,
        });
        (self.fds.len() - 1) as i32
    }

    pub(super) fn fd(&mut self, fd: i32) -> &mut Fd {
        match usize::try_from(fd).ok().and_then(|at| self.fds.get_mut(at)) {
            Some(fd) => fd,
            None => panic!("fd {fd}, which nobody gave it"),
        }
    }

    pub(super) fn read(&mut self, fd: i32, buffer: &mut [u8]) -> Result<usize, i32> {
        let (conf, runtime) = (self.conf.clone(), self.runtime.clone());
        match self.fd(fd) {
            Fd::File { read } => {
                let n = buffer.len().min(conf.len() - *read);
                buffer[..n].copy_from_slice(&conf[*read..*read + n]);
                *read += n;
                Ok(n)
            }
            Fd::Socket { stream, waits } => loop {
                match stream.try_read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock && *waits => {
                        runtime.block_on(stream.readable()).map_err(|_| IO)?;
                    }
                    other => return other.map_err(|error| errno(&error)),
                }
            },
            _ => Err(BADF),
        }
    }

    pub(super) fn write(&mut self, fd: i32, data: &[u8]) -> Result<usize, i32> {
        self.writes += 1;
        let refuses = self.writes.is_multiple_of(4);
        let runtime = self.runtime.clone();
        let (stream, waits) = match self.fd(fd) {
            Fd::Socket { stream, waits } => (stream, *waits),
            Fd::Printed => {
                self.printed.extend_from_slice(data);
                return Ok(data.len());
            }
            _ => return Err(BADF),
        };
        if refuses && !waits {
            return Err(AGAIN);
        }
        let some = &data[..data.len().min(MAX_WRITE)];
        loop {
            match stream.try_write(some) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && waits => {
                    runtime.block_on(stream.writable()).map_err(|_| IO)?;
                }
                other => return other.map_err(|error| errno(&error)),
            }
        }
    }

    /// Waits for the first of these, and says which are ready now.
    pub(super) fn wait(&mut self, subscriptions: &[Subscription]) -> Result<Vec<bool>, i32> {
        self.waits += 1;
        match self.waits % 7 {
            2 => return Err(INTR),
            5 => return Ok(vec![false; subscriptions.len()]),
            _ => {}
        }
        let is_ready = |subscription: &Subscription, context: &mut Context<'_>| match *subscription
        {
            Subscription::Clock(until) => Instant::now() >= until,
            Subscription::Read(fd) => self.socket(fd).poll_read_ready(context).is_ready(),
            Subscription::Write(fd) => self.socket(fd).poll_write_ready(context).is_ready(),
        };
        let first = poll_fn(|context| {
            let any = |one| is_ready(one, context);
            match subscriptions.iter().any(any) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let clocks = subscriptions.iter().filter_map(|one| match *one {
            Subscription::Clock(until) => Some(until),
            _ => None,
        });
        let limit = clocks.min();
        self.runtime.block_on(async {
            match limit {
                // Which of the two came first is seen below.
                Some(until) => drop(tokio::time::timeout_at(until.into(), first).await),
                None => first.await,
            }
        });
        let mut context = Context::from_waker(Waker::noop());
        let ready = |one| is_ready(one, &mut context);
        Ok(subscriptions.iter().map(ready).collect())
    }

    pub(super) fn socket(&self, fd: i32) -> &TcpStream {
        match usize::try_from(fd).ok().and_then(|at| self.fds.get(at)) {
            Some(Fd::Socket { stream, .. }) => stream,
            _ => panic!("a wait for fd {fd}, which is no connection"),
        }
    }
}

/// Its number.
pub(super) fn errno(error: &std::io::Error) -> i32 {
    match error.kind() {
        ErrorKind::WouldBlock => AGAIN,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => PIPE,
        _ => IO,
    }
}

/// What a guest waits for.
pub(super) enum Subscription {
    Clock(Instant),
    Read(i32),
    Write(i32),
}

impl Subscription {
    pub(super) fn of(record: &[u8]) -> Subscription {
        let word = |at: usize| u64::from_le_bytes(*record[at..].first_chunk().expect("48 bytes"));
        match record[8] {
            0 => {
                assert_eq!(record[40], 0, "not every runtime knows absolute times");
                Subscription::Clock(Instant::now() + Duration::from_nanos(word(24)))
            }
            1 => Subscription::Read(word(16) as i32),
            _ => Subscription::Write(word(16) as i32),
        }
    }
}
