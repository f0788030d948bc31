use std::io;

use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::sys::xdp_error::XdpError;

/// Returns an error that names the capabilities which this thread lacks.
pub(crate) fn check() -> Result<(), XdpError> {
    let has = |set| capabilities(None).is_ok_and(|has| has.effective.intersects(set));
    // Two were split off CAP_SYS_ADMIN (Linux 5.8). Without CAP_PERFMON, the verifier rejects pointers
    // into a packet at offsets that are not constant, as a defence against Spectre.
    let needed = [
        ("CAP_BPF", CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_PERFMON", CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN),
    ];
    let missing = needed.into_iter().filter(|(_, set)| !has(*set)).map(|(name, _)| name);
    let missing = Vec::from_iter(missing);
    if missing.is_empty() { Ok(()) } else { Err(XdpError::Capability(missing.join(", "))) }
}

/// Gives up the capabilities that [`check`] looks for, except for CAP_SYS_ADMIN, for this thread and
/// those that it starts.
pub(crate) fn give_up() -> io::Result<()> {
    let given_up = CapabilitySet::BPF | CapabilitySet::NET_ADMIN | CapabilitySet::PERFMON;
    for capability in given_up.iter() {
        configure_capability_in_ambient_set(capability, false)?;
        // So that root does not have it back in a program that it executes. Others must not do this, and
        // have nothing to lose by it.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let mut sets = capabilities(None)?;
    for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
        set.remove(given_up);
    }
    Ok(set_capabilities(None, sets)?)
}
