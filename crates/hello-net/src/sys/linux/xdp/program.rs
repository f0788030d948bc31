use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, MapData, MapError, PerCpuArray};
use aya::programs::links::FdLink;
use aya::programs::{self, ProgramError, Xdp};
use aya::sys::SyscallError;
use aya::{Ebpf, EbpfLoader};
use rustix::time::{ClockId, clock_getres};

use crate::sys::xdp_error::XdpError;
use crate::sys::xdp_mode::XdpMode;
#[cfg(test)]
use crate::sys::xdp_run::Run;

/// The XDP program in the kernel, and its maps. It is gone with this process, however that ends.
pub(crate) struct Program {
    ebpf: Ebpf,
    id: u32,
    services: Array<MapData, [u8; SERVICE]>,
    slot_seed: Array<MapData, [u8; 8]>,
    sources: LpmTrie<MapData, [u8; 16], u32>,
    blocks: Array<MapData, [u8; BLOCKS]>,
    counters: Counters,
}

/// The program's counters, which are readable whatever else is done with the program.
#[derive(Clone)]
pub(crate) struct Counters(Arc<PerCpuArray<MapData, [u64; COUNTERS]>>);

/// The lengths of a service and of its endpoint, which it starts with, in bytes.
pub(crate) const SERVICE: usize = 36;
pub(crate) const ENDPOINT: usize = 24;

/// The length of the number of a slot, in bits.
pub(crate) const SLOT_BITS: u32 = 15;

/// The number of counters.
pub(crate) const COUNTERS: usize = 9;

/// The number of blocks of both families: of the first 16 bits of an address.
pub(crate) const BLOCKS: usize = 2 << 16;

impl Program {
    /// Loads the program with these limits, and with room for this number of buckets and of sources.
    pub(crate) fn load(limits: &[u8], buckets: u32, sources: u32) -> Result<Self, XdpError> {
        let failed = |error| XdpError::Load(error);
        let mut ebpf = EbpfLoader::new()
            // The program does not depend on the types of the kernel, which take time to read.
            .btf(None)
            .override_global("limits", limits, true)
            .override_global("tick", &tick(), true)
            .map_max_entries("buckets", buckets)
            .map_max_entries("sources", sources)
            .load(OBJECT)
            .map_err(|error| failed(error.into()))?;
        let load = |xdp: &mut Xdp| xdp.load().and_then(|()| xdp.info()).map(|info| info.id());
        let id = program(&mut ebpf).and_then(load).map_err(|error| failed(error.into()))?;
        let mut map = |name| ebpf.take_map(name).expect("a map of the program");
        // Its only variable is the seed.
        let [services, slot_seed, sources, blocks, counters] =
            ["services", ".bss", "sources", "source_blocks", "outcomes"].map(&mut map);
        let maps = || {
            let services = (services.try_into()?, slot_seed.try_into()?);
            let sources = (sources.try_into()?, blocks.try_into()?);
            Ok((services, sources, counters.try_into()?))
        };
        let ((services, slot_seed), (sources, blocks), counters) =
            maps().map_err(|error: MapError| failed(error.into()))?;
        let counters = Counters(Arc::new(counters));
        Ok(Self { ebpf, id, services, slot_seed, sources, blocks, counters })
    }

    /// Returns the number that the kernel gave the program.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Attaches the program to the interface with this index, in the driver or, if that cannot run it,
    /// in the kernel's generic mode.
    pub(crate) fn attach(&mut self, interface: u32) -> io::Result<(XdpLink, XdpMode)> {
        let native = self.attach_in(interface, XdpMode::Native);
        match native {
            Err(error) if is_for_generic_mode(&error) => {
                let link = self.attach_in(interface, XdpMode::Generic)?;
                Ok((link, XdpMode::Generic))
            }
            native => Ok((native?, XdpMode::Native)),
        }
    }

    fn attach_in(&mut self, interface: u32, mode: XdpMode) -> io::Result<XdpLink> {
        let mode = match mode {
            XdpMode::Native => programs::XdpMode::Driver,
            XdpMode::Generic => programs::XdpMode::Skb,
        };
        let attached = program(&mut self.ebpf).and_then(|xdp| {
            let link = xdp.attach_to_if_index(interface, mode)?;
            xdp.take_link(link)
        });
        let link = attached.map_err(|error| match error {
            ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error,
            error => io::Error::other(error),
        })?;
        // Old kernels have no links for XDP, and what is attached otherwise outlives the process. It is
        // detached here.
        link.try_into().map(XdpLink).map_err(|_| ErrorKind::Unsupported.into())
    }

    /// Puts a service into a slot.
    pub(crate) fn set_service(
        &mut self,
        slot: u32,
        service: &[u8; SERVICE],
    ) -> Result<(), XdpError> {
        self.services.set(slot, service, 0).map_err(refused)
    }

    /// Sets the seed of slots.
    pub(crate) fn set_slot_seed(&mut self, seed: u64) -> Result<(), XdpError> {
        self.slot_seed.set(0, seed.to_ne_bytes(), 0).map_err(refused)
    }

    /// Adds or replaces the properties of a prefix, which has `len` bits.
    pub(crate) fn set_source(
        &mut self,
        (prefix, len): ([u8; 16], u8),
        properties: u32,
    ) -> Result<(), XdpError> {
        self.sources.insert(&Key::new(len.into(), prefix), properties, 0).map_err(refused)
    }

    /// Removes a prefix that is there.
    pub(crate) fn remove_source(&mut self, (prefix, len): ([u8; 16], u8)) -> Result<(), XdpError> {
        self.sources.remove(&Key::new(len.into(), prefix)).map_err(refused)
    }

    /// Replaces the properties of all blocks.
    pub(crate) fn set_blocks(&mut self, blocks: &[u8; BLOCKS]) -> Result<(), XdpError> {
        self.blocks.set(0, blocks, 0).map_err(refused)
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Runs the program on a packet that arrived at the loopback interface (BPF_PROG_TEST_RUN,
    /// bpf(2)). Returns the packet, if it is sent back.
    #[cfg(test)]
    pub(crate) fn run(&self, packet: &[u8]) -> Run {
        self.run_behind(0, packet).expect("a run")
    }

    /// Runs the program on a packet behind this number of bytes of metadata, which take the room before
    /// it. Returns nothing if the kernel does not take as many; older ones take 32.
    #[cfg(test)]
    pub(crate) fn run_behind(&self, metadata: u32, packet: &[u8]) -> Option<Run> {
        use aya::programs::{Program, TestRun as _, TestRunOptions};

        let mut out = [0; 4096];
        let Some(Program::Xdp(xdp)) = self.ebpf.program("hello") else { panic!("no program") };
        let start = metadata as usize;
        let input = [&vec![0; start], packet].concat();
        let end = u32::try_from(input.len()).expect("short");
        // A `struct xdp_md`: the data, its end and the metadata, as offsets in the input.
        let context = [metadata, end, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let result = xdp
            .test_run(TestRunOptions {
                data_in: Some(&input),
                data_out: Some(&mut out),
                ctx_in: Some(&context),
                ..TestRunOptions::new()
            })
            .ok()?;
        let sent = out[start..result.data_size_out as usize].to_vec();
        Some(match result.return_value {
            1 => Run::Dropped,
            2 => Run::Passed(sent),
            3 => Run::Sent(sent),
            action => panic!("action {action}"),
        })
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Counters {
    /// Adds up those of all processors.
    pub(crate) fn read(&self) -> Result<[u64; COUNTERS], XdpError> {
        let processors = self.0.get(&0, 0).map_err(refused)?;
        let mut sums = [0; COUNTERS];
        for counters in processors.iter() {
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum += counter;
            }
        }
        Ok(sums)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// Keeps the program attached to an interface.
#[derive(Debug)]
pub(crate) struct XdpLink(#[expect(dead_code, reason = "it is dropped")] FdLink);

/// Returns whether a driver said that it runs no programs, or none with its MTU or its queues.
fn is_for_generic_mode(error: &io::Error) -> bool {
    const ERRORS: [i32; 4] = [libc::EOPNOTSUPP, libc::EINVAL, libc::ERANGE, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| ERRORS.contains(&code))
}

/// Returns the time between two ticks of the kernel, in nanoseconds.
fn tick() -> u64 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(tick.tv_nsec).unwrap_or_default()
}

fn refused(error: MapError) -> XdpError {
    XdpError::Map(error.into())
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    ebpf.program_mut("hello").expect("the program").try_into()
}

/// Made of `hello.bpf.c` by `build`. Aligned, because it is parsed in place.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../xdp/hello.bpf.o");
