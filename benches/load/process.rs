//! What a running process costs, from `/proc`.
//!
//! In: a process id. Out: CPU time, memory, threads, descriptors, context switches. What can go
//! wrong: the process has ended, or this is not Linux.

use std::fs;

use anyhow::Context;

/// Resident memory, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) peak: f64,
    /// Private pages plus page tables: what the kernel must really find.
    pub(crate) private: f64,
}

/// CPU seconds of all its threads so far.
///
/// The scheduler's own sums, in nanoseconds; `stat` counts in hundredths of a second, but does not
/// forget threads that have ended, so the larger of the two is nearer the truth.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut nanoseconds = 0;
    for task in tasks(pid)? {
        // A thread may end between the listing and the reading.
        if let Ok(text) = fs::read_to_string(format!("{task}/schedstat")) {
            let first = text.split(' ').next().unwrap_or("0");
            nanoseconds += first.parse::<u64>()?;
        }
    }
    let stat = read(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok((nanoseconds as f64 / 1e9).max(ticks as f64 / 100.0))
}

/// Its memory now.
pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = read(pid, "status")?;
    let field = |name| field(&status, name).map(|n| n as f64);
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
        private: field("RssAnon:")? + field("VmPTE:")?,
    })
}

/// How many threads it has.
pub(crate) fn threads(pid: u32) -> anyhow::Result<f64> {
    Ok(field(&read(pid, "status")?, "Threads:")? as f64)
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> anyhow::Result<f64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64)
}

/// How often its threads have been switched away from: each wake-up ends with one of these.
pub(crate) fn switches(pid: u32) -> anyhow::Result<f64> {
    let mut sum = 0;
    for task in tasks(pid)? {
        if let Ok(status) = fs::read_to_string(format!("{task}/status")) {
            sum += field(&status, "voluntary_ctxt_switches:")?;
            sum += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
    }
    Ok(sum as f64)
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

fn tasks(pid: u32) -> anyhow::Result<Vec<String>> {
    let path = format!("/proc/{pid}/task");
    let list = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    list.map(|entry| Ok(entry?.path().display().to_string()))
        .collect()
}

fn field(status: &str, name: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    let value = value.with_context(|| format!("no {name} in the status"))?;
    Ok(value.parse()?)
}
