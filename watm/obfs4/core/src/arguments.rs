//! A client's arguments, from a bridge line.
