//! Stands in for XDP where there is none: on other systems, and in a build without it.

use std::convert::Infallible;
use std::io::{self, ErrorKind};

use crate::sys::latch::Latch;
use crate::sys::network_interface::NetworkInterface;

pub(crate) mod capabilities {
    use std::io;

    use crate::sys::xdp_error::XdpError;

    pub(crate) fn check() -> Result<(), XdpError> {
        Err(XdpError::Unsupported)
    }

    pub(crate) fn give_up() -> io::Result<()> {
        Ok(())
    }
}

pub(crate) mod interfaces {
    use super::*;

    #[derive(Debug)]
    pub(crate) struct Interfaces(Infallible);

    impl Interfaces {
        pub(crate) fn watch() -> io::Result<Self> {
            Err(ErrorKind::Unsupported.into())
        }

        pub(crate) fn wait(&self, _: &Latch) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn list(&self) -> io::Result<Vec<NetworkInterface>> {
            match self.0 {}
        }
    }
}

pub(crate) mod program {
    use super::*;
    use crate::sys::xdp_error::XdpError;
    use crate::sys::xdp_mode::XdpMode;
    #[cfg(test)]
    use crate::sys::xdp_run::Run;

    pub(crate) const SERVICE: usize = 36;
    pub(crate) const ENDPOINT: usize = 24;
    pub(crate) const SLOT_BITS: u32 = 15;
    pub(crate) const COUNTERS: usize = 9;
    pub(crate) const BLOCKS: usize = 2 << 16;

    #[derive(Debug)]
    pub(crate) struct Program(Infallible);

    #[derive(Debug)]
    pub(crate) struct XdpLink(Infallible);

    #[derive(Clone, Debug)]
    pub(crate) struct Counters(Infallible);

    impl Counters {
        pub(crate) fn read(&self) -> Result<[u64; COUNTERS], XdpError> {
            match self.0 {}
        }
    }

    impl Program {
        pub(crate) fn load(_: &[u8], _: u32, _: u32) -> Result<Self, XdpError> {
            Err(XdpError::Unsupported)
        }

        pub(crate) fn id(&self) -> u32 {
            match self.0 {}
        }

        pub(crate) fn attach(&mut self, _: u32) -> io::Result<(XdpLink, XdpMode)> {
            match self.0 {}
        }

        pub(crate) fn set_service(&mut self, _: u32, _: &[u8; SERVICE]) -> Result<(), XdpError> {
            match self.0 {}
        }

        pub(crate) fn set_slot_seed(&mut self, _: u64) -> Result<(), XdpError> {
            match self.0 {}
        }

        pub(crate) fn set_source(&mut self, _: ([u8; 16], u8), _: u32) -> Result<(), XdpError> {
            match self.0 {}
        }

        pub(crate) fn remove_source(&mut self, _: ([u8; 16], u8)) -> Result<(), XdpError> {
            match self.0 {}
        }

        pub(crate) fn set_blocks(&mut self, _: &[u8; BLOCKS]) -> Result<(), XdpError> {
            match self.0 {}
        }

        pub(crate) fn counters(&self) -> Counters {
            match self.0 {}
        }

        #[cfg(test)]
        pub(crate) fn run(&self, _: &[u8]) -> Run {
            match self.0 {}
        }

        #[cfg(test)]
        pub(crate) fn run_behind(&self, _: u32, _: &[u8]) -> Option<Run> {
            match self.0 {}
        }
    }
}
