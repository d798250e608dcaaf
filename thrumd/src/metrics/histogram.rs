//! Histograms of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A histogram of durations. That of `prometheus-client` takes a lock for each of them; this one is used by the writer of
/// the log and by every request.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    buckets: Box<[AtomicU64]>,
    /// The sum in seconds, as the bits of a float: ages of old events would overflow whole numbers.
    sum: AtomicU64,
}

impl Histogram {
    /// Bounds for what a disk does.
    pub const DISK: &'static [f64] =
        &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
    /// Bounds for what another machine answers.
    pub const NETWORK: &'static [f64] =
        &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
    /// Bounds for requests. Few, because there is a histogram for each method.
    pub const REQUEST: &'static [f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
    /// Bounds for the age of events, from those that arrive at once to those of a machine that was off for days.
    pub const AGE: &'static [f64] = &[
        0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
        21600.0, 86400.0,
    ];

    /// An empty one with these upper bounds in seconds, which ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Adds one.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let more = |bits| Some((f64::from_bits(bits) + seconds).to_bits());
        // The closure always gives a value, so this always stores one.
        let _before = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Their sum in seconds.
    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// The upper bound of each bucket, the last one infinite, and how many are in it alone.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 1000, 1001] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.buckets(), [(0.1, 2), (1.0, 2), (f64::INFINITY, 1)]);
        assert_eq!(histogram.count(), 5);
        assert!((histogram.sum() - 2.202).abs() < 1e-9, "{}", histogram.sum());
    }

    #[test]
    fn the_bounds_ascend() {
        for bounds in [Histogram::DISK, Histogram::NETWORK, Histogram::REQUEST, Histogram::AGE] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
        }
    }

    #[test]
    fn none_is_lost_when_several_threads_add() {
        let histogram = Histogram::new(Histogram::DISK);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        histogram.observe(Duration::from_millis(500));
                    }
                });
            }
        });
        assert_eq!((histogram.count(), histogram.sum()), (40_000, 20_000.0));
    }
}
