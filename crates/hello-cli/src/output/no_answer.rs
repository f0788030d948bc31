//! Why there was no answer.

use std::collections::BTreeMap;

/// What there was instead of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoAnswer {
    /// Whether the network said that nothing listens there.
    pub refused: bool,
    /// Whether an answer came too late.
    pub late: bool,
    /// Whether something else came.
    pub unexpected: bool,
    /// Whether there was any error.
    pub errors: bool,
}

/// The class of the error that says that nothing listens there.
pub const REFUSED: &str = "connection-refused";

impl NoAnswer {
    /// Takes it from the errors by their class, and from how many answers came too late and how much
    /// else came.
    pub fn of(errors: &BTreeMap<&str, u64>, late: u64, unexpected: u64) -> Self {
        let (refused, errors) = (errors.contains_key(REFUSED), !errors.is_empty());
        Self { refused, late: late > 0, unexpected: unexpected > 0, errors }
    }

    /// Says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self { refused: true, .. } => "no answer: refused (nothing listens there)",
            Self { late: true, .. } => "no answer in time",
            Self { unexpected: true, .. } => "no answer to us, but something else",
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
        let of = |errors: &[(&'static str, u64)], late, unexpected| {
            NoAnswer::of(&errors.iter().copied().collect(), late, unexpected)
        };
        assert_eq!(of(&[], 0, 0), NoAnswer::default());
        assert_eq!(of(&[], 1, 0), NoAnswer { late: true, ..NoAnswer::default() });
        assert_eq!(of(&[], 0, 1), NoAnswer { unexpected: true, ..NoAnswer::default() });
        assert_eq!(of(&[("denied", 1)], 0, 0), NoAnswer { errors: true, ..NoAnswer::default() });
        let refused = NoAnswer { refused: true, errors: true, ..NoAnswer::default() };
        assert_eq!(of(&[("connection-refused", 1)], 0, 0), refused);
    }

    #[test]
    fn what_says_most_is_said() {
        let mut instead = NoAnswer::default();
        assert_eq!(instead.as_str(), "no answer and no error: silent");
        instead.errors = true;
        assert_eq!(instead.as_str(), "no answer, but errors");
        instead.unexpected = true;
        assert_eq!(instead.as_str(), "no answer to us, but something else");
        instead.late = true;
        assert_eq!(instead.as_str(), "no answer in time");
        instead.refused = true;
        assert_eq!(instead.as_str(), "no answer: refused (nothing listens there)");
    }
}
