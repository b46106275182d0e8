//! Lists that are well, that have gone mad, that refuse us and that are silent.

use dns::{FixedRecords, LookupError, RecordData, RecordType};

use super::*;

struct World {
    records: FixedRecords,
    lists: Lists,
    metrics: Metrics,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn address(octets: [u8; 4]) -> RecordData {
    RecordData::address(Ipv4Addr::from(octets))
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

impl World {
    /// bl.example lists 192.0.2.7 with 4, and what it has to; dbl.example lists spam.example.
    fn new(addresses: &[&str], domains: &[&str]) -> Self {
        let records = FixedRecords::new()
            .with(&name("2.0.0.127.bl.example"), address([127, 0, 0, 2]))
            .with(&name("7.2.0.192.bl.example"), address([127, 0, 0, 4]))
            .with(&name("7.2.0.192.bl.example"), RecordData::Text(b"see https://bl.example/\x07".to_vec()))
            .with(&name("test.dbl.example"), address([127, 0, 1, 2]))
            .with(&name("spam.example.dbl.example"), address([127, 0, 1, 2]));
        let metrics = Metrics::new();
        let lists = Lists::new(Clock::settable(Timestamp::from_unix_seconds(0)), metrics.clone());
        let entries =
            |texts: &[&str]| texts.iter().map(|text| ListEntry::parse(text).unwrap()).collect::<Vec<_>>();
        lists.reconfigure(ListSettings {
            addresses: entries(addresses),
            domains: entries(domains),
            time_max: Duration::from_secs(5),
        });
        lists.ask_by(Resolver::fixed(records.clone()));
        Self { records, lists, metrics }
    }

    async fn ask(&self, text: &str) -> Vec<ListHit> {
        self.lists.ask_address(text.parse().unwrap()).await
    }

    fn why_off(&self) -> String {
        match &self.lists.status()[0].state {
            ListState::Off(why) => why.clone(),
            state => panic!("{state:?}"),
        }
    }
}

#[tokio::test]
async fn hits_tell_list_code_points_and_words() {
    let world = World::new(&["bl.example=127.0.0.[2..3]*9", "bl.example=127.0.0.4*3.5 refuse"], &[]);
    assert!(world.ask("192.0.2.7").await.is_empty(), "not before it has been tested");
    world.lists.test_all().await;
    let hits = world.ask("192.0.2.7").await;
    let [hit] = hits.as_slice() else { panic!("{hits:?}") };
    assert_eq!((hit.list.as_str(), hit.asked.as_str(), hit.points), ("bl.example", "192.0.2.7", 3.5));
    assert_eq!((hit.action, hit.words.as_deref()), (ListAction::Refuse, Some("see https://bl.example/?")));
    assert!(world.ask("192.0.2.8").await.is_empty());
    let status = &world.lists.status()[0];
    assert_eq!((status.asked, status.hits, status.has_ipv6), (2, 1, false));
    let rendered = world.metrics.render();
    assert!(rendered.contains("mailstead_screen_list_hits_total{list=\"bl.example\"} 1"), "{rendered}");
    assert!(rendered.contains("mailstead_screen_list_up{list=\"bl.example\"} 1"), "{rendered}");
}

#[tokio::test]
async fn only_lists_that_have_them_are_asked_for_ipv6_addresses() {
    let world = World::new(&["bl.example"], &[]);
    let listed = entry_of("2a00::1".parse().unwrap(), &name("bl.example")).unwrap();
    world.records.add(&listed, address([127, 0, 0, 2]));
    world.lists.test_all().await;
    assert!(world.ask("2a00::1").await.is_empty());
    assert_eq!(world.lists.status()[0].asked, 0);
    let test = entry_of("::ffff:7f00:2".parse().unwrap(), &name("bl.example")).unwrap();
    world.records.add(&test, address([127, 0, 0, 2]));
    world.lists.test_all().await;
    assert_eq!(world.ask("2a00::1").await.len(), 1);
    // An IPv4 address in IPv6 clothes is one.
    assert_eq!(world.ask("::ffff:192.0.2.7").await.len(), 1);
}

#[tokio::test]
async fn a_list_that_goes_mad_hurts_nobody() {
    let world = World::new(&["bl.example refuse"], &[]);
    world.lists.test_all().await;
    world.records.add(&name("1.0.0.127.bl.example"), address([127, 0, 0, 2]));
    assert!(world.ask("192.0.2.7").await.is_empty(), "between two tests");
    assert!(world.why_off().contains("lists everybody"));
    assert!(world.metrics.render().contains("mailstead_screen_list_up{list=\"bl.example\"} 0"));
    world.lists.test_all().await;
    assert!(world.why_off().contains("lists everybody"));
    world.records.clear(&name("1.0.0.127.bl.example"));
    world.lists.test_ill().await;
    assert_eq!(world.ask("192.0.2.7").await.len(), 1, "well again");
}

#[tokio::test]
async fn a_list_that_refuses_to_answer_is_switched_off() {
    let world = World::new(&["bl.example refuse"], &[]);
    world.lists.test_all().await;
    let spam = name("7.2.0.192.bl.example");
    world.records.clear(&spam);
    world.records.add(&spam, address([127, 255, 255, 254]));
    assert!(world.ask("192.0.2.7").await.is_empty());
    assert!(world.why_off().contains("resolver of one's own"), "{}", world.why_off());
    // While it is off it is not asked.
    world.records.clear(&spam);
    world.records.add(&spam, address([127, 0, 0, 2]));
    assert!(world.ask("192.0.2.7").await.is_empty());
}

#[tokio::test]
async fn a_list_without_its_test_entry_is_no_list() {
    let world = World::new(&["nowhere.example"], &["nowhere.example"]);
    world.lists.test_all().await;
    let states: Vec<_> = world.lists.status().into_iter().map(|list| (list.kind, list.state)).collect();
    assert!(
        matches!(
            states.as_slice(),
            [(ListKind::Addresses, ListState::Off(one)), (ListKind::Domains, ListState::Off(other))]
                if one.contains("shut down") && other.contains("shut down")
        ),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_list_of_domains_that_did_not_answer_once_is_not_called_shut_down() {
    let world = World::new(&[], &["nowhere.example"]);
    world.records.fail(&name("test.nowhere.example"), RecordType::A, LookupError::Timeout);
    world.lists.test_all().await;
    assert!(world.why_off().contains("does not answer"), "{}", world.why_off());
}

#[tokio::test]
async fn a_silent_list_is_given_up_after_some_questions() {
    let world = World::new(&["bl.example"], &[]);
    world.lists.test_all().await;
    world.records.fail(&name("7.2.0.192.bl.example"), RecordType::A, LookupError::Timeout);
    for question in 1..FAILURES_MAX {
        assert!(world.ask("192.0.2.7").await.is_empty());
        assert_eq!(world.lists.status()[0].state, ListState::Healthy, "{question}");
    }
    assert!(world.ask("192.0.2.7").await.is_empty());
    assert!(world.why_off().contains("does not answer"));
}

#[tokio::test]
async fn load_of_ours_is_no_fault_of_a_list() {
    let world = World::new(&["bl.example"], &["dbl.example"]);
    world.lists.test_all().await;
    let is_healthy = || world.lists.status().iter().all(|list| list.state == ListState::Healthy);
    // We have too many questions open.
    for asked in ["7.2.0.192.bl.example", "2.0.0.127.bl.example"] {
        world.records.fail(&name(asked), RecordType::A, LookupError::Busy);
    }
    for _ in 0..2 * FAILURES_MAX {
        assert!(world.ask("192.0.2.7").await.is_empty());
    }
    world.lists.test_all().await;
    assert!(is_healthy());
    // Its turn comes too late.
    let settings = world.lists.0.settings.load_full();
    world.lists.reconfigure(ListSettings { time_max: Duration::ZERO, ..ListSettings::clone(&settings) });
    let many: Vec<_> = (0..DOMAINS_MAX).map(|number| domain(&format!("d{number}.example"))).collect();
    for _ in 0..2 * FAILURES_MAX {
        assert!(world.lists.ask_domains(&many).await.is_empty());
    }
    assert!(is_healthy());
}

#[tokio::test]
async fn a_list_that_answers_some_questions_is_there() {
    let world = World::new(&[], &["dbl.example"]);
    world.lists.test_all().await;
    let many: Vec<_> = (0..DOMAINS_MAX).map(|number| domain(&format!("d{number}.example"))).collect();
    for one in &many[1..] {
        world.records.fail(&name(&format!("{one}.dbl.example")), RecordType::A, LookupError::Timeout);
    }
    for _ in 0..2 * FAILURES_MAX {
        assert!(world.lists.ask_domains(&many).await.is_empty());
    }
    assert_eq!(world.lists.status()[0].state, ListState::Healthy);
    // All of them silent are one failure for a message, however many links it has.
    for message in 1..=FAILURES_MAX {
        assert_eq!(world.lists.status()[0].state, ListState::Healthy, "{message}");
        assert!(world.lists.ask_domains(&many[1..]).await.is_empty());
    }
    assert!(world.why_off().contains("does not answer"));
}

#[tokio::test]
async fn domains_are_asked_once_each_and_only_so_many() {
    let world = World::new(&[], &["dbl.example*2"]);
    world.lists.test_all().await;
    let spam = domain("spam.example");
    let hits =
        world.lists.ask_domains(&[spam.clone(), spam.clone(), domain("localhost"), domain("1.2.3.4")]).await;
    let [hit] = hits.as_slice() else { panic!("{hits:?}") };
    assert_eq!((hit.asked.as_str(), hit.points), ("spam.example", 2.0));
    assert_eq!(world.lists.status()[0].asked, 1);
    for (before, expected) in [(DOMAINS_MAX - 1, 1), (DOMAINS_MAX, 0)] {
        let mut many: Vec<_> = (0..before).map(|number| domain(&format!("d{number}.example"))).collect();
        many.push(spam.clone());
        assert_eq!(world.lists.ask_domains(&many).await.len(), expected, "{before}");
    }
}

#[tokio::test(start_paused = true)]
async fn mail_full_of_links_leaves_room_for_others() {
    let world = World::new(&[], &["dbl.example*2"]);
    world.lists.test_all().await;
    let spam = [domain("spam.example")];
    for (open, hits) in [(LINKS_OPEN_MAX - 1, 1), (LINKS_OPEN_MAX, 0)] {
        let _open = world.lists.0.link_places.acquire_many(open as u32).await.unwrap();
        let begun = Instant::now();
        assert_eq!(world.lists.ask_links(&spam).await.len(), hits, "{open}");
        let waited = if hits == 0 { Duration::from_secs(5) } else { Duration::ZERO };
        assert_eq!(begun.elapsed().as_secs(), waited.as_secs(), "{open}");
        // Who has sent it is known all the same, and the list is not to blame.
        assert_eq!(world.lists.ask_domains(&spam).await.len(), 1, "{open}");
    }
    assert_eq!(world.lists.status()[0].state, ListState::Healthy);
    assert_eq!(world.lists.ask_links(&spam).await.len(), 1, "when others have gone");
}

#[tokio::test]
async fn what_is_known_of_lists_that_stay_is_kept() {
    let world = World::new(&["bl.example"], &["dbl.example"]);
    world.lists.test_all().await;
    let settings = ListSettings {
        addresses: vec![ListEntry::parse("bl.example*5").unwrap(), ListEntry::parse("new.example").unwrap()],
        domains: Vec::new(),
        time_max: Duration::from_secs(5),
    };
    world.lists.reconfigure(settings);
    let states: Vec<_> =
        world.lists.status().into_iter().map(|list| (list.list.to_string(), list.state)).collect();
    assert_eq!(
        states,
        [("bl.example".to_owned(), ListState::Healthy), ("new.example".to_owned(), ListState::Untested)]
    );
    assert_eq!(world.ask("192.0.2.7").await[0].points, 5.0);
}

#[tokio::test]
async fn a_list_vouches_for_the_proven_sender_alone() {
    let world = World::new(&[], &["dbl.example*-2", "dbl.example*3"]);
    world.lists.test_all().await;
    let hits = world.lists.ask_domains(&[domain("spam.example")]).await;
    let believed = |proven: Option<&str>| {
        let proven = proven.map(domain);
        hits.iter().filter(|hit| hit.is_believed(proven.as_ref())).map(|hit| hit.points).collect::<Vec<_>>()
    };
    assert_eq!(believed(Some("spam.example")), [-2.0, 3.0]);
    assert_eq!(believed(Some("other.example")), [3.0]);
    assert_eq!(believed(None), [3.0]);
}
