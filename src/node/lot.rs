//! What tells this machine from others, for what is to be spread over many.

use std::io;
use std::time::Duration;

use crate::host::{Root, application_id};

/// What the machine-id is asked for.
const APPLICATION: [u8; 16] = 0x0682_0b43_7cea_b735_d99e_1c70_addf_3afd_u128.to_be_bytes();

/// Digits of the id that count.
const DIGITS: usize = 8;

/// A number that is this machine's for ever, is as likely to be any as any other, and says nothing of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot(u32);

impl Lot {
    /// This number.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// The machine's, from its machine-id.
    ///
    /// # Errors
    /// It has none, or it cannot be read.
    pub fn of_machine(root: &Root) -> io::Result<Self> {
        let id = application_id(root, APPLICATION)?;
        let digits = id.get(..DIGITS).unwrap_or_default();
        let number = u32::from_str_radix(digits, 16).map_err(io::Error::other)?;
        Ok(Self(number))
    }

    /// This machine's part of a span, in whole seconds: always the same, and never all of it.
    #[must_use]
    pub fn part_of(self, span: Duration) -> Duration {
        let seconds = (u128::from(span.as_secs()) * u128::from(self.0)) >> u32::BITS;
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn machines_are_spread_evenly_and_each_stays_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        assert!(Lot::of_machine(&root).is_err());
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        let of = |id: u128| {
            let path = directory.path().join("etc/machine-id");
            std::fs::write(path, format!("{id:032x}\n")).unwrap();
            Lot::of_machine(&root).unwrap()
        };
        assert_eq!(of(7), of(7));
        // Ids that differ by one: a fleet of cloned machines.
        let day = Duration::from_secs(86_400);
        let mut quarters = [0; 4];
        for id in 1..=400 {
            let part = of(id).part_of(day);
            assert!(part < day);
            quarters[usize::try_from(part.as_secs() * 4 / 86_400).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|count| *count > 60), "{quarters:?}");
        assert_eq!(Lot::new(u32::MAX).part_of(Duration::ZERO), Duration::ZERO);
    }
}
