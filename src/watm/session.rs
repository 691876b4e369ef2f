//! One connection's guest: instantiated, given its two ends, run to its own end.
//!
//! The order is the Go runtime's, which modules rely on: start function, initialisation, the role, the control pipe, the
//! worker. The first three are the transport's handshake, done under the caller's deadline; dropping any of these
//! futures drops the guest.

use super::abi::{Abi, Role, SETUP};
use super::control::{Control, GRACE};
use super::crash::{failure_of, no_instance};
use super::ends::Finished;
use super::engine;
use super::errno::Errno;
use super::fds::Kind;
use super::grants::{Files, Grants};
use super::guest::{Connect, Dial, Guest};
use super::preview1::Exit;
use super::program::Program;
use super::stream::Stream;
use super::world::World;
use crate::error::Failure;
use std::sync::Arc;
use wasmtime::{Instance, Store, WasmParams};

/// A guest that lives: one connection's.
///
/// It plays one role ([`dial`](Session::dial), [`dial_fixed`](Session::dial_fixed), [`accept`](Session::accept),
/// [`associate`](Session::associate)), which is the transport's handshake and waits as long as that does: give it a deadline,
/// and drop the session where it is not kept. Then [`run`](Session::run) carries the bytes. Here is a listener, with a
/// configuration; `network` is what was accepted, `relay` is dialled when the handshake was good:
///
/// ```
/// use ouzel::error::Failure;
/// use ouzel::watm::{Grants, Io, Outcome, Program, Session, Stream};
/// use std::future::Future;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio::time::timeout;
///
/// async fn serve(
///     program: &Arc<Program>,
///     network: TcpStream,
///     relay: impl Future<Output = std::io::Result<TcpStream>>,
/// ) -> Result<Outcome, Failure> {
///     let config: Arc<[u8]> = Arc::from(&br#"{"key":"a secret"}"#[..]);
///     let mut session = Session::new(program, Grants::from(Some(config))).await?;
///     // It exists, and is gated, before there is anything behind it.
///     let inner = Stream::gated(Io::Unconnected, &[]);
///     timeout(Duration::from_secs(30), session.accept(inner, Stream::new(network)))
///         .await
///         .unwrap_or(Err(Failure::HandshakeTimeout(30)))?;
///     let relay = relay.await.map_err(|error| Failure::OrPort(error.to_string()))?;
///     session.inner().attach(relay);
///     session.inner().open();
///     Ok(session.run().await)
/// }
/// # use ouzel::watm::{Host, Settings};
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # use tokio::net::TcpListener;
/// # async fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
/// #     let near = TcpStream::connect(listener.local_addr()?).await?;
/// #     Ok((near, listener.accept().await?.0))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let builtins = ouzel::transport::builtins();
/// # let plain = builtins.iter().find(|one| one.name == "plain").expect("it is built in");
/// # let host = Host::new(Settings::for_slots(16))?;
/// # let program = Arc::new(host.load(&host.compile(plain.wasm)?)?);
/// # let (mut client, accepted) = pair().await?;
/// # let (dialled, mut relay) = pair().await?;
/// # let served = tokio::spawn(async move { serve(&program, accepted, async { Ok(dialled) }).await });
/// # client.write_all(b"through").await?;
/// # let mut got = [0; 7];
/// # relay.read_exact(&mut got).await?;
/// # assert_eq!(&got, b"through");
/// # drop((client, relay));
/// # served.await??.result?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    store: Store<Guest>,
    instance: Instance,
    program: Arc<Program>,
    /// Where the two ends are among the guest's streams.
    inner: usize,
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

/// What a set-up run has left.
#[derive(Debug)]
pub struct SetUp {
    /// What it answered, of at most 64 KiB.
    pub answer: Vec<u8>,
    /// The transport's files, of at most 1 MiB together.
    pub state: Files,
}

/// The application's end is the first that a guest is given; in a relay the guest decides.
const FIRST: usize = 0;

impl Session {
    /// Makes an instance and runs its initialisation.
    pub async fn new(
        program: &Arc<Program>,
        grants: impl Into<Grants>,
    ) -> Result<Session, Failure> {
        let grants = grants.into();
        let world = World::new(&grants, program.abi == Abi::V1, false);
        let mut session = Session::instance(program, grants, world).await?;
        session.start().await?;
        session.init().await?;
        Ok(session)
    }

    /// Runs the module's set-up (`ouzel_setup_v1`), once per start of a transport and before its first connection: what it
    /// answers, and its files. `None` if it has none. Its initialisation is not run, since that may need these files.
    pub async fn set_up(
        program: &Arc<Program>,
        grants: Grants,
        role: Role,
    ) -> Result<Option<SetUp>, Failure> {
        if !program.has_set_up() {
            return Ok(None);
        }
        let grants = Grants {
            state: Some(grants.state.unwrap_or_default()),
            ..grants
        };
        let world = World::new(&grants, true, true);
        let mut session = Session::instance(program, grants, world).await?;
        session.start().await?;
        let fds = &mut session.store.data_mut().fds;
        let answer = fds
            .open(Kind::Answer)
            .map_err(|errno| Failure::Module(errno.to_string()))?;
        match session.call_with(SETUP, (role.number(), answer)).await? {
            0 => {}
            result => return Err(session.declined(result)),
        }
        let guest = session.store.into_data();
        Ok(Some(SetUp {
            answer: guest.answer,
            state: guest.world.into_state(),
        }))
    }

    async fn instance(
        program: &Arc<Program>,
        grants: Grants,
        world: World,
    ) -> Result<Session, Failure> {
        let guest = Guest::new(grants, world, program.settings.limits);
        let mut store = engine::store(program.engine(), guest);
        let ticker = &program.ticker;
        let instance = ticker
            .run(program.pre.instantiate_async(&mut store))
            .await
            .map_err(|error| no_instance(&error, program.settings.slots))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        Ok(Session {
            store,
            instance,
            program: Arc::clone(program),
            inner: FIRST,
            outer: FIRST,
        })
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
            Err(error) => Err(match failure_of(&error) {
                // A program that was made to run by itself, not to be called.
                Failure::Module(why) if name == "_start" => Failure::Module(format!(
                    "{why} in _start; let its main return, or build it as a reactor, which has none (Go: \
                     -buildmode=c-shared, C: -mexec-model=reactor)"
                )),
                failure => failure,
            }),
        }
    }

    /// Runs the dialer's handshake (`watm_dial_v1`, `_water_dial`): `inner` is the application, `connect` the way out.
    pub async fn dial(&mut self, inner: Stream, connect: Connect) -> Result<(), Failure> {
        self.store.data_mut().connect = Some(connect);
        self.role(Role::Dialer, inner).await
    }

    /// Runs the fixed dialer's handshake (`watm_dial_fixed_v1`): the module says where to, `dial` whether.
    pub async fn dial_fixed(&mut self, inner: Stream, dial: Dial) -> Result<(), Failure> {
        self.store.data_mut().dial = Some(dial);
        self.role(Role::FixedDialer, inner).await
    }

    /// Runs the relay's handshake (`watm_associate_v1`, `_water_associate`): `incoming` came in and takes the place of the
    /// application; the way on is `connect`'s, or `dial`'s where the module says where to.
    pub async fn associate(
        &mut self,
        mut incoming: Stream,
        connect: Option<Connect>,
        dial: Option<Dial>,
    ) -> Result<(), Failure> {
        let guest = self.store.data_mut();
        incoming.hold_end(true);
        guest.accepted = Some(incoming);
        (guest.connect, guest.dial) = (connect, dial);
        let export = self.export(Role::Relay)?;
        let result = self.call(export, None).await?;
        if result != 0 {
            return Err(self.refused(result));
        }
        let guest = self.store.data_mut();
        match (guest.accepted_at, guest.dialled_at) {
            (Some(incoming), Some(onward)) => {
                (self.inner, self.outer) = (incoming, onward);
                self.inner().hold_end(false);
                Ok(())
            }
            _ => Err(Failure::Module(format!(
                "its {export} did not take the connection and dial on"
            ))),
        }
    }

    /// Runs the listener's handshake (`watm_accept_v1`, `_water_accept`): `inner` is the application, not connected yet,
    /// `outer` the connection that came in.
    pub async fn accept(&mut self, inner: Stream, mut outer: Stream) -> Result<(), Failure> {
        outer.hold_end(true);
        self.store.data_mut().accepted = Some(outer);
        self.role(Role::Listener, inner).await?;
        self.outer().hold_end(false);
        Ok(())
    }

    async fn role(&mut self, role: Role, inner: Stream) -> Result<(), Failure> {
        let export = self.export(role)?;
        let guest = self.store.data_mut();
        if let Err(errno) = guest.check_room() {
            // The application is still to be answered.
            guest.streams.insert(FIRST, inner);
            return Err(Failure::Module(errno.to_string()));
        }
        let no_room = |errno: Errno| Failure::Module(errno.to_string());
        let fd = guest.push(inner).map_err(no_room)?;
        let result = self.call(export, Some(fd)).await?;
        if result < 0 {
            return Err(self.refused(result));
        }
        match self.store.data_mut().stream_at(result) {
            Ok(at) if at != self.inner => {
                self.outer = at;
                Ok(())
            }
            _ => Err(Failure::Module(format!(
                "its {export} returned a descriptor that it was not given"
            ))),
        }
    }

    fn export(&self, role: Role) -> Result<&'static str, Failure> {
        let no_such = || Failure::Module(format!("{} has no {}", self.program.abi, role.word()));
        self.program.abi.role(role).ok_or_else(no_such)
    }

    /// Why the guest did not play its role. What the host knows about the network says more than the guest's errno.
    fn refused(&mut self, result: i32) -> Failure {
        let abi = self.program.abi;
        let guest = self.store.data_mut();
        let told = guest.failure.take().or_else(|| guest.dial_broke());
        let told = told.or_else(|| guest.reason());
        let (has_accepted, has_dialled) = (guest.accepted_at.is_some(), guest.dialled_at.is_some());
        told.unwrap_or_else(|| match Errno::of_result(result) {
            Err(Errno::EPERM) => Failure::NoRole,
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::EPROTO) if has_accepted => {
                Failure::Unaccepted(abi.shown(result))
            }
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::EPROTO) if has_dialled => {
                Failure::Unanswered(abi.shown(result))
            }
            _ => Failure::Module(abi.shown(result)),
        })
    }

    /// The application's end.
    pub fn inner(&mut self) -> &mut Stream {
        let at = self.inner;
        &mut self.store.data_mut().streams[at]
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

    /// Runs the guest's worker until it returns, then brings both ends to their end. A worker that is told to end, by
    /// [`Session::control`] or because nobody is left at either end, has a few seconds for it.
    pub async fn run(mut self) -> Outcome {
        let control = self.control();
        let (inner, outer) = (self.inner, self.outer);
        let guest = self.store.data_mut();
        guest.ends = Some([inner, outer]);
        guest.last_words.close();
        // A worker that is dropped takes nothing along but itself: its streams are the store's.
        let worked = tokio::select! {
            biased;
            worked = self.work() => worked,
            () = control.overdue() => Err(Failure::Overstayed(GRACE.as_secs())),
        };
        let guest = self.store.into_data();
        let finished = Finished {
            streams: guest.streams,
            inner,
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
        let abi = self.program.abi;
        let cancel = abi.cancel();
        let result = self.call(cancel, Some(fd)).await?;
        if result != 0 {
            let why = abi.shown(result);
            return Err(Failure::Module(format!("its {cancel} failed: {why}")));
        }
        match Errno::of_result(self.call(abi.worker(), None).await?) {
            // The ends that published workers report: the peer closed, the host said so.
            Ok(0) | Err(Errno::EPIPE | Errno::ECANCELED) => {}
            Ok(result) => return Err(Failure::Module(abi.shown(result))),
            Err(errno) => return Err(Failure::Module(abi.shown(errno.negated()))),
        }
        let guest = self.store.data();
        let mut ends = [self.inner, self.outer].into_iter();
        if guest.control.has_cut() && !ends.all(|at| guest.streams[at].ended()) {
            return Err(Failure::Stopped);
        }
        Ok(())
    }

    /// Takes the application's end back from a guest that failed before its worker ran.
    pub fn into_inner(self) -> Option<Stream> {
        let mut guest = self.store.into_data();
        (!guest.streams.is_empty()).then(|| guest.streams.swap_remove(FIRST))
    }

    /// Takes the connection that came in back from a guest that failed before its worker ran.
    pub fn into_outer(self) -> Option<Stream> {
        let mut guest = self.store.into_data();
        if let Some(outer) = guest.accepted.take() {
            return Some(outer);
        }
        guest.accepted_at.map(|at| guest.streams.swap_remove(at))
    }

    async fn init(&mut self) -> Result<(), Failure> {
        let abi = self.program.abi;
        match self.call(abi.init(), None).await? {
            0 => {
                self.store.data_mut().last_words.forget();
                Ok(())
            }
            result => Err(self.declined(result)),
        }
    }

    /// Why the guest does not take what it was given.
    fn declined(&mut self, result: i32) -> Failure {
        let shown = self.program.abi.shown(result);
        let reason = self.store.data_mut().reason();
        reason.unwrap_or(Failure::Configuration(shown))
    }

    async fn call(&mut self, name: &'static str, argument: Option<i32>) -> Result<i32, Failure> {
        match argument {
            None => self.call_with(name, ()).await,
            Some(argument) => self.call_with(name, (argument,)).await,
        }
    }

    async fn call_with(
        &mut self,
        name: &'static str,
        arguments: impl WasmParams + Sync,
    ) -> Result<i32, Failure> {
        let Session {
            store,
            instance,
            program,
            ..
        } = self;
        let func = instance
            .get_typed_func(&mut *store, name)
            .map_err(|_| Failure::Module(format!("its {name} has another type than WATM says")))?;
        let called = func.call_async(&mut *store, arguments);
        match program.ticker.run(called).await {
            // A worker may also end by exiting.
            Err(error)
                if name == program.abi.worker() && error.downcast_ref() == Some(&Exit(0)) =>
            {
                Ok(0)
            }
            called => called.map_err(|error| store.data().limits.explain(failure_of(&error))),
        }
    }
}
