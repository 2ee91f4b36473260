//! The machine that was measured on, and whether it was ours alone. Linux only: read from /proc.

use std::fs;
use std::thread;

use crate::step::{Failure, Result, Step};

/// What a reader needs to know of the machine to compare numbers.
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    pub(super) rustc: String,
    pub(super) commit: String,
}

impl Machine {
    pub(super) fn this() -> Result<Self> {
        let cpuinfo = read("/proc/cpuinfo")?;
        let meminfo = read("/proc/meminfo")?;
        let memory_kib: f64 = field(&meminfo, "MemTotal")
            .and_then(|value| value.split(' ').next()?.parse().ok())
            .unwrap_or(f64::NAN);
        let line = |program: &str, args: &[&str]| {
            let text = Step::new(format!("ask {program}"), program).args(args).read()?;
            Ok::<_, Failure>(text.trim().to_owned())
        };
        Ok(Self {
            processor: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib / f64::from(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            rustc: line("rustc", &["--version"])?,
            commit: line("git", &["describe", "--always", "--dirty"])?,
        })
    }
}

/// Processor time so far, in clock ticks summed over all cores.
pub(super) struct Processor {
    busy: u64,
    idle: u64,
    /// Of this process and of the children it has waited for.
    ours: u64,
}

impl Processor {
    pub(super) fn now() -> Result<Self> {
        let (system, own) = (read("/proc/stat")?, read("/proc/self/stat")?);
        Self::parse(&system, &own).ok_or_else(|| {
            Failure::new("/proc/stat is not as proc(5) says", "measure on a common Linux")
        })
    }

    /// proc(5): `cpu user nice system idle iowait irq softirq steal …`. `guest` is counted in
    /// `user` already; waiting for a disk is not use by anybody.
    fn parse(system: &str, own: &str) -> Option<Self> {
        let cpu = system.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = cpu.split_whitespace().map_while(|n| n.parse().ok()).collect();
        let &[user, nice, kernel, idle, iowait, irq, softirq, steal, ..] = ticks.as_slice() else {
            return None;
        };
        // The name before may hold spaces and brackets. After it: state is field 3; utime, stime,
        // cutime, cstime are fields 14 to 17.
        let (_, after_name) = own.rsplit_once(')')?;
        let ours: Option<Vec<u64>> =
            after_name.split_whitespace().skip(11).take(4).map(|n| n.parse().ok()).collect();
        Some(Self {
            busy: user + nice + kernel + irq + softirq + steal,
            idle: idle + iowait,
            ours: ours.filter(|ticks| ticks.len() == 4)?.iter().sum(),
        })
    }

    /// What part of all cores other processes used since then, from 0 to 1.
    pub(super) fn share_of_others(&self, later: &Self) -> f64 {
        let busy = later.busy - self.busy;
        let all = busy + (later.idle - self.idle);
        let others = busy.saturating_sub(later.ours - self.ours);
        others as f64 / all.max(1) as f64
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path}: {error}"), "measure on Linux"))
}

/// The first `name : value` of a file in /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(system: &str, own: &str) -> Processor {
        Processor::parse(system, own).expect("as proc(5) says")
    }

    fn own(ticks: [u64; 4]) -> String {
        let [utime, stime, cutime, cstime] = ticks;
        format!("42 (x) task) S 1 42 42 0 -1 0 0 0 0 0 {utime} {stime} {cutime} {cstime} 20 0 1")
    }

    #[test]
    fn time_of_ours_and_of_our_children_is_not_time_of_others() {
        let before = at("cpu  100 0 50 1000 10 0 0 0 0 0\n", &own([1, 2, 3, 4]));
        let after = at("cpu  180 0 70 1090 20 0 0 0 0 0\n", &own([2, 3, 60, 27]));
        // 100 busy of 200; ours are 92 - 10 = 82 of them.
        assert!((before.share_of_others(&after) - 0.09).abs() < 1e-9);
    }

    #[test]
    fn a_process_alone_has_no_others() {
        let before = at("cpu  100 0 50 1000 10 0 0 0 0 0\n", &own([0, 0, 0, 0]));
        let after = at("cpu  150 0 50 1050 10 0 0 0 0 0\n", &own([1, 0, 50, 0]));
        assert_eq!(before.share_of_others(&after), 0.0);
    }

    #[test]
    fn a_strange_proc_is_an_error_and_no_number() {
        assert!(Processor::parse("", &own([0; 4])).is_none());
        assert!(Processor::parse("cpu  1 2 3\n", &own([0; 4])).is_none());
        assert!(Processor::parse("cpu  1 2 3 4 5 6 7 8 9 10\n", "42 (x) S 1").is_none());
    }
}
