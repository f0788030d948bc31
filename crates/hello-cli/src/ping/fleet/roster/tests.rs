use std::collections::BTreeSet;

use hello_net::Fleet;

use super::*;

const PORT: u16 = 9999;

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], PORT).into()
}

fn given(host: u8) -> Entry {
    let address = address(host);
    let addresses = Addresses::Given(address);
    Entry { name: address.to_string(), addresses, labels: [].into(), line: 1 }
}

fn endpoint(host: &str) -> Endpoint {
    host.parse().expect("an endpoint")
}

/// The one address of a name.
fn one(host: &str) -> Entry {
    Entry {
        name: host.into(),
        addresses: Addresses::One(endpoint(host)),
        labels: [].into(),
        line: 1,
    }
}

/// All addresses of a name.
fn all(host: &str) -> Entry {
    Entry { addresses: Addresses::All(endpoint(host)), ..one(host) }
}

fn roster(rules: Rules) -> Roster {
    let fleet = Fleet::builder().interval(rules.interval).open().expect("a socket");
    Roster::new(fleet.handle(), rules)
}

fn rules() -> Rules {
    Rules { interval: Duration::from_secs(1), ..Rules::default() }
}

fn answer(name: &str, hosts: &[u8]) -> Answer {
    let addresses = Ok(hosts.iter().copied().map(address).collect());
    Answer { name: name.into(), addresses }
}

/// Returns the name and the address of each target.
fn listed(roster: &Roster) -> Vec<(String, Option<SocketAddr>)> {
    let of = |member: &Member| (member.target.to_string(), member.address);
    let records = BTreeSet::from_iter(roster.handle.records().into_iter().map(|(id, _)| id));
    assert_eq!(records, roster.members().map(|member| member.id).collect(), "all are in the fleet");
    roster.members().map(of).collect()
}

#[test]
fn target_that_stays_in_the_file_stays_in_the_fleet() {
    let mut roster = roster(rules());
    let change = roster.set_entries(vec![given(1), given(2)]);
    assert_eq!(change, Ok(Change { added: 2, removed: 0 }));
    let ids = Vec::from_iter(roster.members().map(|member| member.id));
    let labels = Arc::from([("site".to_owned(), "fra".to_owned())]);
    let labelled = Entry { labels: Arc::clone(&labels), ..given(2) };
    let change = roster.set_entries(vec![given(3), labelled]);
    assert_eq!(change, Ok(Change { added: 1, removed: 1 }));
    let member = roster.member(ids[1]).expect("it stays");
    assert_eq!((&*member.target, &*member.labels), ("192.0.2.2:9999", &labels[..]));
    assert!(roster.member(ids[0]).is_none());
    assert_eq!(listed(&roster).len(), 2);
}

#[test]
fn name_has_one_address_which_it_keeps_while_it_is_valid_or_lookups_fail() {
    let mut roster = roster(rules());
    roster.set_entries(vec![one("a:9999")]).expect("one");
    let a = |host: Option<u8>| vec![("a:9999".to_owned(), host.map(address))];
    assert_eq!(listed(&roster), a(None));
    assert_eq!(roster.handle_answer(answer("a:9999", &[1, 2])), Ok(Change::default()));
    assert_eq!(listed(&roster), a(Some(1)));
    roster.handle_answer(answer("a:9999", &[2, 1])).expect("the same in another order");
    assert_eq!(listed(&roster), a(Some(1)));
    let failed = || Answer { name: "a:9999".into(), addresses: Err("no such host".into()) };
    assert_eq!(roster.handle_answer(failed()), Err("no such host".into()));
    assert_eq!(roster.handle_answer(failed()), Ok(Change::default()), "that is known already");
    assert_eq!(listed(&roster), a(Some(1)));
    let name =
        LookedUp { name: "a:9999".into(), labels: [].into(), is_resolved: true, failures: 2 };
    assert_eq!(roster.names().collect::<Vec<_>>(), [name]);
    roster.handle_answer(answer("a:9999", &[3])).expect("it moved");
    assert_eq!(listed(&roster), a(Some(3)));
    assert!(roster.handle_answer(failed()).is_err(), "it fails anew");
}

#[test]
fn each_address_of_a_name_is_a_target_and_the_excluded_are_none() {
    let exclude = vec!["::ffff:192.0.2.2".parse().expect("an address")];
    let mut roster = roster(Rules { exclude, ..rules() });
    roster.set_entries(vec![all("a:9999"), one("b:9999"), given(2)]).expect("two names");
    let b = ("b:9999".to_owned(), None);
    assert_eq!(listed(&roster), [b]);
    let change = roster.handle_answer(answer("a:9999", &[1, 2, 3]));
    assert_eq!(change, Ok(Change { added: 2, removed: 0 }));
    let change = roster.handle_answer(answer("b:9999", &[2]));
    assert_eq!(change, Ok(Change { added: 0, removed: 1 }), "it is this machine");
    let names = Vec::from_iter(roster.members().map(|member| member.name.clone()));
    assert_eq!(names, [Some("a".into()), Some("a".into())]);
    let change = roster.handle_answer(answer("a:9999", &[3, 4]));
    assert_eq!(change, Ok(Change { added: 1, removed: 1 }));
    let found = Vec::from_iter(listed(&roster).into_iter().map(|(_, address)| address));
    assert_eq!(found, [Some(address(3)), Some(address(4))]);
    let change = roster.set_entries(vec![]);
    assert_eq!(change, Ok(Change { added: 0, removed: 2 }));
    assert_eq!(roster.names().count(), 0);
    assert_eq!(roster.handle_answer(answer("a:9999", &[1])), Ok(Change::default()), "too late");
    assert_eq!(listed(&roster), []);
}

#[test]
fn host_never_gets_more_probes_than_is_safe() {
    let ports = |count: u16| {
        let ports = (1..=count).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        ports.map(|address| Entry {
            name: address.to_string(),
            addresses: Addresses::Given(address),
            labels: [].into(),
            line: 1,
        })
    };
    let interval = Duration::from_millis(10);
    let mut roster = roster(Rules { interval, ..rules() });
    roster.set_entries(ports(5).collect()).expect("5 in 10 ms");
    let error = roster.set_entries(ports(6).collect()).expect_err("too many");
    let expected = "interval 10ms is too short for 6 targets on 192.0.2.1, which share 500 probes per \
                    second: use 12ms or more, or --allow-flood if its owner agrees";
    assert_eq!(error, expected);
    assert_eq!(listed(&roster).len(), 5, "nothing changed");
    roster.set_entries(ports(5).chain([one("a:9999")]).collect()).expect("its address is unknown");
    let error = roster.handle_answer(answer("a:9999", &[1])).expect_err("the sixth");
    assert_eq!(error, expected);
    assert_eq!(listed(&roster).last(), Some(&("a:9999".to_owned(), None)));
    let mut flooding = self::roster(Rules { interval, allow_flood: true, ..rules() });
    flooding.set_entries(ports(99).collect()).expect("its owner agreed");
    let local = (1..=99).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let local = local.map(|address| Entry {
        name: address.to_string(),
        addresses: Addresses::Given(address),
        labels: [].into(),
        line: 1,
    });
    roster.set_entries(local.collect()).expect("the loopback is exempt");
}

#[test]
fn answer_changes_the_targets_of_its_name_only() {
    let mut roster = roster(rules());
    roster.set_entries(vec![one("a:9999"), all("a:9999"), all("b:9999"), given(9)]).expect("three");
    let change = roster.handle_answer(answer("b:9999", &[1, 2]));
    assert_eq!(change, Ok(Change { added: 2, removed: 0 }));
    let others = |roster: &Roster| {
        let is_other = |member: &&Member| member.name.as_deref() == Some("b");
        Vec::from_iter(roster.members().filter(is_other).map(|member| member.id))
    };
    let before = others(&roster);
    for (hosts, added, removed) in
        [(&[1, 2][..], 2, 0), (&[2, 1], 0, 0), (&[3], 1, 2), (&[3, 9], 1, 0)]
    {
        let change = roster.handle_answer(answer("a:9999", hosts));
        assert_eq!(change, Ok(Change { added, removed }), "{hosts:?}");
        assert_eq!((others(&roster), listed(&roster).len()), (before.clone(), 4 + hosts.len()));
    }
}
