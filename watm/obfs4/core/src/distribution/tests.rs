//! Any seed gives a table that is one, and samples come as often as it says.

use super::*;
use proptest::prelude::*;

/// Of tests: numbers that are the same in every run.
struct Counted(GoRand);

impl Random for Counted {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(
                &self
                    .0
                    .int31n(1 << 30)
                    .wrapping_mul(0x9e37_79b1)
                    .to_le_bytes()[..chunk.len()],
            );
        }
    }
}

/// How often each value comes, by the method's own definition; they sum to the number of values.
fn masses(table: &Distribution) -> Vec<f64> {
    let mut masses = vec![0.0; table.values().len()];
    for (index, (&probability, &alias)) in table
        .probabilities()
        .iter()
        .zip(table.aliases())
        .enumerate()
    {
        masses[index] += probability;
        masses[usize::from(alias)] += 1.0 - probability;
    }
    masses
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_seed_gives_a_table(seed: [u8; 24], max in 0u16..=1448, biased: bool) {
        let seed = Seed::from_bytes(seed);
        let table = Distribution::new(&seed, max, biased);
        let length = table.values().len();
        prop_assert!((1..=VALUES.min(usize::from(max) + 1)).contains(&length));
        prop_assert!(table.values().iter().all(|&value| value <= max));
        let distinct: std::collections::HashSet<_> = table.values().iter().collect();
        prop_assert_eq!(distinct.len(), length);
        prop_assert!(table.aliases().iter().all(|&alias| usize::from(alias) < length));
        prop_assert!(table.probabilities().iter().all(|probability| (0.0..=1.0).contains(probability)));

        // The weights once more, from where the generator gives them.
        let mut numbers = GoRand::new(&seed);
        numbers.perm(&mut vec![0; usize::from(max) + 1]);
        numbers.int31n((u32::from(max) + 1).min(VALUES as u32));
        let mut weights = vec![0.0; length];
        weigh(&mut weights, || numbers.float64(), biased);
        let sum: f64 = weights.iter().sum();
        for (mass, weight) in masses(&table).into_iter().zip(weights) {
            prop_assert!((mass - weight * length as f64 / sum).abs() < 1e-9);
        }
    }
}

/// The chi-square of 100,000 draws. With fixed numbers the outcome is fixed too; the bound (six standard deviations of
/// the sum) is what a false table does not meet.
#[test]
fn samples_come_as_often_as_the_weights_say() {
    const DRAWS: u32 = 100_000;
    for number in 0..24u8 {
        let seed = Seed::from_bytes([number; 24]);
        let table = Distribution::new(
            &seed,
            if number % 2 == 0 { 1448 } else { 100 },
            number % 3 == 0,
        );
        let mut random = Counted(GoRand::new(&delay_seed(&seed)));
        let mut seen = std::collections::HashMap::<u16, u32>::new();
        for _ in 0..DRAWS {
            *seen.entry(table.sample(&mut random)).or_default() += 1;
        }
        // Values that come fewer than eight times are taken together, as the statistic asks.
        let (mut statistic, mut classes, mut few) = (0.0, 0.0f64, (0.0, 0.0));
        for (mass, value) in masses(&table).into_iter().zip(table.values()) {
            let expected = f64::from(DRAWS) * mass / table.values().len() as f64;
            let observed = f64::from(seen.remove(value).unwrap_or_default());
            if expected < 8.0 {
                few = (few.0 + expected, few.1 + observed);
            } else {
                statistic += (observed - expected).powi(2) / expected;
                classes += 1.0;
            }
        }
        assert!(
            seen.is_empty(),
            "values that are not in the table: {seen:?}"
        );
        assert!(
            (few.0 - few.1).abs() < 6.0 * few.0.sqrt() + 6.0,
            "rare ones {few:?} of seed {number}"
        );
        assert!(
            statistic < classes + 6.0 * (2.0 * classes).sqrt() + 6.0,
            "{statistic} over {classes} of seed {number}"
        );
    }
}

/// What a table looks like to whoever sees many: how many values, where they lie, how uneven they are, and in which order
/// the weights come, in ten classes each.
fn looks(table: &Distribution, max: u16) -> [usize; 6] {
    let masses = masses(table);
    let count = masses.len();
    let shares = masses.iter().map(|mass| mass / count as f64);
    let largest = shares.clone().fold(0.0, f64::max);
    let mean: f64 = shares
        .zip(table.values())
        .map(|(share, &value)| share * f64::from(value))
        .sum();
    let class = |part: f64| ((10.0 * part) as usize).min(9);
    let of_range = |value: u16| class(f64::from(value) / (f64::from(max) + 1.0));
    let values = table.values();
    [
        (count - 1) / 10,
        of_range(values[0]),
        of_range(values[count - 1]),
        class(largest.sqrt()),
        class(mean / f64::from(max)),
        class(masses[0] / count as f64),
    ]
}

/// Drawn directly, tables are distributed as those of random seeds. Fixed numbers, a fixed outcome; and the same
/// comparison finds the difference that a bias makes.
#[test]
fn random_tables_are_those_of_random_seeds() {
    const TABLES: usize = 4_000;
    const CLASSES: usize = 10;
    let mut random = crate::random::Repeatable(11);
    let mut seen = |max, biased, is_direct| {
        let mut seen = [[0u32; CLASSES]; 6];
        for _ in 0..TABLES {
            let table = if is_direct {
                Distribution::random(&mut random, max, biased)
            } else {
                let mut seed = [0; Seed::LENGTH];
                random.fill(&mut seed);
                Distribution::new(&Seed::from_bytes(seed), max, biased)
            };
            for (seen, class) in seen.iter_mut().zip(looks(&table, max)) {
                seen[class] += 1;
            }
        }
        seen
    };
    // The chi-square of two samples of the same size: with nine degrees of freedom, one in 10,000 is above 34.
    let distance = |one: &[u32; CLASSES], other: &[u32; CLASSES]| {
        let parts = one.iter().zip(other).filter(|(a, b)| **a + **b >= 8);
        parts
            .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2) / f64::from(a + b))
            .sum::<f64>()
    };
    for max in [LARGEST, 100] {
        for biased in [false, true] {
            let (of_seeds, direct) = (seen(max, biased, false), seen(max, biased, true));
            for (look, (a, b)) in of_seeds.iter().zip(&direct).enumerate() {
                let distance = distance(a, b);
                assert!(
                    distance < 34.0,
                    "look {look} of {max}, {biased}: {distance}\n{a:?}\n{b:?}"
                );
            }
        }
    }
    let (even, uneven) = (seen(LARGEST, false, true), seen(LARGEST, true, false));
    assert!(
        distance(&even[3], &uneven[3]) > 1000.0,
        "a bias is not seen"
    );
}

proptest! {
    #[test]
    fn whatever_is_drawn_is_a_table(seed: u64, max in 0u16..=1448, biased: bool) {
        let table = Distribution::random(&mut crate::random::Repeatable(seed), max, biased);
        let values = table.values();
        prop_assert!((1..=VALUES.min(usize::from(max) + 1)).contains(&values.len()));
        prop_assert!(values.iter().all(|&value| value <= max));
        let distinct: std::collections::HashSet<_> = values.iter().collect();
        prop_assert_eq!(distinct.len(), values.len());
        let sum: f64 = masses(&table).iter().sum();
        prop_assert!((sum - values.len() as f64).abs() < 1e-9);
        prop_assert!(table.probabilities().iter().all(|probability| (0.0..=1.0).contains(probability)));
    }
}

#[test]
#[should_panic = "beyond a whole frame"]
fn no_table_goes_beyond_a_frame() {
    Distribution::new(&Seed::from_bytes([0; 24]), 1449, false);
}

#[test]
fn a_connection_keeps_little() {
    assert!(size_of::<Distribution>() <= 1104);
}
