//! What each sort of thread has used of the processors (proc(5), schedstat).

use std::collections::BTreeMap;
use std::fs;

/// Nanoseconds by the name of a thread.
pub(crate) struct Times(BTreeMap<String, u64>);

impl Times {
    pub(crate) fn of(process: u32) -> Self {
        let mut times = BTreeMap::new();
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
        for task in tasks.flatten().map(|task| task.path()) {
            let text = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
            let spent = text("schedstat");
            let spent = spent.split(' ').next().and_then(|field| field.parse::<u64>().ok());
            *times.entry(text("comm").trim().to_owned()).or_default() += spent.unwrap_or_default();
        }
        Self(times)
    }

    /// Microseconds since `earlier`, most first. Threads that have ended since count for nothing.
    pub(crate) fn since_us(&self, earlier: &Self) -> Vec<(String, f64)> {
        let spent = |(name, now): (&String, &u64)| {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(before) as f64 / 1000.0)
        };
        let mut spent: Vec<_> = self.0.iter().map(spent).collect();
        spent.sort_by(|a, b| b.1.total_cmp(&a.1));
        spent
    }
}
