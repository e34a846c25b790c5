//! Every fuzzing target over its seeds, and over what chance makes of them: `cargo xtask fuzz` in small.

use std::fs;

use kernel_core::Entropy;
use xtask::fuzz::{seeds, target::TARGETS};

/// How often each seed is changed.
const CHANGES: usize = 40;

#[test]
fn every_parser_keeps_its_word_over_the_seeds_and_their_neighbours() {
    let entropy = Entropy::seeded(1);
    for target in TARGETS {
        let folder = seeds(target.name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            let path = file.unwrap().path();
            let seed = fs::read(&path).unwrap();
            count += 1;
            // Shown only when something below panics.
            eprintln!("{} over {}", target.name, path.display());
            (target.run)(&seed);
            for _ in 0..CHANGES {
                let changed = changed(&seed, &entropy);
                eprintln!("{}: {changed:?}", target.name);
                (target.run)(&changed);
            }
        }
        assert!(count >= 3, "{} has too few seeds", target.name);
        (target.run)(b"");
    }
}

/// A byte set, a piece cut out, or a piece repeated.
fn changed(seed: &[u8], entropy: &Entropy) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=entropy.bytes::<1>()[0] % 3 {
        let [kind, one, other, value] = entropy.bytes::<4>();
        let at = |place: u8| usize::from(place) * bytes.len() / 256;
        let (from, to) = (at(one.min(other)), at(one.max(other)));
        match kind % 4 {
            0 => drop(bytes.drain(from..to)),
            1 => bytes.extend_from_within(from..to),
            2 => bytes.insert(from, value),
            _ if !bytes.is_empty() => bytes[from] = value,
            _ => bytes.push(value),
        }
    }
    bytes
}
