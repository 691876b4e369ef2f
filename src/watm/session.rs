//! One connection's guest: instantiated, given its two ends, run to its own end.
//!
//! The order is the Go runtime's, which modules rely on: start function, `watm_init_v1`, the role,
//! `watm_ctrlpipe_v1`, `watm_start_v1`. The first three are the transport's handshake, done under the caller's
//! deadline; dropping any of these futures drops the guest.

use super::control::Control;
use super::ends::Finished;
use super::engine;
use super::errno::Errno;
use super::fds::Kind;
use super::guest::{Connect, Guest};
use super::preview1::Exit;
use super::program::{Program, Role};
use super::stream::Stream;
use super::v1;
use crate::error::Failure;
use std::sync::Arc;
use wasmtime::{Instance, PoolConcurrencyLimitError, Store, Trap};

/// A guest that lives.
pub struct Session {
    store: Store<Guest>,
    instance: Instance,
    program: Arc<Program>,
    outer: usize,
}

/// How a session ended, and what passed through it.
#[derive(Debug)]
pub struct Outcome {
    /// Whether both ends got all they should have.
    pub result: Result<(), Failure>,
    /// Bytes from the application.
    pub from_inner: u64,
    /// Bytes from the network.
    pub from_outer: u64,
}

const INNER: usize = 0;

impl Session {
    /// Makes an instance and runs its initialisation. `conf` becomes `/conf/watm.cfg`.
    pub async fn new(program: &Arc<Program>, conf: Option<Arc<[u8]>>) -> Result<Session, Failure> {
        let mut store = engine::store(program.engine(), Guest::new(conf, program.settings.limits));
        let ticker = &program.ticker;
        let instance = ticker
            .run(program.pre.instantiate_async(&mut store))
            .await
            .map_err(|error| no_instance(&error, program.settings.slots))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let mut session = Session {
            store,
            instance,
            program: Arc::clone(program),
            outer: INNER,
        };
        session.start().await?;
        session.init().await?;
        Ok(session)
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let Some(name) = self.program.start else {
            return Ok(());
        };
        let start = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, name)
            .map_err(|_| Failure::Module(format!("its {name} takes arguments")))?;
        match self
            .program
            .ticker
            .run(start.call_async(&mut self.store, ()))
            .await
        {
            Ok(()) => Ok(()),
            // A command's `_start` may end by exiting; its exports are used all the same.
            Err(error) if error.downcast_ref() == Some(&Exit(0)) => Ok(()),
            Err(error) => Err(failure_of(&error)),
        }
    }

    /// Runs the dialer's handshake (`watm_dial_v1`): `inner` is the application, `connect` the way out.
    pub async fn dial(&mut self, inner: Stream, connect: Connect) -> Result<(), Failure> {
        self.store.data_mut().connect = Some(connect);
        self.role(Role::Dialer, inner).await
    }

    /// Runs the listener's handshake (`watm_accept_v1`): `inner` is the application, not connected yet,
    /// `outer` the connection that came in.
    pub async fn accept(&mut self, inner: Stream, mut outer: Stream) -> Result<(), Failure> {
        outer.hold_end(true);
        self.store.data_mut().accepted = Some(outer);
        self.role(Role::Listener, inner).await?;
        self.outer().hold_end(false);
        Ok(())
    }

    async fn role(&mut self, role: Role, inner: Stream) -> Result<(), Failure> {
        let guest = self.store.data_mut();
        if let Err(errno) = guest.check_room() {
            // The application is still to be answered.
            guest.streams.insert(INNER, inner);
            return Err(Failure::Module(errno.to_string()));
        }
        let no_room = |errno: Errno| Failure::Module(errno.to_string());
        let fd = guest.push(inner).map_err(no_room)?;
        let result = self.call(role.export(), Some(fd)).await?;
        let guest = self.store.data_mut();
        match Errno::of_result(result) {
            Ok(fd) => match guest.stream_at(fd) {
                Ok(at) if at != INNER => {
                    self.outer = at;
                    Ok(())
                }
                _ => Err(Failure::Module(format!(
                    "its {} returned a descriptor that it was not given",
                    role.export()
                ))),
            },
            // What the host knows about a failed dial says more than the guest's errno.
            Err(errno) => Err(guest.failure.take().unwrap_or_else(|| match errno {
                Errno::EPERM => {
                    Failure::Module(format!("{errno}: it has no transport for this side"))
                }
                _ => Failure::Module(errno.to_string()),
            })),
        }
    }

    /// The application's end.
    pub fn inner(&mut self) -> &mut Stream {
        &mut self.store.data_mut().streams[INNER]
    }

    /// The network's end, once the role was played.
    pub fn outer(&mut self) -> &mut Stream {
        let at = self.outer;
        &mut self.store.data_mut().streams[at]
    }

    /// A handle that tells the guest to end.
    pub fn control(&self) -> Control {
        self.store.data().control.clone()
    }

    /// Runs the guest's worker until it returns, then brings both ends to their end.
    pub async fn run(mut self) -> Outcome {
        let worked = self.work().await;
        let outer = self.outer;
        let guest = self.store.into_data();
        let finished = Finished {
            streams: guest.streams,
            inner: INNER,
            outer,
        };
        finished.close(worked).await
    }

    async fn work(&mut self) -> Result<(), Failure> {
        let guest = self.store.data_mut();
        let fd = guest
            .fds
            .open(Kind::Control)
            .map_err(|errno| Failure::Module(errno.to_string()))?;
        let result = self.call(v1::CTRLPIPE, Some(fd)).await?;
        if result != 0 {
            return Err(Failure::Module(format!(
                "its {} failed: {}",
                v1::CTRLPIPE,
                shown(result)
            )));
        }
        match self.call(v1::START, None).await? {
            0 => Ok(()),
            // The ends that published workers report: the peer closed, the host said so.
            result if Errno::of_result(result) == Err(Errno::EPIPE) => Ok(()),
            result if Errno::of_result(result) == Err(Errno::ECANCELED) => Ok(()),
            result => Err(Failure::Module(shown(result))),
        }
    }

    /// Takes the application's end back from a guest that failed before its worker ran.
    pub fn into_inner(self) -> Option<Stream> {
        let mut guest = self.store.into_data();
        (!guest.streams.is_empty()).then(|| guest.streams.swap_remove(INNER))
    }

    /// Takes the network's end back from a guest that failed before its worker ran.
    pub fn into_outer(self) -> Option<Stream> {
        let mut guest = self.store.into_data();
        if let Some(outer) = guest.accepted.take() {
            return Some(outer);
        }
        (guest.streams.len() > 1).then(|| guest.streams.swap_remove(1))
    }

    async fn init(&mut self) -> Result<(), Failure> {
        match self.call(v1::INIT, None).await? {
            0 => Ok(()),
            result => Err(Failure::Configuration(shown(result))),
        }
    }

    async fn call(&mut self, name: &'static str, argument: Option<i32>) -> Result<i32, Failure> {
        let Session {
            store,
            instance,
            program,
            ..
        } = self;
        let no_such = |_| Failure::Module(format!("its {name} has another type than WATM v1 says"));
        let called = match argument {
            None => {
                let func = instance
                    .get_typed_func::<(), i32>(&mut *store, name)
                    .map_err(no_such)?;
                program.ticker.run(func.call_async(&mut *store, ())).await
            }
            Some(argument) => {
                let func = instance
                    .get_typed_func::<i32, i32>(&mut *store, name)
                    .map_err(no_such)?;
                program
                    .ticker
                    .run(func.call_async(&mut *store, argument))
                    .await
            }
        };
        match called {
            // A worker may also end by exiting.
            Err(error) if name == v1::START && error.downcast_ref() == Some(&Exit(0)) => Ok(0),
            called => called.map_err(|error| failure_of(&error)),
        }
    }
}

/// A result as a person reads it. Some workers return an errno un-negated.
fn shown(result: i32) -> String {
    match Errno::of_result(result) {
        Err(errno) => errno.to_string(),
        Ok(positive) => Errno(u16::try_from(positive).unwrap_or(u16::MAX)).to_string(),
    }
}

fn no_instance(error: &wasmtime::Error, slots: usize) -> Failure {
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::PoolFull(slots);
    }
    let of_guest = error.is::<Trap>() || error.is::<Failure>() || error.is::<Exit>();
    if of_guest {
        return failure_of(error);
    }
    Failure::Host(format!("no instance could be made: {}", first_line(error)))
}

/// What wasmtime says first; further lines name the guest's functions, which are the guest's words.
fn first_line(error: &wasmtime::Error) -> String {
    let text = error.root_cause().to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

fn failure_of(error: &wasmtime::Error) -> Failure {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.clone();
    }
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return Failure::Module(exit.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => Failure::Trap(trap.to_string()),
        None => Failure::Trap(first_line(error)),
    }
}
