use std::error::Error;
use std::fmt;
use std::io;

use crate::sys::error_class::ErrorClass;

/// An error of a socket call: its class, and the number that the system gives it.
///
/// ```
/// use std::io;
///
/// use hello_net::{ErrorClass, SocketError};
///
/// let error = SocketError::of(&io::Error::from_raw_os_error(13)); // EACCES on Unix
/// assert_eq!(error.class, ErrorClass::Denied);
/// assert_eq!(error.os_error, Some(13));
/// assert!(format!("{error:#}").ends_with("(os error 13)"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SocketError {
    /// The class, by which errors are counted.
    pub class: ErrorClass,
    /// The system's error number, errno(3); `None` if the error is not the system's own.
    pub os_error: Option<i32>,
}

impl SocketError {
    /// Classifies an error of a socket call.
    pub fn of(error: &io::Error) -> Self {
        Self { class: ErrorClass::of(error), os_error: error.raw_os_error() }
    }
}

/// Completes a sentence with the class; `{:#}` adds the system's text and number.
impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_error.filter(|_| f.alternate()) {
            Some(number) => write!(f, "{}: {}", self.class, io::Error::from_raw_os_error(number)),
            None => self.class.fmt(f),
        }
    }
}

impl Error for SocketError {}

impl From<&io::Error> for SocketError {
    fn from(error: &io::Error) -> Self {
        Self::of(error)
    }
}

/// An error of a class without a number.
impl From<ErrorClass> for SocketError {
    fn from(class: ErrorClass) -> Self {
        Self { class, os_error: None }
    }
}

/// The system's error, or another one with the same text.
impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        match error.os_error {
            Some(number) => Self::from_raw_os_error(number),
            None => Self::other(error.class.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::errno;

    #[test]
    fn number_is_shown_only_in_the_long_form() {
        let error = SocketError::of(&io::Error::from_raw_os_error(errno::ENETUNREACH));
        assert_eq!(error.to_string(), "unreachable");
        let long = format!("{error:#}");
        assert!(long.starts_with("unreachable: "), "{long}");
        assert!(long.ends_with(&format!("(os error {})", errno::ENETUNREACH)), "{long}");
        assert_eq!(format!("{:#}", SocketError::from(ErrorClass::Denied)), {
            ErrorClass::Denied.to_string()
        });
    }

    #[test]
    fn error_of_the_system_survives_the_round_trip() {
        let error = SocketError::of(&io::Error::from_raw_os_error(errno::EMSGSIZE));
        assert_eq!(SocketError::of(&io::Error::from(error)), error);
    }
}
