//! Whether two programs measure the same: the two-sample test of Kolmogorov and Smirnov, with a bound that healthy
//! programs meet for as long as anybody runs this, and the values that alone can occur, where the protocol has few.

/// How many of each measure are compared; as many as the bound below is proven for, and more.
pub(crate) const SIZE: usize = 500;

/// How often a comparison of two equal programs may fail. There are fewer than a hundred, so that all of them together
/// raise less than one false alarm in a million runs.
pub(crate) const FALSE_ALARM: f64 = 1e-8;

/// Of five hundred, how many may be none of the few that can occur: where a busy machine made two writes one.
const MERGED: usize = SIZE / 20;

/// Something that an observer measures, the same for every program.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    /// What it is.
    pub(crate) name: String,
    /// What was measured: bytes, or milliseconds.
    sample: Vec<f64>,
    /// All that can occur, if that is few.
    only: Option<Vec<f64>>,
    /// How far apart two values may be and still count as equal: what timers and a busy machine add.
    tolerance: f64,
}

impl Measure {
    /// Numbers of bytes.
    pub(crate) fn bytes(name: impl Into<String>, sample: &[usize]) -> Self {
        Measure {
            name: name.into(),
            sample: sample.iter().map(|&bytes| bytes as f64).collect(),
            only: None,
            tolerance: 0.0,
        }
    }

    /// Numbers of bytes that can be no others than `only`.
    pub(crate) fn bytes_of(name: impl Into<String>, sample: &[usize], only: &[usize]) -> Self {
        let only = only.iter().map(|&bytes| bytes as f64).collect();
        Measure {
            only: Some(only),
            ..Measure::bytes(name, sample)
        }
    }

    /// Milliseconds, give or take some.
    pub(crate) fn times(name: impl Into<String>, sample: Vec<f64>, tolerance: f64) -> Self {
        Measure {
            name: name.into(),
            sample,
            only: None,
            tolerance,
        }
    }

    /// What a program would measure that does something else to every value.
    pub(crate) fn altered(&self, alter: impl Fn(f64) -> f64) -> Self {
        self.replaced(|i| alter(self.sample[i]))
    }

    /// What a program would measure that has other values altogether.
    pub(crate) fn replaced(&self, value: impl Fn(usize) -> f64) -> Self {
        Measure {
            sample: (0..self.sample.len()).map(value).collect(),
            ..self.clone()
        }
    }

    /// Whether `other` could be the same program's; else why not.
    pub(crate) fn resembles(&self, other: &Measure) -> Result<(), String> {
        let name = &self.name;
        assert_eq!(*name, other.name, "two measures of one thing");
        let mut samples = [self, other].map(|measure| measure.sample.clone());
        for sample in &mut samples {
            assert!(sample.len() >= SIZE, "{name}: only {}", sample.len());
            sample.truncate(SIZE);
            sample.sort_by(f64::total_cmp);
        }
        let [ours, theirs] = &samples;
        if let Some(only) = &self.only {
            let mut strange = theirs.clone();
            strange.retain(|value| !only.contains(value));
            let count = strange.len();
            if count > MERGED {
                strange.dedup();
                return Err(format!("{name}: {count} are none of {only:?}: {strange:?}"));
            }
        }
        let apart = ahead(ours, theirs, self.tolerance).max(ahead(theirs, ours, self.tolerance));
        if apart > bound() {
            let quartiles =
                samples.map(|sample| [0, 1, 2, 3, 4].map(|q| sample[q * (SIZE - 1) / 4]));
            return Err(format!("{name}: {apart:.3} apart, {quartiles:.1?}"));
        }
        Ok(())
    }
}

/// By how much the distribution function of `a` is above that of `b` moved to the left by `tolerance`, where it is most.
/// Both are sorted.
fn ahead(a: &[f64], b: &[f64], tolerance: f64) -> f64 {
    let up_to = |sample: &[f64], limit: f64| {
        sample.partition_point(|&value| value <= limit) as f64 / sample.len() as f64
    };
    // Between two values of a, its function stays and b's only grows.
    let above = a.iter().map(|&at| up_to(a, at) - up_to(b, at + tolerance));
    above.fold(0.0, f64::max)
}

/// The most that two samples of one distribution are apart. For two of one size n, from 458 on, Massart's inequality
/// holds with its constant: P(apart > d) <= 2 exp(-n d^2), whatever the distribution (Wei and Dudley, "Two-sample
/// Dvoretzky-Kiefer-Wolfowitz inequalities", 2012).
fn bound() -> f64 {
    ((2.0 / FALSE_ALARM).ln() / SIZE as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spread over `0..1`, in an order of its own.
    fn spread(step: usize) -> Measure {
        let sample = (0..SIZE).map(|i| (i * step % SIZE) as f64 / SIZE as f64);
        Measure::times("a number", sample.collect(), 0.0)
    }

    #[test]
    fn the_distance_is_the_largest_between_the_functions() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]);
        assert_eq!((ahead(&a, &b, 0.0), ahead(&b, &a, 0.0)), (0.25, 0.0));
        assert_eq!(ahead(&a, &b, 1.0), 0.0);
        assert_eq!(ahead(&a, &[9.0, 9.0, 9.0, 9.0], 1.0), 1.0);
    }

    #[test]
    fn what_is_further_apart_than_chance_is_told_apart() {
        let (a, b) = (spread(1), spread(7));
        a.resembles(&b).unwrap();
        a.resembles(&b.altered(|x| x + 0.15)).unwrap();
        a.resembles(&b.altered(|x| x + 0.25)).unwrap_err();
        a.resembles(&b.altered(|x| x * 2.0)).unwrap_err();
        a.resembles(&b.altered(|_| 0.5)).unwrap_err();
        let tolerant = Measure {
            tolerance: 0.1,
            ..a
        };
        tolerant.resembles(&b.altered(|x| x + 0.25)).unwrap();
        tolerant.resembles(&b.altered(|x| x - 0.35)).unwrap_err();
    }

    #[test]
    fn what_cannot_occur_is_told_from_what_can() {
        let sample: Vec<_> = (0..SIZE).map(|i| i % 10).collect();
        let digits = Measure::bytes_of("a digit", &sample, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        digits.resembles(&digits).unwrap();
        let slightly = digits.altered(|digit| digit + 0.25);
        let apart = digits.resembles(&slightly).unwrap_err();
        assert!(apart.contains("are none of"), "{apart}");
    }
}
