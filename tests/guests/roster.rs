//! Every test guest and the test that it exists for. A guest that is added without one does not compile: the
//! enum is made of the files by `build.rs`.

use crate::{abi, awkward, bytes, ends, hostile, leaving, misbehaviour, prints, versions};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// Where a guest is tested.
pub(crate) enum Proof {
    /// By this test.
    Here(fn()),
    /// In whole processes, by the tests of this text.
    InProcesses(&'static str),
}
use Proof::{Here, InProcesses};

const SETTING_UP: Proof = InProcesses(include_str!("../process/setting_up.rs"));

/// The test that fails where the host gets wrong what this guest is about; often there are more.
pub(crate) const fn proof(guest: Guest) -> Proof {
    match guest {
        Guest::Abi => Here(abi::preview1_answers_what_guests_rely_on),
        Guest::AbusesControl => Here(hostile::abuses_control),
        Guest::Amplify => Here(misbehaviour::an_amplifier_is_held_at_the_bound),
        Guest::BadPointers => Here(hostile::bad_pointers),
        Guest::Bigtable => Here(abi::a_table_of_standard_go_s_size_fits),
        Guest::Blocking => Here(bytes::blocking::bulk_is_exact),
        Guest::BothVersions => Here(hostile::both_versions),
        Guest::CenturyClocks => Here(hostile::century_clocks),
        Guest::Chatty => Here(abi::what_a_guest_prints_goes_nowhere),
        Guest::ClockLoop => Here(hostile::clock_loop),
        Guest::Closes0To5 => Here(hostile::closes_0_to_5),
        Guest::Codec => Here(bytes::a_held_record_gives_the_other_end_its_turn),
        Guest::Command => Here(abi::a_command_that_exits_in_start_is_used_all_the_same),
        Guest::Component => Here(hostile::component),
        Guest::ConfigEcho => Here(abi::the_configuration_is_a_file),
        Guest::DataOutOfBounds => Here(hostile::data_out_of_bounds),
        Guest::Deaf => Here(leaving::a_guest_that_does_not_end_when_it_is_told_to_is_stopped),
        Guest::DialAnswers => Here(awkward::a_handshake_may_answer_anything),
        Guest::DialClosesAndReturns => Here(hostile::dial_closes_and_returns),
        Guest::DialExitsBadly => Here(hostile::dial_exits_badly),
        Guest::DialExitsWell => Here(hostile::dial_exits_well),
        Guest::DialsElsewhere => Here(hostile::dials_elsewhere),
        Guest::DialsNonsense => Here(awkward::nonsense_is_not_dialled),
        Guest::DialsTwice => Here(hostile::dials_twice),
        Guest::ElementsOutOfBounds => Here(hostile::elements_out_of_bounds),
        Guest::Exceptions => Here(hostile::exceptions),
        Guest::ExportIsAGlobal => Here(hostile::export_is_a_global),
        Guest::FalseStart => SETTING_UP,
        Guest::FdExhaustion => Here(hostile::fd_exhaustion),
        Guest::FdHoarder => Here(hostile::fd_hoarder),
        Guest::FinalV1 => Here(versions::versions_that_only_look_like_watm_are_named),
        Guest::FloodsTheNetwork => Here(hostile::floods_the_network),
        Guest::ForeignImport => Here(abi::modules_that_cannot_work_are_refused_with_a_reason),
        Guest::GcTypes => Here(hostile::gc_types),
        Guest::GiganticMemory => Here(hostile::gigantic_memory),
        Guest::GiganticTable => Here(hostile::gigantic_table),
        Guest::Granted => InProcesses(include_str!("../process/granting.rs")),
        Guest::HalfCloser => Here(hostile::half_closer),
        Guest::HalfExit => Here(ends::queued_bytes_are_delivered_after_the_guest_is_gone),
        Guest::HugeLengths => Here(hostile::huge_lengths),
        Guest::IllTyped => Here(hostile::ill_typed),
        Guest::ImportedMemory => Here(hostile::imported_memory),
        Guest::InitAnswers => Here(awkward::an_initialisation_may_answer_anything),
        Guest::InitExits => Here(hostile::init_exits),
        Guest::InitSleeps => Here(hostile::init_sleeps),
        Guest::InitSpins => Here(hostile::init_spins),
        Guest::InitTraps => Here(hostile::init_traps),
        Guest::KeepsEveryFd => Here(hostile::keeps_every_fd),
        Guest::Memory64 => Here(hostile::memory64),
        Guest::MemoryBomb => Here(hostile::memory_bomb),
        Guest::MemoryHog => Here(abi::a_guest_that_grows_is_told_no_and_lives),
        Guest::MemoryIsAFunction => Here(hostile::memory_is_a_function),
        Guest::MillionSubscriptions => Here(hostile::million_subscriptions),
        Guest::NeverReads => Here(awkward::a_guest_that_never_reads_holds_the_sender),
        Guest::NeverWrites => Here(hostile::never_writes),
        Guest::NoMemory => Here(hostile::no_memory),
        Guest::Obedient => Here(leaving::a_guest_for_whom_nobody_is_left_is_told_to_end),
        Guest::Outspoken => InProcesses(include_str!("../process/refusing.rs")),
        Guest::OverlappingIovecs => Here(hostile::overlapping_iovecs),
        Guest::PipeExits => Here(hostile::pipe_exits),
        Guest::PipeRefuses => Here(hostile::pipe_refuses),
        Guest::PipeSpins => Here(hostile::pipe_spins),
        Guest::PipeTraps => Here(hostile::pipe_traps),
        Guest::PollsBadFds => Here(hostile::polls_bad_fds),
        Guest::PollsNoTime => Here(hostile::polls_no_time),
        Guest::Positive => Here(misbehaviour::failures_of_the_worker_are_named),
        Guest::Prepared => SETTING_UP,
        Guest::Printer => Here(prints::a_flood_of_prints_disturbs_no_bytes_and_comes_in_lines),
        Guest::Quitter => Here(misbehaviour::a_failed_handshake_on_a_server_is_quiet),
        Guest::Raises => Here(hostile::raises),
        Guest::RandomFlood => Here(hostile::random_flood),
        Guest::Recursion => Here(hostile::recursion),
        Guest::RecursionIntoTheHost => Here(hostile::recursion_into_the_host),
        Guest::Redials => Here(awkward::redialling_has_an_end),
        Guest::Refuse => Here(misbehaviour::failures_of_the_handshake_are_named),
        Guest::Renumbers => Here(hostile::renumbers),
        Guest::RenumbersAway => Here(hostile::renumbers_away),
        Guest::Roaming => Here(versions::a_module_goes_where_the_rules_let_it_and_nowhere_else),
        Guest::Scatter => Here(bytes::a_pause_between_two_buffers_loses_nothing),
        Guest::Sequential => Here(ends::a_sequential_guest_sees_its_end),
        Guest::Silent => Here(misbehaviour::a_silent_handshake_can_be_dropped),
        Guest::SleepsForACentury => Here(hostile::sleeps_for_a_century),
        Guest::Spin => Here(misbehaviour::a_spinning_guest_disturbs_nobody),
        Guest::SpinDial => Here(misbehaviour::failures_of_the_handshake_are_named),
        Guest::StartExitsBadly => Here(hostile::start_exits_badly),
        Guest::StartSectionCalls => Here(hostile::start_section_calls),
        Guest::StartSectionSpins => Here(hostile::start_section_spins),
        Guest::StartSectionTraps => Here(hostile::start_section_traps),
        Guest::StartSpins => Here(hostile::start_spins),
        Guest::StartTakesArguments => Here(hostile::start_takes_arguments),
        Guest::StartTraps => Here(hostile::start_traps),
        Guest::StdoutFlood => Here(hostile::stdout_flood),
        #[cfg(target_os = "linux")]
        Guest::Stubborn => Here(ends::an_end_that_was_told_is_no_news),
        #[cfg(not(target_os = "linux"))]
        Guest::Stubborn => Here(ends::a_reset_reaches_the_other_side_as_a_reset),
        Guest::TableBomb => Here(hostile::table_bomb),
        Guest::Threads => Here(hostile::threads),
        Guest::TokioLike => Here(bytes::tokio_like::full_duplex_does_not_deadlock),
        Guest::Trap => Here(misbehaviour::failures_of_the_worker_are_named),
        Guest::TrapDial => Here(misbehaviour::failures_of_the_handshake_are_named),
        Guest::Trickle => Here(bytes::a_blocking_trickle_meets_a_late_reader),
        Guest::TwoMemories => Here(hostile::two_memories),
        Guest::UpstreamA => Here(bytes::upstream_a::bulk_is_exact),
        Guest::UpstreamB => Here(bytes::upstream_b::bulk_is_exact),
        Guest::UpstreamC => Here(bytes::upstream_c::full_duplex_does_not_deadlock),
        Guest::UpstreamFramed => Here(bytes::records_may_arrive_in_pieces),
        Guest::UpstreamReverse => InProcesses(include_str!("../ecosystem/lookalikes.rs")),
        Guest::V0Function => Here(versions::v0_modules_dial_and_accept),
        Guest::V0Global => Here(versions::v0_modules_dial_and_accept),
        Guest::V0MarkerOnly => Here(hostile::v0_marker_only),
        Guest::V0PullsForEver => Here(hostile::v0_pulls_for_ever),
        Guest::WorkerAnswers => Here(awkward::a_worker_may_answer_anything),
        Guest::WorkerExitsBadly => Here(hostile::worker_exits_badly),
        Guest::WorkerExitsWell => Here(hostile::worker_exits_well),
        Guest::WritesAfterClose => Here(hostile::writes_after_close),
        Guest::WritesAfterShutdown => Here(hostile::writes_after_shutdown),
        Guest::WritesEverywhere => Here(hostile::writes_everywhere),
        Guest::WrongExport => Here(hostile::wrong_export),
        Guest::WrongImport => Here(hostile::wrong_import),
        Guest::YieldLoop => Here(hostile::yield_loop),
    }
}

#[test]
fn every_guest_is_run_by_its_test() {
    for &guest in Guest::ALL {
        match proof(guest) {
            // A test by its being one: what it names compiles.
            Here(test) => _ = test,
            InProcesses(tests) => {
                let name = format!("{}\"", guest.name());
                assert!(tests.contains(&name), "{name} does not occur there");
            }
        }
    }
    for (name, _) in hostile::HOSTILE {
        let known = Guest::ALL.iter().any(|guest| guest.name() == *name);
        assert!(known, "there is no guest {name}");
    }
    assert!(Guest::ALL.len() >= 60, "only {} guests", Guest::ALL.len());
}
