//! The length and delay tables.
