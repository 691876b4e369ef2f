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
        weigh(&mut weights, &mut numbers, biased);
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

#[test]
#[should_panic = "beyond a whole frame"]
fn no_table_goes_beyond_a_frame() {
    Distribution::new(&Seed::from_bytes([0; 24]), 1449, false);
}

#[test]
fn a_connection_keeps_little() {
    assert!(size_of::<Distribution>() <= 1104);
}
