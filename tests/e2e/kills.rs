//! Kills in an order that a number decides: of the agent, the hub, the server and the tool, while a
//! stream keeps the records. Whatever the number: what the stream keeps is shown, once and in order, and
//! what an agent had read before it was killed is kept or counted.

use nix::sys::signal::Signal;

use crate::chaos::{Chance, freeze, seeds, signal};
use crate::durable::{Agent, KeepingServer, Shown, account, in_order};
use crate::outage::Tool;
use crate::process::{End, run};

/// The schedules of every run; `XTRACER_SEED` names another one.
const SEEDS: [u64; 2] = [1, 2];
/// Faults in a schedule.
const FAULTS: usize = 10;

/// A schedule, and what it comes to: the lines that hubs have shown, and what shows all that the stream
/// keeps.
fn schedule(seed: u64) -> (Vec<&'static str>, Vec<String>, End) {
    let mut chance = Chance::new(seed);
    let mut server = KeepingServer::start();
    let url = server.url();
    let mut tool = Tool::new();
    let shown = Shown::new();
    let mut hub = shown.listen(&url);
    hub.wait_for("listening on");
    let mut agent = Agent::start(&tool, &url);
    let mut done = tool.begun();
    tool.print(1_000);
    shown.wait_for_lines(1);
    let mut faults = Vec::new();
    let mut dead = None;
    for _ in 0..FAULTS {
        tool.print(chance.below(8_000));
        chance.pause();
        faults.push(match chance.below(8) {
            0 | 1 => {
                drop(hub);
                chance.pause();
                hub = shown.listen(&url);
                "the hub is killed"
            }
            2 => {
                drop(agent);
                std::io::copy(&mut done, &mut std::io::sink()).unwrap();
                agent = Agent::start(&tool, &url);
                done = tool.begun();
                "the agent is killed"
            }
            3 => {
                server.again();
                "the server is killed"
            }
            4 => {
                freeze(server.pid(), &mut chance);
                "the server is stopped"
            }
            5 => {
                freeze(hub.child.id(), &mut chance);
                "the hub is stopped"
            }
            6 => {
                freeze(agent.0.id(), &mut chance);
                "the agent is stopped"
            }
            _ => match tool.process() {
                // A tool that fails again and again is given up.
                Some(pid) if !faults.contains(&"the tool is killed") => {
                    signal(pid, Signal::SIGKILL);
                    dead = Some(pid);
                    "the tool is killed"
                }
                _ => "nothing happens",
            },
        });
    }
    // A tool that was killed a moment ago must be back to come to its own end.
    while tool.process().is_none_or(|pid| Some(pid) == dead) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // With its tool the agent ends, and then it has nothing left that is not kept.
    drop(tool);
    assert!(agent.0.wait().unwrap().success(), "seed {seed}: {faults:?}");
    let kept = run(&["replay", "--nats", &url, "-o", "json"]);
    shown.wait_for_lines(kept.stdout.len());
    hub.signal(Signal::SIGKILL);
    drop(hub);
    let shown = shown.text().lines().map(str::to_owned).collect();
    (faults, shown, kept)
}

#[test]
fn what_a_stream_keeps_is_shown_whoever_is_killed() {
    for seed in seeds(&SEEDS) {
        let (faults, shown, kept) = schedule(seed);
        let context = format!("XTRACER_SEED={seed}: {faults:?}");
        let (count, missing) = in_order(shown.iter().map(String::as_str));
        assert!(
            shown
                .iter()
                .eq(kept.stdout.iter().map(|line| line.trim_end())),
            "{context}"
        );
        let [printed, dropped, published] = account(&kept);
        let told = format!("{context}: {missing} missing: {:#?}", kept.stderr);
        assert_eq!((count, printed), (published, published + dropped), "{told}");
        // What was lost last is in no gap, as nothing came after it.
        assert!(missing <= dropped, "{told}");
    }
}
