use crate::cause::{Cause, CauseKind};

/// The different causes reported to a ledger, numbered, so that a probe's is two bytes. Their number
/// is bounded, because a forger of errors can name any number of reporters.
#[derive(Clone, Debug)]
pub(super) struct Causes {
    known: Vec<Cause>,
}

impl Causes {
    /// Creates the causes without a reporter; number 0 is [`Cause::SILENT`].
    pub(super) fn new() -> Self {
        let without_reporter = [
            CauseKind::Silent,
            CauseKind::Refused,
            CauseKind::HostUnreachable,
            CauseKind::NetworkUnreachable,
            CauseKind::Prohibited,
            CauseKind::TooBig { mtu: None },
            CauseKind::TtlExceeded,
            CauseKind::ProtocolError,
        ];
        let known = without_reporter.map(|kind| Cause { kind, reporter: None });
        Self { known: known.into() }
    }

    /// Returns the number of a cause. If there are too many, that of the same kind without a reporter.
    pub(super) fn number(&mut self, cause: Cause) -> u16 {
        let number = match self.position(cause) {
            Some(number) => number,
            None if self.known.len() < MAX_CAUSES => {
                self.known.push(cause);
                self.known.len() - 1
            }
            None => self.position(cause.without_details()).unwrap_or(0),
        };
        u16::try_from(number).unwrap_or(0)
    }

    fn position(&self, cause: Cause) -> Option<usize> {
        self.known.iter().position(|known| *known == cause)
    }

    /// Returns the cause with this number.
    pub(super) fn get(&self, number: u16) -> Cause {
        self.known.get(usize::from(number)).copied().unwrap_or(Cause::SILENT)
    }
}

/// The most different causes of a ledger.
const MAX_CAUSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "two thousand causes, each compared with a thousand")]
    fn each_cause_has_its_number_until_there_are_too_many() {
        let mut causes = Causes::new();
        assert_eq!(causes.number(Cause::SILENT), 0);
        let forged = |host: u32| Cause {
            kind: CauseKind::TooBig { mtu: Some(host) },
            reporter: Some(host.to_be_bytes().into()),
        };
        for host in 0..2000 {
            let number = causes.number(forged(host));
            let expected = if host < 1016 {
                forged(host)
            } else {
                Cause { kind: CauseKind::TooBig { mtu: None }, reporter: None }
            };
            assert_eq!(causes.get(number), expected, "{host}");
        }
        let number = causes.number(forged(7));
        assert_eq!((causes.get(number), causes.known.len()), (forged(7), MAX_CAUSES));
        assert_eq!(causes.get(u16::MAX), Cause::SILENT);
    }
}
