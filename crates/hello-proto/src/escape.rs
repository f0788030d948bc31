use core::fmt;

/// Shows bytes of a stranger's as ASCII in quotes, with every other byte escaped, and no more of
/// them than [`MAX_SHOWN`].
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(MAX_SHOWN)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len() {
            len if len > MAX_SHOWN => write!(f, "... {len} bytes"),
            _ => Ok(()),
        }
    }
}

/// The most bytes shown.
const MAX_SHOWN: usize = 64;
