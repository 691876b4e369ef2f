//! The state behind a module's exports, and the macro that emits them.
//!
//! In: the host's calls (WATM v1), in the order init, one role, control pipe, start. Out: fds, 0,
//! or negated error numbers: a second role is `BUSY`, anything before its predecessor `NOTCONN`.

use crate::config::{Config, MAX_CONFIG};
use crate::conn::Conn;
use crate::duplex::with_buffer;
use crate::errno::{Errno, to_export};
use crate::raw::Slot;
use crate::role::{Dialer, FixedDialer, Listener, Part, Relay, Session, SetUp, Transport};

static CONFIG_SPACE: Slot<[u8; MAX_CONFIG]> = Slot::new([0; MAX_CONFIG]);

/// One module instance: one connection. [`export!`](crate::export) makes the only one.
pub struct Instance<T: Transport>(Slot<State<T>>);

struct State<T: Transport> {
    transport: Option<T>,
    session: Option<T::Session>,
    control: Option<Conn>,
}

impl<T: Transport> Instance<T> {
    /// An instance that the host has not initialised yet.
    #[must_use]
    pub const fn new() -> Instance<T> {
        Instance(Slot::new(State {
            transport: None,
            session: None,
            control: None,
        }))
    }

    /// `watm_init_v1`
    pub fn init(&self) -> i32 {
        to_export(self.0.enter(|state| {
            if state.transport.is_some() {
                return Err(Errno::BUSY);
            }
            let made = if T::CONFIG_IN_BUFFER {
                with_buffer(|buffer| T::init(Config::new(&mut buffer[..MAX_CONFIG])))
            } else {
                CONFIG_SPACE.enter(|space| T::init(Config::new(space)))
            }?;
            state.transport = Some(made);
            Ok(0)
        }))
    }

    /// `watm_ctrlpipe_v1`
    pub fn ctrlpipe(&self, fd: i32) -> i32 {
        to_export(self.0.enter(|state| {
            let control = Conn::from_fd(fd)?;
            state.control = Some(control);
            Ok(0)
        }))
    }

    /// `watm_start_v1`: returns when the connection has ended.
    pub fn start(&self) -> i32 {
        to_export(self.0.enter(|state| {
            let control = state.control.ok_or(Errno::NOTCONN)?;
            let session = state.session.as_mut().ok_or(Errno::NOTCONN)?;
            session.run(control)?;
            Ok(0)
        }))
    }

    fn begin(&self, role: impl FnOnce(&mut T) -> Result<T::Session, Errno>) -> i32 {
        to_export(self.0.enter(|state| {
            if state.session.is_some() {
                return Err(Errno::BUSY);
            }
            let transport = state.transport.as_mut().ok_or(Errno::NOTCONN)?;
            let session = state.session.insert(role(transport)?);
            Ok(session.outer().fd())
        }))
    }
}

impl<T: Transport + SetUp> Instance<T> {
    /// `ouzel_setup_v1`
    pub fn set_up(&self, part: i32, answer: i32) -> i32 {
        let done = Part::from_host(part).and_then(|part| {
            let answer = Conn::from_fd(answer)?;
            CONFIG_SPACE.enter(|space| T::set_up(part, Config::new(space), answer))
        });
        to_export(done.map(|()| 0))
    }
}

impl<T: Dialer> Instance<T> {
    /// `watm_dial_v1`
    pub fn dial(&self, inner: i32) -> i32 {
        self.begin(|transport| transport.dial(Conn::from_fd(inner)?))
    }
}

impl<T: FixedDialer> Instance<T> {
    /// `watm_dial_fixed_v1`
    pub fn dial_fixed(&self, inner: i32) -> i32 {
        self.begin(|transport| transport.dial_fixed(Conn::from_fd(inner)?))
    }
}

impl<T: Listener> Instance<T> {
    /// `watm_accept_v1`
    pub fn accept(&self, inner: i32) -> i32 {
        self.begin(|transport| transport.accept(Conn::from_fd(inner)?))
    }
}

impl<T: Relay> Instance<T> {
    /// `watm_associate_v1`: 0, not an fd, as both connections are the module's.
    pub fn associate(&self) -> i32 {
        self.begin(T::associate).min(0)
    }
}

/// Emits the exports of a WATM v1 module: the ones every module has, and one per role named
/// (`dialer`, `fixed_dialer`, `listener`, `relay`), and `set_up` for one that implements [`SetUp`]. A host takes the presence of a role's export
/// for the role itself, so name only what the transport implements.
///
/// ```
/// use watm_sdk::{Config, Conn, Dialer, Duplex, Errno, Identity, Transport};
///
/// struct Plain;
///
/// impl Transport for Plain {
///     type Session = Duplex<Identity, Identity>;
///
///     fn init(_: Config<'_>) -> Result<Self, Errno> {
///         Ok(Plain)
///     }
/// }
///
/// impl Dialer for Plain {
///     fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
///         Ok(Duplex::new(inner, Conn::dial_fixed()?, Identity, Identity))
///     }
/// }
///
/// watm_sdk::export!(Plain: dialer);
///
/// # fn main() {
/// // Without a host: no session without a transport, one transport, no connection.
/// assert_eq!(watm_dial_v1(3), -53);
/// assert_eq!(watm_init_v1(), 0);
/// assert_eq!(watm_init_v1(), -10);
/// assert_eq!(watm_dial_v1(3), -52);
/// assert_eq!(watm_start_v1(), -53);
/// # }
/// ```
#[macro_export]
macro_rules! export {
    ($transport:ty: $($role:ident),+ $(,)?) => {
        /// Runs the module's constructors; the host calls it once, before anything else.
        #[unsafe(no_mangle)]
        pub extern "C" fn _initialize() {
            $crate::raw::call_ctors();
        }

        $crate::export_without_start!($transport: $($role),+);
    };
}

/// What [`export!`](crate::export) emits, less `_initialize`: for a module with a `_start` of
/// its own, which then calls [`raw::call_ctors`](crate::raw::call_ctors).
#[macro_export]
macro_rules! export_without_start {
    ($transport:ty: $($role:ident),+ $(,)?) => {
        static INSTANCE: $crate::Instance<$transport> = $crate::Instance::new();

        /// Makes the transport from its configuration.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_init_v1() -> i32 {
            INSTANCE.init()
        }

        /// Takes the fd on which the host cancels.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_ctrlpipe_v1(fd: i32) -> i32 {
            INSTANCE.ctrlpipe(fd)
        }

        /// Runs the connection to its end.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_start_v1() -> i32 {
            INSTANCE.start()
        }

        $($crate::export_role!($role);)+
    };
}

/// Emits the export of one role; [`export!`](crate::export) uses it.
#[doc(hidden)]
#[macro_export]
macro_rules! export_role {
    (dialer) => {
        /// Connects to the address that the host knows; returns the network's fd.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_dial_v1(inner: i32) -> i32 {
            INSTANCE.dial(inner)
        }
    };
    (fixed_dialer) => {
        /// Connects to the address that the module knows; returns the network's fd.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_dial_fixed_v1(inner: i32) -> i32 {
            INSTANCE.dial_fixed(inner)
        }
    };
    (listener) => {
        /// Takes the accepted connection; returns the network's fd.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_accept_v1(inner: i32) -> i32 {
            INSTANCE.accept(inner)
        }
    };
    (set_up) => {
        /// Prepares what all connections share; writes what the module asks of the host to the fd `answer`.
        #[unsafe(no_mangle)]
        pub extern "C" fn ouzel_setup_v1(part: i32, answer: i32) -> i32 {
            INSTANCE.set_up(part, answer)
        }
    };
    (relay) => {
        /// Accepts one connection and dials the other.
        #[unsafe(no_mangle)]
        pub extern "C" fn watm_associate_v1() -> i32 {
            INSTANCE.associate()
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Transport for Fake {
        type Session = Ended;

        fn init(_: Config<'_>) -> Result<Self, Errno> {
            Ok(Fake)
        }
    }

    impl Listener for Fake {
        fn accept(&mut self, inner: Conn) -> Result<Ended, Errno> {
            match inner.fd() {
                9 => Err(Errno::PROTO),
                fd => Ok(Ended(Conn::from_fd(fd + 1)?)),
            }
        }
    }

    impl Relay for Fake {
        fn associate(&mut self) -> Result<Ended, Errno> {
            Ok(Ended(Conn::from_fd(7)?))
        }
    }

    struct Ended(Conn);

    impl Session for Ended {
        fn outer(&self) -> Conn {
            self.0
        }

        fn run(&mut self, control: Conn) -> Result<(), Errno> {
            assert_eq!(control.fd(), 5);
            Err(Errno::CANCELED)
        }
    }

    /// A module is one thread, and so is its space for the configuration; tests are several.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

    #[test]
    fn a_session_goes_through_its_life() {
        let _turn = TURN.lock();
        let instance = Instance::<Fake>::new();
        assert_eq!(instance.accept(3), -53);
        assert_eq!(instance.start(), -53);
        assert_eq!(instance.init(), 0);
        assert_eq!(instance.init(), -10);
        assert_eq!(instance.accept(-1), -8);
        assert_eq!(instance.accept(9), -65);
        assert_eq!(instance.accept(3), 4);
        assert_eq!(instance.accept(3), -10);
        assert_eq!(instance.start(), -53);
        assert_eq!(instance.ctrlpipe(-2), -8);
        assert_eq!(instance.ctrlpipe(5), 0);
        assert_eq!(instance.start(), -11);
    }

    #[test]
    fn a_relay_answers_zero_not_an_fd() {
        let _turn = TURN.lock();
        let instance = Instance::<Fake>::new();
        assert_eq!(instance.associate(), -53);
        assert_eq!(instance.init(), 0);
        assert_eq!(instance.associate(), 0);
    }
}
