//! The two records of a `poll_oneoff` call, as they lie in memory.
//!
//! In: what to wait for. Out: words in the order and the places that WASI preview1 fixes; a word
//! is written whole, so that no padding carries anything to the host.

/// One entry of a `poll_oneoff` call: 48 bytes, written as words so that no padding is left over.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Subscription(pub [u64; 6]);

/// One answer of a `poll_oneoff` call: 32 bytes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Event(pub [u64; 4]);

impl Subscription {
    /// Fills the places of an array that are not used.
    pub const NONE: Subscription = Subscription([0; 6]);
    const CLOCK: u64 = 0;
    const FD_READ: u64 = 1;
    const FD_WRITE: u64 = 2;
    const MONOTONIC: u64 = 1;

    /// Wakes when `fd` has something to read, or its end was reached.
    #[must_use]
    pub const fn read(userdata: u64, fd: i32) -> Subscription {
        Subscription([userdata, Self::FD_READ, fd as u32 as u64, 0, 0, 0])
    }

    /// Wakes when `fd` has room for bytes.
    #[must_use]
    pub const fn write(userdata: u64, fd: i32) -> Subscription {
        Subscription([userdata, Self::FD_WRITE, fd as u32 as u64, 0, 0, 0])
    }

    /// Wakes after `nanoseconds` of the monotonic clock.
    #[must_use]
    pub const fn after(userdata: u64, nanoseconds: u64) -> Subscription {
        Subscription([userdata, Self::CLOCK, Self::MONOTONIC, nanoseconds, 0, 0])
    }
}

impl Event {
    /// An answer that says nothing; arrays of events start as this.
    pub const NONE: Event = Event([0; 4]);

    /// What the subscription carried.
    #[must_use]
    pub const fn userdata(&self) -> u64 {
        self.0[0]
    }

    /// 0, or why the fd cannot be waited for.
    #[must_use]
    pub const fn errno(&self) -> u16 {
        self.0[1] as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_lie_where_the_host_looks() {
        let bytes = |words: [u64; 6]| words.map(u64::to_le_bytes).concat();
        let read = bytes(Subscription::read(7, 5).0);
        assert_eq!((read[0], read[8], read[16]), (7, 1, 5));
        let write = bytes(Subscription::write(1, 300).0);
        assert_eq!((write[8], write[16], write[17]), (2, 44, 1));
        let clock = bytes(Subscription::after(0, 0x0102).0);
        assert_eq!((clock[8], clock[16], clock[24], clock[25]), (0, 1, 2, 1));
        assert_eq!(size_of::<Subscription>(), 48);
        assert_eq!(size_of::<Event>(), 32);
        let event = Event([9, 0x0001_0006, 0, 0]);
        assert_eq!((event.userdata(), event.errno()), (9, 6));
    }
}
