//! The generator behind length masks and tables: SipHash-2-4 over its own output.
