//! Tables, close delays and the generator's numbers, value for value as obfs4proxy's own packages give them. How the
//! vectors were recorded is written above them.

use obfs4_core::distribution::{self, Distribution};
use obfs4_core::drbg::{Drbg, Seed};
use obfs4_core::go_rand::GoRand;
use sha2::{Digest, Sha256};

fn seed(number: &str) -> Seed {
    let number: u64 = number.parse().expect("a vector begins with its number");
    let digest = Sha256::new()
        .chain_update("obfs4 table vector ")
        .chain_update(number.to_be_bytes())
        .finalize();
    Seed::from_bytes(*digest.first_chunk().expect("SHA-256 is longer than a seed"))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn vectors(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
}

#[test]
fn tables_are_equal_bit_for_bit() {
    let (mut zeros, mut single, mut only_zero) = (0, 0, 0);
    let mut count = 0;
    for vector in vectors(include_str!("vectors/tables.txt")) {
        let [number, delays, close, tables @ ..] = &vector[..] else {
            panic!("a short line: {vector:?}")
        };
        let seed = seed(number);
        let delay = distribution::delay_seed(&seed);
        assert_eq!(
            hex(&delay.as_bytes()[..4]) + &hex(&delay.as_bytes()[20..]),
            *delays,
            "delay seed of {number}"
        );
        assert_eq!(
            distribution::close_delay_seconds(&seed).to_string(),
            *close,
            "close delay of {number}"
        );
        assert_eq!(tables.len(), 4);
        for (expected, (max, biased)) in
            tables
                .iter()
                .zip([(1448, false), (1448, true), (100, false), (100, true)])
        {
            let table = Distribution::new(&seed, max, biased);
            let entries = table
                .values()
                .iter()
                .zip(table.probabilities())
                .zip(table.aliases());
            let serial: Vec<u8> = entries
                .flat_map(|((value, probability), &alias)| {
                    let mut entry = value.to_be_bytes().to_vec();
                    entry.extend(probability.to_bits().to_be_bytes());
                    entry.push(alias);
                    entry
                })
                .collect();
            let got = match expected.strip_prefix('#') {
                Some(_) => format!("#{}", hex(&Sha256::digest(&serial)[..8])),
                None => hex(&serial),
            };
            assert_eq!(
                got, *expected,
                "table 0..={max} of {number}, biased: {biased}"
            );
            if (max, biased) == (1448, false) {
                zeros += usize::from(table.values().contains(&0));
                single += usize::from(table.values().len() == 1);
                only_zero += usize::from(table.values() == [0]);
            }
        }
        count += 1;
    }
    assert_eq!(count, 402);
    assert!(
        zeros >= 20 && single >= 12 && only_zero == 2,
        "{zeros} with a zero, {single} of one value, {only_zero}"
    );
}

#[test]
fn numbers_are_go_s() {
    let mut count = 0;
    for vector in vectors(include_str!("vectors/numbers.txt")) {
        let (seed, expected) = (seed(vector[0]), &vector[2..]);
        let got: Vec<String> = match vector[1] {
            "blocks" => {
                let mut drbg = Drbg::new(&seed);
                let blocks: Vec<_> = (0..1000).map(|_| hex(drbg.next_block())).collect();
                [1, 2, 3, 4, 31, 32, 33, 1000]
                    .map(|nth: usize| blocks[nth - 1].clone())
                    .to_vec()
            }
            "methods" => {
                let mut numbers = GoRand::new(&seed);
                let mut got = vec![numbers.int63().to_string(), numbers.int31().to_string()];
                let over = (1 << 30) + 1;
                let ranges = [
                    1,
                    2,
                    3,
                    60,
                    64,
                    100,
                    1449,
                    over,
                    over,
                    over,
                    over,
                    over,
                    (1 << 31) - 1,
                ];
                got.extend(ranges.map(|n| numbers.int31n(n).to_string()));
                got.extend((0..4).map(|_| format!("{:016x}", numbers.float64().to_bits())));
                let mut order = [0; 10];
                numbers.perm(&mut order);
                got.extend(order.map(|number| number.to_string()));
                got.push(numbers.int63().to_string());
                got
            }
            other => panic!("no vector is of {other}"),
        };
        assert_eq!(got, expected, "{} of {}", vector[1], vector[0]);
        count += 1;
    }
    assert_eq!(count, 12);
}
