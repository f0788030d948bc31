use super::*;

fn interface(name: &str, kind: InterfaceKind) -> NetworkInterface {
    NetworkInterface { name: name.into(), kind, ..NetworkInterface::ethernet(7) }
}

#[test]
fn only_an_interface_with_a_driver_for_ethernet_is_found() {
    let present = [
        interface("lo", InterfaceKind::Loopback),
        interface("eth0", InterfaceKind::Ethernet),
        interface("veth0", InterfaceKind::Veth),
        interface("tun0", InterfaceKind::Other),
    ];
    let found = |name| find(&present, name).map(|interface| interface.name.as_str());
    assert!(matches!(found("eth0"), Ok("eth0")));
    assert!(matches!(found("veth0"), Ok("veth0")));
    assert!(matches!(found("lo"), Err(XdpError::Loopback(name)) if name == "lo"));
    assert!(matches!(found("tun0"), Err(XdpError::NotEthernet(name)) if name == "tun0"));
    assert!(matches!(found("eth"), Err(XdpError::NoInterface(name)) if name == "eth"));
}

#[test]
fn limits_stand_as_the_program_reads_them() {
    let limit = DriverLimit {
        emission_interval: Duration::from_nanos(0x0102_0304_0506_0708),
        burst_tolerance: Duration::from_nanos(0x1112_1314_1516_1718),
        exempt: Vec::new(),
        dry_run: true,
    };
    let plan = |max_name_len, limit| DriverPlan {
        interfaces: Vec::new(),
        bound: Vec::new(),
        max_name_len,
        limit,
    };
    let expected = [
        &0x0102_0304_0506_0708_u64.to_ne_bytes()[..],
        &0x1112_1314_1516_1718_u64.to_ne_bytes(),
        &4_u32.to_ne_bytes(),
        &1024_u16.to_ne_bytes(),
        &1_u16.to_ne_bytes(),
    ];
    assert_eq!(limits(&plan(1024, Some(limit))), expected.concat());
    let unlimited = limits(&plan(usize::MAX, None));
    assert_eq!(unlimited[20..22], MAX_NAME_LEN.to_ne_bytes());
    assert_eq!(unlimited[22..], [0; 2]);
}
