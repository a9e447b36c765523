//! The watch over a probe, with a canary of the tests' own and a clock that does not wait.

use probeparser::record::Tcpaccept;

use super::act::Act;
use super::*;

/// A canary that does every act at once, as `done` says.
fn canary(done: Result<Facts, String>) -> Canary {
    let (canary, mut requests) = Canary::of_tests();
    tokio::spawn(async move {
        while let Some((act, answer)) = requests.recv().await {
            assert_eq!(act, Act::Talk);
            answer.send(done.clone()).ok();
        }
    });
    canary
}

fn accepted(address: &str) -> Record {
    Record::Tcpaccept(Tcpaccept {
        time_s: None,
        pid: 7,
        comm: "x-canary".into(),
        ip: if address.contains(':') { 6 } else { 4 },
        raddr: address.parse().unwrap(),
        rport: Some(1),
        laddr: address.parse().unwrap(),
        lport: 2,
    })
}

fn both() -> Facts {
    Facts::from([act::Fact::Ipv6])
}

async fn told(watch: &mut Watch) -> Told {
    match watch.news().await {
        News::Sight(told) => told,
        News::Heal { message, .. } => panic!("{message}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_probe_is_blind_after_three_attempts() {
    let mut watch = Watch::new(Probe::Tcpaccept, canary(Ok(both())));
    let begun = Instant::now();
    watch.attached(Duration::from_secs(10));
    let news = told(&mut watch).await;
    assert_eq!(news.sight.verdict, Verdict::Blind);
    assert_eq!(news.sight.dead, ["accepts", "IPv6"]);
    assert!(news.remedy.is_some());
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_needs_no_time_and_what_is_missing_is_named() {
    let mut watch = Watch::new(Probe::Tcpaccept, canary(Ok(both())));
    let begun = Instant::now();
    watch.attached(Duration::ZERO);
    watch.step().await;
    watch.saw(&accepted("127.0.0.1"));
    watch.saw(&accepted("::1"));
    assert_eq!(told(&mut watch).await.sight.verdict, Verdict::Sees);
    assert_eq!(begun.elapsed(), Duration::ZERO);

    watch.attached(Duration::ZERO);
    watch.saw(&accepted("127.0.0.1"));
    // An address that nobody has used is none that was seen.
    watch.saw(&accepted("::7f00:1"));
    let sight = told(&mut watch).await.sight;
    assert_eq!(
        (sight.verdict, &sight.dead[..]),
        (Verdict::Suspect, &["IPv6".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_reported_a_part_is_not_waited_for_as_long_as_who_is_silent() {
    let mut watch = Watch::new(Probe::Tcpaccept, canary(Ok(both())));
    let begun = Instant::now();
    watch.attached(REPORT_AT_MOST);
    let mut news = None;
    while news.is_none() {
        if matches!(watch.phase, Phase::Waiting(_)) {
            tokio::time::advance(Duration::from_secs(1)).await;
            watch.saw(&accepted("127.0.0.1"));
        }
        news = watch.step().await;
    }
    let Some(News::Sight(told)) = news else {
        panic!("{news:?}");
    };
    assert_eq!(told.sight.verdict, Verdict::Suspect);
    let attempt = Duration::from_secs(1) + REPORT_AT_MOST / 3;
    assert_eq!(begun.elapsed().as_secs(), 3 * attempt.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_goes_blind_later_is_told() {
    let mut watch = Watch::new(Probe::Tcpaccept, canary(Ok(both())));
    watch.attached(Duration::ZERO);
    watch.saw(&accepted("127.0.0.1"));
    watch.saw(&accepted("::1"));
    assert_eq!(told(&mut watch).await.sight.verdict, Verdict::Sees);
    let begun = Instant::now();
    // Whoever reports sees, and is not asked.
    watch.heard();
    assert_eq!(told(&mut watch).await.sight.verdict, Verdict::Blind);
    assert!(begun.elapsed() > 2 * SILENCE, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_made_proves_nothing() {
    // What never was is told once for all probes, by the agent.
    let absent = Canary::none("no rights".to_owned());
    let broken = canary(Err("no rights".to_owned()));
    for (canary, tells) in [(absent, false), (broken, true)] {
        let mut watch = Watch::new(Probe::Tcpaccept, canary);
        watch.attached(Duration::ZERO);
        let news = told(&mut watch).await;
        assert_eq!(news.sight.verdict, Verdict::Unproven);
        assert_eq!(
            news.message.contains("no rights"),
            tells,
            "{}",
            news.message
        );
        assert_eq!(news.remedy.is_some(), tells);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_healed_is_healed_once_and_then_told() {
    let mut watch = Watch::new(Probe::Tcpaccept, canary(Ok(both())));
    watch.starting();
    watch.healable("accepts".to_owned());
    watch.attached(Duration::ZERO);
    let News::Heal { dead, .. } = watch.news().await else {
        panic!("told before it was healed");
    };
    assert_eq!(dead, ["accepts"]);
    watch.starting();
    watch.healed("reasons".to_owned());
    watch.attached(Duration::ZERO);
    watch.saw(&accepted("127.0.0.1"));
    watch.saw(&accepted("::1"));
    let healed = told(&mut watch).await;
    assert_eq!(healed.message, "healed: reasons");
    assert_eq!(healed.sight.healed.as_deref(), Some("reasons"));
    // It went back to what it was: nothing is tried again.
    watch.starting();
    watch.healable("accepts".to_owned());
    watch.attached(Duration::ZERO);
    assert_eq!(told(&mut watch).await.sight.verdict, Verdict::Blind);
}
