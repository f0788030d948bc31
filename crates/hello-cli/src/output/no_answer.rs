//! Why there was no answer.

use std::collections::BTreeMap;

/// What there was instead of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Whether the network said that nothing listens there.
    pub refused: bool,
    /// Whether an answer came too late.
    pub late: bool,
    /// Whether something else came.
    pub strange: bool,
    /// Whether there was any error.
    pub errors: bool,
}

/// The class of the error that says that nothing listens there.
pub const REFUSED: &str = "connection-refused";

impl Instead {
    /// Takes it from the errors by their class, and from how many answers came too late and how much
    /// else came.
    pub fn of(errors: &BTreeMap<&str, u64>, late: u64, strange: u64) -> Self {
        let (refused, errors) = (errors.contains_key(REFUSED), !errors.is_empty());
        Self { refused, late: late > 0, strange: strange > 0, errors }
    }

    /// Says it.
    pub fn say(self) -> &'static str {
        match self {
            Self { refused: true, .. } => "no answer: refused (nothing listens there)",
            Self { late: true, .. } => "no answer in time",
            Self { strange: true, .. } => "no answer to us, but something else",
            Self { errors: true, .. } => "no answer, but errors",
            Self { errors: false, .. } => "no answer and no error: silent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_from_counts() {
        let of = |errors: &[(&'static str, u64)], late, strange| {
            Instead::of(&errors.iter().copied().collect(), late, strange)
        };
        assert_eq!(of(&[], 0, 0), Instead::default());
        assert_eq!(of(&[], 1, 0), Instead { late: true, ..Instead::default() });
        assert_eq!(of(&[], 0, 1), Instead { strange: true, ..Instead::default() });
        assert_eq!(of(&[("denied", 1)], 0, 0), Instead { errors: true, ..Instead::default() });
        let refused = Instead { refused: true, errors: true, ..Instead::default() };
        assert_eq!(of(&[("connection-refused", 1)], 0, 0), refused);
    }

    #[test]
    fn what_says_most_is_said() {
        let mut instead = Instead::default();
        assert_eq!(instead.say(), "no answer and no error: silent");
        instead.errors = true;
        assert_eq!(instead.say(), "no answer, but errors");
        instead.strange = true;
        assert_eq!(instead.say(), "no answer to us, but something else");
        instead.late = true;
        assert_eq!(instead.say(), "no answer in time");
        instead.refused = true;
        assert_eq!(instead.say(), "no answer: refused (nothing listens there)");
    }
}
