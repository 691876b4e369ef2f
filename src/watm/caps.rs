//! What one instance may take of this machine's memory, and whether it was refused more.

use super::guest::Limits;
use crate::error::Failure;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

/// The most tables: compilers make one, and a second for references. What they take together is bounded by it.
pub(super) const MAX_TABLES: usize = 4;

/// The limits of one instance.
pub(super) struct Caps {
    limits: StoreLimits,
    memory: usize,
    /// Whether it asked for more memory than it may have.
    refused: bool,
}

impl Caps {
    pub(super) fn new(limits: Limits) -> Caps {
        Caps {
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .table_elements(limits.table)
                .instances(1)
                .memories(1)
                .tables(MAX_TABLES)
                .build(),
            memory: limits.memory,
            refused: false,
        }
    }

    /// Why a guest crashed or stood still: few languages go on without the memory that they asked for, and what they
    /// crash by then says nothing.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Trap(_) | Failure::Stuck if self.refused => {
                Failure::OutOfMemory((self.memory >> 20) as u64)
            }
            other => other,
        }
    }
}

impl ResourceLimiter for Caps {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let may = self.limits.memory_growing(current, desired, maximum)?;
        self.refused |= !may;
        Ok(may)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
