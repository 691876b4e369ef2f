//! Every hostile guest and what becomes of it; a test each.
//!
//! What is common to all of them, that the host does not panic, that the connection has an end and that both
//! roles are tried, is in [`crate::fate`]; that neighbours are not disturbed and nothing is left is in
//! [`crate::crowd`].

use crate::fate::{Fate, Fate::*};

macro_rules! fates {
    ($($name:ident: $fate:expr;)*) => {
        $(
            #[tokio::test]
            pub(crate) async fn $name() {
                crate::fate::meets(stringify!($name), $fate).await;
            }
        )*

        /// All of them.
        pub(crate) const HOSTILE: &[(&str, Fate)] = &[$((stringify!($name), $fate)),*];
    };
}

/// What is said of a guest that runs and gets nowhere.
const STUCK: &str = "no progress";
/// And of one whose returned fd is none of its connections, or the wrong one.
const NOT_GIVEN: &str = "returned a descriptor that it was not given";

fates! {
    // Refused before they run.
    threads: Refused("threads");
    memory64: Refused("memory64");
    two_memories: Refused("multi");
    gc_types: Refused("gc");
    exceptions: Refused("exceptions");
    component: Refused("component");
    ill_typed: Refused("type mismatch");
    gigantic_memory: Refused("asks for 4096 MiB of memory");
    gigantic_table: Refused("asks for a table of 10000000 elements");
    no_memory: Refused("does not export memory");
    memory_is_a_function: Refused("does not export memory");
    imported_memory: Refused("imports env.memory");
    wrong_import: Refused("with another type than WATM or WASI preview1 says");
    wrong_export: Refused("exports watm_start_v1 with another type than WATM says ((i64) -> (i64))");
    export_is_a_global: Refused("exports watm_start_v1 with another type than WATM says (it is no function)");
    start_takes_arguments: Refused("exports _start with another type than WATM says");
    both_versions: Refused("does not export _water_init");
    v0_marker_only: Refused("does not export _water_init");

    // Start functions and initialisation.
    data_out_of_bounds: Stillborn("out of bounds memory access");
    elements_out_of_bounds: Stillborn("out of bounds");
    start_section_traps: Stillborn("unreachable");
    start_section_spins: Stillborn(STUCK);
    start_section_calls: Works;
    start_traps: Stillborn("unreachable");
    start_spins: Stillborn(STUCK);
    start_exits_badly: Stillborn("exited with code 1");
    init_traps: Stillborn("unreachable");
    init_spins: Stillborn(STUCK);
    init_exits: Stillborn("exited with code 0");
    init_sleeps: Unborn;
    v0_pulls_for_ever: Stillborn(STUCK);

    // The handshake.
    dial_exits_well: Shut("exited with code 0");
    dial_exits_badly: Shut("exited with code 7");
    dial_closes_and_returns: Shut(NOT_GIVEN);
    dials_elsewhere: Shut("asked to dial an address of its own choice, and none is allowed");
    dials_twice: Works;
    renumbers: Works;
    renumbers_away: Ends;
    fd_exhaustion: Works;
    fd_hoarder: Shut(STUCK);
    keeps_every_fd: Fails("EMFILE");

    // Pointers, lengths, counts, numbers.
    bad_pointers: Works;
    overlapping_iovecs: Works;
    huge_lengths: Works;
    million_subscriptions: Works;
    century_clocks: Works;
    raises: Works;
    writes_everywhere: Works;

    // Descriptors and ends, in the worker.
    closes_0_to_5: Ends;
    writes_after_close: Ends;
    writes_after_shutdown: Ends;
    abuses_control: Ends;
    half_closer: Ends;
    never_writes: Ends;
    floods_the_network: Stays;

    // The worker, and what comes just before it.
    pipe_traps: Fails("unreachable");
    pipe_spins: Fails(STUCK);
    pipe_exits: Fails("exited with code 0");
    pipe_refuses: Fails("its watm_ctrlpipe_v1 failed: EBADF");
    worker_exits_well: Ends;
    worker_exits_badly: Fails("exited with code -1");
    recursion: Fails("call stack exhausted");
    recursion_into_the_host: Fails("call stack exhausted");
    memory_bomb: Fails("more than its 64 MiB");
    table_bomb: Fails(STUCK);
    clock_loop: Fails(STUCK);
    yield_loop: Fails(STUCK);
    random_flood: Fails(STUCK);
    stdout_flood: Fails(STUCK);
    polls_bad_fds: Fails(STUCK);
    polls_no_time: Stays;
    sleeps_for_a_century: Stays;
}
