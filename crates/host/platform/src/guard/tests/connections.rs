//! Who may connect: each address its share, nobody more than all.

use super::*;

#[test]
fn an_address_gets_its_share_and_no_more() {
    let (guard, _) = guard();
    let first = guard.admit(ip("192.0.2.1")).unwrap();
    let _second = guard.admit(ip("::ffff:192.0.2.1")).unwrap();
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressFull);
    let _other = guard.admit(ip("192.0.2.2")).unwrap();
    drop(first);
    let _again = guard.admit(ip("192.0.2.1")).unwrap();
}

#[test]
fn an_ipv6_household_is_one_peer() {
    let (guard, _) = guard();
    let _first = guard.admit(ip("2001:db8::1")).unwrap();
    let _second = guard.admit(ip("2001:db8::ffff:1")).unwrap();
    assert_eq!(guard.admit(ip("2001:db8::2")).unwrap_err(), Refusal::AddressFull);
    let _neighbour = guard.admit(ip("2001:db8:0:1::1")).unwrap();
}

#[test]
fn the_total_binds_everyone() {
    let (guard, _) = guard();
    let visits: Vec<_> = (0..5).map(|_| guard.admit(ip("10.1.2.3")).unwrap()).collect();
    assert_eq!(guard.admit(ip("10.1.2.3")).unwrap_err(), Refusal::ServerFull);
    assert_eq!(guard.admit(None).unwrap_err(), Refusal::ServerFull);
    drop(visits);
    guard.admit(None).unwrap();
}

#[test]
fn refusals_and_departures_leave_no_entry_behind() {
    let (guard, _) = guard();
    guard.reconfigure(GuardSettings { connections_per_address_max: 0, ..settings() });
    assert_eq!(guard.admit(ip("192.0.2.1")).unwrap_err(), Refusal::AddressFull);
    guard.reconfigure(settings());
    drop(guard.admit(ip("192.0.2.1")).unwrap());
    assert!(guard.0.state.lock().by_address.is_empty());
    assert_eq!(guard.0.state.lock().connections, 0);
}

#[test]
fn one_address_of_a_household_can_be_trusted() {
    let (guard, _) = guard();
    guard.reconfigure(GuardSettings { trusted: vec!["::1".parse().unwrap()], ..settings() });
    let _visits: Vec<_> = (0..3).map(|_| guard.admit(ip("::1")).unwrap()).collect();
}
