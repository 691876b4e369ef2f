//! Arithmetic modulo 2^255 - 19.
