//! How much work a scenario is.
//!
//! In: two sizes. Out: one of them. Nothing can go wrong.

/// How much work a scenario is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    Quick,
}

impl Scale {
    /// One of two sizes.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.pick("full", "quick")
    }
}
